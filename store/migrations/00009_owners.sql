-- +goose Up
-- How a many key is kept: wrapped = opened in memory, inside = opened within the device.
ALTER TABLE wrapped_key ADD COLUMN form TEXT NOT NULL DEFAULT 'wrapped';

-- How the owner of a many key shows that a use is wanted. The half of the wrap that is the owner's never stands here in clear.
CREATE TABLE key_owner (
    key_id         TEXT   NOT NULL PRIMARY KEY REFERENCES wrapped_key (id),
    method         TEXT   NOT NULL, -- pin, sm2, half
    master         TEXT   NOT NULL, -- what wraps sealed; '' for methods that need no device
    master_version BIGINT NOT NULL,
    salt           BYTEA  NOT NULL,
    memory         BIGINT NOT NULL, -- cost of a try, argon2id: KiB, passes, lanes
    passes         BIGINT NOT NULL,
    lanes          BIGINT NOT NULL,
    sealed         BYTEA  NOT NULL, -- the half under the PIN and then the master, or encrypted to the owner; empty where others hold it
    sign_key       BYTEA  NOT NULL, -- points of the owner's SM2 pair
    encrypt_key    BYTEA  NOT NULL,
    tries          BIGINT NOT NULL, -- wrong PINs since the last right one
    locked_until   BIGINT NOT NULL,
    made_at        BIGINT NOT NULL
);
CREATE INDEX key_owner_master ON key_owner (master, master_version) WHERE master <> '';

-- Standing activations. half opens the key, wrapped by the master with all bounds; empty once ended.
CREATE TABLE key_standing (
    id             TEXT   NOT NULL PRIMARY KEY,
    key_id         TEXT   NOT NULL REFERENCES wrapped_key (id),
    kinds          TEXT   NOT NULL, -- of documents, one a line
    count          BIGINT NOT NULL,
    used           BIGINT NOT NULL,
    until          BIGINT NOT NULL,
    state          TEXT   NOT NULL, -- active, spent, withdrawn, expired
    master         TEXT   NOT NULL,
    master_version BIGINT NOT NULL,
    half           BYTEA  NOT NULL,
    made_at        BIGINT NOT NULL,
    ended_at       BIGINT NOT NULL
);
CREATE INDEX key_standing_key ON key_standing (key_id, made_at);
CREATE INDEX key_standing_until ON key_standing (until) WHERE state = 'active';
CREATE INDEX key_standing_master ON key_standing (master, master_version) WHERE state = 'active';

-- What owners with an SM2 pair are asked to sign, once each.
CREATE TABLE key_challenge (
    id     TEXT   NOT NULL PRIMARY KEY,
    key_id TEXT   NOT NULL REFERENCES wrapped_key (id),
    kind   TEXT   NOT NULL,
    e      BYTEA  NOT NULL, -- what will be signed: 32 octets
    terms  TEXT   NOT NULL, -- of a standing activation; '' for a single signature
    until  BIGINT NOT NULL,
    used   BOOLEAN NOT NULL
);
CREATE INDEX key_challenge_until ON key_challenge (until);

-- +goose Down
DROP TABLE key_challenge;
DROP TABLE key_standing;
DROP TABLE key_owner;
ALTER TABLE wrapped_key DROP COLUMN form;
