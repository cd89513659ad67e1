-- +goose Up
-- Versions of certificate profiles. text never changes; state goes from proposed to published to withdrawn.
CREATE TABLE ca_profile (
    name       TEXT   NOT NULL,
    version    BIGINT NOT NULL,
    source     TEXT   NOT NULL, -- shipped, operator
    state      TEXT   NOT NULL, -- proposed, published, withdrawn
    published  BOOLEAN NOT NULL, -- it was in force at some time
    text       BYTEA  NOT NULL,
    sm3        BYTEA  NOT NULL, -- of text
    maker      TEXT   NOT NULL, -- subject id; empty for the system
    checker    TEXT   NOT NULL,
    at         BIGINT NOT NULL,
    decided_at BIGINT NOT NULL,
    PRIMARY KEY (name, version)
);

-- Counts the changes of ca_profile, so that nodes see one by reading one row.
CREATE TABLE ca_profile_turn (
    id   TEXT   NOT NULL PRIMARY KEY,
    turn BIGINT NOT NULL
);

-- Subject names that a profile keeps for one holder.
CREATE TABLE ca_name (
    issuer TEXT  NOT NULL,
    name   BYTEA NOT NULL, -- SM3 of the DER
    holder TEXT  NOT NULL,
    PRIMARY KEY (issuer, name)
);

-- +goose Down
DROP TABLE ca_name;
DROP TABLE ca_profile_turn;
DROP TABLE ca_profile;
