-- +goose Up
ALTER TABLE ca_application ADD COLUMN act TEXT NOT NULL DEFAULT '';        -- "", renew, rekey, change
ALTER TABLE ca_application ADD COLUMN replaces TEXT NOT NULL DEFAULT '';   -- serial, hexadecimal
ALTER TABLE ca_application ADD COLUMN steps BYTEA;                         -- sealed JSON: who did what, with what remark
ALTER TABLE ca_application ADD COLUMN batch TEXT NOT NULL DEFAULT '';
ALTER TABLE ca_application ADD COLUMN delivered_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE ca_application ADD COLUMN revision BIGINT NOT NULL DEFAULT 0;  -- changes so far
CREATE INDEX ca_application_made ON ca_application (at);
CREATE INDEX ca_application_batch ON ca_application (batch, state, at);
CREATE INDEX ca_application_maker ON ca_application (maker, at);

CREATE TABLE ca_evidence (
    id          TEXT   NOT NULL PRIMARY KEY,
    application TEXT   NOT NULL,
    kind        TEXT   NOT NULL,
    name        BYTEA,            -- sealed
    sm3         BYTEA  NOT NULL,
    size        BIGINT NOT NULL,
    media       TEXT   NOT NULL,
    by_whom     TEXT   NOT NULL,  -- capacity:subject
    at          BIGINT NOT NULL,
    remark      BYTEA,            -- sealed
    document    BYTEA             -- sealed; NULL where the digest alone is kept
);
CREATE INDEX ca_evidence_application ON ca_evidence (application, at);

CREATE TABLE ca_batch (
    id           TEXT   NOT NULL PRIMARY KEY,
    name         BYTEA,            -- sealed
    maker        TEXT   NOT NULL,  -- capacity:subject, the scope of request_key
    maker_detail BYTEA,            -- sealed JSON of the actor
    state        TEXT   NOT NULL,
    total        BIGINT NOT NULL,
    sm3          BYTEA  NOT NULL,  -- of the file
    request_key  TEXT   NOT NULL,
    at           BIGINT NOT NULL,
    leased_until BIGINT NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX ca_batch_key ON ca_batch (maker, request_key) WHERE request_key <> '';
CREATE INDEX ca_batch_at ON ca_batch (at);

CREATE TABLE ca_batch_row (
    id          TEXT   NOT NULL PRIMARY KEY,  -- batch, dot, number
    batch       TEXT   NOT NULL,
    number      BIGINT NOT NULL,
    state       TEXT   NOT NULL,
    application TEXT   NOT NULL,
    line        BYTEA,                        -- sealed JSON
    code        TEXT   NOT NULL,
    text_zh     TEXT   NOT NULL,
    text_en     TEXT   NOT NULL,
    tries       BIGINT NOT NULL DEFAULT 0,
    revision    BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX ca_batch_row_number ON ca_batch_row (batch, number);
CREATE INDEX ca_batch_row_state ON ca_batch_row (batch, state, number);
CREATE INDEX ca_batch_row_application ON ca_batch_row (application);

CREATE TABLE ca_batch_decision (
    id      TEXT   NOT NULL PRIMARY KEY,
    batch   TEXT   NOT NULL,
    verdict TEXT   NOT NULL,
    officer BYTEA,            -- sealed JSON of the actor
    reason  BYTEA,            -- sealed
    chosen  TEXT   NOT NULL,  -- row numbers, separated by spaces; "" = all
    at      BIGINT NOT NULL,
    next    BIGINT NOT NULL,
    decided BIGINT NOT NULL,
    refused BIGINT NOT NULL,
    done    BIGINT NOT NULL
);
CREATE INDEX ca_batch_decision_batch ON ca_batch_decision (batch, at);

-- +goose Down
DROP TABLE ca_batch_decision;
DROP TABLE ca_batch_row;
DROP TABLE ca_batch;
DROP TABLE ca_evidence;
DROP INDEX ca_application_maker;
DROP INDEX ca_application_batch;
DROP INDEX ca_application_made;
ALTER TABLE ca_application DROP COLUMN revision;
ALTER TABLE ca_application DROP COLUMN delivered_at;
ALTER TABLE ca_application DROP COLUMN batch;
ALTER TABLE ca_application DROP COLUMN steps;
ALTER TABLE ca_application DROP COLUMN replaces;
ALTER TABLE ca_application DROP COLUMN act;
