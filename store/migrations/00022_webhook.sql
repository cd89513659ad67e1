-- +goose Up
-- Who wants to be told what the log records. A subscription is a cursor in the log.
CREATE TABLE webhook_subscription (
    id           TEXT   NOT NULL PRIMARY KEY,
    name         TEXT   NOT NULL,
    url          TEXT   NOT NULL,
    actions      TEXT   NOT NULL, -- separated by spaces, '' = all
    state        TEXT   NOT NULL,
    reason       TEXT   NOT NULL,
    maker        TEXT   NOT NULL,
    at           BIGINT NOT NULL,
    next         BIGINT NOT NULL, -- index of the entry to look at next
    sent         BIGINT NOT NULL,
    last_sent    BIGINT NOT NULL,
    failing      BIGINT NOT NULL, -- since when, 0 = not
    tries        BIGINT NOT NULL,
    not_before   BIGINT NOT NULL,
    last_error   TEXT   NOT NULL,
    leased_until BIGINT NOT NULL,
    epoch        BIGINT NOT NULL
);

-- +goose Down
DROP TABLE webhook_subscription;
