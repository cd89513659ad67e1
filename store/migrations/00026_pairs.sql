-- +goose Up
-- The column that tells pairs apart comes first: before the database has counted its rows, it may take an index of few
-- authorities for one of few rows, and read every pair that is held to find one.
DROP INDEX kmc_pair_request;
DROP INDEX kmc_pair_subject;
CREATE UNIQUE INDEX kmc_pair_request ON kmc_pair (request, client) WHERE state = 'held';
CREATE INDEX kmc_pair_subject ON kmc_pair (subject, client, at) WHERE state = 'held';

-- +goose Down
DROP INDEX kmc_pair_subject;
DROP INDEX kmc_pair_request;
CREATE UNIQUE INDEX kmc_pair_request ON kmc_pair (client, request) WHERE state = 'held';
CREATE INDEX kmc_pair_subject ON kmc_pair (client, subject, at) WHERE state = 'held';
