-- +goose Up
-- What officers and registration clients revoke and suspend alone: a budget for each of them, of all nodes.
CREATE TABLE ca_alone (
    officer TEXT   NOT NULL PRIMARY KEY, -- id of the subject
    full_at BIGINT NOT NULL              -- when the budget is whole again
);

-- +goose Down
DROP TABLE ca_alone;
