package api_test

import (
	"context"
	"encoding/pem"
	"log/slog"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"hufu/api"
	"hufu/certs"
	"hufu/hsm/hsmtest"
	"hufu/keys"
	"hufu/store"
	"hufu/store/storetest"
)

// withKeys serves the routes of keys on a soft device.
func withKeys(w *world) *keys.Keys {
	w.Helper()
	k := must(keys.New(keys.Config{Store: w.db.Keys(), Device: hsmtest.Soft(w.T)}))
	must(k.Unlock(w.Context()))
	// What the world has stored so far stands under the keys of storetest, and goes on doing so.
	w.must(w.db.FollowFieldKeys(w.Context(), func(context.Context) (store.FieldKeys, error) { return storetest.Keys(), nil }))
	must(k.Ensure(w.Context(), system, "log", keys.Log, keys.SM2))
	must(k.Ensure(w.Context(), system, "qr", keys.QR, keys.SM2))
	w.server.Close()
	w.server = httptest.NewServer(must(api.New(api.Config{Tokens: w.tokens, Keys: k, Log: slog.New(slog.NewTextHandler(w.log, nil))})).Handler())
	w.T.Cleanup(w.server.Close)
	return k
}

func TestKeysAreListedRotatedAndExported(t *testing.T) {
	each(t, nil, func(w *world) {
		k := withKeys(w)
		var list struct {
			Items []struct {
				Key, State, Way, Fixed, Public, Master string
				Version                                uint32
			}
		}
		w.get("/api/v1/keys", "auditor").into(&list)
		if len(list.Items) != 8 || list.Items[0].Key != "log" || list.Items[0].Fixed == "" || list.Items[0].Public == "" || list.Items[1].Way != "rewrapped" {
			t.Errorf("%+v", list.Items)
		}
		if strings.Contains(string(w.get("/api/v1/keys", "super").body), "rapped\":\"") {
			t.Error("the list shows wrapped octets")
		}
		var p struct{ ID, Key, Phase string }
		w.get("/api/v1/keys/qr/rotation", "super").into(&p)
		if p.ID != "" || p.Phase != "making" {
			t.Errorf("plan: %+v", p)
		}
		w.post("/api/v1/keys/qr/rotation", "super", nil).into(&p)
		if p.ID == "" || p.Phase != "done" {
			t.Errorf("rotation: %+v", p)
		}
		w.post("/api/v1/keys/data:rows/rotation", "super", nil).into(&p)
		w.must(k.Advance(w.Context(), p.ID))
		var rotations struct{ Items []struct{ Key, Phase string } }
		w.get("/api/v1/keys/rotations", "business").into(&rotations)
		if len(rotations.Items) != 2 || rotations.Items[0].Key != "data:rows" || rotations.Items[0].Phase != "done" {
			t.Errorf("%+v", rotations)
		}
		block, _ := pem.Decode(w.get("/api/v1/keys/qr/public?version=1", "super").body)
		if block == nil || block.Type != "PUBLIC KEY" {
			t.Fatal("no PEM")
		}
		pub := must(must(k.Versions(w.Context(), "qr"))[0].PublicKey())
		if !slices.Equal(block.Bytes, must(certs.MarshalPublicKey(pub))) {
			t.Error("another key was exported")
		}
	})
}

// Nobody but a super administrator changes keys, and nobody at all is told a secret or the state of what there is not.
func TestKeysAreForAdministratorsOnly(t *testing.T) {
	each(t, nil, func(w *world) {
		k := withKeys(w)
		before := len(must(k.Versions(w.Context(), "")))
		calls := []struct{ method, path string }{
			{"POST", "/api/v1/keys"},
			{"GET", "/api/v1/keys/qr/rotation"},
			{"POST", "/api/v1/keys/qr/rotation"},
			{"POST", "/api/v1/keys/data:field/rotation"},
			{"DELETE", "/api/v1/keys/qr/versions/1"},
			{"DELETE", "/api/v1/keys/data:field/versions/1?check=true"},
		}
		reads := []struct{ method, path string }{{"GET", "/api/v1/keys"}, {"GET", "/api/v1/keys/rotations"}, {"GET", "/api/v1/keys/qr/public"}}
		try := func(token string, status int, calls []struct{ method, path string }) {
			t.Helper()
			for _, c := range calls {
				var body any
				if c.path == "/api/v1/keys" && c.method == "POST" {
					body = map[string]any{"key": "mine", "purpose": "qr", "algorithm": "sm2"}
				}
				if a := w.call(c.method, c.path, token, body); a.status != status {
					t.Errorf("%s %s by %q: %d, want %d", c.method, c.path, token, a.status, status)
				}
			}
		}
		try("", 401, append(calls, reads...))
		for _, who := range []string{"wang", "clerk", "chief"} {
			try(who, 403, append(calls, reads...))
		}
		for _, who := range []string{"business", "auditor"} {
			try(who, 403, calls)
			try(who, 200, reads)
		}
		if after := len(must(k.Versions(w.Context(), ""))); after != before {
			t.Errorf("%d versions, were %d", after, before)
		}
		for path, status := range map[string]int{
			"/api/v1/keys/nothing/public": 404, "/api/v1/keys/master/public": 404, "/api/v1/keys/data:field/public": 404, "/api/v1/keys/qr/public?version=9": 404,
			"/api/v1/keys/log/rotation": 409, "/api/v1/keys/..%2Flog/rotation": 404,
		} {
			if a := w.get(path, "super"); a.status != status {
				t.Errorf("%s: %d, want %d: %s", path, a.status, status, a.body)
			}
		}
	})
}
