package main

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	mathrand "math/rand/v2"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"hufu/certs"
	"hufu/certs/bundle"
	"hufu/internal/gm"
	"hufu/seal/check"
	"hufu/store/storetest"
)

// TestKillAtAnyMoment runs the program as a process of its own, has certificates made, revoked and their keys recovered, licences, stamps and log-ins made at once
// through its API, kills it with SIGKILL at random moments, starts it again and asks whether everything that was answered
// is still so and nothing is left half-done. The first kill hits the making of the database, or the filling of the new data folder.
func TestKillAtAnyMoment(t *testing.T) {
	t.Parallel()
	kills := map[string]int{"sqlite": 6, "postgres": 5}
	for engine, dsn := range storetest.Empty(t) {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			n := kills[engine]
			if testing.Short() {
				n = 1
			}
			v := newVictim(t, dsn)
			v.start()
			time.Sleep(time.Duration(100+mathrand.IntN(1200)) * time.Millisecond)
			v.kill()
			v.restart(false)
			v.logIn()
			v.keep()
			for round := range n {
				v.load(round)
				v.restart(true)
				v.check(fmt.Sprint(round, "-"))
			}
			v.checkAll()
			v.tell()
		})
	}
}

// victim is the server, and what its clients know of it.
type victim struct {
	*walker
	t         *testing.T
	dsn, data string
	config    string
	addr      string
	process   *exec.Cmd
	errors    *os.File

	citizen, officer, chief tokens
	company                 string // subject id of the sample company
	document                []byte // to stamp

	mu       sync.Mutex
	requests map[string]*certified // by idempotency key
	licences map[string]string     // idempotency key → identifier answered, "" for none
	stamps   map[string][]byte     // use → document answered
	logins   []tokens
	tries    int            // to log in
	seen     map[int][]byte // round → the last checkpoint before the kill

	keepers    [2]tokens            // of the recovery officers
	kept       []string             // serials of the pair whose key is recovered
	revoked    map[string]string    // serial → key of the revocation that was answered, "" for none; "seen" when checked
	recoveries map[string]*regained // by idempotency key
}

// certified is a request for a certificate, and what was answered to it.
type certified struct {
	csr     string
	id      string   // "" for no answer
	serials []string // nil for no answer
}

func newVictim(t *testing.T, dsn string) *victim {
	dir := t.TempDir()
	v := &victim{
		t: t, dsn: dsn, data: filepath.Join(dir, "data"), config: filepath.Join(dir, "hufu.yaml"), addr: freeAddress(t),
		requests: map[string]*certified{}, licences: map[string]string{}, stamps: map[string][]byte{}, seen: map[int][]byte{},
		revoked: map[string]string{}, recoveries: map[string]*regained{},
	}
	v.must(os.WriteFile(v.config, fmt.Appendf(nil, "database: %q\n", dsn), 0o600))
	var err error
	v.walker, err = newWalker("http://" + v.addr)
	v.must(err)
	v.errors, err = os.Create(filepath.Join(dir, "log"))
	v.must(err)
	t.Cleanup(func() {
		v.kill()
		if log, _ := os.ReadFile(v.errors.Name()); t.Failed() || bytes.Contains(log, []byte("panic:")) {
			t.Errorf("the server's log:\n%s", log[max(0, len(log)-8000):])
		}
		v.errors.Close()
	})
	return v
}

func (v *victim) must(err error) {
	v.t.Helper()
	if err != nil {
		v.t.Fatal(err)
	}
}

func (v *victim) start() {
	v.process = exec.Command("hufu", "serve", "--demo", "--config", v.config, "--data", v.data, "--listen", v.addr)
	v.process.Stderr = v.errors
	v.must(v.process.Start())
}

func (v *victim) kill() {
	if v.process != nil {
		_ = v.process.Process.Kill() // it may have ended by itself
		_ = v.process.Wait()
		v.process = nil
	}
}

// restart starts the server again and waits until it is ready. What the dead process had claimed, its number, the jobs and lists that it was
// at, ends by itself after 10 and 20 seconds, as other tests have it (TestOneInstanceNumberIsOneServers, TestJobsRunAtLeastOnceAndOnlyTheLastClaimCounts,
// TestARevocationIsListedWithinAMinuteThoughItsBuilderDied); hurry ends it as time would.
func (v *victim) restart(hurry bool) {
	v.t.Helper()
	if hurry {
		v.sql(func(db *sql.DB) error {
			_, err1 := db.Exec("UPDATE lease SET until = 0")
			_, err2 := db.Exec("UPDATE job SET not_before = 0, leased_until = 0 WHERE state = 'running'")
			_, err3 := db.Exec("UPDATE ca_list_state SET leased_until = 0")
			return errors.Join(err1, err2, err3)
		})
	}
	v.start()
	v.must(awaitAnswer(v.t.Context(), v.base, "/readyz"))
}

func (v *victim) sql(f func(*sql.DB) error) {
	v.t.Helper()
	driver, dsn := "pgx", v.dsn
	if path, ok := strings.CutPrefix(v.dsn, "sqlite:"); ok {
		driver, dsn = "sqlite", "file:"+path+"?_pragma=busy_timeout(5000)"
	}
	db, err := sql.Open(driver, dsn)
	v.must(err)
	defer db.Close()
	v.must(f(db))
}

func (v *victim) count(query string) (n int) {
	v.t.Helper()
	v.sql(func(db *sql.DB) error { return db.QueryRow(query).Scan(&n) })
	return n
}

// logIn gets the tokens with which the clients call: they must outlive every kill.
func (v *victim) logIn() {
	ctx := v.t.Context()
	for _, who := range []struct {
		into              *tokens
		account, capacity string
	}{{&v.citizen, "wangxiaoya", "person"}, {&v.officer, "liming", "official"}, {&v.chief, "zhaomin", "official"}} {
		var err error
		*who.into, err = v.login(ctx, toolClient, who.account, samplePassword, who.capacity)
		v.must(err)
	}
	var list struct{ Items []struct{ ID, Holder string } }
	v.must(v.call(ctx, v.officer.Access, "POST", "/api/v1/licences/search", map[string]any{"state": "active"}, &list))
	v.company = list.Items[0].Holder
	v.must(v.call(ctx, v.officer.Access, "GET", "/api/v1/licences/"+list.Items[0].ID+"/document", nil, &v.document))
}

// load has clients at work until the server is killed under them.
func (v *victim) load(round int) {
	ctx, cancel := context.WithTimeout(v.t.Context(), time.Minute)
	defer cancel()
	var clients sync.WaitGroup
	for i, client := range []func(context.Context, string){v.certify, v.certify, v.license, v.license, v.stamp, v.enter, v.withdraw, v.regain} {
		clients.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				client(ctx, fmt.Sprintf("%d-%d-%d", round, i, n))
				sleep(ctx, time.Duration(10+mathrand.IntN(60))*time.Millisecond)
			}
		})
	}
	clients.Go(func() {
		for ctx.Err() == nil {
			if note, err := v.get(ctx, "/pki/log/checkpoint"); err == nil {
				v.seen[round] = note
			}
			sleep(ctx, 15*time.Millisecond)
		}
	})
	time.Sleep(time.Duration(150+mathrand.IntN(1200)) * time.Millisecond)
	v.kill()
	cancel()
	clients.Wait()
}

func (v *victim) note(f func()) {
	v.mu.Lock()
	defer v.mu.Unlock()
	f()
}

// certify applies for a pair of certificates and has it issued.
func (v *victim) certify(ctx context.Context, key string) {
	r := &certified{csr: v.csr(key)}
	v.note(func() { v.requests[key] = r })
	id, serials, err := v.ask(ctx, key, r.csr)
	v.note(func() { r.id, r.serials = id, serials })
	v.unexpected(err)
}

// ask applies and has issued; what is empty was not answered.
func (v *victim) ask(ctx context.Context, key, csr string) (id string, serials []string, err error) {
	var app struct{ ID string }
	in := map[string]any{"profile": "person-sign", "csr": csr}
	if err := v.call(ctx, v.citizen.Access, "POST", "/api/v1/applications", in, &app, "Idempotency-Key", key); err != nil {
		return "", nil, err
	}
	var issued struct{ Certificates []struct{ Serial string } }
	if err := v.call(ctx, v.citizen.Access, "POST", "/api/v1/applications/"+app.ID+"/issue", nil, &issued); err != nil {
		return app.ID, nil, err
	}
	for _, c := range issued.Certificates {
		serials = append(serials, c.Serial)
	}
	return app.ID, serials, nil
}

// license issues and seals a licence.
func (v *victim) license(ctx context.Context, key string) {
	v.note(func() { v.licences[key] = "" })
	id, err := v.order(ctx, key)
	v.note(func() { v.licences[key] = id })
	v.unexpected(err)
}

func (v *victim) order(ctx context.Context, key string) (string, error) {
	var l issuedLicence
	in := map[string]any{"type": sampleLicence, "holder": v.company, "seal": sampleSeal, "data": (&demo{}).sampleOrder("").Data}
	err := v.call(ctx, v.officer.Access, "POST", "/api/v1/licences", in, &l, "Idempotency-Key", key)
	return l.ID, err
}

// stamp puts the bureau's seal onto a document.
func (v *victim) stamp(ctx context.Context, key string) {
	v.unexpected(v.impress(ctx, key))
}

// impress stamps, and keeps what was answered.
func (v *victim) impress(ctx context.Context, key string) error {
	in := map[string]any{
		"document": v.document, "purpose": "kill test " + key, "pin": samplePIN, "positions": []map[string]any{{"page": 1, "x": 20, "y": 20, "width": 45, "height": 45}},
	}
	var done struct {
		Document []byte
		Use      string
	}
	err := v.call(ctx, v.chief.Access, "POST", "/api/v1/seals/"+sampleSeal+"/stamps", in, &done)
	if err == nil {
		v.note(func() { v.stamps[done.Use] = done.Document })
	}
	return err
}

// enter logs somebody in, a few times: too many from one address are slowed down.
func (v *victim) enter(ctx context.Context, _ string) {
	const most = 40
	v.note(func() { v.tries++ })
	if v.tries > most {
		return
	}
	got, err := v.login(ctx, toolClient, "sunjing", samplePassword, "official")
	if err == nil {
		v.note(func() { v.logins = append(v.logins, got) })
	}
	v.unexpected(err)
}

// unexpected lets pass what a client sees of a killed server, and being told to slow down.
func (v *victim) unexpected(err error) {
	var broken *url.Error
	switch {
	case err == nil, errors.As(err, &broken), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, context.Canceled), strings.Contains(fmt.Sprint(err), " 429 "):
	case strings.Contains(err.Error(), "connection reset"):
	default:
		v.t.Errorf("a client was told: %v", err)
	}
}

// patient repeats what is refused for being asked too often.
func (v *victim) patient(f func() error) {
	v.t.Helper()
	for range 100 {
		err := f()
		if err == nil {
			return
		}
		if !strings.Contains(err.Error(), " 429 ") {
			v.t.Fatal(err)
		}
		time.Sleep(200 * time.Millisecond)
	}
	v.t.Fatal("asked too often, for ever")
}

// check asks a server that was started again whether nothing is half-done and everything that it answered in a round holds.
func (v *victim) check(round string) {
	v.t.Helper()
	v.checkSettled()
	v.checkLogins()
	v.checkRequests(round)
	v.checkOrders(round)
	v.checkRevocations()
	v.checkRecoveries(round)
	v.checkAudit()
}

// checkAll asks the last time, about all that was ever answered.
func (v *victim) checkAll() {
	v.t.Helper()
	v.checkCertificates()
	v.checkLists()
	v.checkStamps()
	v.checkDocuments()
}

// checkSettled: nothing is half-done, by the database's own word.
func (v *victim) checkSettled() {
	v.t.Helper()
	for what, query := range map[string]string{
		"reserved certificates":                           "SELECT count(*) FROM ca_reserved",
		"intended stamps":                                 "SELECT count(*) FROM seal_use WHERE state = 'intended'",
		"drafted licences":                                "SELECT count(*) FROM licence WHERE state = 'drafted'",
		"keys in the making":                              "SELECT count(*) FROM device_key WHERE state IN ('making', 'destroying')",
		"seal keys being made":                            "SELECT count(*) FROM wrapped_key WHERE state = 'making'",
		"seals being made":                                "SELECT count(*) FROM seal WHERE state <> 'active'",
		"encryption keys handed out without escrow":       "SELECT count(*) FROM kmc_pair WHERE state = 'held' AND (length(wrapped) = 0 OR length(envelope) = 0 OR request = '')",
		"encryption certificates without a key in escrow": "SELECT count(*) FROM ca_certificate AS c WHERE c.profile LIKE '%-enc' AND NOT EXISTS (SELECT 1 FROM kmc_pair AS p WHERE p.request = c.application AND p.state = 'held')",
		"dead jobs":                                       "SELECT count(*) FROM job WHERE state = 'dead'",
	} {
		n := 0
		for range 20 { // the server may be at work itself
			if n = v.count(query); n == 0 {
				break
			}
			time.Sleep(50 * time.Millisecond)
		}
		if n > 0 {
			v.t.Errorf("%d %s after the start", n, what)
		}
	}
}

// checkLogins: whoever was logged in still is.
func (v *victim) checkLogins() {
	v.t.Helper()
	for _, who := range append(slices.Clone(v.logins), v.citizen, v.officer, v.chief) {
		v.patient(func() error { return v.call(v.t.Context(), who.Access, "GET", "/oauth2/userinfo", nil, nil) })
	}
}

// checkRequests: asking again gives what was answered, and completes what was not, once.
func (v *victim) checkRequests(round string) {
	v.t.Helper()
	for key, r := range v.requests {
		if !strings.HasPrefix(key, round) {
			continue
		}
		for range again(r.serials != nil) {
			was := *r
			v.patient(func() (err error) {
				r.id, r.serials, err = v.ask(v.t.Context(), key, r.csr)
				return err
			})
			if was.id != "" && r.id != was.id || was.serials != nil && !slices.Equal(r.serials, was.serials) {
				v.t.Fatalf("request %s: application %s with %v, before %s with %v", key, r.id, r.serials, was.id, was.serials)
			}
		}
	}
}

// again is how often a request is repeated: what was not answered is completed, and then the same.
func again(answered bool) int {
	if answered {
		return 1
	}
	return 2
}

// checkOrders does for licences what checkRequests does for certificates.
func (v *victim) checkOrders(round string) {
	v.t.Helper()
	for key, was := range v.licences {
		if !strings.HasPrefix(key, round) {
			continue
		}
		for range again(was != "") {
			var id string
			v.patient(func() (err error) {
				id, err = v.order(v.t.Context(), key)
				return err
			})
			if was != "" && id != was {
				v.t.Fatalf("order %s: licence %s, before %s", key, id, was)
			}
			was = id
		}
		v.licences[key] = was
	}
}

// checkCertificates: whatever was answered is good, by OCSP.
func (v *victim) checkCertificates() {
	v.t.Helper()
	der, err := v.get(v.t.Context(), "/pki/ca/issuing.cer")
	v.must(err)
	issuer, err := certs.Parse(der)
	v.must(err)
	for _, r := range v.requests {
		for _, serial := range r.serials {
			number, err := hex.DecodeString(serial)
			v.must(err)
			if status, err := v.status(issuer, number); err != nil || status != certs.OCSPGood {
				v.t.Errorf("certificate %s that was answered is %v, %v", serial, status, err)
			}
		}
	}
}

func (v *victim) status(issuer *certs.Certificate, serial []byte) (certs.OCSPStatus, error) {
	id, err1 := certs.NewCertID(certs.OIDSM3, issuer, serial)
	request, err2 := certs.BuildOCSPRequest([]certs.CertID{id}, nil)
	if err := errors.Join(err1, err2); err != nil {
		return 0, err
	}
	a, err := v.send(v.t.Context(), "POST", v.base+"/pki/ocsp", "application/ocsp-request", request)
	if err != nil {
		return 0, err
	}
	response, err := certs.ParseOCSPResponse(a.body)
	if err != nil {
		return 0, err
	}
	answer, err := response.Answer(issuer, serial, time.Now())
	return answer.Status, err
}

// checkStamps: every stamped document that was answered stands in the list of uses, with its digest.
func (v *victim) checkStamps() {
	v.t.Helper()
	digests := map[string]string{}
	for after := ""; ; {
		var list struct {
			Items []struct {
				ID, State string
				After     string `json:"result_sm3"`
			}
			Next string
		}
		v.patient(func() error {
			return v.call(v.t.Context(), v.chief.Access, "GET", "/api/v1/seals/"+sampleSeal+"/uses?limit=100&after="+after, nil, &list)
		})
		for _, u := range list.Items {
			if u.State != "done" && u.State != "void" {
				v.t.Errorf("use %s is %s", u.ID, u.State)
			}
			digests[u.ID] = u.State + u.After
		}
		if after = list.Next; after == "" {
			break
		}
	}
	for use, document := range v.stamps {
		if digest := gm.SM3(document); digests[use] != "done"+hex.EncodeToString(digest[:]) {
			v.t.Errorf("use %s whose document was answered is %q in the list", use, digests[use])
		}
	}
}

// checkAudit: the whole log holds and goes on from every checkpoint that anybody saw before a kill.
func (v *victim) checkAudit() {
	v.t.Helper()
	trust, _ := v.trust(nil)
	dir := v.t.TempDir()
	key := filepath.Join(dir, "log.vkey")
	v.must(os.WriteFile(key, []byte(trust.Logs[0].Key), 0o600))
	args := []string{"audit", "verify", "--log-key", key}
	for round, note := range v.seen {
		file := filepath.Join(dir, fmt.Sprint("seen-", round))
		v.must(os.WriteFile(file, note, 0o600))
		args = append(args, "--earlier", file)
	}
	var out, errs bytes.Buffer
	if code := run(v.t.Context(), append(args, v.base+"/pki/log"), &out, &errs); code != 0 || !strings.HasPrefix(out.String(), "PASSED") {
		v.t.Errorf("audit verify %v: %s%s", args, out.String(), errs.String())
	}
}

// trust fetches the trust bundle, once it knows the licences.
func (v *victim) trust(licences []string) (*bundle.Bundle, []byte) {
	v.t.Helper()
	var known *bundle.Bundle
	var data []byte
	v.must(await(v.t.Context(), func() (ok bool, err error) {
		if data, err = v.get(v.t.Context(), "/trust/bundle"); err != nil {
			return false, nil //nolint:nilerr // not published yet
		}
		known, _, err = bundle.Parse(data, bundle.Pin{})
		if err != nil {
			return false, err
		}
		return !slices.ContainsFunc(licences, func(id string) bool { _, found := known.Licence(id); return !found }), nil
	}))
	return known, data
}

// checkDocuments: every licence and every stamped document that was answered passes the check of a stranger.
func (v *victim) checkDocuments() {
	v.t.Helper()
	_, trust := v.trust(slices.Collect(maps.Values(v.licences)))
	judge := func(name string, document []byte) {
		r, err := verify(document, trust, bundle.Pin{}, check.Options{Name: name, At: time.Now(), Lang: "en"})
		if err != nil || r.Result != check.Passed {
			v.t.Errorf("%s: %s %v, %v", name, r.Result, r.Reasons, err)
		}
	}
	for _, id := range v.licences {
		var l issuedLicence
		var document []byte
		v.patient(func() error { return v.call(v.t.Context(), v.officer.Access, "GET", "/api/v1/licences/"+id, nil, &l) })
		v.patient(func() error {
			return v.call(v.t.Context(), v.officer.Access, "GET", "/api/v1/licences/"+id+"/document", nil, &document)
		})
		if l.State != "active" {
			v.t.Errorf("licence %s that was answered is %s", id, l.State)
		}
		judge("licence "+id, document)
	}
	for use, document := range v.stamps {
		judge("stamp "+use, document)
	}
}

// tell says what the kills hit, so that a reader of the test's output sees that they hit something.
func (v *victim) tell() {
	v.t.Helper()
	if len(v.requests) == 0 || len(v.licences) == 0 || len(v.seen) == 0 || len(v.recoveries) == 0 {
		v.t.Error("the kills came before anything was asked for")
	}
	v.t.Logf("%d requests, %d licences (%d void), %d stamps (%d uses void), %d log-ins, %d revocations, %d recoveries, %d serials revoked or void",
		len(v.requests), len(v.licences), v.count("SELECT count(*) FROM licence WHERE state = 'void'"),
		len(v.stamps), v.count("SELECT count(*) FROM seal_use WHERE state = 'void'"), len(v.logins), len(v.revoked), len(v.recoveries), v.count("SELECT count(*) FROM ca_revocation"))
}
