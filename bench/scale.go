package main

import (
	"context"
	crand "crypto/rand"
	"database/sql"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
	"time"

	"hufu/ca"
	"hufu/certs"
	"hufu/internal/actor"
	"hufu/internal/gm"
	"hufu/store"
)

// The rows scale.* do the same on a PostgreSQL with 1,000,000 certificates and on one with 10,000, both in one cluster; the
// rates are per CPU-second of this process and the database together. Rows are made by the database, of the schema's own
// form; the keys and bytes in them are random, which neither look-ups nor lists can tell.
var scaleWorkloads = []workload{
	{"scale.status", "status look-ups at 1,000,000 certificates", "the same at 10,000", 1 / 1.5, scaleRow((*scaled).status)},
	{"scale.issue", "issuances at 1,000,000 certificates", "the same at 10,000", 1 / 1.5, scaleRow((*scaled).issue)},
	{"scale.shard", "lists of one shard of 200 entries, at 1,000,000 certificates in 100 shards", "the same at 10,000 in one shard", 1 / 1.5, scaleRow((*scaled).shard)},
}

const (
	scaleFew, scaleMany = 10_000, 1_000_000
	scaleShard          = 10_000 // certificates of a shard, of which one in 50 is revoked
)

// scaled is an authority on a database with many certificates.
type scaled struct {
	responder
	cluster *cluster
	serials [][]byte
	dir     string
}

func scaleRow(work func(*scaled) func() error) func(*bed) (pair, error) {
	return func(b *bed) (pair, error) {
		c, err := ownCluster(b)
		if err != nil {
			return pair{}, err
		}
		many, err := openScaled(b, c, scaleMany)
		if err != nil {
			c.close()
			return pair{}, err
		}
		few, err := openScaled(b, c, scaleFew)
		if err != nil {
			c.close()
			return pair{}, err
		}
		return pair{ours: many.rate(work(many)), reference: few.rate(work(few)), database: "postgres", close: func() {
			for _, s := range []*scaled{many, few} {
				s.db.Close()
				s.device.Close()
			}
			c.close()
		}}, nil
	}
}

// rate counts the CPU of the database's processes too.
func (s *scaled) rate(f func() error) func(time.Duration) (float64, error) {
	return func(d time.Duration) (float64, error) {
		before := cpu() + s.cluster.cpu()
		n, err := repeat([]func() error{f}, max(d, 2*time.Second))
		return float64(n) / (cpu() + s.cluster.cpu() - before).Seconds(), err
	}
}

func openScaled(b *bed, c *cluster, n int) (*scaled, error) {
	name := fmt.Sprintf("scale%d%s", n, strings.ToLower(crand.Text()[:6])) // a row has its own
	if err := store.CreateSchema(b.ctx, c.dsn, name); err != nil {
		return nil, err
	}
	u, err := url.Parse(c.dsn)
	if err != nil {
		return nil, err
	}
	q := u.Query()
	q.Set("search_path", name)
	u.RawQuery = q.Encode()
	s := &scaled{cluster: c, dir: b.dir}
	if s.responder, err = b.openResponderOn(b.ctx, name, u.String()); err != nil {
		return nil, err
	}
	db, err := sql.Open("pgx", u.String())
	if err != nil {
		return nil, err
	}
	defer db.Close()
	began := time.Now()
	if err := s.load(b.ctx, db, n); err != nil {
		return nil, err
	}
	fmt.Fprintf(b.notes, "%d certificates loaded in %.0f s\n", n, time.Since(began).Seconds())
	return s, sizes(b, db)
}

// load makes n certificates of the last fortnights, with applications and keys; one in 50 is revoked.
func (s *scaled) load(ctx context.Context, db *sql.DB, n int) error {
	week := make([]byte, 2)
	binary.BigEndian.PutUint16(week, uint16(time.Now().Unix()/(7*24*3600)))
	now, end := time.Now().UnixMicro(), time.Now().AddDate(3, 0, 0).UnixMicro()
	serial := `decode('01', 'hex') || $2::bytea || substring(decode(md5(g::text || 's'), 'hex') FROM 1 FOR 13)`
	for _, step := range []struct {
		query string
		args  []any
	}{
		{`INSERT INTO ca_certificate (serial, issuer, application, profile, holder, spki, not_before, not_after, shard, issued_at)
			SELECT ` + serial + `, 'issuing', 'app' || g, 'person-sign', 'holder' || g % 400000, sha256(g::text::bytea), $3::bigint, $4::bigint, g % $5::bigint, $3::bigint - g * 1000
			FROM generate_series(1, $1::bigint) g`, []any{n, week, now, end, n / scaleShard}},
		{`INSERT INTO ca_certificate_der (serial, der) SELECT serial, decode(repeat(md5(encode(serial, 'hex')), 43), 'hex') FROM ca_certificate WHERE application LIKE 'app%'`, nil},
		{`INSERT INTO ca_key (spki, holder, purpose) SELECT spki, holder, 'sign' FROM ca_certificate WHERE application LIKE 'app%'`, nil},
		{`INSERT INTO ca_application (id, profile, profile_version, holder, organization, facts, request, spki, state, maker, maker_detail, request_key, at, decided_at, certificates)
			SELECT application, profile, 1, holder, '', ''::bytea, decode(repeat(md5(application), 25), 'hex'), spki, 'issued', 'person:' || holder, decode(repeat(md5(holder), 12), 'hex'), '',
				issued_at, issued_at, encode(serial, 'hex') FROM ca_certificate WHERE application LIKE 'app%'`, nil},
		{`INSERT INTO ca_revocation (issuer, serial, shard, at, reason, invalid, not_after)
			SELECT issuer, serial, shard, $1::bigint, 4, 0, not_after FROM (SELECT *, row_number() OVER (PARTITION BY shard) AS k FROM ca_certificate WHERE application LIKE 'app%') c WHERE k % 50 = 0`, []any{now}},
		{`ANALYZE`, nil},
	} {
		if _, err := db.ExecContext(ctx, step.query, step.args...); err != nil {
			return fmt.Errorf("load certificates: %w", err)
		}
	}
	rows, err := db.QueryContext(ctx, `SELECT serial FROM ca_certificate WHERE application LIKE 'app%' AND spki < decode('02', 'hex') LIMIT 3000`)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var serial []byte
		if err := rows.Scan(&serial); err != nil {
			return err
		}
		s.serials = append(s.serials, serial)
	}
	return rows.Err()
}

// sizes tells what the tables take, rows and indexes.
func sizes(b *bed, db *sql.DB) error {
	rows, err := db.QueryContext(b.ctx, `SELECT relname, reltuples::bigint, pg_relation_size(oid), pg_indexes_size(oid) FROM pg_class
		WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace AND reltuples >= 1000 ORDER BY relname`)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		var n, table, index int64
		if err := rows.Scan(&name, &n, &table, &index); err != nil {
			return err
		}
		fmt.Fprintf(b.notes, "%s: %d rows, %d octets each, indexes %d each\n", name, n, table/max(n, 1), index/max(n, 1))
	}
	return rows.Err()
}

var errNoEntries = errors.New("the shard has no entries")

// status looks a certificate and its revocation up, as API and responder do.
func (s *scaled) status() func() error {
	return func() error {
		serial := s.serials[rand.IntN(len(s.serials))]
		return s.db.CA().Look(context.Background(), func(r ca.R) error {
			c, err := r.CertificateBySerial(serial)
			if err != nil {
				return err
			}
			if _, err := r.Revocation(c.Issuer, serial); err != nil && !errors.Is(err, ca.ErrUnknown) {
				return err
			}
			return nil
		})
	}
}

// issue enrols for a service, which needs no officer.
func (s *scaled) issue() func() error {
	by := actor.ForSystem("bench")
	return func() error {
		key, err := gm.GenerateKey()
		if err != nil {
			return err
		}
		csr, err := certs.NewRequest(key, certs.NewName(certs.Attribute{Type: certs.OIDCommonName, Value: "bench"}), certs.RequestOptions{})
		if err != nil {
			return err
		}
		_, err = s.Enrol(context.Background(), by, ca.Request{Profile: "qr", Holder: "service:" + hex.EncodeToString(csr[len(csr)-8:]), Facts: map[string]string{"name": "bench"}, CSR: csr})
		return err
	}
}

// shard reads the revocations of one shard and builds and signs the list of them.
func (s *scaled) shard() func() error {
	return func() error {
		now := time.Now().UTC().Truncate(time.Second)
		signer, err := s.device.Signer(context.Background(), "ca-issuing")
		if err != nil {
			return err
		}
		var entries []certs.CRLEntry
		err = s.db.CA().View(context.Background(), func(r ca.R) error {
			entries = entries[:0]
			return r.Revocations("issuing", 0, now, func(v ca.Revocation) error {
				entries = append(entries, certs.CRLEntry{Serial: v.Serial, RevokedAt: v.At, Reason: v.Reason})
				return nil
			})
		})
		if err == nil && len(entries) == 0 {
			err = errNoEntries
		}
		if err != nil {
			return err
		}
		spool := &fileSpool{dir: s.dir}
		defer spool.close()
		u, err := certs.PrepareCRL(certs.CRLTemplate{
			Issuer: s.issuer, Number: 1, ThisUpdate: now, NextUpdate: now.AddDate(0, 0, 1), Entries: slices.Values(entries),
		}, signer.Public(), spool)
		if err != nil {
			return err
		}
		return u.Sign(io.Discard, signer)
	}
}
