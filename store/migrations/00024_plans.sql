-- +goose Up
-- What the plans of all queries showed (store/explain_test.go): these read whole tables.
CREATE INDEX job_dead ON job (created_at) WHERE state = 'dead';
CREATE INDEX job_kind ON job (kind, not_before) WHERE state <> 'dead';
CREATE INDEX ca_certificate_profile ON ca_certificate (profile, issued_at);
CREATE INDEX ca_revocation_held ON ca_revocation (at) WHERE reason = 6; -- certificateHold

-- A job that is worked on is due again when its lease ends: one column says for all when they are due.
UPDATE job SET not_before = leased_until WHERE state = 'running';

-- +goose Down
DROP INDEX ca_revocation_held;
DROP INDEX ca_certificate_profile;
DROP INDEX job_kind;
DROP INDEX job_dead;
