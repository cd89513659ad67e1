-- +goose Up
-- Persons and entities. An official is a person with a post. Phone is sealed; name_key is the name's UTF-8 bytes, which
-- both engines compare alike.
CREATE TABLE subject (
    id            TEXT   NOT NULL PRIMARY KEY,
    kind          TEXT   NOT NULL, -- person, entity
    name          TEXT   NOT NULL,
    name_key      BYTEA  NOT NULL,
    state         TEXT   NOT NULL, -- active, frozen, closed
    phone         BYTEA,
    phone_index   BYTEA,
    registered_at BIGINT NOT NULL,
    changed_at    BIGINT NOT NULL
);
CREATE INDEX subject_listed ON subject (registered_at, id);
CREATE INDEX subject_name ON subject (name_key);
CREATE INDEX subject_phone ON subject (phone_index) WHERE phone_index IS NOT NULL;

-- An identifier in force belongs to one subject. The number is sealed; number_index is the blind index of type, country and number.
CREATE TABLE subject_identifier (
    id           TEXT   NOT NULL PRIMARY KEY,
    subject      TEXT   NOT NULL REFERENCES subject (id),
    type         TEXT   NOT NULL,
    country      TEXT   NOT NULL,
    number       BYTEA  NOT NULL,
    number_index BYTEA  NOT NULL,
    since        BIGINT NOT NULL,
    ended_at     BIGINT NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX subject_identifier_in_force ON subject_identifier (number_index) WHERE ended_at = 0;
CREATE INDEX subject_identifier_subject ON subject_identifier (subject) WHERE ended_at = 0;

CREATE TABLE evidence (
    id         TEXT   NOT NULL PRIMARY KEY,
    subject    TEXT   NOT NULL REFERENCES subject (id),
    method     TEXT   NOT NULL,
    source     TEXT   NOT NULL,
    level      BIGINT NOT NULL,
    at         BIGINT NOT NULL,
    expires_at BIGINT NOT NULL DEFAULT 0, -- 0: never
    entered_by TEXT   NOT NULL
);
CREATE INDEX evidence_subject ON evidence (subject);

CREATE TABLE post (
    id           TEXT   NOT NULL PRIMARY KEY,
    person       TEXT   NOT NULL REFERENCES subject (id),
    organisation TEXT   NOT NULL REFERENCES subject (id),
    title        TEXT   NOT NULL,
    roles        TEXT   NOT NULL, -- separated by blanks
    since        BIGINT NOT NULL,
    ended_at     BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX post_person ON post (person) WHERE ended_at = 0;
CREATE INDEX post_organisation ON post (organisation) WHERE ended_at = 0;

-- Why a person may act for an entity. An entity has one legal representative.
CREATE TABLE representation (
    id       TEXT   NOT NULL PRIMARY KEY,
    entity   TEXT   NOT NULL REFERENCES subject (id),
    person   TEXT   NOT NULL REFERENCES subject (id),
    relation TEXT   NOT NULL,
    source   TEXT   NOT NULL,
    since    BIGINT NOT NULL,
    ended_at BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX representation_person ON representation (person) WHERE ended_at = 0;
CREATE INDEX representation_entity ON representation (entity) WHERE ended_at = 0;
CREATE UNIQUE INDEX representation_legal ON representation (entity) WHERE ended_at = 0 AND relation = 'legal_rep';

-- Login accounts. The name (people use phone numbers) is sealed and found by its blind index.
CREATE TABLE login_account (
    id            TEXT    NOT NULL PRIMARY KEY,
    subject       TEXT    NOT NULL REFERENCES subject (id),
    name          BYTEA   NOT NULL,
    name_index    BYTEA   NOT NULL,
    password      TEXT    NOT NULL, -- PHC string, peppered
    must_change   BOOLEAN NOT NULL,
    created_at    BIGINT  NOT NULL,
    changed_at    BIGINT  NOT NULL  -- of the password
);
CREATE UNIQUE INDEX login_account_name ON login_account (name_index);
CREATE UNIQUE INDEX login_account_subject ON login_account (subject);

-- Sessions by the SM3 hash of their secret, which is stored nowhere. client is the sealed address and user agent.
CREATE TABLE login_session (
    id          TEXT    NOT NULL PRIMARY KEY,
    secret_hash BYTEA   NOT NULL,
    subject     TEXT    NOT NULL REFERENCES subject (id),
    amr         TEXT    NOT NULL, -- separated by blanks
    auth_level  BIGINT  NOT NULL,
    client      BYTEA,
    auth_time   BIGINT  NOT NULL,
    created_at  BIGINT  NOT NULL,
    seen_at     BIGINT  NOT NULL,
    expires_at  BIGINT  NOT NULL,
    ended_at    BIGINT  NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX login_session_secret ON login_session (secret_hash);
CREATE INDEX login_session_subject ON login_session (subject) WHERE ended_at = 0;
CREATE INDEX login_session_expires ON login_session (expires_at);

-- Tries to log in, by blind index of account, account and known address prefix, or address prefix.
CREATE TABLE login_delay (
    bucket  BYTEA  NOT NULL PRIMARY KEY,
    tries   BIGINT NOT NULL,
    tried_at BIGINT NOT NULL,
    free_at BIGINT NOT NULL -- no try is taken before
);
CREATE INDEX login_delay_tried ON login_delay (tried_at);

-- Address prefixes from which an account was opened before, by blind index of both.
CREATE TABLE login_familiar (
    place   BYTEA  NOT NULL PRIMARY KEY,
    seen_at BIGINT NOT NULL
);

-- +goose Down
DROP TABLE login_familiar;
DROP TABLE login_delay;
DROP TABLE login_session;
DROP TABLE login_account;
DROP TABLE representation;
DROP TABLE post;
DROP TABLE evidence;
DROP TABLE subject_identifier;
DROP TABLE subject;
