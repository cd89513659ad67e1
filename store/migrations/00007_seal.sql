-- +goose Up
CREATE TABLE seal (
    code        TEXT   NOT NULL PRIMARY KEY,
    owner       TEXT   NOT NULL,
    owner_name  TEXT   NOT NULL,
    name        TEXT   NOT NULL,
    line        TEXT   NOT NULL,
    style       TEXT   NOT NULL,
    type        BIGINT NOT NULL,
    state       TEXT   NOT NULL,
    reason      BYTEA,             -- sealed
    maker       BYTEA,             -- sealed JSON of the actor
    checker     BYTEA,             -- sealed JSON of the actor
    key_id      TEXT   NOT NULL DEFAULT '',
    cert        BYTEA,
    esl         BYTEA,
    svg         BYTEA,
    png         BYTEA,
    at          BIGINT NOT NULL,
    valid_from  BIGINT NOT NULL,
    valid_until BIGINT NOT NULL,
    changed_at  BIGINT NOT NULL
);
CREATE INDEX seal_owner ON seal (owner, code);
CREATE INDEX seal_state ON seal (state, code);

CREATE TABLE seal_use (
    id           TEXT   NOT NULL PRIMARY KEY,
    seal         TEXT   NOT NULL REFERENCES seal (code),
    document     BYTEA  NOT NULL, -- SM3 before
    purpose      BYTEA,           -- sealed
    actor        BYTEA,           -- sealed JSON
    state        TEXT   NOT NULL,
    result       BYTEA,           -- SM3 after
    at           BIGINT NOT NULL,
    completed_at BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX seal_use_seal ON seal_use (seal, at);
CREATE INDEX seal_use_intended ON seal_use (at) WHERE state = 'intended';

-- +goose Down
DROP TABLE seal_use;
DROP TABLE seal;
