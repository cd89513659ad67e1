-- +goose Up
-- The certificate whose key signed for an application (CMP, EST, a renewal under the old key), hexadecimal; '' = none.
ALTER TABLE ca_application ADD COLUMN authorised_by TEXT NOT NULL DEFAULT '';
CREATE INDEX ca_application_authorised ON ca_application (authorised_by, at) WHERE authorised_by <> '';

-- Why a decision on a batch was given up; '' = it was not.
ALTER TABLE ca_batch_decision ADD COLUMN stopped TEXT NOT NULL DEFAULT '';

-- Those that wait for an officer have an end.
CREATE INDEX enrol_transaction_waiting ON enrol_transaction (due) WHERE state = 'waiting';

-- +goose Down
DROP INDEX enrol_transaction_waiting;
ALTER TABLE ca_batch_decision DROP COLUMN stopped;
DROP INDEX ca_application_authorised;
ALTER TABLE ca_application DROP COLUMN authorised_by;
