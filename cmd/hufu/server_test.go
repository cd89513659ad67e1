package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hufu/certs"
	"hufu/store/storetest"
)

// running is a server of the sample province on a port of its own, in this process.
type running struct {
	*walker
	s   *server
	log bytes.Buffer // read only after stop
}

// startSample opens and runs a server until the test ends.
func startSample(t *testing.T) *running {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	cfg := Config{Data: t.TempDir(), Listen: l.Addr().String()}
	cfg.fill()
	storetest.Place(t, filepath.Join(cfg.Data, "hufu.db"))
	r := &running{}
	if r.s, err = open(t.Context(), cfg, openOptions{create: true, migrate: true, demo: true, log: newLog(&r.log, slog.LevelInfo)}); err != nil {
		t.Fatal(err)
	}
	if r.walker, err = newWalker(cfg.URL); err != nil {
		t.Fatal(err)
	}
	r.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- r.s.Run(ctx, l) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if err := r.s.Close(); err != nil {
			t.Error(err)
		}
		if strings.Contains(r.log.String(), "goroutine ") {
			t.Errorf("a panic in the log:\n%s", r.log.String())
		}
	})
	return r
}

// A whole server, attacked from outside. The last attack takes its device away.
func TestServerUnderAttack(t *testing.T) {
	t.Parallel()
	r := startSample(t)
	tool, err := r.login(t.Context(), toolClient, "wangxiaoya", samplePassword, "person")
	if err != nil {
		t.Fatal(err)
	}
	if err := awaitAnswer(t.Context(), r.base, "/trust/bundle"); err != nil {
		t.Fatal(err)
	}
	t.Run("unknown redirect URI", r.testRedirects)
	t.Run("bodies", func(t *testing.T) { r.testBodies(t, tool.Access) })
	t.Run("OpenSSL's requests", func(t *testing.T) { r.testForeignRequests(t, tool.Access) })
	t.Run("cut-off bodies", r.testCutOff)
	t.Run("long headers", r.testLongHeaders)
	t.Run("slow headers", r.testSlowHeaders)
	t.Run("after it all", func(t *testing.T) {
		if _, err := r.get(t.Context(), "/readyz"); err != nil {
			t.Error(err)
		}
		if _, err := r.login(t.Context(), toolClient, "liming", samplePassword, "official"); err != nil {
			t.Error(err)
		}
	})
	t.Run("device gone", r.testDeviceGone)
}

// An application that is not registered under that address gets nobody sent there, not even with an error.
func (r *running) testRedirects(t *testing.T) {
	challenge := sha256.Sum256([]byte("verifier"))
	for name, change := range map[string]url.Values{
		"another host":          {"redirect_uri": {"https://attacker.example/callback"}},
		"another port":          {"redirect_uri": {"http://127.0.0.1:9/callback/more"}},
		"with a query":          {"redirect_uri": {"http://127.0.0.1:9/callback?x=1"}},
		"a script":              {"redirect_uri": {"javascript:alert(1)"}},
		"two of them":           {"redirect_uri": {"http://127.0.0.1:9/callback", "https://attacker.example/"}},
		"none":                  {"redirect_uri": {}},
		"unknown client":        {"client_id": {"nobody"}, "redirect_uri": {"https://attacker.example/callback"}},
		"right host as a login": {"redirect_uri": {"http://127.0.0.1:9@attacker.example/callback"}},
	} {
		q := url.Values{
			"response_type": {"code"}, "client_id": {toolClient}, "redirect_uri": {"http://127.0.0.1:9/callback"}, "scope": {"openid"}, "state": {"s"},
			"code_challenge": {base64.RawURLEncoding.EncodeToString(challenge[:])}, "code_challenge_method": {"S256"},
		}
		for k, v := range change {
			q[k] = v
		}
		a, err := r.send(t.Context(), "GET", r.base+"/oauth2/authorize?"+q.Encode(), "", nil)
		if err != nil {
			t.Fatal(err)
		}
		page := strings.ToLower(string(a.body))
		if a.status != http.StatusBadRequest || a.next != "" || !strings.Contains(page, "<html") {
			t.Errorf("%s: status %d, Location %q, %s", name, a.status, a.next, firstLine(a.body))
		}
		for _, bait := range []string{`href="https://attacker`, `action="https://attacker`, "http-equiv=\"refresh", `href="javascript`, "<script>alert"} {
			if strings.Contains(page, bait) {
				t.Errorf("%s: the page has %s", name, bait)
			}
		}
	}
}

// Garbage, nothing and too much at every kind of door: an answer of the door's own kind, never a failure of ours.
func (r *running) testBodies(t *testing.T, token string) {
	large := bytes.Repeat([]byte("A"), 3<<20)
	garbage := []byte("\x30\x84\xff\xff\xff\xff\x00garbage")
	form := "application/x-www-form-urlencoded"
	for _, door := range []struct {
		path, contentType string
		accepts           map[string]int // body → status
	}{
		{"/pki/ocsp", "application/ocsp-request", map[string]int{"": 200, string(garbage): 200, string(large): 413}},
		{"/pki/ocsp", "text/plain", map[string]int{"x": 415}},
		{"/pki/tsa", "application/timestamp-query", map[string]int{"": 200, string(garbage): 200, string(large): 413}},
		{"/api/v1/applications", "application/json", map[string]int{"": 400, "{": 400, "[]": 422, string(garbage): 400, `{"csr":"` + string(large) + `"}`: 413, strings.Repeat("[", 100000): 400}},
		{"/api/v1/applications", "text/plain", map[string]int{"x": 415}},
		{"/api/v1/verifications", "application/octet-stream", map[string]int{"": 400, string(garbage): 422, string(bytes.Repeat([]byte("PK\x03\x04"), 9<<20)): 413}},
		{"/oauth2/token", form, map[string]int{"": 400, "grant_type=authorization_code&code=x": 401, "grant_type=nonsense": 400, "a=" + string(large): 413, "%zz": 400}},
		{"/oauth2/introspect", form, map[string]int{"token=x": 401}},
		{"/oauth2/revoke", form, map[string]int{"token=x": 401}},
		{"/login", form, map[string]int{"a=" + string(large): 413}},
		{"/pki/log/cosignature?size=1", "text/plain", map[string]int{string(large): 400}},
		{"/pki/log/cosignature?size=-1", "text/plain", map[string]int{"garbage": 400}},
	} {
		for body, want := range door.accepts {
			header := []string{"Sec-Fetch-Site", "same-origin"}
			if strings.HasPrefix(door.path, "/api/") {
				header = append(header, "Authorization", "Bearer "+token)
			}
			a, err := r.send(t.Context(), "POST", r.base+door.path, door.contentType, []byte(body), header...)
			short := fmt.Sprintf("%s %.20q (%d octets)", door.path, body, len(body))
			switch {
			case err != nil:
				t.Errorf("%s: %v", short, err)
			case a.status != want:
				t.Errorf("%s: %d, want %d: %s", short, a.status, want, firstLine(a.body))
			case bytes.Contains(a.body, []byte("goroutine ")) || bytes.Contains(a.body, []byte(".go:")):
				t.Errorf("%s: a stack trace: %s", short, a.body)
			case strings.HasPrefix(door.path, "/api/") && !strings.HasPrefix(problemType(a.body), "urn:hufu:problem:"):
				t.Errorf("%s: no problem: %s", short, a.body)
			}
		}
	}
	a, err := r.send(t.Context(), "POST", r.base+"/pki/ocsp", "application/ocsp-request", garbage)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(a.body, certs.OCSPFailure(certs.OCSPMalformedRequest)) {
		t.Errorf("OCSP says %x to garbage", a.body)
	}
}

// Requests made by openssl: the right one is certified, each wrong one is told what is wrong with it.
func (r *running) testForeignRequests(t *testing.T, token string) {
	if _, err := exec.LookPath("openssl"); err != nil && os.Getenv("CI") == "" {
		t.Skip("openssl is not installed")
	}
	request := func(curve, digest string, options ...string) string {
		key := filepath.Join(t.TempDir(), "key.pem")
		for _, args := range [][]string{
			{"genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:" + curve, "-out", key},
			append([]string{"req", "-new", "-key", key, "-subj", "/CN=foreign", digest, "-out", key + ".csr"}, options...),
		} {
			if out, err := exec.CommandContext(t.Context(), "openssl", args...).CombinedOutput(); err != nil {
				t.Fatalf("openssl %v: %s", args, out)
			}
		}
		pem, err := os.ReadFile(key + ".csr")
		if err != nil {
			t.Fatal(err)
		}
		return string(pem)
	}
	good := request("SM2", "-sm3", "-sigopt", "distid:1234567812345678")
	for name, c := range map[string]struct {
		csr    string
		status int
		code   string
	}{
		"right":                 {good, 201, ""},
		"another identifier":    {request("SM2", "-sm3", "-sigopt", "distid:8765432187654321"), 422, "ca.request"},
		"another curve":         {request("P-256", "-sha256"), 422, "ca.key-kind"},
		"a curve that is none":  {request("secp256k1", "-sha256"), 422, "ca.request"},
		"cut off":               {good[:len(good)/2], 422, "ca.request"},
		"a certificate instead": {strings.ReplaceAll(good, "CERTIFICATE REQUEST", "CERTIFICATE"), 422, "ca.request"},
	} {
		body, err := json.Marshal(map[string]string{"profile": "person-sign", "csr": c.csr})
		if err != nil {
			t.Fatal(err)
		}
		a, err := r.send(t.Context(), "POST", r.base+"/api/v1/applications", "application/json", body, "Authorization", "Bearer "+token)
		if err != nil || a.status != c.status || !strings.Contains(string(a.body), `"code":"`+c.code) && c.code != "" {
			t.Errorf("%s: %d %s, %v, want %d %s", name, a.status, a.body, err, c.status, c.code)
		}
	}
}

func problemType(body []byte) string {
	var p struct{ Type string }
	if json.Unmarshal(body, &p) != nil {
		return ""
	}
	return p.Type
}

// A body that ends before its announced length is refused, and nothing hangs on it.
func (r *running) testCutOff(t *testing.T) {
	for _, path := range []string{"/pki/ocsp", "/pki/tsa", "/api/v1/verifications", "/oauth2/token", "/login"} {
		kind := map[string]string{
			"/pki/ocsp": "application/ocsp-request", "/pki/tsa": "application/timestamp-query", "/api/v1/verifications": "application/octet-stream",
		}[path]
		if kind == "" {
			kind = "application/x-www-form-urlencoded"
		}
		c, err := net.Dial("tcp", r.s.cfg.Listen)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: %s\r\nContent-Length: 1000\r\n\r\nhalf", path, r.s.cfg.Listen, kind)
		if err := c.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		c.SetReadDeadline(time.Now().Add(20 * time.Second))
		answer, err := io.ReadAll(c)
		c.Close()
		if status, _, _ := strings.Cut(string(answer), "\r\n"); err != nil || len(answer) > 0 && !strings.HasPrefix(status, "HTTP/1.1 4") {
			t.Errorf("%s: %q, %v", path, status, err)
		}
	}
}

func (r *running) testLongHeaders(t *testing.T) {
	a, err := r.send(t.Context(), "GET", r.base+"/healthz", "", nil, "X-Long", strings.Repeat("x", 200<<10))
	if err != nil || a.status != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("%d, %v", a.status, err)
	}
}

// Many who never finish their headers are cut off in time, and everybody else is served meanwhile.
func (r *running) testSlowHeaders(t *testing.T) {
	began := time.Now()
	var slow []net.Conn
	for range 100 {
		c, err := net.Dial("tcp", r.s.cfg.Listen)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ")
		slow = append(slow, c)
	}
	go func() { // one of them sends a letter now and then, as slowloris does
		for {
			if _, err := slow[0].Write([]byte("x")); err != nil {
				return
			}
			time.Sleep(500 * time.Millisecond)
		}
	}()
	if _, err := r.get(t.Context(), "/readyz"); err != nil {
		t.Errorf("while slow ones wait: %v", err)
	}
	for i, c := range slow {
		c.SetReadDeadline(began.Add(30 * time.Second))
		if answer, err := io.ReadAll(c); err != nil && !strings.Contains(err.Error(), "reset") {
			t.Fatalf("connection %d is still there after %s: %q, %v", i, time.Since(began), answer, err)
		}
	}
}

// Without its device the server says that it is not ready, in what and to whom it may concern; what needs no key goes on.
func (r *running) testDeviceGone(t *testing.T) {
	if err := r.s.device.Close(); err != nil {
		t.Fatal(err)
	}
	a, err := r.send(t.Context(), "GET", r.base+"/readyz", "", nil)
	if err != nil || a.status != http.StatusServiceUnavailable || !strings.Contains(string(a.body), `"device":"failed"`) || !strings.Contains(string(a.body), `"database":"ok"`) {
		t.Errorf("/readyz: %d %s, %v", a.status, a.body, err)
	}
	if a, err := r.send(t.Context(), "GET", r.base+"/healthz", "", nil); err != nil || a.status != http.StatusOK {
		t.Errorf("/healthz: %d, %v", a.status, err)
	}
	if a, err := r.send(t.Context(), "GET", r.base+"/pki/ca/root.cer", "", nil); err != nil || a.status != http.StatusOK {
		t.Errorf("/pki/ca/root.cer: %d, %v", a.status, err)
	}
	if a, err := r.send(t.Context(), "GET", r.base+"/", "", nil); err != nil || a.status >= 500 {
		t.Errorf("/: %d, %v", a.status, err)
	}
}

// The second server on an address, and a context that ends while a server opens.
func TestStopWhileOpening(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var out, errs bytes.Buffer
	if code := run(ctx, []string{"serve", "--demo", "--listen", "127.0.0.1:0", "--data", t.TempDir()}, &out, &errs); code != 0 || !strings.Contains(out.String(), "Stopped.") || errs.Len() > 0 {
		t.Errorf("exit code %d, said %q and %q", code, out.String(), errs.String())
	}
}

// A visitor who changes the sample seal's PIN, and so ends what stood, does not keep the demonstration from starting again.
func TestTheDemonstrationStartsWithAnotherPIN(t *testing.T) {
	t.Parallel()
	r := startSample(t)
	official, err := r.login(t.Context(), toolClient, "liming", samplePassword, "official")
	if err != nil {
		t.Fatal(err)
	}
	pin := map[string]any{"old": samplePIN, "new": "tiger-tally-21"}
	if err := r.call(t.Context(), official.Access, "PUT", "/api/v1/seals/"+sampleSeal+"/pin", pin, nil); err != nil {
		t.Fatal(err)
	}
	if needs, err := newStory(r.s.demo).needsPIN(t.Context()); err != nil || !needs {
		t.Errorf("the story asks for the PIN: %v, %v", needs, err)
	}
	for _, step := range []func(context.Context) error{r.s.demo.makeSeal, r.s.demo.activateSeal, r.s.demo.issueLicence} {
		if err := step(t.Context()); err != nil {
			t.Errorf("the next start: %v", err)
		}
	}
}
