package ca_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"hufu/ca"
	"hufu/certs"
)

// ask posts a request for certificates and returns the answer with its HTTP face.
func ask(t *testing.T, a *ca.Authority, nonce []byte, ids ...certs.CertID) (*certs.OCSPResponse, *httptest.ResponseRecorder) {
	t.Helper()
	return postOCSP(t, a, must(certs.BuildOCSPRequest(ids, padded(nonce))), nonce)
}

// padded stands in for nonces that our own client never sends; postOCSP puts the true one in.
func padded(nonce []byte) []byte {
	if nonce == nil {
		return nil
	}
	return bytes.Repeat([]byte{0xa5}, 100)
}

// postOCSP sends a request in which a nonce of 100 octets A5 is replaced by the given one.
func postOCSP(t *testing.T, a *ca.Authority, der, nonce []byte) (*certs.OCSPResponse, *httptest.ResponseRecorder) {
	t.Helper()
	if nonce != nil {
		der = withNonce(t, der, nonce)
	}
	r := httptest.NewRequest(http.MethodPost, "/pki/ocsp", bytes.NewReader(der))
	r.Header.Set("Content-Type", "application/ocsp-request")
	rec := httptest.NewRecorder()
	a.Handler().ServeHTTP(rec, r)
	if rec.Code != http.StatusOK {
		t.Fatalf("%d %s", rec.Code, rec.Body)
	}
	return must(certs.ParseOCSPResponse(rec.Body.Bytes())), rec
}

// withNonce rebuilds a request of one certificate with a nonce of any length.
func withNonce(t *testing.T, der, nonce []byte) []byte {
	t.Helper()
	wrap := func(tag byte, parts ...[]byte) []byte {
		body := bytes.Join(parts, nil)
		switch {
		case len(body) < 128:
			return append([]byte{tag, byte(len(body))}, body...)
		case len(body) < 256:
			return append([]byte{tag, 0x81, byte(len(body))}, body...)
		}
		return append([]byte{tag, 0x82, byte(len(body) >> 8), byte(len(body))}, body...)
	}
	request := must(certs.ParseOCSPRequest(der))
	var list [][]byte
	for _, id := range request.IDs {
		list = append(list, wrap(0x30, id.Raw))
	}
	extension := wrap(0x30, []byte("\x06\x09\x2b\x06\x01\x05\x05\x07\x30\x01\x02"), wrap(0x04, wrap(0x04, nonce)))
	return wrap(0x30, wrap(0x30, wrap(0x30, list...), wrap(0xa2, wrap(0x30, extension))))
}

// following lets a node hear of changes now, as its loop does all the time. It counts as news for an hour, so that no load on the
// machine makes the test outlast it: then nothing is answered from memory any more, and each answer has another signature and tag.
func following(t *testing.T, a *ca.Authority) {
	t.Helper()
	if err := a.FollowOnce(t.Context(), time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
}

func namesOf(chain []*certs.Certificate) (all []certs.CertID) {
	for _, hash := range []certs.OID{certs.OIDSM3, certs.OIDSHA256, certs.OIDSHA1} {
		all = append(all, must(certs.NewCertID(hash, chain[1], chain[0].Serial)))
	}
	return all
}

func (w *world) leaf() []*certs.Certificate {
	w.t.Helper()
	_, app := w.issued()
	return w.chain(app.Certificates[0])
}

// Every form of question about one certificate has the same answer, and one about another issuer's or an unknown serial is
// never good.
func TestStatusUnderEveryName(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		following(t, w.Authority)
		chain := w.leaf()
		ids := namesOf(chain)
		for _, nonce := range [][]byte{nil, certs.NewNonce()} {
			for range 2 { // signed, then from memory
				for _, id := range ids {
					got, _ := ask(t, w.Authority, nonce, id)
					if _, err := got.Verify(chain[1], nonce, w.now); err != nil || len(got.Answers) != 1 || got.Answers[0].Status != certs.OCSPGood {
						t.Errorf("%s: %+v, %v", id.Hash, got.Answers, err)
					}
				}
			}
			got, _ := ask(t, w.Authority, nonce, ids...)
			if _, err := got.Verify(chain[1], nonce, w.now); err != nil || len(got.Answers) != 3 {
				t.Fatalf("several: %d answers, %v", len(got.Answers), err)
			}
		}
		if n, _ := w.Ready(); n != 3 {
			t.Errorf("%d answers are ready, want 3", n)
		}
		// The same serial under another issuer, by each hash: alone it is none of our business, beside one of ours it is unknown.
		for _, hash := range []certs.OID{certs.OIDSM3, certs.OIDSHA256, certs.OIDSHA1} {
			stranger := must(certs.NewCertID(hash, chain[2], chain[0].Serial))
			if got, _ := ask(t, w.Authority, nil, stranger); got.Status != certs.OCSPUnauthorized {
				t.Errorf("%s: another issuer's certificate: status %d", hash, got.Status)
			}
			if got, _ := ask(t, w.Authority, nil, stranger, ids[0]); got.Answers[0].Status != certs.OCSPUnknown || got.Answers[1].Status != certs.OCSPGood {
				t.Errorf("%s: beside ours: %+v", hash, got.Answers)
			}
			mixed := must(certs.NewCertID(hash, chain[1], chain[0].Serial))
			mixed.KeyHash = stranger.KeyHash
			if got, _ := ask(t, w.Authority, nil, mixed); got.Status != certs.OCSPUnauthorized {
				t.Errorf("%s: our name, another key: %d", hash, got.Status)
			}
		}
		// Unknown and reserved serials; strangers' questions leave nothing in memory.
		app := w.approved(must2(newCSR(t)))
		reserved := w.reserved(app)
		before, size := w.Ready()
		for i := range 40 {
			serial := append([]byte{1, byte(i)}, reserved[2:]...)
			if i == 0 {
				serial = reserved
			}
			got, rec := ask(t, w.Authority, nil, must(certs.NewCertID(certs.OIDSM3, chain[1], serial)))
			if got.Answers[0].Status != certs.OCSPUnknown || rec.Header().Get("Cache-Control") != "no-store" {
				t.Errorf("serial %x: %v", serial, got.Answers[0].Status)
			}
		}
		if n, octets := w.Ready(); n != before || octets != size {
			t.Errorf("unknown serials are in memory: %d answers after %d", n, before)
		}
	})
}

func must2[A, B any](_ A, b B) B { return b }

// RFC 9654: 1 to 128 octets are answered, none and more are malformed; short ones as set.
func TestNoncesOfEveryLength(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		chain := w.leaf()
		id := namesOf(chain)[0]
		for _, setting := range []string{ca.ShortNonceAnswer, ca.ShortNonceIgnore, ca.ShortNonceRefuse} {
			a := w.node(func(c *ca.Config) { c.OCSP.ShortNonce = setting })
			following(t, a)
			for _, n := range []int{0, 1, 15, 16, 31, 32, 33, 128, 129} {
				nonce := bytes.Repeat([]byte{7}, n)
				got, rec := ask(t, a, nonce, id)
				want, echo := certs.OCSPSuccessful, nonce
				switch {
				case n == 0 || n > 128 || n < 16 && setting == ca.ShortNonceRefuse:
					want = certs.OCSPMalformedRequest
				case n < 16 && setting == ca.ShortNonceIgnore:
					echo = nil
				}
				if got.Status != want || want == certs.OCSPSuccessful && !bytes.Equal(got.Nonce, echo) {
					t.Errorf("%s, %d octets: status %d, nonce %x", setting, n, got.Status, got.Nonce)
				}
				if rec.Header().Get("Cache-Control") != "no-store" {
					t.Errorf("%d octets may be kept: %v", n, rec.Header())
				}
			}
		}
	})
}

// A request in the path: plain, escaped, with a double slash; and what a cache is told.
func TestStatusByGET(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		following(t, w.Authority)
		chain := w.leaf()
		var text string
		for i := 0; !strings.Contains(text, "//") && i < 100_000; i++ { // a serial whose request has "//" in base64
			serial := append(bytes.Clone(chain[0].Serial[:13]), byte(i>>16), byte(i>>8), byte(i))
			text = base64.StdEncoding.EncodeToString(must(certs.BuildOCSPRequest([]certs.CertID{must(certs.NewCertID(certs.OIDSHA1, chain[1], serial))}, nil)))
		}
		get := func(path string, header ...string) *httptest.ResponseRecorder {
			r := httptest.NewRequest(http.MethodGet, path, nil)
			if len(header) == 2 {
				r.Header.Set(header[0], header[1])
			}
			rec := httptest.NewRecorder()
			w.Handler().ServeHTTP(rec, r)
			return rec
		}
		for name, path := range map[string]string{"with //": text, "escaped": url.PathEscape(text), "all escaped": strings.ReplaceAll(url.QueryEscape(text), "+", "%2B")} {
			rec := get("/pki/ocsp/" + path)
			if got, err := certs.ParseOCSPResponse(rec.Body.Bytes()); err != nil || got.Status != certs.OCSPSuccessful || got.Answers[0].Status != certs.OCSPUnknown {
				t.Errorf("%s: %d, %v", name, rec.Code, err)
			}
		}
		own := "/pki/ocsp/" + base64.StdEncoding.EncodeToString(must(certs.BuildOCSPRequest(namesOf(chain)[:1], nil)))
		rec := get(own)
		for header, want := range map[string]string{
			"Content-Type": "application/ocsp-response", "Cache-Control": "public, no-transform, must-revalidate, max-age=60",
			"Last-Modified": w.now.Format(http.TimeFormat), "Expires": w.now.Add(time.Minute).Format(http.TimeFormat),
		} {
			if got := rec.Header().Get(header); got != want {
				t.Errorf("%s: %q, want %q", header, got, want)
			}
		}
		if same := get(own, "If-None-Match", "W/"+rec.Header().Get("ETag")); same.Code != http.StatusNotModified || same.Body.Len() > 0 {
			t.Errorf("the same again: %d", same.Code)
		}
		w.must(w.Revoke(t.Context(), w.citizen, chain[0].Serial, certs.ReasonSuperseded, time.Time{}))
		if next := get(own, "If-None-Match", rec.Header().Get("ETag")); next.Code != http.StatusOK {
			t.Errorf("after the revocation: %d", next.Code)
		}
		for path, want := range map[string]int{"/pki/ocsp/!": 200, "/pki/ocsp/" + strings.Repeat("A", 5000): 414, "/pki/ocsp/": 404, "/pki/ocsp": 404, "/pki/ocsp/%zz": 200} {
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.URL = &url.URL{Path: path}
			rec := httptest.NewRecorder()
			w.Handler().ServeHTTP(rec, r)
			if rec.Code != want || want == 200 && !bytes.Equal(rec.Body.Bytes(), certs.OCSPFailure(certs.OCSPMalformedRequest)) {
				t.Errorf("%.20s: %d", path, rec.Code)
			}
		}
		r := httptest.NewRequest(http.MethodPut, "/pki/ocsp", nil)
		put := httptest.NewRecorder()
		if w.Handler().ServeHTTP(put, r); put.Code != http.StatusMethodNotAllowed {
			t.Errorf("PUT: %d", put.Code)
		}
	})
}

// No answer is from the future or ended, however the clock steps.
func TestStatusWhenTheClockSteps(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		chain := w.leaf()
		id := namesOf(chain)[0]
		for _, step := range []time.Duration{0, time.Minute, -30 * time.Minute, 50 * time.Minute, 100 * time.Hour, -99 * time.Hour, time.Second} {
			w.now = w.now.Add(step)
			following(t, w.Authority)
			for range 2 {
				got, _ := ask(t, w.Authority, nil, id)
				if a := got.Answers[0]; a.ThisUpdate.After(w.now) || !a.NextUpdate.After(w.now.Add(time.Minute)) || got.ProducedAt.After(w.now) {
					t.Errorf("at %s: from %s to %s", w.now, a.ThisUpdate, a.NextUpdate)
				}
			}
		}
	})
}

// A revocation shows at once on its node and on another as soon as that one looks, which it does three times a second; a
// node that cannot look serves nothing from memory.
func TestARevocationShowsOnEveryNode(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		other := w.node(nil)
		chain := w.leaf()
		id := namesOf(chain)[0]
		following(t, w.Authority)
		following(t, other)
		on := func(a *ca.Authority, want certs.OCSPStatus, when string) certs.OCSPAnswer {
			t.Helper()
			got, _ := ask(t, a, nil, id)
			if got.Answers[0].Status != want {
				t.Errorf("%s: %s, want %s", when, got.Answers[0].Status, want)
			}
			return got.Answers[0]
		}
		on(w.Authority, certs.OCSPGood, "before")
		on(other, certs.OCSPGood, "before, on the other")
		w.must(w.Suspend(t.Context(), w.citizen, chain[0].Serial, time.Time{}))
		if a := on(w.Authority, certs.OCSPRevoked, "on its node, at once"); a.Reason != certs.ReasonCertificateHold {
			t.Errorf("held for %s", a.Reason)
		}
		on(other, certs.OCSPGood, "on the other, from memory") // the look has not come yet
		following(t, other)
		on(other, certs.OCSPRevoked, "on the other, after its look")
		w.must(w.Resume(t.Context(), officer, chain[0].Serial))
		following(t, other)
		on(other, certs.OCSPGood, "after the hold")
		// The follower of the other fails or hangs: two seconds later memory does not count.
		if err := other.FollowOnce(t.Context(), time.Now().Add(-3*time.Second)); err != nil {
			t.Fatal(err)
		}
		w.must(w.Revoke(t.Context(), officer, chain[0].Serial, certs.ReasonKeyCompromise, time.Time{}))
		on(other, certs.OCSPRevoked, "on a node that hears nothing")
		if _, behind := other.StatusBehind(); !behind {
			t.Error("nobody is told that it hears nothing")
		}
		if n, _ := other.Ready(); n != 1 {
			t.Errorf("%d answers: a node that hears nothing keeps what it signs", n)
		}
		following(t, other)
		on(other, certs.OCSPRevoked, "when it hears again")
	})
}

// The loop itself, with two nodes on one database: within a second.
func TestTheOtherNodeHearsWithinASecond(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		now := w.now
		other := w.node(func(c *ca.Config) { c.Now = func() time.Time { return now } })
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); other.FollowStatus(ctx, func(err error) { t.Log(err) }) }()
		defer func() { stop(); <-done }()
		chain := w.leaf()
		id := namesOf(chain)[0]
		for begun := time.Now(); time.Since(begun) < 5*time.Second; time.Sleep(10 * time.Millisecond) {
			if ask(t, other, nil, id); must1(other.Ready()) == 1 {
				break
			}
		}
		w.must(w.Revoke(t.Context(), w.citizen, chain[0].Serial, certs.ReasonSuperseded, time.Time{}))
		committed := time.Now()
		for time.Since(committed) < 5*time.Second {
			if got, _ := ask(t, other, nil, id); got.Answers[0].Status == certs.OCSPRevoked {
				break
			}
			time.Sleep(5 * time.Millisecond)
		}
		if took := time.Since(committed); took > time.Second {
			t.Errorf("it took %s", took)
		}
		// What was revoked gets ready under every name without being asked for.
		for begun := time.Now(); must1(other.Ready()) < 3 && time.Since(begun) < 5*time.Second; time.Sleep(10 * time.Millisecond) {
		}
		if n, _ := other.Ready(); n != 3 {
			t.Errorf("%d answers are ready, want one a hash", n)
		}
	})
}

func must1[A, B any](a A, _ B) A { return a }

// Ready answers are bounded in octets; those that are asked for are signed anew before they end, the others forgotten.
func TestReadyAnswersAreBoundedAndRenewed(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		const limit = 7000
		w.Authority = w.node(func(c *ca.Config) { c.OCSP.Memory = limit })
		following(t, w.Authority)
		var chains [][]*certs.Certificate
		for range 3 {
			chains = append(chains, w.leaf())
		}
		for _, chain := range chains {
			for _, id := range namesOf(chain) {
				ask(t, w.Authority, nil, id)
			}
		}
		if n, size := w.Ready(); n == 0 || n == 9 || size > limit {
			t.Errorf("%d answers in %d octets", n, size)
		}
		id := namesOf(chains[2])[2]
		first, _ := ask(t, w.Authority, nil, id)
		w.now = w.now.Add(31 * time.Minute)
		following(t, w.Authority)
		w.RenewOnce(t.Context())
		if n, _ := w.Ready(); n != 1 {
			t.Errorf("%d answers are left, want the one that was asked for", n)
		}
		signed := len(w.keys.signed)
		second, _ := ask(t, w.Authority, nil, id)
		if len(w.keys.signed) != signed || !second.Answers[0].ThisUpdate.After(first.Answers[0].ThisUpdate) {
			t.Error("it was not signed anew before somebody asked")
		}
	})
}

// Whoever asks with nonces gets a share of the signatures, not all of them.
func TestLiveAnswersAreBounded(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.Authority = w.node(func(c *ca.Config) { c.OCSP.Live = 1 })
		following(t, w.Authority)
		chain := w.leaf()
		id := namesOf(chain)[0]
		ask(t, w.Authority, nil, id)
		giveBack, err := w.HoldLive(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := ask(t, w.Authority, nil, id); got.Status != certs.OCSPSuccessful {
			t.Errorf("a ready answer waits: %d", got.Status)
		}
		got, rec := ask(t, w.Authority, certs.NewNonce(), id)
		if got.Status != certs.OCSPTryLater || rec.Header().Get("Retry-After") == "" {
			t.Errorf("while another signs: %d", got.Status)
		}
		w.leaf() // issuing goes on
		giveBack()
		if got, _ := ask(t, w.Authority, certs.NewNonce(), id); got.Status != certs.OCSPSuccessful {
			t.Errorf("afterwards: %d", got.Status)
		}
	})
}

func TestRequestsAreBounded(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		chain := w.leaf()
		id := namesOf(chain)[0]
		many := make([]certs.CertID, 100)
		for i := range many {
			many[i] = id
		}
		if got, _ := ask(t, w.Authority, nil, many...); got.Status != certs.OCSPSuccessful || len(got.Answers) != 100 {
			t.Errorf("100: %d", got.Status)
		}
		if _, err := certs.BuildOCSPRequest(append(many, id), nil); !errors.Is(err, certs.ErrTooLarge) {
			t.Errorf("101: %v", err)
		}
		r := httptest.NewRequest(http.MethodPost, "/pki/ocsp", bytes.NewReader(make([]byte, certs.MaxOCSPRequestSize+1)))
		r.Header.Set("Content-Type", "application/ocsp-request")
		rec := httptest.NewRecorder()
		if w.Handler().ServeHTTP(rec, r); rec.Code != http.StatusRequestEntityTooLarge {
			t.Errorf("large: %d", rec.Code)
		}
	})
}

// A database that is away stops answers from memory only when changes could not be heard of for two seconds, and never
// makes a "good".
func TestStatusWithoutDatabase(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		chain := w.leaf()
		id := namesOf(chain)[0]
		following(t, w.Authority)
		ask(t, w.Authority, nil, id)
		w.db.Close()
		if got, _ := ask(t, w.Authority, nil, id); got.Status != certs.OCSPSuccessful {
			t.Errorf("at once: %d", got.Status)
		}
		if err := w.FollowOnce(t.Context(), time.Now()); err == nil {
			t.Error("it hears without a database")
		}
		if got, _ := ask(t, w.Authority, nil, namesOf(chain)[1]); got.Status != certs.OCSPTryLater {
			t.Errorf("not in memory: %d", got.Status)
		}
	})
}
