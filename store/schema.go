package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"fmt"
	"io/fs"

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

// SchemaDigest names what this program's migrations make of an empty database: the SHA-256 of their names and texts, in
// hexadecimal digits. A prepared database is good for programs with the same digest.
func SchemaDigest() (string, error) {
	h := sha256.New()
	names, err := fs.Glob(migrations, "migrations/*.sql") // sorted
	for _, name := range names {
		text, err := migrations.ReadFile(name)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(h, "%s %d\n%s", name, len(text), text)
	}
	return hex.EncodeToString(h.Sum(nil)), err
}
