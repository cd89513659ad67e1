package store

import (
	"context"
	"embed"
	"fmt"
	"io/fs"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

//go:embed migrations/*.sql
var migrations embed.FS

// provider opens goose on the write pool. On PostgreSQL an advisory lock lets one node migrate while others wait.
func (db *DB) provider() (*goose.Provider, error) {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, err
	}
	if db.engine == SQLite {
		return goose.NewProvider(goose.DialectSQLite3, db.write, files)
	}
	locker, err := lock.NewPostgresSessionLocker()
	if err != nil {
		return nil, err
	}
	return goose.NewProvider(goose.DialectPostgres, db.write, files, goose.WithSessionLocker(locker))
}

// Migrate brings the schema to this program's version, each step in a transaction of its own, and returns the names of
// the steps taken. Run again, it goes on where it stopped. A schema newer than the program is left alone and refused.
func (db *DB) Migrate(ctx context.Context) (applied []string, err error) {
	if have, want, err := db.Version(ctx); err != nil {
		return nil, err
	} else if have > want {
		return nil, ErrNewer.With("schema version %d, this program knows %d", have, want)
	}
	p, err := db.provider()
	if err != nil {
		return nil, fmt.Errorf("migrate: %w", err)
	}
	results, err := p.Up(ctx)
	for _, r := range results {
		if r.Error == nil {
			applied = append(applied, r.Source.Path)
		}
	}
	if err != nil {
		return applied, fmt.Errorf("migrate: %w", err)
	}
	return applied, nil
}

// Version returns the schema version of the database and the newest that this program knows.
func (db *DB) Version(ctx context.Context) (have, want int64, err error) {
	p, err := db.provider()
	if err != nil {
		return 0, 0, fmt.Errorf("read schema version: %w", err)
	}
	if have, want, err = p.GetVersions(ctx); err != nil {
		return 0, 0, fmt.Errorf("read schema version: %w", err)
	}
	return have, want, nil
}

// CheckVersion refuses a schema that this program must not serve: an older one (ErrOlder), or one more than a version
// newer (ErrNewer). One version newer is served, so that nodes can be upgraded one after another.
func (db *DB) CheckVersion(ctx context.Context) error {
	have, want, err := db.Version(ctx)
	switch {
	case err != nil:
		return err
	case have < want:
		return ErrOlder.With("schema version %d, this program needs %d", have, want)
	case have > want+1:
		return ErrNewer.With("schema version %d, this program knows %d", have, want)
	}
	return nil
}
