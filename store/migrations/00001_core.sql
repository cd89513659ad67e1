-- +goose Up
-- Durable jobs: committed with the change they follow from, run at least once, in order of not_before.
CREATE TABLE job (
    id           TEXT   NOT NULL PRIMARY KEY,
    kind         TEXT   NOT NULL,
    key          TEXT   NOT NULL,
    payload      BYTEA  NOT NULL,
    state        TEXT   NOT NULL, -- waiting, running, dead
    not_before   BIGINT NOT NULL,
    leased_until BIGINT NOT NULL DEFAULT 0,
    epoch        BIGINT NOT NULL DEFAULT 0, -- counts claims; a result names the epoch it was claimed under
    attempts     BIGINT NOT NULL DEFAULT 0,
    last_error   TEXT   NOT NULL DEFAULT '',
    created_at   BIGINT NOT NULL
);
CREATE UNIQUE INDEX job_waiting ON job (kind, key) WHERE state = 'waiting';
CREATE INDEX job_due ON job (not_before) WHERE state <> 'dead';

-- Leases: what only one node may do at a time. Writes done under a lease name its epoch in their WHERE.
CREATE TABLE lease (
    name   TEXT   NOT NULL PRIMARY KEY,
    holder TEXT   NOT NULL,
    epoch  BIGINT NOT NULL,
    until  BIGINT NOT NULL
);

-- +goose Down
DROP TABLE lease;
DROP TABLE job;
