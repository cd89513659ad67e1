-- +goose Up
-- Since when a post carries its roles, and since when somebody has the password that another person gave: a standing
-- activation of a seal does not serve whoever got the right to stamp, or the account, after it was made.
ALTER TABLE post ADD COLUMN roles_since BIGINT NOT NULL DEFAULT 0;
ALTER TABLE login_account ADD COLUMN given_at BIGINT NOT NULL DEFAULT 0;

-- +goose Down
ALTER TABLE post DROP COLUMN roles_since;
ALTER TABLE login_account DROP COLUMN given_at;
