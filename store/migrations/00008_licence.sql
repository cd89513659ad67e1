-- +goose Up
-- Licences by identifier. series is the identifier without version and check character. Names of holders, data, reasons and
-- makers are sealed; holder_index is the blind index of the holder's name.
CREATE TABLE licence (
    id           TEXT   NOT NULL PRIMARY KEY,
    series       TEXT   NOT NULL,
    version      BIGINT NOT NULL,
    type         TEXT   NOT NULL,
    type_version BIGINT NOT NULL,
    title        TEXT   NOT NULL,
    issuer       TEXT   NOT NULL,
    issuer_name  TEXT   NOT NULL,
    holder       TEXT   NOT NULL,
    holder_name  BYTEA,
    holder_index BYTEA  NOT NULL,
    state        TEXT   NOT NULL, -- drafted, active, suspended, cancelled, revoked, withdrawn, superseded, void
    reason       BYTEA,
    data         BYTEA,           -- sealed JSON
    maker        TEXT   NOT NULL,
    maker_detail BYTEA,           -- sealed JSON of the actor
    request_key  TEXT   NOT NULL,
    replaces     TEXT   NOT NULL,
    replaced_by  TEXT   NOT NULL DEFAULT '',
    draft        BYTEA  NOT NULL, -- SM3 of the document before sealing
    seal         TEXT   NOT NULL,
    seal_use     TEXT   NOT NULL DEFAULT '',
    seal_entry   TEXT   NOT NULL DEFAULT '',
    proof_path   TEXT   NOT NULL DEFAULT '',
    digest       BYTEA,           -- SM3 of the sealed document
    valid_from   BIGINT NOT NULL,
    valid_until  BIGINT NOT NULL, -- 0: without end
    at           BIGINT NOT NULL,
    changed_at   BIGINT NOT NULL
);
CREATE INDEX licence_holder ON licence (holder, at, id);
CREATE INDEX licence_issuer ON licence (issuer, at, id);
CREATE INDEX licence_holder_name ON licence (issuer, holder_index);
CREATE UNIQUE INDEX licence_series ON licence (series, version);
CREATE UNIQUE INDEX licence_request ON licence (maker, request_key) WHERE request_key <> '' AND state <> 'void';
CREATE INDEX licence_drafted ON licence (at) WHERE state = 'drafted';

-- Sealed documents, encrypted, apart from the rows that lists read.
CREATE TABLE licence_document (
    id       TEXT  NOT NULL PRIMARY KEY REFERENCES licence (id),
    document BYTEA NOT NULL,
    proof    BYTEA
);

-- +goose Down
DROP TABLE licence_document;
DROP TABLE licence;
