-- +goose Up
-- The authorities that a key management centre serves.
CREATE TABLE kmc_client (
    name        TEXT   NOT NULL PRIMARY KEY,
    spki        BYTEA  NOT NULL, -- SM3 of the key of its TLS certificate; empty for the one in the same process
    certificate BYTEA  NOT NULL,
    at          BIGINT NOT NULL,
    ended_at    BIGINT NOT NULL
);

-- Encryption pairs: made beforehand (pool), or handed out and escrowed (held). The private half is wrapped in both.
CREATE TABLE kmc_pair (
    id             TEXT   NOT NULL PRIMARY KEY,
    epoch          TEXT   NOT NULL, -- the process that made it; none but that one hands it out
    state          TEXT   NOT NULL, -- pool, held
    public         BYTEA  NOT NULL UNIQUE,
    master_version BIGINT NOT NULL,
    wrapped        BYTEA  NOT NULL, -- empty for pairs from before there was escrow
    client         TEXT   NOT NULL,
    request        TEXT   NOT NULL,
    recipient      BYTEA  NOT NULL, -- SM3 of the point that it was enveloped to
    authority      TEXT   NOT NULL,
    profile        TEXT   NOT NULL,
    subject        TEXT   NOT NULL,
    form           TEXT   NOT NULL,
    envelope       BYTEA  NOT NULL,
    serials        TEXT   NOT NULL, -- of its certificates, separated by spaces, the newest last
    not_after      BIGINT NOT NULL,
    made_at        BIGINT NOT NULL,
    at             BIGINT NOT NULL
);
CREATE UNIQUE INDEX kmc_pair_request ON kmc_pair (client, request) WHERE state = 'held';
CREATE INDEX kmc_pair_subject ON kmc_pair (client, subject, at) WHERE state = 'held';
CREATE INDEX kmc_pair_pool ON kmc_pair (epoch, made_at) WHERE state = 'pool';
CREATE INDEX kmc_pair_master ON kmc_pair (master_version, id);

INSERT INTO kmc_pair (id, epoch, state, public, master_version, wrapped, client, request, recipient, authority, profile, subject, form, envelope,
    serials, not_after, made_at, at)
SELECT 'old-' || request, '', 'held', public, 0, wrapped, 'local', request, holder, '', '', '', 'gm', envelope, '', 0, at, at
FROM (SELECT request, holder, public, envelope, at, substr(envelope, 1, 0) AS wrapped FROM kmc_key) AS old;
DROP TABLE kmc_key;

CREATE TABLE kmc_recovery (
    id          TEXT   NOT NULL PRIMARY KEY,
    client      TEXT   NOT NULL,
    kind        TEXT   NOT NULL, -- holder, judicial
    subject     TEXT   NOT NULL,
    state       TEXT   NOT NULL,
    version     BIGINT NOT NULL, -- counts changes: each one names the version that it saw
    maker       TEXT   NOT NULL, -- capacity:subject, the scope of request_key
    request_key TEXT   NOT NULL,
    detail      BYTEA,           -- sealed JSON: why, for whom, which keys, who approved
    keys        BYTEA  NOT NULL, -- what was handed out, enveloped to the recipient, while a lost answer may be asked for again
    at          BIGINT NOT NULL,
    until       BIGINT NOT NULL
);
CREATE UNIQUE INDEX kmc_recovery_key ON kmc_recovery (client, maker, request_key) WHERE request_key <> '';
CREATE INDEX kmc_recovery_at ON kmc_recovery (client, at);
CREATE INDEX kmc_recovery_until ON kmc_recovery (until) WHERE state IN ('requested', 'approved', 'delivered');

-- +goose Down
DROP TABLE kmc_recovery;
CREATE TABLE kmc_key (
    request  TEXT   NOT NULL PRIMARY KEY,
    holder   BYTEA  NOT NULL,
    public   BYTEA  NOT NULL,
    envelope BYTEA  NOT NULL,
    at       BIGINT NOT NULL
);
INSERT INTO kmc_key (request, holder, public, envelope, at)
SELECT request, recipient, public, envelope, at FROM kmc_pair WHERE state = 'held' AND client = 'local';
DROP TABLE kmc_pair;
DROP TABLE kmc_client;
