package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"time"

	"hufu/ca"
	"hufu/store"
)

var listWorkloads = []workload{
	{"crl.rows", "readings of 1,000,000 revocations per CPU-second of this process", "psql, COPY of the same rows to nowhere", 0.5, openRows},
}

// listRows is the query of the list builder, for psql.
const listRows = `SELECT serial, at, reason, invalid FROM ca_revocation WHERE issuer = 'issuing' AND shard = 0 AND (not_after > 0 OR at > 0) ORDER BY serial`

// openRows reads a million revocations from PostgreSQL as the list builder does. What the whole list costs, rows, signature
// and storing together, goes to the notes.
func openRows(b *bed) (p pair, err error) {
	c, err := ownCluster(b)
	if err != nil {
		return p, err
	}
	p = pair{database: "postgres", close: c.close}
	defer func() {
		if err != nil {
			p.close()
		}
	}()
	dsn, err := schemaOn(b.ctx, c)
	if err != nil {
		return p, err
	}
	r, err := b.openResponderOn(b.ctx, "rows", dsn)
	if err != nil {
		return p, err
	}
	p.close = func() { r.db.Close(); r.device.Close(); c.close() }
	if _, err = psql(dsn).ask(b.ctx, revokeMany("issuing", 0, millionEntries)); err != nil {
		return p, err
	}
	if _, err = psql(dsn).ask(b.ctx, "VACUUM ANALYZE"); err != nil {
		return p, err
	}
	read := func() error { return readRows(b.ctx, r.db) }
	for _, one := range []struct {
		what string
		do   func() error
	}{
		{"rows alone", read},
		{"the list from the rows to its octets in the database", func() error { _, err := r.PublishShard(b.ctx, "issuing/0"); return err }},
	} {
		if err = tellCost(b, c, one.what, one.do); err != nil {
			return p, err
		}
	}
	p.ours, p.reference = once(read), func(time.Duration) (float64, error) { return copyRate(b.ctx, dsn) }
	return p, nil
}

// schemaOn makes a schema of its own on a cluster and returns its address.
func schemaOn(ctx context.Context, c *cluster) (string, error) {
	name := "s" + strings.ToLower(rand.Text()[:8])
	if err := store.CreateSchema(ctx, c.dsn, name); err != nil {
		return "", err
	}
	u, err := url.Parse(c.dsn)
	if err != nil {
		return "", err
	}
	q := u.Query()
	q.Set("search_path", name)
	u.RawQuery = q.Encode()
	return u.String(), nil
}

// revokeMany is a statement that revokes n certificates of a shard which nobody issued.
func revokeMany(issuer string, shard, n int) string {
	now := time.Now()
	return fmt.Sprintf(`INSERT INTO ca_revocation (issuer, serial, shard, at, reason, invalid, not_after)
		SELECT '%s', decode('7fffff' || substring(md5(g::text || '/%d') FROM 1 FOR 26), 'hex'), %d, %d, 4, 0, %d FROM generate_series(1, %d) g`,
		issuer, shard, shard, now.Add(-time.Hour).UnixMicro(), now.AddDate(3, 0, 0).UnixMicro(), n)
}

func readRows(ctx context.Context, db *store.DB) error {
	n := 0
	err := db.CA().View(ctx, func(r ca.R) error {
		n = 0
		return r.Revocations("issuing", 0, time.Time{}, func(ca.Revocation) error { n++; return nil })
	})
	if err == nil && n != millionEntries {
		err = fmt.Errorf("%d rows", n)
	}
	return err
}

// tellCost runs f once and tells what it took of this process, of the database and of memory.
func tellCost(b *bed, c *cluster, what string, f func() error) error {
	began, before, database := time.Now(), cpu(), c.cpu()
	peak, err := heapGrowth(f)
	fmt.Fprintf(b.notes, "%s: %.2f CPU-seconds of this process, %.2f of the database, %.1f s; heap grew by at most %.1f MB\n",
		what, (cpu() - before).Seconds(), (c.cpu() - database).Seconds(), time.Since(began).Seconds(), float64(peak)/1e6)
	return err
}

// copyRate is how often psql, a client in C, could read the rows per CPU-second of its own.
func copyRate(ctx context.Context, dsn string) (float64, error) {
	c, err := psql(dsn).command(ctx, `COPY (`+listRows+`) TO STDOUT (FORMAT binary)`)
	if err != nil {
		return 0, err
	}
	nowhere, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		return 0, err
	}
	defer nowhere.Close()
	c.Stdout = nowhere
	if err := c.Run(); err != nil {
		return 0, psqlError(err)
	}
	return 1 / (c.ProcessState.UserTime() + c.ProcessState.SystemTime()).Seconds(), nil
}

func psqlError(err error) error {
	if failed, ok := errors.AsType[*exec.ExitError](err); ok {
		return fmt.Errorf("psql: %w: %s", err, failed.Stderr)
	}
	return err
}
