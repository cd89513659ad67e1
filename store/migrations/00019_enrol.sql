-- +goose Up
-- Secrets with which machines enrol (CMP, EST).
CREATE TABLE enrol_secret (
    id           TEXT   NOT NULL PRIMARY KEY, -- reference number
    profile      TEXT   NOT NULL,
    holder       TEXT   NOT NULL,
    organization TEXT   NOT NULL,
    facts        BYTEA,                       -- sealed JSON
    value        BYTEA  NOT NULL,             -- sealed: a MAC needs it
    uses_left    BIGINT NOT NULL,
    tries        BIGINT NOT NULL DEFAULT 0,
    ends_at      BIGINT NOT NULL,
    revoked_at   BIGINT NOT NULL DEFAULT 0,
    maker        BYTEA,                       -- sealed JSON of the actor
    at           BIGINT NOT NULL
);
CREATE INDEX enrol_secret_at ON enrol_secret (at);
CREATE INDEX enrol_secret_holder ON enrol_secret (holder, at);

-- Registration clients: whose certificates may ask for others.
CREATE TABLE enrol_client (
    subject  TEXT    NOT NULL PRIMARY KEY,
    profiles TEXT    NOT NULL,                -- names, separated by spaces
    revokes  BOOLEAN NOT NULL,
    maker    BYTEA,                           -- sealed JSON of the actor
    at       BIGINT  NOT NULL
);

CREATE TABLE enrol_transaction (
    id          TEXT   NOT NULL PRIMARY KEY,
    secret      TEXT   NOT NULL,
    state       TEXT   NOT NULL,
    actor       BYTEA,                        -- sealed JSON
    application TEXT   NOT NULL DEFAULT '',
    request     BYTEA  NOT NULL,
    last        BYTEA,
    answer      BYTEA,                        -- sealed
    nonce       BYTEA,
    request_id  BIGINT NOT NULL,
    reply       BIGINT NOT NULL,
    at          BIGINT NOT NULL,
    due         BIGINT NOT NULL
);
CREATE INDEX enrol_transaction_at ON enrol_transaction (at);

-- +goose Down
DROP TABLE enrol_transaction;
DROP TABLE enrol_client;
DROP TABLE enrol_secret;
