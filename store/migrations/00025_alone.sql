-- +goose Up
-- What officers and registration clients revoke and suspend alone: a budget for each of them, of all nodes.
CREATE TABLE ca_alone (
    officer TEXT   NOT NULL PRIMARY KEY, -- id of the subject
    full_at BIGINT NOT NULL              -- when the budget is whole again
);

-- Jobs that have failed for half an hour and are tried on: an operator is told. The number stands in store/jobs.go too.
CREATE INDEX job_late ON job (created_at) WHERE attempts >= 12 AND state <> 'dead';

-- +goose Down
DROP INDEX job_late;
DROP TABLE ca_alone;
