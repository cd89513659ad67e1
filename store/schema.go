package store

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// CreateSchema makes an empty schema on a PostgreSQL server, for a tenant or a test that must stand alone.
func CreateSchema(ctx context.Context, dsn, name string) error {
	return onServer(ctx, dsn, "CREATE SCHEMA "+pgx.Identifier{name}.Sanitize())
}

// DropSchema removes a schema with all that is in it.
func DropSchema(ctx context.Context, dsn, name string) error {
	return onServer(ctx, dsn, "DROP SCHEMA "+pgx.Identifier{name}.Sanitize()+" CASCADE")
}

func onServer(ctx context.Context, dsn, statement string) error {
	server, err := sql.Open("pgx", dsn)
	if err != nil {
		return err
	}
	defer server.Close()
	if _, err := server.ExecContext(ctx, statement); err != nil {
		return fmt.Errorf("%s: %w", statement, err)
	}
	return nil
}
