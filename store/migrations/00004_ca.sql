-- +goose Up
CREATE TABLE ca_issuer (
    name        TEXT  NOT NULL PRIMARY KEY,
    parent      TEXT  NOT NULL,
    key_label   TEXT  NOT NULL,
    certificate BYTEA NOT NULL
);

CREATE TABLE ca_application (
    id              TEXT   NOT NULL PRIMARY KEY,
    profile         TEXT   NOT NULL,
    profile_version BIGINT NOT NULL,
    holder          TEXT   NOT NULL,
    organization    TEXT   NOT NULL,
    facts           BYTEA,             -- sealed JSON
    request         BYTEA  NOT NULL,
    spki            BYTEA  NOT NULL,
    state           TEXT   NOT NULL,
    maker           TEXT   NOT NULL,   -- capacity:subject, the scope of request_key
    maker_detail    BYTEA,             -- sealed JSON of the actor
    checkers        BYTEA,             -- sealed JSON
    reason          BYTEA,             -- sealed
    request_key     TEXT   NOT NULL,
    at              BIGINT NOT NULL,
    decided_at      BIGINT NOT NULL,
    certificates    TEXT   NOT NULL,   -- serials, hexadecimal, separated by spaces
    envelope        BYTEA
);
CREATE UNIQUE INDEX ca_application_key ON ca_application (maker, request_key) WHERE request_key <> '';
CREATE INDEX ca_application_state ON ca_application (state, at);
CREATE INDEX ca_application_holder ON ca_application (holder, at);

-- What will be signed, stored before it is signed. A row that stays is a doubt: its serial is revoked.
CREATE TABLE ca_reserved (
    serial      BYTEA  NOT NULL PRIMARY KEY,
    issuer      TEXT   NOT NULL,
    application TEXT   NOT NULL,
    profile     TEXT   NOT NULL,
    tbs         BYTEA  NOT NULL,
    tbs_sm3     BYTEA  NOT NULL,
    at          BIGINT NOT NULL
);
CREATE INDEX ca_reserved_at ON ca_reserved (at);

CREATE TABLE ca_certificate (
    serial      BYTEA  NOT NULL PRIMARY KEY, -- instance, week, random: local in the index
    issuer      TEXT   NOT NULL,
    application TEXT   NOT NULL,
    profile     TEXT   NOT NULL,
    holder      TEXT   NOT NULL,
    spki        BYTEA  NOT NULL,
    not_before  BIGINT NOT NULL,
    not_after   BIGINT NOT NULL,
    shard       BIGINT NOT NULL,
    issued_at   BIGINT NOT NULL
);
CREATE INDEX ca_certificate_holder ON ca_certificate (holder, issued_at);
CREATE INDEX ca_certificate_issued ON ca_certificate (issued_at);

-- The bytes stand apart, so that status rows stay small.
CREATE TABLE ca_certificate_der (
    serial BYTEA NOT NULL PRIMARY KEY,
    der    BYTEA NOT NULL
);

CREATE TABLE ca_key (
    spki    BYTEA  NOT NULL PRIMARY KEY,
    holder  TEXT   NOT NULL,
    purpose TEXT   NOT NULL,
    blocked BIGINT NOT NULL DEFAULT 0
);

CREATE TABLE ca_revocation (
    issuer    TEXT   NOT NULL,
    serial    BYTEA  NOT NULL,
    shard     BIGINT NOT NULL,
    at        BIGINT NOT NULL,
    reason    BIGINT NOT NULL,
    invalid   BIGINT NOT NULL,
    not_after BIGINT NOT NULL,
    PRIMARY KEY (issuer, serial)
);
CREATE INDEX ca_revocation_shard ON ca_revocation (issuer, shard, not_after);

CREATE TABLE ca_list (
    issuer      TEXT   NOT NULL,
    shard       BIGINT NOT NULL,
    number      BIGINT NOT NULL,
    this_update BIGINT NOT NULL,
    next_update BIGINT NOT NULL,
    der         BYTEA  NOT NULL,
    PRIMARY KEY (issuer, shard)
);

-- The newest trust bundle; one row.
CREATE TABLE ca_bundle (
    id          TEXT   NOT NULL PRIMARY KEY,
    sequence    BIGINT NOT NULL,
    issued_at   BIGINT NOT NULL,
    next_update BIGINT NOT NULL,
    digest      TEXT   NOT NULL,
    data        BYTEA  NOT NULL
);

-- Key management centre: the public half and the envelope that only the holder can open.
CREATE TABLE kmc_key (
    request  TEXT   NOT NULL PRIMARY KEY,
    holder   BYTEA  NOT NULL,
    public   BYTEA  NOT NULL,
    envelope BYTEA  NOT NULL,
    at       BIGINT NOT NULL
);

-- +goose Down
DROP TABLE kmc_key;
DROP TABLE ca_bundle;
DROP TABLE ca_list;
DROP TABLE ca_revocation;
DROP TABLE ca_key;
DROP TABLE ca_certificate_der;
DROP TABLE ca_certificate;
DROP TABLE ca_reserved;
DROP TABLE ca_application;
DROP TABLE ca_issuer;
