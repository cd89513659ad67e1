package main

import (
	"bytes"
	"context"
	"crypto"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"hufu/ca"
	"hufu/certs"
	"hufu/configs"
	"hufu/hsm"
	"hufu/internal/actor"
	"hufu/internal/gm"
	"hufu/store"
)

var statusWorkloads = []workload{
	{"ocsp.presigned", "OCSP answers from memory a second, 8 clients", "bare net/http handler, the same octets", 0.8, func(b *bed) (pair, error) { return openOCSP(b, false) }},
	{"ocsp.live", "OCSP answers with a nonce a second, 8 clients", "the same handler and one SM2 signature by the same device", 0.8, func(b *bed) (pair, error) { return openOCSP(b, true) }},
	{"crl.million", "lists of 1,000,000 entries per CPU-second", "SM3 over the same octets", 0.19, openMillion},
}

// benchKeys are the keys of an authority in a software device.
type benchKeys struct{ device *hsm.Soft }

func (k benchKeys) Signer(ctx context.Context, label string) (crypto.Signer, error) {
	return k.device.Signer(ctx, label)
}

func (k benchKeys) Ensure(ctx context.Context, _ actor.Actor, label, _, _ string) (crypto.Signer, error) {
	if s, err := k.device.Signer(ctx, label); err == nil {
		return s, nil
	}
	if _, err := k.device.Generate(ctx, hsm.Spec{Label: label, Algorithm: hsm.SM2}); err != nil {
		return nil, err
	}
	return k.device.Signer(ctx, label)
}

// nobody is a registry without holders and a key management centre without keys.
type nobody struct{}

func (nobody) Holder(context.Context, string, string) (ca.Holder, error) {
	return ca.Holder{}, ca.ErrUnknown
}

func (nobody) Provide(context.Context, actor.Actor, ca.KeyOrder) (a ca.KeyAnswer, err error) {
	return a, ca.ErrUnknown
}

func (nobody) Certified(context.Context, actor.Actor, ca.Certification) error { return nil }

// responder is an authority with one certificate, that of its own responder, on a database and a software device.
type responder struct {
	*ca.Authority
	device *hsm.Soft
	db     *store.DB
	issuer *certs.Certificate
	leaf   *certs.Certificate
}

func (b *bed) openResponder(ctx context.Context, name string) (responder, error) {
	return b.openResponderOn(ctx, name, "sqlite:"+filepath.Join(b.dir, name+".db"))
}

func (b *bed) openResponderOn(ctx context.Context, name, dsn string) (r responder, err error) {
	if r.db, err = store.Open(ctx, dsn, store.Options{}); err != nil {
		return r, err
	}
	if _, err = r.db.Migrate(ctx); err != nil {
		return r, err
	}
	key := bytes.Repeat([]byte{1}, 16)
	if err = r.db.UseFieldKeys(store.FieldKeys{Version: 1, Sealing: map[uint32][]byte{1: key}, Subjects: key, Index: bytes.Repeat(key, 2), Rows: bytes.Repeat(key, 2)}); err != nil {
		return r, err
	}
	if r.device, err = hsm.CreateSoft(filepath.Join(b.dir, name), []byte("for the bench alone"), hsm.Options{}); err != nil {
		return r, err
	}
	profiles, err := ca.ParseProfiles(configs.Files, "profiles")
	if err != nil {
		return r, err
	}
	if r.Authority, err = ca.New(ctx, ca.Config{
		Store: r.db.CA(), Registry: nobody{}, Keys: benchKeys{r.device}, Encryption: nobody{}, Profiles: profiles,
		BaseURL: "http://localhost/pki", Instance: 1, Now: time.Now, Spool: b.dir,
	}); err != nil {
		return r, err
	}
	if err = r.Bootstrap(ctx, actor.ForSystem("bench")); err != nil {
		return r, err
	}
	service, err := r.Service(ctx, actor.ForSystem("bench"), "tsa")
	if err != nil {
		return r, err
	}
	_, issuers := r.Issuers()
	r.issuer, r.leaf = issuers["issuing"], service.Certificate
	return r, nil
}

// openOCSP asks our responder, and a handler that reads the request and writes as many octets, over HTTP on loopback.
func openOCSP(b *bed, live bool) (pair, error) {
	ctx, stop := context.WithCancel(b.ctx)
	r, err := b.openResponder(ctx, fmt.Sprintf("ocsp-%t", live))
	if err != nil {
		stop()
		return pair{}, err
	}
	var following sync.WaitGroup
	following.Go(func() { r.FollowStatus(ctx, func(error) {}) })
	end := func() { stop(); following.Wait(); r.db.Close(); r.device.Close() }
	id, err := certs.NewCertID(certs.OIDSM3, r.issuer, r.leaf.Serial)
	if err != nil {
		return pair{close: end}, err
	}
	var nonce []byte
	if live {
		nonce = certs.NewNonce()
	}
	request, err := certs.BuildOCSPRequest([]certs.CertID{id}, nonce)
	if err != nil {
		return pair{close: end}, err
	}
	plain, err := certs.BuildOCSPRequest([]certs.CertID{id}, nil)
	if err != nil {
		return pair{close: end}, err
	}
	time.Sleep(500 * time.Millisecond) // until it follows
	ours, closeOurs, err := serveBench(r.Handler())
	if err != nil {
		return pair{close: end}, err
	}
	answer, err := postBench(ours, plain) // its status is in memory from now on
	if err == nil {
		answer, err = postBench(ours, request)
	}
	if err != nil {
		return pair{close: end}, err
	}
	bare, closeBare, err := serveBench(bareHandler(ctx, r.device, len(answer), live))
	return pair{
		ours: posting(ours, request), reference: posting(bare, request), database: "SQLite",
		close: func() { closeOurs(); closeBare(); end() },
	}, err
}

// bareHandler answers each request with as many octets, and signs once before it if told so.
func bareHandler(ctx context.Context, device *hsm.Soft, size int, sign bool) http.Handler {
	answer, e := make([]byte, size), bytes.Repeat([]byte{7}, 32)
	signer, err := device.Signer(ctx, "ocsp")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, readErr := io.ReadAll(http.MaxBytesReader(w, r.Body, certs.MaxOCSPRequestSize)); readErr != nil || err != nil {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		if sign {
			if _, err := signer.Sign(nil, e, gm.Digest); err != nil {
				w.WriteHeader(http.StatusInternalServerError)
				return
			}
		}
		w.Header().Set("Content-Type", "application/ocsp-response")
		w.Header().Set("Cache-Control", "no-store")
		_, _ = w.Write(answer)
	})
}

func serveBench(h http.Handler) (url string, end func(), err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	s := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = s.Serve(l) }()
	return "http://" + l.Addr().String() + "/pki/ocsp", func() { s.Close() }, nil
}

var benchClient = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: statusClients}}

const statusClients = 8

func postBench(url string, request []byte) ([]byte, error) {
	resp, err := benchClient.Post(url, "application/ocsp-request", bytes.NewReader(request))
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && (resp.StatusCode != http.StatusOK || len(body) < 100) {
		err = fmt.Errorf("%s with %d octets", resp.Status, len(body))
	}
	return body, err
}

// posting is a rate on the clock on the wall: the clients' share of the CPU is the same on both sides.
func posting(url string, request []byte) func(time.Duration) (float64, error) {
	ask := func() error { _, err := postBench(url, request); return err }
	fs := make([]func() error, statusClients)
	for i := range fs {
		fs[i] = ask
	}
	return func(d time.Duration) (float64, error) {
		begun := time.Now()
		n, err := repeat(fs, d)
		return float64(n) / time.Since(begun).Seconds(), err
	}
}

// millionEntries is how many the long list has.
const millionEntries = 1_000_000

// openMillion writes a list of a million entries as the authority does, from a source that costs nothing, through a spool
// in a file. The reference is SM3 over the same octets.
func openMillion(b *bed) (pair, error) {
	r, err := b.openResponder(b.ctx, "million")
	if err != nil {
		return pair{}, err
	}
	signer, err := r.device.Signer(b.ctx, "ca-issuing")
	if err != nil {
		return pair{}, err
	}
	now := time.Now().UTC().Truncate(time.Second)
	t := certs.CRLTemplate{Issuer: r.issuer, Number: 1, ThisUpdate: now, NextUpdate: now.AddDate(0, 0, 1), Entries: func(yield func(certs.CRLEntry) bool) {
		e := certs.CRLEntry{Serial: bytes.Repeat([]byte{0x11}, 16), RevokedAt: now, Reason: certs.ReasonSuperseded}
		for i := range millionEntries {
			e.Serial[15], e.Serial[14], e.Serial[13] = byte(i), byte(i>>8), byte(i>>16)
			if !yield(e) {
				return
			}
		}
	}}
	var octets counter
	write := func() error {
		spool := &fileSpool{dir: b.dir}
		defer spool.close()
		u, err := certs.PrepareCRL(t, signer.Public(), spool)
		if err != nil {
			return err
		}
		octets = 0
		return u.Sign(&octets, signer)
	}
	peak, err := heapGrowth(write)
	if err != nil {
		return pair{}, err
	}
	zeros := make([]byte, 1<<20)
	hash := func() error {
		h := gm.NewSM3()
		for left := int(octets); left > 0; left -= len(zeros) {
			h.Write(zeros[:min(left, len(zeros))])
		}
		h.Sum(nil)
		return nil
	}
	fmt.Fprintf(b.notes, "crl.million: %d octets, heap grew by at most %.1f MB\n", octets, float64(peak)/1e6)
	return pair{ours: once(write), reference: once(hash), close: func() { r.db.Close(); r.device.Close() }}, nil
}

// fileSpool keeps entries in a file.
type fileSpool struct {
	dir  string
	file *os.File
}

func (s *fileSpool) Write(p []byte) (n int, err error) {
	if s.file == nil {
		if s.file, err = os.CreateTemp(s.dir, "list-*"); err != nil {
			return 0, err
		}
	}
	return s.file.Write(p)
}

func (s *fileSpool) Open() (io.Reader, error) {
	_, err := s.file.Seek(0, io.SeekStart)
	return s.file, err
}

func (s *fileSpool) close() {
	if s.file != nil {
		s.file.Close()
		os.Remove(s.file.Name())
	}
}

// once is the rate of something that takes a good part of a second, per CPU-second.
func once(f func() error) func(time.Duration) (float64, error) {
	return func(time.Duration) (float64, error) {
		before := cpu()
		err := f()
		return 1 / (cpu() - before).Seconds(), err
	}
}

// counter counts octets.
type counter int

func (c *counter) Write(p []byte) (int, error) { *c += counter(len(p)); return len(p), nil }

// heapGrowth is by how much the memory that Go has in use grows while f runs.
func heapGrowth(f func() error) (uint64, error) {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	base, peak := m.HeapInuse+m.StackInuse, uint64(0)
	done := make(chan error, 1)
	go func() { done <- f() }()
	for {
		select {
		case err := <-done:
			return peak, err
		case <-time.After(5 * time.Millisecond):
			runtime.ReadMemStats(&m)
			if now := m.HeapInuse + m.StackInuse; now > base {
				peak = max(peak, now-base)
			}
		}
	}
}
