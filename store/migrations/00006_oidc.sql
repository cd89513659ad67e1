-- +goose Up
-- Applications that let people log in here. data is the registration as JSON; secrets are SM3 hashes of 256 random bits.
CREATE TABLE oidc_client (
    id               TEXT    NOT NULL PRIMARY KEY,
    data             TEXT    NOT NULL,
    secret_hash      BYTEA,
    old_secret_hash  BYTEA,
    old_secret_until BIGINT  NOT NULL DEFAULT 0,
    disabled         BOOLEAN NOT NULL,
    created_at       BIGINT  NOT NULL,
    changed_at       BIGINT  NOT NULL
);

-- Log-ins in progress, bound to a browser by the SM3 hash of its secret. request is sealed: it may hold a login_hint.
CREATE TABLE oidc_interaction (
    id           TEXT   NOT NULL PRIMARY KEY,
    browser_hash BYTEA  NOT NULL,
    client       TEXT   NOT NULL REFERENCES oidc_client (id),
    request      BYTEA  NOT NULL,
    prior_login  TEXT   NOT NULL,
    prior_auth   BIGINT NOT NULL,
    capacity     TEXT   NOT NULL DEFAULT '', -- JSON; empty until chosen
    created_at   BIGINT NOT NULL,
    expires_at   BIGINT NOT NULL,
    spent_at     BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX oidc_interaction_expires ON oidc_interaction (expires_at);

-- What a person let a client have, and whom the person acted for last time.
CREATE TABLE oidc_consent (
    subject  TEXT   NOT NULL,
    client   TEXT   NOT NULL REFERENCES oidc_client (id),
    scopes   TEXT   NOT NULL, -- separated by blanks
    kind     TEXT   NOT NULL,
    acts_for TEXT   NOT NULL,
    post     TEXT   NOT NULL,
    given_at BIGINT NOT NULL,
    PRIMARY KEY (subject, client)
);

-- What clients know a person as: random, one for each sector; the empty sector is that of public subs.
CREATE TABLE oidc_sub (
    subject TEXT NOT NULL,
    sector  TEXT NOT NULL,
    sub     TEXT NOT NULL,
    PRIMARY KEY (subject, sector)
);
CREATE UNIQUE INDEX oidc_sub_sub ON oidc_sub (sub, sector);

-- One row for each authorization. It stays, spent tokens and all, until its last token has expired: else reuse goes unnoticed.
CREATE TABLE oidc_grant (
    id          TEXT    NOT NULL PRIMARY KEY,
    client      TEXT    NOT NULL REFERENCES oidc_client (id),
    subject     TEXT    NOT NULL,
    acts_for    TEXT    NOT NULL, -- entity or organisation; empty: for oneself
    session     TEXT    NOT NULL,
    offline     BOOLEAN NOT NULL, -- outlives the session
    data        TEXT    NOT NULL, -- JSON
    created_at  BIGINT  NOT NULL,
    expires_at  BIGINT  NOT NULL,
    revoked_at  BIGINT  NOT NULL DEFAULT 0,
    revoked_why TEXT    NOT NULL DEFAULT ''
);
CREATE INDEX oidc_grant_subject ON oidc_grant (subject, created_at) WHERE revoked_at = 0;
CREATE INDEX oidc_grant_for ON oidc_grant (acts_for, created_at) WHERE revoked_at = 0 AND acts_for <> '';
CREATE INDEX oidc_grant_session ON oidc_grant (session) WHERE revoked_at = 0;
CREATE INDEX oidc_grant_client ON oidc_grant (client) WHERE revoked_at = 0;
CREATE INDEX oidc_grant_expires ON oidc_grant (expires_at);

-- Codes and tokens, by the SM3 hash of kind and signature part.
CREATE TABLE oidc_token (
    hash       BYTEA  NOT NULL PRIMARY KEY,
    kind       TEXT   NOT NULL, -- code, access, refresh
    grant_id   TEXT   NOT NULL REFERENCES oidc_grant (id),
    scopes     TEXT   NOT NULL, -- separated by blanks; empty: those of the grant
    issued_at  BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    used_at    BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX oidc_token_grant ON oidc_token (grant_id);

-- Client assertions that were used.
CREATE TABLE oidc_jti (
    client     TEXT   NOT NULL,
    jti        TEXT   NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (client, jti)
);
CREATE INDEX oidc_jti_expires ON oidc_jti (expires_at);

-- +goose Down
DROP TABLE oidc_jti;
DROP TABLE oidc_token;
DROP TABLE oidc_grant;
DROP TABLE oidc_sub;
DROP TABLE oidc_consent;
DROP TABLE oidc_interaction;
DROP TABLE oidc_client;
