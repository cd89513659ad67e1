package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"hufu/certs"
	"hufu/internal/gm"
)

// The rows crl.visible: a certificate is revoked by API, and the address in it is asked until the list that comes names it.
// The server has a process of its own and a PostgreSQL that writes each commit to the disk; eight clients enrol meanwhile.
var visibleWorkloads = []workload{
	{"crl.visible", "lists a minute, by the slowest of the revocations, 8 clients enrol meanwhile", "one within the minute", 1, visibleRow(visible{shards: 4})},
	{"crl.visible.100000", "the same, 100,000 revoked in each of 4 shards", "one within the minute", 1, visibleRow(visible{shards: 4, full: 100_000})},
	{"crl.visible.crash", "the same, one shard; the server dies while it builds, another instance is started", "one within the minute", 1, visibleRow(visible{shards: 1, full: 100_000, crash: true})},
}

// visible says what a row of these measures.
type visible struct {
	shards int
	full   int // revoked certificates in each shard beforehand
	crash  bool
}

// atOnce is how many certificates are revoked in a turn, some seconds after each other.
const atOnce = 8

// visibleDeadline ends a wait that leads to nothing.
const visibleDeadline = 3 * time.Minute

func visibleRow(v visible) func(*bed) (pair, error) {
	return func(b *bed) (pair, error) {
		s, err := startServerWith(b, fmt.Sprintf("status: {shards: %d}\n", v.shards))
		if err != nil {
			return pair{}, err
		}
		p := pair{database: "postgres", close: s.close, reference: func(time.Duration) (float64, error) { return 1, nil }}
		p.ours = func(time.Duration) (float64, error) { return s.slowest(b.ctx, v) }
		for shard := 0; shard < v.shards && v.full > 0 && err == nil; shard++ {
			_, err = psql(s.cluster.dsn).ask(b.ctx, revokeMany("issuing", shard, v.full))
		}
		if err == nil {
			err = s.addProfile(b)
		}
		if err != nil {
			s.close()
		}
		return p, err
	}
}

// slowest revokes some certificates and returns how often a minute has the longest time until a list named one of them.
func (s *hufuServer) slowest(ctx context.Context, v visible) (float64, error) {
	token, err := s.token(ctx, "wangxiaoya", "person")
	if err != nil {
		return 0, err
	}
	all := make([]*certs.Certificate, atOnce)
	if v.crash {
		all = all[:1]
	}
	client := s.client()
	for i := range all {
		if all[i], err = s.enrolOne(client, token); err != nil {
			return 0, err
		}
	}
	var took []time.Duration
	if v.crash {
		took, err = s.listedAfterCrash(ctx, token, all[0])
	} else {
		took, err = s.listedUnderLoad(token, all)
	}
	if err != nil {
		return 0, err
	}
	slices.Sort(took)
	worst := took[len(took)-1]
	fmt.Fprintf(s.notes, "%d shards, %d revoked in each: %d revocations in lists after %.1f s (median), %.1f s (worst)\n",
		v.shards, v.full, len(took), took[len(took)/2].Seconds(), worst.Seconds())
	return 60 / worst.Seconds(), nil
}

// listedUnderLoad revokes one after another while others enrol.
func (s *hufuServer) listedUnderLoad(token string, all []*certs.Certificate) ([]time.Duration, error) {
	stop := make(chan struct{})
	var enrolling, looking tally
	for range 8 {
		client := s.client()
		enrolling.do(func() (n int, err error) {
			for ; err == nil; n++ {
				select {
				case <-stop:
					return n, nil
				default:
					err = s.enrol(client, token, issuing{"bench-person", 8, 1})
				}
			}
			return n, err
		})
	}
	var mu sync.Mutex
	var took []time.Duration
	client := s.client()
	var failed error
	for _, c := range all {
		began := time.Now()
		if failed = s.revoke(client, token, c); failed != nil {
			break
		}
		looking.do(func() (int, error) {
			after, err := s.untilListed(c, began)
			mu.Lock()
			defer mu.Unlock()
			took = append(took, after)
			return 1, err
		})
		time.Sleep(1700 * time.Millisecond)
	}
	_, err := looking.wait()
	close(stop)
	n, refused := enrolling.wait()
	fmt.Fprintf(s.notes, "%d certificates were issued meanwhile\n", n)
	return took, errors.Join(failed, err, refused)
}

// listedAfterCrash revokes, kills the server as soon as a builder has the shard, and starts another instance.
func (s *hufuServer) listedAfterCrash(ctx context.Context, token string, c *certs.Certificate) ([]time.Duration, error) {
	began := time.Now()
	if err := s.revoke(s.client(), token, c); err != nil {
		return nil, err
	}
	for claimed := false; !claimed; {
		lines, err := psql(s.cluster.dsn).ask(ctx, `SELECT 1 FROM ca_list_state WHERE issuer = 'issuing' AND shard = 0 AND leased_until > 0`)
		if err != nil {
			return nil, err
		}
		claimed = len(lines) > 0
		if time.Since(began) > visibleDeadline {
			return nil, errors.New("no builder took the shard")
		}
	}
	killed := time.Since(began)
	if err := s.process.Process.Kill(); err != nil {
		return nil, err
	}
	_ = s.process.Wait()
	s.instance++
	if err := s.run(ctx); err != nil {
		return nil, err
	}
	fmt.Fprintf(s.notes, "killed after %.1f s, another instance ready after %.1f s\n", killed.Seconds(), time.Since(began).Seconds())
	took, err := s.untilListed(c, began)
	return []time.Duration{took}, err
}

func (s *hufuServer) revoke(client *http.Client, token string, c *certs.Certificate) error {
	return s.call(client, apiCall{token: token, method: http.MethodPost, path: "/api/v1/certificates/" + hex.EncodeToString(c.Serial) + "/revocation", in: map[string]any{"reason": "superseded"}})
}

// untilListed asks the address in the certificate until the list names it.
func (s *hufuServer) untilListed(c *certs.Certificate, began time.Time) (time.Duration, error) {
	if len(c.CRLPoints) == 0 {
		return 0, errors.New("the certificate names no list")
	}
	client, tag := s.client(), ""
	for time.Since(began) < visibleDeadline {
		r, err := http.NewRequest(http.MethodGet, c.CRLPoints[0], nil)
		if err != nil {
			return 0, err
		}
		r.Header.Set("If-None-Match", tag)
		answer, err := client.Do(r)
		if err != nil {
			return 0, err
		}
		der, err := io.ReadAll(answer.Body)
		answer.Body.Close()
		if err != nil {
			return 0, err
		}
		if answer.StatusCode == http.StatusOK {
			tag = answer.Header.Get("ETag")
			list, err := certs.ParseCRL(der)
			if err != nil {
				return 0, err
			}
			if _, named := list.Find(c.Serial); named {
				return time.Since(began), nil
			}
		}
		time.Sleep(100 * time.Millisecond)
	}
	return 0, fmt.Errorf("%x is in no list after %s", c.Serial, visibleDeadline)
}

// enrolOne gets one certificate.
func (s *hufuServer) enrolOne(client *http.Client, token string) (*certs.Certificate, error) {
	key, err := gm.GenerateKey()
	if err != nil {
		return nil, err
	}
	csr, err := certs.NewRequest(key, certs.NewName(certs.Attribute{Type: certs.OIDCommonName, Value: rand.Text()}), certs.RequestOptions{})
	if err != nil {
		return nil, err
	}
	var out struct {
		Certificates []struct {
			PEM string `json:"pem"`
		} `json:"certificates"`
	}
	text := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: csr}))
	if err := s.call(client, apiCall{token, http.MethodPost, "/api/v1/certificates", map[string]any{"profile": "bench-person", "csr": text}, &out}); err != nil {
		return nil, err
	}
	if len(out.Certificates) != 1 {
		return nil, errShort
	}
	block, _ := pem.Decode([]byte(out.Certificates[0].PEM))
	if block == nil || !strings.Contains(block.Type, "CERTIFICATE") {
		return nil, os.ErrInvalid
	}
	return certs.Parse(block.Bytes)
}
