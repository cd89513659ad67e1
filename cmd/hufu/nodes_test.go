package main

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"hufu/internal/fault"
	"hufu/store"
	"hufu/store/storetest"
)

// heard is what a server says.
type heard struct {
	mu   sync.Mutex
	text strings.Builder
}

func (h *heard) Write(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.text.Write(p)
}

func (h *heard) String() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.text.String()
}

// Two servers with one instance number on one database: the second does not start and says why. A dead one's number is free when
// its claim ends; one that comes back from a long sleep then says that its number is taken.
func TestOneInstanceNumberIsOneServers(t *testing.T) {
	for engine, dsn := range storetest.DSNs(t) {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			var mu sync.Mutex
			now := time.Date(2026, 9, 1, 8, 0, 0, 0, time.UTC)
			pass := func(d time.Duration) {
				mu.Lock()
				defer mu.Unlock()
				now = now.Add(d)
			}
			clock := func() time.Time {
				mu.Lock()
				defer mu.Unlock()
				return now
			}
			db, err := store.Open(t.Context(), dsn, store.Options{Now: clock})
			must(t, err)
			defer db.Close()
			_, err = db.Migrate(t.Context())
			must(t, err)
			var said heard
			node := func(name string, instance int) *server {
				cfg := Config{Data: t.TempDir(), Instance: instance, HSM: []HSM{{Driver: "pkcs11"}}} // keys are not in files: no lock there
				return &server{cfg: cfg, db: db, name: name, now: clock, log: slog.New(slog.NewTextHandler(&said, nil))}
			}
			first, twin, other := node("first", 1), node("twin", 1), node("other", 2)
			must(t, first.joinNodes(t.Context(), openOptions{}))
			if !first.alone {
				t.Error("the first is not alone")
			}
			calls := 0
			twin.now = func() time.Time { calls++; return time.Unix(int64(calls)*10, 0) } // it does not wait the whole time
			if err := twin.joinNodes(t.Context(), openOptions{}); !errors.Is(err, errInstance) || fault.KindOf(err) != fault.Conflict {
				t.Errorf("a second server with the same number: %v", err)
			}
			must(t, other.joinNodes(t.Context(), openOptions{}))
			if other.alone {
				t.Error("another server does not see that it is not alone")
			}
			twin.now = clock
			passed := time.AfterFunc(300*time.Millisecond, func() { pass(nodeLease + time.Second) }) // the first fell asleep, or died
			defer passed.Stop()
			must(t, twin.joinNodes(t.Context(), openOptions{})) // waits for the end of the claim
			ctx, cancel := context.WithTimeout(t.Context(), nodeLease/4+2*time.Second)
			defer cancel()
			go func() {
				for ctx.Err() == nil && !strings.Contains(said.String(), "stop one of them") {
					time.Sleep(20 * time.Millisecond)
				}
				cancel()
			}()
			first.stayAlive(ctx)
			if !strings.Contains(said.String(), "stop one of them") {
				t.Errorf("the one whose number was taken says %q", said.String())
			}
		})
	}
}
