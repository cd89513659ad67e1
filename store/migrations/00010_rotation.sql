-- +goose Up
-- Counts how often the keys in force have changed. Each transaction that uses data keys reads it, so that none works with keys of before.
CREATE TABLE key_turn (
    id     BIGINT NOT NULL PRIMARY KEY CHECK (id = 1),
    number BIGINT NOT NULL
);
INSERT INTO key_turn (id, number) VALUES (1, 0);

-- Rotations of keys and how far they are. One at a time for a key.
CREATE TABLE key_rotation (
    id           TEXT   NOT NULL PRIMARY KEY,
    key          TEXT   NOT NULL, -- label of a device key, or data: and the purpose of a data key
    way          TEXT   NOT NULL, -- once, published, accepted, resealed, rewrapped
    phase        TEXT   NOT NULL, -- making, published, working, waiting, fading, done
    from_version BIGINT NOT NULL,
    to_version   BIGINT NOT NULL, -- 0 until it is made
    stage        TEXT   NOT NULL, -- the table or sort of keys at work
    position     TEXT   NOT NULL, -- last row of it that is done
    done         BIGINT NOT NULL, -- rows
    total        BIGINT NOT NULL,
    held         BIGINT NOT NULL, -- rows that must wait for their owners
    not_before   BIGINT NOT NULL, -- of the next step
    begun_by     TEXT   NOT NULL,
    begun_at     BIGINT NOT NULL,
    changed_at   BIGINT NOT NULL,
    ended_at     BIGINT NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX key_rotation_open ON key_rotation (key) WHERE ended_at = 0;
CREATE INDEX key_rotation_begun ON key_rotation (begun_at);

-- A destruction that one super administrator asked for and another must confirm.
CREATE TABLE key_destruction (
    key      TEXT   NOT NULL,
    number   BIGINT NOT NULL,
    asked_by TEXT   NOT NULL, -- subject
    asked_at BIGINT NOT NULL,
    until    BIGINT NOT NULL,
    PRIMARY KEY (key, number)
);

CREATE UNIQUE INDEX device_key_published ON device_key (label) WHERE state = 'published';
CREATE UNIQUE INDEX data_key_published ON data_key (purpose) WHERE state = 'published';

-- Which version of the key of keys wraps the row.
ALTER TABLE audit_key ADD COLUMN version BIGINT NOT NULL DEFAULT 1;

-- +goose Down
ALTER TABLE audit_key DROP COLUMN version;
DROP INDEX data_key_published;
DROP INDEX device_key_published;
DROP TABLE key_destruction;
DROP TABLE key_rotation;
DROP TABLE key_turn;
