-- +goose Up
-- What one administrator proposes and others decide: changes of the trust list, certificates from a superior, cross
-- certificates, external authorities. revision makes each change of a row one conditional update.
CREATE TABLE ca_motion (
    id         TEXT   NOT NULL PRIMARY KEY,
    kind       TEXT   NOT NULL,
    subject    TEXT   NOT NULL,
    state      TEXT   NOT NULL,
    revision   BIGINT NOT NULL,
    maker      TEXT   NOT NULL, -- subject id; empty: the system
    checkers   TEXT   NOT NULL, -- subject ids, separated by spaces
    reason     TEXT   NOT NULL,
    content    BYTEA  NOT NULL, -- JSON
    at         BIGINT NOT NULL,
    changed_at BIGINT NOT NULL
);
CREATE INDEX ca_motion_kind ON ca_motion (kind, at);

-- The signed lists of the CAs of others that are trusted, one row a version.
CREATE TABLE ca_trust_list (
    sequence    BIGINT NOT NULL PRIMARY KEY,
    issued_at   BIGINT NOT NULL,
    next_update BIGINT NOT NULL,
    digest      TEXT   NOT NULL,
    cause       TEXT   NOT NULL, -- id of the motion; empty: issued again because of its age
    data        BYTEA  NOT NULL
);

-- Lists of others that were imported: whose key signs the series, and how far it was seen.
CREATE TABLE ca_trust_source (
    id       TEXT   NOT NULL PRIMARY KEY,
    signer   BYTEA  NOT NULL, -- SubjectPublicKeyInfo
    sequence BIGINT NOT NULL,
    seen_at  BIGINT NOT NULL
);

-- Revocation lists of other CAs, by address.
CREATE TABLE ca_foreign_list (
    url         TEXT   NOT NULL PRIMARY KEY,
    entry       TEXT   NOT NULL, -- of the trust list; empty: a superior of ours
    der         BYTEA,
    this_update BIGINT NOT NULL,
    next_update BIGINT NOT NULL,
    fetched_at  BIGINT NOT NULL,
    tried_at    BIGINT NOT NULL,
    failure     TEXT   NOT NULL
);

-- Certificates of the authorities above ours.
CREATE TABLE ca_superior (
    fingerprint TEXT   NOT NULL PRIMARY KEY, -- SM3, hexadecimal
    root        BIGINT NOT NULL,
    certificate BYTEA  NOT NULL,
    at          BIGINT NOT NULL
);

-- Applications that an external authority answers: what was sent stands here before it is sent.
CREATE TABLE ca_order (
    application TEXT   NOT NULL PRIMARY KEY,
    external    TEXT   NOT NULL,
    exchange    BYTEA  NOT NULL,
    request     BYTEA  NOT NULL,
    state       TEXT   NOT NULL,
    answer      BYTEA,
    failure     TEXT   NOT NULL,
    at          BIGINT NOT NULL,
    changed_at  BIGINT NOT NULL
);
CREATE INDEX ca_order_state ON ca_order (state, at);

-- +goose Down
DROP TABLE ca_order;
DROP TABLE ca_superior;
DROP TABLE ca_foreign_list;
DROP TABLE ca_trust_source;
DROP TABLE ca_trust_list;
DROP TABLE ca_motion;
