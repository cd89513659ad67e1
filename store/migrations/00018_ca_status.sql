-- +goose Up
-- How the revocation lists of each shard stand; shard -1 is the list of all. Complete list and delta share the numbers.
CREATE TABLE ca_list_state (
    issuer       TEXT   NOT NULL,
    shard        BIGINT NOT NULL,
    number       BIGINT NOT NULL, -- of the list in force; 0: there is none yet
    claimed      BIGINT NOT NULL, -- the highest that a builder took: perhaps signed, never taken again
    leased_until BIGINT NOT NULL, -- until when that builder has the shard for itself
    this_update  BIGINT NOT NULL,
    next_update  BIGINT NOT NULL,
    read_at      BIGINT NOT NULL, -- when the entries were read
    entries      BIGINT NOT NULL,
    blob         TEXT   NOT NULL, -- where its octets are; '' for none
    size         BIGINT NOT NULL,
    sm3          BYTEA  NOT NULL,
    delta_blob   TEXT   NOT NULL,
    delta_size   BIGINT NOT NULL,
    base_number  BIGINT NOT NULL, -- the complete list that the delta amends
    base_read    BIGINT NOT NULL,
    base_until   BIGINT NOT NULL,
    next_number  BIGINT NOT NULL, -- the base after that
    next_read    BIGINT NOT NULL,
    next_until   BIGINT NOT NULL,
    PRIMARY KEY (issuer, shard)
);

-- The octets of the lists, in pieces: a list may have a hundred megabytes.
CREATE TABLE ca_list_part (
    blob   TEXT   NOT NULL,
    start  BIGINT NOT NULL, -- offset of the piece
    issuer TEXT   NOT NULL,
    shard  BIGINT NOT NULL,
    der    BYTEA  NOT NULL,
    PRIMARY KEY (blob, start)
);
CREATE INDEX ca_list_part_shard ON ca_list_part (issuer, shard);

INSERT INTO ca_list_state (issuer, shard, number, claimed, leased_until, this_update, next_update, read_at, entries, blob, size, sm3,
        delta_blob, delta_size, base_number, base_read, base_until, next_number, next_read, next_until)
    SELECT issuer, shard, number, number, 0, this_update, next_update, this_update, 0, issuer || '/' || shard, length(der),
        substr(der, 1, 0), '', 0, 0, 0, 0, 0, 0, 0 FROM ca_list;
INSERT INTO ca_list_part (blob, start, issuer, shard, der) SELECT issuer || '/' || shard, 0, issuer, shard, der FROM ca_list;
DROP TABLE ca_list;

-- The shard that is written into a certificate is settled when its serial is.
ALTER TABLE ca_reserved ADD COLUMN shard BIGINT NOT NULL DEFAULT 0;

-- A list is read in the order of serials.
CREATE INDEX ca_revocation_list ON ca_revocation (issuer, shard, serial);
DROP INDEX ca_revocation_shard;

-- +goose Down
CREATE INDEX ca_revocation_shard ON ca_revocation (issuer, shard, not_after);
DROP INDEX ca_revocation_list;
ALTER TABLE ca_reserved DROP COLUMN shard;
CREATE TABLE ca_list (
    issuer      TEXT   NOT NULL,
    shard       BIGINT NOT NULL,
    number      BIGINT NOT NULL,
    this_update BIGINT NOT NULL,
    next_update BIGINT NOT NULL,
    der         BYTEA  NOT NULL,
    PRIMARY KEY (issuer, shard)
);
DROP TABLE ca_list_part;
DROP TABLE ca_list_state;
