-- +goose Up
-- The record of acts. A row is written once, in the transaction of the act; only idx is set later, also once.
CREATE TABLE audit_entry (
    id          TEXT   NOT NULL PRIMARY KEY,
    at          BIGINT NOT NULL,
    action      TEXT   NOT NULL,
    object_kind TEXT   NOT NULL,
    object_id   TEXT   NOT NULL,
    actor       TEXT   NOT NULL,
    subject     TEXT   NOT NULL, -- whose key seals the personal part, '' = nobody's
    leaf        BYTEA  NOT NULL, -- what the tree commits to; public
    sealed      BYTEA,
    tag         BYTEA  NOT NULL, -- HMAC-SM3 over leaf, subject and sealed
    idx         BIGINT           -- place in the tree; NULL until sequenced
);
CREATE UNIQUE INDEX audit_entry_idx ON audit_entry (idx) WHERE idx IS NOT NULL;
CREATE INDEX audit_entry_pending ON audit_entry (at, id) WHERE idx IS NULL;
CREATE INDEX audit_entry_at ON audit_entry (at, id);
CREATE INDEX audit_entry_object ON audit_entry (object_kind, object_id, at);
CREATE INDEX audit_entry_actor ON audit_entry (actor, at);
CREATE INDEX audit_entry_subject ON audit_entry (subject, at) WHERE subject <> '';

-- One key for each subject, wrapped. Destroying it (wrapped becomes empty) erases what it sealed; the row stays as a tombstone.
CREATE TABLE audit_key (
    subject   TEXT   NOT NULL PRIMARY KEY,
    wrapped   BYTEA  NOT NULL,
    created   BIGINT NOT NULL,
    destroyed BIGINT NOT NULL DEFAULT 0
);

-- Hash tiles, each in its widest form; a narrower one is a prefix.
CREATE TABLE audit_tile (
    level BIGINT NOT NULL,
    idx   BIGINT NOT NULL,
    data  BYTEA  NOT NULL,
    PRIMARY KEY (level, idx)
);

-- The tree as it stands, and the head that was last about to be signed. One row; none before the first entry.
CREATE TABLE audit_tree (
    id          BIGINT NOT NULL PRIMARY KEY CHECK (id = 1),
    size        BIGINT NOT NULL,
    root        BYTEA  NOT NULL,
    intent_size BIGINT,
    intent_root BYTEA
);

CREATE TABLE audit_checkpoint (
    size         BIGINT NOT NULL PRIMARY KEY,
    root         BYTEA  NOT NULL,
    note         BYTEA  NOT NULL,
    cosignatures BIGINT NOT NULL DEFAULT 0,
    at           BIGINT NOT NULL
);

-- +goose Down
DROP TABLE audit_checkpoint;
DROP TABLE audit_tree;
DROP TABLE audit_tile;
DROP TABLE audit_key;
DROP TABLE audit_entry;
