-- +goose Up
-- Key ceremonies: the making of a root whose key custodians share. Who they are stands in the transcript, not here.
CREATE TABLE ca_ceremony (
    id         TEXT   NOT NULL PRIMARY KEY, -- stands in every share file
    root_key   TEXT   NOT NULL,             -- id of the root's key among the many
    shares     BYTEA  NOT NULL,             -- SM3 of what all share files have in common
    threshold  BIGINT NOT NULL,
    holders    BIGINT NOT NULL,
    state      TEXT   NOT NULL,             -- key, shares, done, void
    begun_at   BIGINT NOT NULL,
    changed_at BIGINT NOT NULL,
    transcript BYTEA  NOT NULL              -- SM3, empty until done
);
CREATE UNIQUE INDEX ca_ceremony_one ON ca_ceremony ((state <> 'void')) WHERE state <> 'void';

-- +goose Down
DROP TABLE ca_ceremony;
