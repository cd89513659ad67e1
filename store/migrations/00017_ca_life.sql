-- +goose Up
-- A hold (reason certificateHold) may end by itself, and who put it decides who may lift it.
ALTER TABLE ca_revocation ADD COLUMN hold_until BIGINT NOT NULL DEFAULT 0;
ALTER TABLE ca_revocation ADD COLUMN held_by TEXT NOT NULL DEFAULT ''; -- holder, officer
CREATE INDEX ca_revocation_hold ON ca_revocation (hold_until) WHERE hold_until > 0;

-- What happened to each status, one row in the transaction of each change: what nodes follow and delta lists are made of.
CREATE TABLE ca_status_event (
    id        TEXT   NOT NULL PRIMARY KEY,
    issuer    TEXT   NOT NULL,
    serial    BYTEA  NOT NULL,
    shard     BIGINT NOT NULL,
    act       TEXT   NOT NULL, -- revoke, suspend, resume, void
    reason    BIGINT NOT NULL,
    invalid   BIGINT NOT NULL,
    at        BIGINT NOT NULL,
    not_after BIGINT NOT NULL
);
CREATE INDEX ca_status_event_at ON ca_status_event (at, id);
CREATE INDEX ca_status_event_shard ON ca_status_event (issuer, shard, at);
CREATE INDEX ca_status_event_serial ON ca_status_event (serial, at);

CREATE INDEX ca_certificate_spki ON ca_certificate (spki);
CREATE INDEX ca_certificate_end ON ca_certificate (not_after, serial);

-- Keys that nobody may have certified: hash of the SubjectPublicKeyInfo, SM3 for our own, SHA-256 for published lists.
CREATE TABLE ca_blocked_key (
    hash      BYTEA  NOT NULL PRIMARY KEY,
    algorithm TEXT   NOT NULL, -- sm3, sha256
    source    TEXT   NOT NULL, -- revocation, possession, officer, list
    note      TEXT   NOT NULL,
    made_by   TEXT   NOT NULL, -- capacity:subject
    at        BIGINT NOT NULL
);
CREATE INDEX ca_blocked_key_at ON ca_blocked_key (at, hash);
INSERT INTO ca_blocked_key (hash, algorithm, source, note, made_by, at)
    SELECT spki, 'sm3', 'revocation', '', '', blocked FROM ca_key WHERE blocked > 0;

-- A certificate has at most one successor that is asked for, under way or issued.
CREATE UNIQUE INDEX ca_application_replaces ON ca_application (replaces) WHERE replaces <> '' AND state NOT IN ('rejected', 'withdrawn');

-- Which mails went into the queue: one per certificate and threshold, for ever.
CREATE TABLE ca_reminder (
    serial  BYTEA  NOT NULL,
    days    BIGINT NOT NULL,
    at      BIGINT NOT NULL,
    sent_at BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (serial, days)
);

-- Up to where certificates were looked at, by their ends, for each number of days before the end.
CREATE TABLE ca_reminder_position (
    days      BIGINT NOT NULL PRIMARY KEY,
    not_after BIGINT NOT NULL,
    serial    BYTEA  NOT NULL
);

-- Holders who want no reminders.
CREATE TABLE ca_reminder_refusal (
    holder TEXT   NOT NULL PRIMARY KEY,
    at     BIGINT NOT NULL
);

-- Where reminders go; sealed, like the phone.
ALTER TABLE subject ADD COLUMN email BYTEA;

-- +goose Down
ALTER TABLE subject DROP COLUMN email;
DROP TABLE ca_reminder_refusal;
DROP TABLE ca_reminder_position;
DROP TABLE ca_reminder;
DROP INDEX ca_application_replaces;
DROP TABLE ca_blocked_key;
DROP INDEX ca_certificate_end;
DROP INDEX ca_certificate_spki;
DROP TABLE ca_status_event;
DROP INDEX ca_revocation_hold;
ALTER TABLE ca_revocation DROP COLUMN held_by;
ALTER TABLE ca_revocation DROP COLUMN hold_until;
