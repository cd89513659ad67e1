package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"hufu/certs"
	"hufu/hsm/hsmtest"
	"hufu/internal/gm"
)

// disturbance is what happens to the device under load. The fault goes into the token's fault file and out again.
type disturbance struct {
	name    string
	fault   string
	refuses bool // the server must say that it is not ready meanwhile
	doubt   bool // and goes on to say so for a while, though it works
}

var disturbances = []disturbance{
	{name: "token pulled", fault: "removed", refuses: true},
	{name: "sessions killed", fault: "no-session 3"},
	{name: "logged out", fault: "logged-out 4"},
	{name: "slow", fault: "slow 120"},
	{name: "device errors", fault: "device-error 7"},
	{name: "restarted", fault: "restarted 1"},
	{name: "moved handles", fault: "moved-handles 1"},
	{name: "hangs", fault: "hang", refuses: true},
	{name: "wrong signatures", fault: "wrong-signature 2", doubt: true},
}

// TestServerOnHardware runs the program with all its keys in a token, disturbs the token in every way that it knows while
// clients have certificates and licences issued and documents stamped, and asks: did a wrong signature leave, did a request
// outlive its deadline, does the service return by itself, was a PIN try burnt?
func TestServerOnHardware(t *testing.T) {
	t.Parallel()
	token := hsmtest.Token(t, "neutral")
	h := startOnToken(t, token)
	before := h.tries()
	rounds := disturbances
	if testing.Short() {
		rounds = rounds[:2]
	}
	for i, d := range rounds {
		h.disturb(i, d)
	}
	if after := h.tries(); after != before {
		t.Errorf("PIN tries: %s, before %s", after, before)
	}
	h.kill()
	h.restart(true)
	for i := range rounds {
		h.check(fmt.Sprint(i, "-"))
	}
	h.checkAll()
	h.checkIssued()
	if len(h.licences) == 0 || len(h.stamps) == 0 || len(h.certificates) == 0 {
		t.Errorf("%d licences, %d stamps, %d certificates: the load did nothing", len(h.licences), len(h.stamps), len(h.certificates))
	}
	h.told("the token is lost", "device does not work", "device works again", "CKR_SESSION_HANDLE_INVALID")
	if !testing.Short() {
		h.told("the device made a wrong signature, which was withheld", "CKR_DEVICE_ERROR")
	}
	t.Logf("%d licences, %d stamps, %d certificates, %d refusals, the slowest answer after %s", len(h.licences), len(h.stamps), len(h.certificates), h.refusals, h.slowest)
}

// onHardware is a server whose keys are in a soft token, and what its clients got.
type onHardware struct {
	*victim
	token        hsmtest.SoftToken
	certificates []string // serial numbers that were answered
	slowest      time.Duration
	refusals     int
}

// startOnToken starts the demonstration with the token as its only device.
func startOnToken(t *testing.T, token hsmtest.SoftToken) *onHardware {
	t.Helper()
	h := &onHardware{victim: newVictim(t, "sqlite:"+filepath.Join(t.TempDir(), "hufu.db")), token: token}
	h.configure("")
	h.start()
	h.must(awaitAnswer(t.Context(), h.base, "/readyz"))
	h.logIn()
	return h
}

// told wants the server's log to show that the disturbances hit something.
func (h *onHardware) told(words ...string) {
	h.t.Helper()
	log, err := os.ReadFile(h.errors.Name())
	h.must(err)
	for _, w := range words {
		if !strings.Contains(string(log), w) {
			h.t.Errorf("the log never says %q", w)
		}
	}
}

// configure writes the configuration, with more lines for the device.
func (h *onHardware) configure(more string) {
	h.must(os.WriteFile(h.config, fmt.Appendf(nil, "database: %q\nhsm:\n  - driver: pkcs11\n    module: %q\n    tokens: [%q]\n    pin_file: %q\n%s",
		h.dsn, h.token.Module, h.token.Label, h.token.PINFile, more), 0o600))
}

// tries reads from the token how many wrong PINs it has counted.
func (h *onHardware) tries() string {
	h.t.Helper()
	out, err := exec.Command(h.token.Console, h.token.Store, "list").CombinedOutput()
	h.must(err)
	found := regexp.MustCompile(`wrong PINs [0-9]+, of the security officer [0-9]+`).FindString(string(out))
	if found == "" {
		h.t.Fatalf("the console does not tell the PIN tries: %s", out)
	}
	return found
}

// disturb has clients at work before, during and after a disturbance.
func (h *onHardware) disturb(round int, d disturbance) {
	h.t.Helper()
	ctx, cancel := context.WithCancel(h.t.Context())
	defer cancel()
	var clients sync.WaitGroup
	for i, client := range []func(context.Context, string) error{h.certifyNow, h.licenseNow, h.impress} {
		clients.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				h.timed(d.name, client, fmt.Sprintf("%d-%d-%d", round, i, n))
				sleep(ctx, 40*time.Millisecond)
			}
		})
	}
	time.Sleep(300 * time.Millisecond)
	h.token.Disturb(h.t, d.fault)
	h.await(d, round)
	time.Sleep(700 * time.Millisecond)
	h.token.Disturb(h.t)
	began := time.Now()
	if !d.doubt {
		h.must(awaitAnswer(h.t.Context(), h.base, "/readyz"))
	}
	cancel()
	clients.Wait()
	for i, client := range []func(context.Context, string) error{h.certifyNow, h.licenseNow, h.impress} {
		h.returns(began, func() error { return client(h.t.Context(), fmt.Sprintf("%d-after-%d", round, i)) })
	}
	h.t.Logf("%s: served again %s after it ended", d.name, time.Since(began).Round(time.Millisecond))
}

// await waits until the server knows what happened, where it must.
func (h *onHardware) await(d disturbance, round int) {
	h.t.Helper()
	if !d.refuses {
		return
	}
	for range 400 {
		a, err := h.send(h.t.Context(), "GET", h.base+"/readyz", "", nil)
		h.must(err)
		if a.status != http.StatusServiceUnavailable {
			time.Sleep(25 * time.Millisecond)
			continue
		}
		var r readiness
		if err := json.Unmarshal(a.body, &r); err != nil || r.Device != "failed" || r.Database != "ok" || len(r.Devices) != 1 || r.Devices[0].State != "failed" || r.Devices[0].Since.IsZero() {
			h.t.Errorf("%s: /readyz says %s", d.name, a.body)
		}
		return
	}
	h.t.Errorf("%s: the server never said that it is not ready (round %d)", d.name, round)
}

// returns wants an act to succeed within the time that a driver may take to come back.
func (h *onHardware) returns(began time.Time, f func() error) {
	h.t.Helper()
	for {
		err := f()
		if err == nil {
			return
		}
		if time.Since(began) > 40*time.Second {
			h.t.Fatalf("the service does not return by itself: %v", err)
		}
		time.Sleep(200 * time.Millisecond)
	}
}

// checkIssued: each certificate that was answered carries the authority's signature.
func (h *onHardware) checkIssued() {
	h.t.Helper()
	der, err := h.get(h.t.Context(), "/pki/ca/issuing.cer")
	h.must(err)
	issuer, err := certs.Parse(der)
	h.must(err)
	for _, serial := range h.certificates {
		var a answer
		h.patient(func() (err error) {
			a, err = h.send(h.t.Context(), "GET", h.base+"/api/v1/certificates/"+serial, "", nil, "Authorization", "Bearer "+h.citizen.Access, "Accept", "application/pkix-cert")
			if err == nil && a.status != http.StatusOK {
				err = fmt.Errorf("certificate %s: %d %s", serial, a.status, firstLine(a.body))
			}
			return err
		})
		cert, err := certs.Parse(a.body)
		h.must(err)
		if err := cert.CheckSignature(issuer); err != nil {
			h.t.Errorf("certificate %s left with a wrong signature: %v", serial, err)
		}
	}
}

// timed lets a client call; refusals are in order, other answers and waiting past the deadline are not.
func (h *onHardware) timed(during string, client func(context.Context, string) error, key string) {
	began := time.Now()
	err := client(h.t.Context(), key)
	took := time.Since(began)
	h.note(func() {
		h.slowest = max(h.slowest, took)
		if err != nil {
			h.refusals++
		}
	})
	if took > 25*time.Second {
		h.t.Errorf("%s: a client waited %s", during, took)
	}
	if err != nil && !strings.Contains(err.Error(), " 503 ") && !strings.Contains(err.Error(), " 429 ") {
		h.t.Errorf("%s: a client was told: %v", during, err)
	}
}

func (h *onHardware) certifyNow(ctx context.Context, key string) error {
	signer, err := gm.GenerateKey()
	if err != nil {
		return err
	}
	csr, err := certs.NewRequest(signer, certs.NewName(certs.Attribute{Type: certs.OIDCommonName, Value: key}), certs.RequestOptions{})
	if err != nil {
		return err
	}
	r := &certified{csr: string(certs.EncodePEM("CERTIFICATE REQUEST", csr))}
	h.note(func() { h.requests[key] = r })
	id, serials, err := h.ask(ctx, key, r.csr)
	h.note(func() {
		r.id, r.serials = id, serials
		h.certificates = append(h.certificates, serials...)
	})
	return err
}

func (h *onHardware) licenseNow(ctx context.Context, key string) error {
	h.note(func() { h.licences[key] = "" })
	id, err := h.order(ctx, key)
	h.note(func() { h.licences[key] = id })
	return err
}
