package main

import (
	"crypto/ecdsa"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"hufu/audit/webhook"
	"hufu/certs"
	"hufu/internal/actor"
	"hufu/internal/gm"
)

// TestAReceiverLearnsOfACertificate is the story as the receiver tells it: it fetched the key beforehand, checks the chain up
// to the root, and believes no message that this key did not sign.
func TestAReceiverLearnsOfACertificate(t *testing.T) {
	cfg := Config{Data: t.TempDir(), Listen: freeAddress(t)}
	cfg.fill()
	s, err := open(t.Context(), cfg, openOptions{create: true, migrate: true, demo: true, log: quiet(t).log})
	must(t, err)
	t.Cleanup(func() { must(t, s.Close()) })

	key := httptest.NewRecorder()
	s.handler.ServeHTTP(key, httptest.NewRequest(http.MethodGet, "/api/v1/subscriptions/key", nil))
	chain, err := certs.ParseAnyPEM(key.Body.Bytes())
	if err != nil || len(chain) != 3 {
		t.Fatalf("chain of the key: %d certificates, %v, %s", len(chain), err, key.Body)
	}
	checked := certs.Validate(chain[0], certs.Options{Intermediates: chain[1:], Roots: chain[2:], At: time.Now()})
	if !checked.Trusted {
		t.Errorf("the key's certificate is not below the root: %+v", checked)
	}
	pinned := chain[0]

	var mu sync.Mutex
	var told []webhook.Event
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		sig, _ := base64.StdEncoding.DecodeString(r.Header.Get(webhook.HeaderSignature))
		hash := gm.SM3(pinned.RawSPKI)
		if !gm.Verify(pinned.PublicKey.(*ecdsa.PublicKey), body, sig) || r.Header.Get(webhook.HeaderKey) != hex.EncodeToString(hash[:]) {
			t.Error("a message without the right signature")
		}
		if gm.Verify(pinned.PublicKey.(*ecdsa.PublicKey), append(body, ' '), sig) {
			t.Error("the signature does not depend on the message")
		}
		var m webhook.Message
		if err := json.Unmarshal(body, &m); err != nil {
			t.Error(err)
		}
		mu.Lock()
		defer mu.Unlock()
		told = append(told, m.Events...)
	}))
	defer receiver.Close()
	by := actor.Actor{Subject: "business", Capacity: actor.Official, Roles: []actor.Role{actor.RoleBusinessAdmin}}
	if _, err := s.webhooks.Subscribe(t.Context(), by, webhook.Order{Name: "办件系统", URL: receiver.URL, Actions: []string{"certificate."}, FromStart: true}); err != nil {
		t.Fatal(err)
	}
	for range 200 {
		more, err := s.sequencer.Round(t.Context())
		must(t, err)
		if !more {
			break
		}
	}
	for range 50 {
		more, err := s.webhooks.Round(t.Context())
		must(t, err)
		if !more {
			break
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if !slices.ContainsFunc(told, func(e webhook.Event) bool { return e.Action == "certificate.issue" && e.Object.Kind == "certificate" }) {
		t.Errorf("no certificate among %d events", len(told))
	}
}

func TestTimeSourcesAreChecked(t *testing.T) {
	for _, tsa := range []TSA{
		{Policy: "not an oid"},
		{AccuracyMS: -1},
		{AccuracyMS: 70_000},
		{Quorum: 1},
		{Sources: []string{"a"}, Quorum: 2},
		{Sources: []string{"database"}},
		{Sources: []string{"a", "a"}},
		{Sources: []string{""}},
		{Sources: []string{"http://a/b"}},
	} {
		cfg := Config{Data: t.TempDir(), TSA: tsa}
		cfg.fill()
		if err := cfg.check(); err == nil {
			t.Errorf("%+v was taken", tsa)
		}
	}
	cfg := Config{Data: t.TempDir(), Database: "postgres://u@h/d", TSA: TSA{Policy: "1.2.3", AccuracyMS: 500, Sources: []string{"ntp.example.cn", "10.0.0.1:123", "[::1]:123", "database"}, Quorum: 3}}
	cfg.fill()
	must(t, cfg.check())
}

func TestAnUnconfirmedClockIsToldAndStampsNothing(t *testing.T) {
	cfg := Config{Data: t.TempDir(), Listen: freeAddress(t), TSA: TSA{Sources: []string{"127.0.0.1:1"}}}
	cfg.fill()
	s, err := open(t.Context(), cfg, openOptions{create: true, migrate: true, log: quiet(t).log})
	must(t, err)
	t.Cleanup(func() { must(t, s.Close()) })
	if _, err := s.ca.TimeStamp(t.Context(), []byte("m")); err == nil {
		t.Error("a time-stamp without a confirmed clock")
	}
	state, well := s.ready(t.Context())
	if !well || !slices.ContainsFunc(state.Notes, func(n note) bool { return n.Code == "time.untrusted" }) {
		t.Errorf("ready %v, notes %+v", well, state.Notes)
	}
}
