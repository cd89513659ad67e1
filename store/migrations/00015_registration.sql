-- +goose Up
ALTER TABLE ca_application ADD COLUMN act TEXT NOT NULL DEFAULT '';        -- "", renew, rekey, change
ALTER TABLE ca_application ADD COLUMN replaces TEXT NOT NULL DEFAULT '';   -- serial, hexadecimal
ALTER TABLE ca_application ADD COLUMN steps BYTEA;                         -- sealed JSON: who did what, with what remark
ALTER TABLE ca_application ADD COLUMN batch TEXT NOT NULL DEFAULT '';
ALTER TABLE ca_application ADD COLUMN delivered_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE ca_application ADD COLUMN revision BIGINT NOT NULL DEFAULT 0;  -- changes so far
CREATE INDEX ca_application_made ON ca_application (at);
CREATE INDEX ca_application_batch ON ca_application (batch, at) WHERE batch <> '';
CREATE INDEX ca_application_maker ON ca_application (maker, at);

-- +goose Down
DROP INDEX ca_application_maker;
DROP INDEX ca_application_batch;
DROP INDEX ca_application_made;
ALTER TABLE ca_application DROP COLUMN revision;
ALTER TABLE ca_application DROP COLUMN delivered_at;
ALTER TABLE ca_application DROP COLUMN batch;
ALTER TABLE ca_application DROP COLUMN steps;
ALTER TABLE ca_application DROP COLUMN replaces;
ALTER TABLE ca_application DROP COLUMN act;
