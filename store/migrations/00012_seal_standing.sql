-- +goose Up
-- Who made a standing activation of a seal's key: it ends when that person may no longer stamp for the owner.
CREATE TABLE seal_standing (
    id       TEXT   NOT NULL PRIMARY KEY, -- of the standing activation
    seal     TEXT   NOT NULL REFERENCES seal (code),
    person   TEXT   NOT NULL,             -- subject id
    capacity TEXT   NOT NULL,             -- entity, official
    at       BIGINT NOT NULL,
    ended    BOOLEAN NOT NULL
);
CREATE INDEX seal_standing_seal ON seal_standing (seal, at);
CREATE INDEX seal_standing_person ON seal_standing (person) WHERE NOT ended;

-- +goose Down
DROP TABLE seal_standing;
