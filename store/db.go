package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	_ "modernc.org/sqlite" // driver "sqlite"

	"hufu/internal/fault"
)

// Engine names a database engine.
type Engine string

// The two engines.
const (
	SQLite     Engine = "sqlite"
	PostgreSQL Engine = "postgres"
)

// Refusals that an operator reads.
var (
	ErrOpen = fault.New(fault.Unavailable, "store.open",
		"The database cannot be opened. Check its address, its rights and that it runs, then start again.",
		"数据库无法打开。请检查地址、权限以及数据库是否在运行，然后重新启动。")
	ErrNewer = fault.New(fault.Conflict, "store.newer-schema",
		"The database was migrated by a newer version of Hufu. Start that version, or restore a backup made before the upgrade.",
		"数据库已由更新版本的虎符升级。请启动该版本，或恢复升级前的备份。")
	ErrOlder = fault.New(fault.Conflict, "store.older-schema",
		"The database schema is older than this program. Run `hufu migrate` once, then start again.",
		"数据库结构早于本程序。请先运行一次 hufu migrate，再重新启动。")
)

// DB is an open database. It is safe for concurrent use.
type DB struct {
	engine Engine
	write  *sql.DB // on SQLite one connection that begins immediate transactions; on PostgreSQL a pool
	read   *sql.DB // a pool of sessions that cannot write
	fields atomic.Pointer[FieldKeys]
	now    func() time.Time
	tokens batcher[tokenLook]

	follow sync.Mutex // guards source, and opens keys one at a time
	source func(context.Context) (FieldKeys, error)
}

// Options of Open. The zero value is right for production.
type Options struct {
	Now func() time.Time // clock of records and jobs; time.Now when nil
}

// Open opens the database at dsn: "sqlite:PATH" (the folder must exist) or "postgres://…". It does not migrate.
func Open(ctx context.Context, dsn string, opts Options) (*DB, error) {
	db := &DB{now: opts.Now}
	db.tokens.ask = db.lookAtTokens
	if db.now == nil {
		db.now = time.Now
	}
	var err error
	switch {
	case strings.HasPrefix(dsn, "sqlite:"):
		err = db.openSQLite(strings.TrimPrefix(dsn, "sqlite:"))
	case strings.HasPrefix(dsn, "postgres://"), strings.HasPrefix(dsn, "postgresql://"):
		err = db.openPostgreSQL(dsn)
	default:
		return nil, ErrOpen.With("database address starts with neither sqlite: nor postgres://")
	}
	if err == nil {
		err = db.write.PingContext(ctx)
	}
	if err == nil {
		err = db.read.PingContext(ctx)
	}
	if err != nil {
		db.Close()
		return nil, ErrOpen.With("open %s database %s: %w", db.engine, redact(dsn), err)
	}
	return db, nil
}

func (db *DB) openSQLite(path string) error {
	db.engine = SQLite
	if _, err := os.Stat(filepath.Dir(path)); err != nil {
		return err
	}
	// Its journals get the mode of the file: it is for its owner alone, whatever folder and umask are.
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	// FULL: a commit that was answered survives a power cut; WAL: readers never wait for the writer; secure_delete: what was
	// deleted, a destroyed key above all, is overwritten in the file.
	pragmas := "?_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=foreign_keys(ON)&_pragma=secure_delete(ON)"
	name := "file:" + (&url.URL{Path: path}).EscapedPath() + pragmas
	if db.write, err = sql.Open("sqlite", name+"&_txlock=immediate"); err != nil {
		return err
	}
	db.write.SetMaxOpenConns(1)
	if db.read, err = sql.Open("sqlite", name+"&_pragma=query_only(ON)"); err != nil {
		return err
	}
	db.read.SetMaxOpenConns(8)
	return nil
}

func (db *DB) openPostgreSQL(dsn string) error {
	db.engine = PostgreSQL
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		return err
	}
	db.write = postgresPool(config)
	readers := config.Copy()
	readers.RuntimeParams["default_transaction_read_only"] = "on"
	db.read = postgresPool(readers)
	return nil
}

// poolSize is how many connections a node has at most, for writing and for reading each.
const poolSize = 24

func postgresPool(config *pgx.ConnConfig) *sql.DB {
	pool := stdlib.OpenDB(*config)
	pool.SetMaxOpenConns(poolSize)
	pool.SetMaxIdleConns(poolSize)
	pool.SetConnMaxIdleTime(5 * time.Minute)
	return pool
}

// Engine returns which engine db runs on.
func (db *DB) Engine() Engine { return db.engine }

// Health reports whether the database answers.
func (db *DB) Health(ctx context.Context) error {
	if err := db.read.PingContext(ctx); err != nil {
		return ErrOpen.With("ping %s database: %w", db.engine, err)
	}
	return nil
}

// Close ends all connections. Transactions under way fail.
func (db *DB) Close() error {
	var errs []error
	for _, pool := range []*sql.DB{db.write, db.read} {
		if pool != nil {
			errs = append(errs, pool.Close())
		}
	}
	return errors.Join(errs...)
}

// redact takes a password out of a database address.
func redact(dsn string) string {
	u, err := url.Parse(dsn)
	if err != nil {
		return "(unreadable address)"
	}
	return fmt.Sprint(u.Redacted())
}
