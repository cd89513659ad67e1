-- +goose Up
-- An application has one reservation for each use of keys: whoever comes second is refused before anything is signed.
ALTER TABLE ca_reserved ADD COLUMN purpose TEXT NOT NULL DEFAULT ''; -- of the key: sign, encrypt; '' without an application
CREATE UNIQUE INDEX ca_reserved_once ON ca_reserved (application, purpose) WHERE purpose <> '';

-- +goose Down
DROP INDEX ca_reserved_once;
ALTER TABLE ca_reserved DROP COLUMN purpose;
