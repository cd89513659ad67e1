-- +goose Up
-- Versions of device keys. The key itself is in the device under its reference, which is never used twice.
CREATE TABLE device_key (
    label        TEXT    NOT NULL,
    number       BIGINT  NOT NULL,
    purpose      TEXT    NOT NULL,
    algorithm    TEXT    NOT NULL,
    reference    TEXT    NOT NULL UNIQUE,
    state        TEXT    NOT NULL, -- making, active, retired, destroying, destroyed, void
    public       BYTEA   NOT NULL,
    recorded     BOOLEAN NOT NULL, -- the audit entry of its making is written
    made_at      BIGINT  NOT NULL,
    activated_at BIGINT  NOT NULL,
    retired_at   BIGINT  NOT NULL,
    destroyed_at BIGINT  NOT NULL,
    PRIMARY KEY (label, number)
);
CREATE UNIQUE INDEX device_key_active ON device_key (label) WHERE state = 'active';
CREATE UNIQUE INDEX device_key_making ON device_key (label) WHERE state = 'making';

-- Data keys, wrapped by a master key of the device. Not sealed with field keys: these are where the field keys come from.
CREATE TABLE data_key (
    purpose        TEXT    NOT NULL,
    number         BIGINT  NOT NULL,
    state          TEXT    NOT NULL, -- active, retired
    master         TEXT    NOT NULL,
    master_version BIGINT  NOT NULL,
    wrapped        BYTEA   NOT NULL,
    recorded       BOOLEAN NOT NULL,
    made_at        BIGINT  NOT NULL,
    retired_at     BIGINT  NOT NULL,
    PRIMARY KEY (purpose, number)
);
CREATE UNIQUE INDEX data_key_active ON data_key (purpose) WHERE state = 'active';

-- The many keys of seals and holders, wrapped by a master key of the device.
CREATE TABLE wrapped_key (
    id             TEXT   NOT NULL PRIMARY KEY,
    label          TEXT   NOT NULL,
    purpose        TEXT   NOT NULL,
    control        TEXT   NOT NULL, -- platform, owner
    state          TEXT   NOT NULL, -- making, active, destroyed, void
    master         TEXT   NOT NULL,
    master_version BIGINT NOT NULL,
    public         BYTEA  NOT NULL,
    wrapped        BYTEA  NOT NULL, -- empty once destroyed or void
    made_at        BIGINT NOT NULL,
    destroyed_at   BIGINT NOT NULL
);
CREATE INDEX wrapped_key_making ON wrapped_key (made_at) WHERE state = 'making';
CREATE INDEX wrapped_key_master ON wrapped_key (master, master_version) WHERE state IN ('making', 'active');

-- +goose Down
DROP TABLE wrapped_key;
DROP TABLE data_key;
DROP TABLE device_key;
