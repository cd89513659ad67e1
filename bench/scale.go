package main

import (
	"context"
	crand "crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"hufu/ca"
	"hufu/certs"
	"hufu/internal/actor"
	"hufu/internal/gm"
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
	dsn, err := schemaOn(b.ctx, c) // a row has its own
	if err != nil {
		return nil, err
	}
	s := &scaled{cluster: c, dir: b.dir}
	if s.responder, err = b.openResponderOn(b.ctx, "scale-"+crand.Text(), dsn); err != nil {
		return nil, err
	}
	db := psql(dsn)
	began := time.Now()
	if err := s.load(b.ctx, db, n); err != nil {
		return nil, err
	}
	fmt.Fprintf(b.notes, "%d certificates loaded in %.0f s\n", n, time.Since(began).Seconds())
	return s, sizes(b, db)
}

// load makes n certificates of the last fortnights, with applications and keys; one in 50 is revoked.
func (s *scaled) load(ctx context.Context, db psql, n int) error {
	now := time.Now()
	week := fmt.Sprintf("%04x", now.Unix()/(7*24*3600))
	ours := `FROM ca_certificate WHERE application LIKE 'app%'`
	for _, query := range []string{
		fmt.Sprintf(`INSERT INTO ca_certificate (serial, issuer, application, profile, holder, spki, not_before, not_after, shard, issued_at)
			SELECT decode('01%s' || substring(md5(g::text || 's') FROM 1 FOR 26), 'hex'), 'issuing', 'app' || g, 'person-sign', 'holder' || g %% 400000,
				sha256(g::text::bytea), %d, %d, g %% %d, %d - g::bigint * 1000 FROM generate_series(1, %d) g`,
			week, now.UnixMicro(), now.AddDate(3, 0, 0).UnixMicro(), n/scaleShard, now.UnixMicro(), n),
		`INSERT INTO ca_certificate_der (serial, der) SELECT serial, decode(repeat(md5(encode(serial, 'hex')), 43), 'hex') ` + ours,
		`INSERT INTO ca_key (spki, holder, purpose) SELECT spki, holder, 'sign' ` + ours,
		`INSERT INTO ca_application (id, profile, profile_version, holder, organization, facts, request, spki, state, maker, maker_detail, request_key, at, decided_at, certificates)
			SELECT application, profile, 1, holder, '', ''::bytea, decode(repeat(md5(application), 25), 'hex'), spki, 'issued', 'person:' || holder, decode(repeat(md5(holder), 12), 'hex'), '',
				issued_at, issued_at, encode(serial, 'hex') ` + ours,
		fmt.Sprintf(`INSERT INTO ca_revocation (issuer, serial, shard, at, reason, invalid, not_after) SELECT issuer, serial, shard, %d, 4, 0, not_after
			FROM (SELECT *, row_number() OVER (PARTITION BY shard) AS k %s) c WHERE k %% 50 = 0`, now.UnixMicro(), ours),
		`ANALYZE`,
	} {
		if _, err := db.ask(ctx, query); err != nil {
			return fmt.Errorf("load certificates: %w", err)
		}
	}
	lines, err := db.ask(ctx, `SELECT encode(serial, 'hex') `+ours+` AND spki < decode('02', 'hex') LIMIT 3000`)
	for _, line := range lines {
		serial, wrong := hex.DecodeString(line)
		s.serials, err = append(s.serials, serial), errors.Join(err, wrong)
	}
	return err
}

// psql is the address of a database, asked by PostgreSQL's own program: the bench has no business in the store's tables.
type psql string

func (db psql) ask(ctx context.Context, query string) (lines []string, err error) {
	c, err := db.command(ctx, query)
	if err != nil {
		return nil, err
	}
	out, err := c.Output()
	return strings.Fields(string(out)), psqlError(err)
}

func (db psql) command(ctx context.Context, query string) (*exec.Cmd, error) {
	address, err := url.Parse(string(db))
	if err != nil {
		return nil, err
	}
	q := address.Query()
	schema := q.Get("search_path") // which libpq knows by another name
	q.Del("search_path")
	address.RawQuery = q.Encode()
	c := exec.CommandContext(ctx, pgProgram("psql"), "-XAtq", "-v", "ON_ERROR_STOP=1", "-c", query, address.String())
	if schema != "" {
		c.Env = append(os.Environ(), "PGOPTIONS=-c search_path="+schema)
	}
	return c, nil
}

// sizes tells what the tables take a row, and each of their indexes.
func sizes(b *bed, db psql) error {
	lines, err := db.ask(b.ctx, `SELECT t.relname || ':' || t.reltuples::bigint || '_rows,' || pg_relation_size(t.oid) / t.reltuples::bigint || '_octets_each,indexes:'
		|| string_agg(i.relname || '=' || pg_relation_size(i.oid) / t.reltuples::bigint, ',' ORDER BY i.relname)
		FROM pg_class t JOIN pg_index x ON x.indrelid = t.oid JOIN pg_class i ON i.oid = x.indexrelid
		WHERE t.relkind = 'r' AND t.relnamespace = current_schema()::regnamespace AND t.reltuples >= 1000 GROUP BY t.oid, t.relname, t.reltuples ORDER BY t.relname`)
	for _, line := range lines {
		fmt.Fprintln(b.notes, line)
	}
	return err
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
