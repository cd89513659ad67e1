package main

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hufu/certs"
	"hufu/internal/gm"
)

// counter answers the calls of the commands as the API does, and keeps what it was sent.
type counter struct {
	*httptest.Server
	calls []string
	sent  map[string]map[string]any
	text  []byte
}

func newCounter(t *testing.T) *counter {
	t.Helper()
	d := &counter{sent: map[string]map[string]any{}, text: []byte("This key is compromised; revoke its certificates.\nhttp://ca.example/pki\n0a\n2026-09-01\n")}
	d.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d.calls = append(d.calls, r.Method+" "+r.URL.Path)
		var body map[string]any
		_ = json.NewDecoder(r.Body).Decode(&body)
		d.sent[r.URL.Path] = body
		w.Header().Set("Content-Type", "application/json")
		switch {
		case strings.HasSuffix(r.URL.Path, "/challenge"):
			_ = json.NewEncoder(w).Encode(map[string]any{"text": d.text})
		case strings.HasSuffix(r.URL.Path, "0b/revocation"):
			w.WriteHeader(http.StatusConflict)
			_ = json.NewEncoder(w).Encode(map[string]any{"code": "ca.revoked", "en": "Already.", "zh": "已吊销。"})
		case strings.HasSuffix(r.URL.Path, "0c/revocation"):
			w.WriteHeader(http.StatusNotFound)
			_ = json.NewEncoder(w).Encode(map[string]any{"code": "ca.unknown", "en": "Unknown.", "zh": "不存在。"})
		case r.URL.Path == certificatesPath && r.URL.Query().Get("after") == "" && r.URL.Query().Get("state") == "valid":
			_ = json.NewEncoder(w).Encode(map[string]any{"items": []any{map[string]any{"serial": "01"}}, "next": "x"})
		case r.URL.Path == certificatesPath && r.URL.Query().Get("state") == "valid":
			_ = json.NewEncoder(w).Encode(map[string]any{"items": []any{map[string]any{"serial": "02"}}})
		case r.URL.Path == "/api/v1/blocked-keys":
			_ = json.NewEncoder(w).Encode(map[string]any{"new": 1, "certificates": []string{"0a"}})
		default:
			_ = json.NewEncoder(w).Encode(map[string]any{"items": []any{}, "revoked": []any{map[string]any{"serial": "0a", "reason": "superseded"}}, "id": "A", "state": "approved"})
		}
	}))
	t.Cleanup(d.Close)
	t.Setenv("HUFU_TOKEN", "token")
	return d
}

func (d *counter) run(t *testing.T, args ...string) (int, string) {
	t.Helper()
	var out, errOut strings.Builder
	d.calls = nil
	code := run(t.Context(), append(append([]string{"cert"}, args...), "--server", d.URL), &out, &errOut)
	return code, out.String() + errOut.String()
}

func TestManyAreRevokedOnlyWhenItIsMeant(t *testing.T) {
	d, list := newCounter(t), filepath.Join(t.TempDir(), "list")
	if err := os.WriteFile(list, []byte("# incident 7\n0a\n0b # revoked before\n\n0c\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, said := d.run(t, "revoke", "--reason", "superseded"); code == 0 || !strings.Contains(said, "Name serial numbers") {
		t.Errorf("%d %s", code, said)
	}
	if code, said := d.run(t, "revoke", "--list", list, "--reason", "superseded"); code == 0 || len(d.calls) != 0 || !strings.Contains(said, "--yes") {
		t.Errorf("%d %s %v", code, said, d.calls)
	}
	code, said := d.run(t, "revoke", "--list", list, "--reason", "superseded", "--yes", "--pair")
	if code == 0 || len(d.calls) != 3 || !strings.Contains(said, "0c: ") || !strings.Contains(said, "1 of 3") || strings.Contains(said, "0b: ") {
		t.Errorf("%d %s %v", code, said, d.calls)
	}
	if sent := d.sent[certificatesPath+"/0a/revocation"]; sent["reason"] != "superseded" || sent["pair"] != true {
		t.Errorf("%v", sent)
	}
	if code, said = d.run(t, "revoke", "--holder", "p1", "--reason", "superseded", "--dry-run"); code != 0 || len(d.calls) != 5 || !strings.Contains(said, "would be revoked") {
		t.Errorf("%d %s %v", code, said, d.calls)
	}
	if code, said = d.run(t, "revoke", "0b", "--reason", "superseded"); code == 0 || !strings.Contains(said, "Already") {
		t.Errorf("%d %s", code, said)
	}
}

func TestKeysSignAtTheCommandLine(t *testing.T) {
	d, dir := newCounter(t), t.TempDir()
	key, err := gm.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	der, err := gm.MarshalPKCS8(key)
	if err != nil {
		t.Fatal(err)
	}
	request, err := certs.NewRequest(key, certs.NewName(certs.Attribute{Type: certs.OIDCommonName, Value: "x"}), certs.RequestOptions{})
	if err != nil {
		t.Fatal(err)
	}
	keyFile, csrFile := filepath.Join(dir, "key.pem"), filepath.Join(dir, "csr.pem")
	for file, text := range map[string][]byte{keyFile: certs.EncodePEM("PRIVATE KEY", der), csrFile: certs.EncodePEM("CERTIFICATE REQUEST", request)} {
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	check := func(path, name string, message []byte) {
		t.Helper()
		var signature []byte
		text, _ := json.Marshal(d.sent[path][name])
		alg, err := certs.SigningAlgorithm(key.Public())
		if err = errors.Join(err, json.Unmarshal(text, &signature)); err != nil {
			t.Fatal(err)
		}
		if err := certs.CheckSignature(key.Public(), alg, message, signature); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
	if code, said := d.run(t, "report-key", "0a", "--key", keyFile); code != 0 {
		t.Fatal(said)
	}
	check(certificatesPath+"/0a/key-compromise", "signature", d.text)
	if code, said := d.run(t, "renew", "0A", "--csr", csrFile, "--key", keyFile); code != 0 || !strings.Contains(said, "application A is approved") {
		t.Fatal(said)
	}
	hash := gm.SM3(request)
	check(certificatesPath+"/0A/rekey", "proof", []byte("Replace this certificate by the attached request.\nhttp://ca.example/pki\n0a\nrekey\n"+hex.EncodeToString(hash[:])+"\n"))
	if code, said := d.run(t, "renew", "0a", "--key", keyFile); code == 0 || !strings.Contains(said, "--proof") {
		t.Errorf("%d %s", code, said)
	}
	hashes := filepath.Join(dir, "hashes")
	if err := os.WriteFile(hashes, []byte(strings.Repeat("ab", 32)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, said := d.run(t, "block-key", csrFile, "--sha256", hashes, "--note", "a list"); code != 0 || !strings.Contains(said, "2 keys, 1 of them new") || !strings.Contains(said, "certificate 0a") {
		t.Errorf("%d %s", code, said)
	}
	if err := os.WriteFile(hashes, []byte("xyz\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, _ := d.run(t, "block-key", "--sha256", hashes, "--note", "a list"); code == 0 {
		t.Error("a list that is none was sent")
	}
	for _, args := range [][]string{{"suspend", "0a"}, {"resume", "0a"}, {"find", "--state", "valid"}, {"find", "--json"}, {"status", "0a"}} {
		if code, said := d.run(t, args...); code != 0 {
			t.Errorf("%v: %s", args, said)
		}
	}
}
