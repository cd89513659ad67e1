package main

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"testing"
	"time"

	"hufu/hsm/hsmtest"
	"hufu/internal/actor"
	"hufu/keys"
	"hufu/store"
	"hufu/store/storetest"
)

// A relying party keeps the key set for five minutes, as its Cache-Control says, and looks at no other key identifier anew. It
// verifies each token at any moment of the token's ten minutes, however the fetches fall, all through a rotation and after it.
func TestRotationAsARelyingPartySeesIt(t *testing.T) {
	now := time.Date(2026, 9, 1, 8, 0, 0, 0, time.UTC)
	clock := func() time.Time { return now }
	storetest.EachWith(t, store.Options{Now: clock}, func(t *testing.T, db *store.DB) {
		ctx, by := t.Context(), actor.ForSystem("test")
		k, err := keys.New(keys.Config{Store: db.Keys(), Device: hsmtest.Soft(t), Now: clock})
		must(t, err)
		_, err = k.Unlock(ctx)
		must(t, err)
		s := &server{keys: k, db: db, now: clock, life: ctx}
		must(t, db.FollowFieldKeys(ctx, s.openFieldKeys))
		must(t, s.ensureTokenKeys(ctx))
		p, err := k.BeginRotation(ctx, by, "token-es256")
		must(t, err)

		const cached, life, step = 5 * time.Minute, 10 * time.Minute, 30 * time.Second
		var seen []ringAt
		for range int(45 * time.Minute / step) {
			must(t, k.Advance(ctx, p.ID))
			seen = append(seen, s.look(t))
			now = now.Add(step)
		}
		signers := map[string]bool{}
		for i, at := range seen {
			signers[at.signer] = true
			for j := i; j < len(seen) && j <= i+int(life/step); j++ {
				for fetched := max(0, j-int(cached/step)); fetched <= j; fetched++ {
					if !seen[fetched].published[at.signer] {
						t.Fatalf("a token of minute %v, looked at in %v with keys fetched in %v, has an unknown key", time.Duration(i)*step, time.Duration(j)*step, time.Duration(fetched)*step)
					}
				}
			}
		}
		last := seen[len(seen)-1]
		if len(signers) != 2 || len(last.published) != 1 || !last.published[last.signer] || !last.known[seen[0].signer] {
			t.Errorf("%d keys signed; in the end %d are published, and the old one still verifies our own: %v", len(signers), len(last.published), last.known[seen[0].signer])
		}
	})
}

// ringAt is the keys of ES256 at a time.
type ringAt struct {
	signer           string
	published, known map[string]bool
}

func (s *server) look(t *testing.T) ringAt {
	t.Helper()
	ring, err := s.tokenKeys(context.WithoutCancel(t.Context()))
	must(t, err)
	at := ringAt{published: map[string]bool{}, known: map[string]bool{}}
	for _, key := range ring {
		var pub crypto.PublicKey = key.Public
		if key.Signer != nil {
			pub = key.Signer.Public()
		}
		ec, ok := pub.(*ecdsa.PublicKey)
		if !ok {
			continue
		}
		point, err := ec.Bytes()
		must(t, err)
		name := string(point)
		if key.Signer != nil && at.signer == "" {
			at.signer = name
		}
		at.known[name] = true
		if !key.Hidden {
			at.published[name] = true
		}
	}
	return at
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
