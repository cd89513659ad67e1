package enrol_test

import (
	"crypto/ecdsa"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"hufu/audit"
	"hufu/audit/tree"
	"hufu/ca/enrol"
	"hufu/certs"
	"hufu/certs/cmp"
	"hufu/internal/actor"
)

// The log is public: what stands in it does not let a stranger lock a secret by wrong tries.
func TestTheRecordDoesNotNameReferences(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		secret := w.secret(enrol.Order{Profile: "device", Holder: "e1", Uses: 2})
		if _, err := w.ask(w.begin(bySecret(secret), true), "", request(t, cmp.IR, newKey(t, "sm2"), certs.RequestMessageOptions{})); err != nil {
			t.Fatal(err)
		}
		if err := w.RevokeSecret(t.Context(), registrar, secret.ID); err != nil {
			t.Fatal(err)
		}
		log, err := audit.New(audit.Config{Store: w.db.Audit(), Key: logKey(t), Now: time.Now})
		if err != nil {
			t.Fatal(err)
		}
		found, err := log.Search(t.Context(), actor.ForSystem("test"), audit.Query{Limit: 100})
		if err != nil {
			t.Fatal(err)
		}
		seen := 0
		for _, e := range found.Entries {
			if e.Object.Kind == "enrolment" {
				seen++
			}
			if e.Object.ID == secret.ID || slices.Contains(slices.Collect(maps.Values(e.Public)), secret.ID) {
				t.Errorf("%s names the reference", e.Action)
			}
		}
		if seen < 3 {
			t.Errorf("%d entries about the secret", seen)
		}
	})
}

func logKey(t *testing.T) *tree.Key {
	t.Helper()
	key, err := tree.NewKey("example.cn/log", tree.Log, newKey(t, "sm2").Public().(*ecdsa.PublicKey))
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// What is longer than any reference of ours is neither looked for nor remembered.
func TestLongReferencesAreRefused(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		x := w.begin(bySecret(enrol.Secret{ID: strings.Repeat("a", 250), Value: "x"}), false)
		m, err := w.ask(x, "", request(t, cmp.IR, newKey(t, "sm2"), certs.RequestMessageOptions{}))
		if m == nil || refusedWith(m) != cmp.BadMessageCheck {
			t.Errorf("%v, %v", m, err)
		}
	})
}
