package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/rand"
	"database/sql"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"hufu/hsm/hsmtest"
	"hufu/internal/actor"
	"hufu/internal/gm"
	"hufu/store/storetest"
)

// forms are the ways in which a secret may stand in what others read: as it is, in hexadecimal, in base64 at each of the
// three places where its first octet may fall, and as a Go program prints a slice.
func forms(secret []byte) map[string][]byte {
	all := map[string][]byte{
		"raw": secret, "hex": []byte(hex.EncodeToString(secret)), "HEX": []byte(strings.ToUpper(hex.EncodeToString(secret))),
	}
	for shift := range 3 {
		padded := append(make([]byte, shift), secret...)
		whole := padded[:len(padded)/3*3]
		for name, encoding := range map[string]*base64.Encoding{"base64": base64.RawStdEncoding, "base64url": base64.RawURLEncoding} {
			text := encoding.EncodeToString(whole)
			from := (shift*8 + 5) / 6 // characters that hold padding too
			if len(text)-from >= 8 {
				all[name+string(rune('0'+shift))] = []byte(text[from:])
			}
		}
	}
	all["%v"] = []byte(strings.Trim(fmt.Sprint(secret), "[]"))
	return all
}

// leaks names the secrets that stand in a text, and how.
func leaks(text []byte, secrets map[string][]byte) (found []string) {
	for name, secret := range secrets {
		for form, pattern := range forms(secret) {
			if bytes.Contains(text, pattern) {
				found = append(found, name+" ("+form+")")
			}
		}
	}
	return found
}

// privateMarks begin private keys in the forms in which programs write them.
var privateMarks = map[string][]byte{
	"PEM of a private key": []byte("PRIVATE KEY-----"),
	"SEC 1 private key":    {0x02, 0x01, 0x01, 0x04, 0x20},
}

func TestTheSearchFindsWhatIsPlanted(t *testing.T) {
	secrets := map[string][]byte{"PIN": []byte("Q9w8-e7r6-t5"), "key": bytes.Repeat([]byte{0x00, 0xff, 0x3c, 0x91}, 8)}
	for name, secret := range secrets {
		for shift := range 3 {
			noise := strings.Repeat("x", 17+shift)
			for form, text := range map[string]string{
				"raw": noise + string(secret) + noise, "hex": noise + hex.EncodeToString(secret), "HEX": strings.ToUpper(hex.EncodeToString([]byte(noise + string(secret)))),
				"base64":    base64.StdEncoding.EncodeToString([]byte(noise + string(secret) + noise)),
				"base64url": base64.RawURLEncoding.EncodeToString([]byte(noise + string(secret))),
			} {
				if found := leaks([]byte(text), secrets); len(found) == 0 || !strings.HasPrefix(found[0], name) {
					t.Errorf("%s in %s, shifted by %d: found %v", name, form, shift, found)
				}
			}
		}
	}
	if found := leaks([]byte(`level=INFO msg="nothing to see" key=`+hex.EncodeToString(secrets["key"][:15])), secrets); len(found) != 0 {
		t.Errorf("found where nothing is: %v", found)
	}
}

// recorder keeps every answer that a client gets.
type recorder struct {
	next http.RoundTripper
	mu   sync.Mutex
	all  bytes.Buffer
}

func (r *recorder) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := r.next.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	r.mu.Lock()
	defer r.mu.Unlock()
	_ = response.Header.Write(&r.all)
	r.all.Write(body)
	response.Body = io.NopCloser(bytes.NewReader(body))
	return response, err
}

// TestNoSecretLeavesAFullRun makes a server with a token and a software key store, has it do everything that touches keys, with
// wrong PINs and under faults, at the most talkative, and searches all that it said, answered and stored.
func TestNoSecretLeavesAFullRun(t *testing.T) {
	t.Parallel()
	for engine, dsn := range storetest.DSNs(t) {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			r := newRun(t, dsn)
			r.all()
			r.search(engine)
		})
	}
}

type secretRun struct {
	*onHardware
	answers *recorder
	said    bytes.Buffer // by commands
	pins    map[string][]byte
}

func newRun(t *testing.T, dsn string) *secretRun {
	r := &secretRun{onHardware: &onHardware{victim: newVictim(t, dsn), token: hsmtest.Token(t, "neutral")}, pins: map[string][]byte{}}
	for _, name := range []string{"PIN of the token", "wrong PIN of the token", "owner's PIN", "owner's next PIN", "wrong PIN of the owner"} {
		r.pins[name] = []byte("pin" + strings.ToLower(rand.Text()))
	}
	r.renewToken()
	r.configure("    algorithms: [sm2, sm4]\n  - driver: soft\n")
	r.answers = &recorder{next: r.client.Transport}
	r.client.Transport = r.answers
	return r
}

// renewToken sets a token up whose PIN is like nothing else: that of the suite's tokens stands in every other constant.
func (r *secretRun) renewToken() {
	r.token.Store = filepath.Join(r.t.TempDir(), "store")
	soPIN := filepath.Join(filepath.Dir(r.token.PINFile), "so-pin")
	r.must(os.WriteFile(r.token.PINFile, r.pins["PIN of the token"], 0o600))
	r.must(os.WriteFile(r.token.Module+".conf", fmt.Appendf(nil, "store %s\nfaults %s\n", r.token.Store, r.token.Faults), 0o600))
	out, err := exec.Command(r.token.Console, r.token.Store, "init", "--label", r.token.Label, "--so-pin-file", soPIN, "--pin-file", r.token.PINFile, "--rounds", "1000").CombinedOutput()
	if err != nil {
		r.t.Fatalf("%v: %s", err, out)
	}
}

// command runs the program to its end and keeps what it says.
func (r *secretRun) command(args ...string) {
	r.t.Helper()
	out, err := exec.Command("hufu", append(args, "--config", r.config, "--data", r.data)...).CombinedOutput()
	r.said.Write(out)
	if bad := new(exec.ExitError); err != nil && !errors.As(err, &bad) {
		r.t.Fatal(err)
	}
}

func (r *secretRun) all() {
	r.must(os.WriteFile(r.token.PINFile, r.pins["wrong PIN of the token"], 0o600))
	r.command("serve", "--demo", "--listen", r.addr) // refused
	r.must(os.RemoveAll(r.data))
	r.must(os.WriteFile(r.token.PINFile, r.pins["PIN of the token"], 0o600))
	r.process = exec.Command("hufu", "serve", "--demo", "--verbose", "--config", r.config, "--data", r.data, "--listen", r.addr)
	r.process.Stdout, r.process.Stderr = &r.said, r.errors
	r.must(r.process.Start())
	r.must(awaitAnswer(r.t.Context(), r.base, "/readyz"))
	r.logIn()
	ctx := r.t.Context()
	r.must(r.certifyNow(ctx, "a"))
	r.must(r.licenseNow(ctx, "b"))
	r.must(r.impress(ctx, "c"))
	r.ownersPIN(ctx)
	for _, d := range disturbances {
		if d.fault == "hang" {
			continue
		}
		r.token.Disturb(r.t, d.fault)
		for i, client := range []func(context.Context, string) error{r.certifyNow, r.licenseNow} {
			_ = client(ctx, fmt.Sprint(d.name, i)) // refused or not
		}
		_, _ = r.send(ctx, "GET", r.base+"/readyz", "", nil)
	}
	r.token.Disturb(r.t)
	r.must(awaitAnswer(ctx, r.base, "/pki/log/checkpoint"))
	r.must(r.process.Process.Signal(os.Interrupt))
	_ = r.process.Wait()
	r.process = nil
	r.command("doctor")
	r.command("check-config")
	r.command("init")
}

// ownersPIN changes the PIN of the sample seal, uses it rightly and wrongly, and gives a standing activation.
func (r *secretRun) ownersPIN(ctx context.Context) {
	r.t.Helper()
	seal := "/api/v1/seals/" + sampleSeal
	was := samplePIN
	for _, name := range []string{"owner's PIN", "owner's next PIN"} {
		r.must(r.call(ctx, r.chief.Access, "PUT", seal+"/pin", map[string]any{"old": was, "new": string(r.pins[name])}, nil))
		was = string(r.pins[name])
	}
	stamp := func(pin []byte) error {
		return r.call(ctx, r.chief.Access, "POST", seal+"/stamps", map[string]any{
			"document": r.document, "purpose": "secret", "pin": string(pin), "positions": []map[string]any{{"page": 1, "x": 20, "y": 20, "width": 45, "height": 45}},
		}, nil)
	}
	if err := stamp(r.pins["wrong PIN of the owner"]); err == nil {
		r.t.Error("a wrong PIN stamped")
	}
	r.must(stamp(r.pins["owner's next PIN"]))
	r.must(r.call(ctx, r.chief.Access, "POST", seal+"/activations", map[string]any{
		"kinds": []string{"document", "licence/" + sampleLicence}, "count": 3, "until": time.Now().Add(time.Hour).UTC(), "pin": string(r.pins["owner's next PIN"]),
	}, nil))
}

// search looks for everything that is secret in everything that others may read.
func (r *secretRun) search(engine string) {
	secrets := r.secrets()
	log, err := os.ReadFile(r.errors.Name())
	r.must(err)
	texts := map[string][]byte{"the log": log, "what commands said": r.said.Bytes(), "answers of the API": r.answers.all.Bytes(), "the database": r.database(engine)}
	r.must(filepath.WalkDir(r.data, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Name() == "passphrase" || strings.HasSuffix(path, ".secret") {
			return err
		}
		texts[path], err = os.ReadFile(path)
		return err
	}))
	for where, text := range texts {
		if len(text) == 0 {
			r.t.Logf("%s is empty", where)
		}
		for _, found := range leaks(text, secrets) {
			r.t.Errorf("%s holds a secret: %s", where, found)
		}
		for _, found := range leaks(text, privateMarks) {
			r.t.Errorf("%s holds a private key: %s", where, found)
		}
	}
	if !bytes.Contains(log, []byte("level=DEBUG")) && !bytes.Contains(log, []byte("level=INFO")) {
		r.t.Error("the log is not talkative")
	}
	if len(leaks(append(slices.Clone(log), secrets["PIN of the token"]...), secrets)) != 1 || len(secrets) < 12 {
		r.t.Errorf("the search does not see what is planted among %d secrets", len(secrets))
	}
	r.t.Logf("%d secrets, %d octets of log, %d of answers, %d of the database", len(secrets), len(log), len(texts["answers of the API"]), len(texts["the database"]))
}

// secrets are the PINs, the passphrase, and every data key, opened as the server opens them.
func (r *secretRun) secrets() map[string][]byte {
	ctx, all := r.t.Context(), maps.Clone(r.pins)
	passphrase, err := os.ReadFile(filepath.Join(r.data, "passphrase"))
	r.must(err)
	all["passphrase"] = bytes.TrimSpace(passphrase)
	cfg, err := loadConfig(r.config, r.data)
	r.must(err)
	s, err := open(ctx, cfg, openOptions{log: slog.New(slog.DiscardHandler)})
	r.must(err)
	defer s.Close()
	stored, err := s.keys.ListData(ctx, actor.ForSystem("test"))
	r.must(err)
	for _, d := range stored {
		opened, err := s.keys.Data(ctx, d.Purpose)
		r.must(err)
		for version, key := range opened.All {
			all[fmt.Sprintf("data key %s/%d", d.Purpose, version)] = slices.Clone(key)
		}
	}
	r.noPrivateHalf()
	return all
}

// noPrivateHalf tries every 32 octets of the tables of keys as the private half of each SM2 key that the database names.
func (r *secretRun) noPrivateHalf() {
	r.t.Helper()
	known, tried := map[string]bool{}, 0
	for _, table := range []string{"device_key", "wrapped_key", "kmc_pair"} {
		r.each("SELECT public FROM "+table, func(public []byte) { known[string(public)] = true })
	}
	for _, table := range []string{"device_key", "data_key", "wrapped_key", "kmc_pair", "key_owner", "key_standing", "key_challenge"} {
		r.each("SELECT * FROM "+table, func(octets []byte) {
			for i := 0; i+32 <= len(octets); i++ {
				tried++
				if key, err := gm.NewPrivateKey(octets[i : i+32]); err == nil && known[string(gm.Point(key.Public().(*ecdsa.PublicKey)))] {
					r.t.Errorf("table %s holds a private key in clear", table)
				}
			}
		})
	}
	if tried < 1000 || len(known) < 8 {
		r.t.Errorf("%d places tried against %d keys", tried, len(known))
	}
}

// each hands every value of octets that a query gives to f.
func (r *secretRun) each(query string, f func([]byte)) {
	r.t.Helper()
	r.sql(func(db *sql.DB) error {
		rows, err := db.Query(query)
		if err != nil {
			return err
		}
		defer rows.Close()
		names, err := rows.Columns()
		if err != nil {
			return err
		}
		for rows.Next() {
			values := make([]any, len(names))
			for i := range values {
				values[i] = new(any)
			}
			if err := rows.Scan(values...); err != nil {
				return err
			}
			for _, v := range values {
				if octets, ok := (*v.(*any)).([]byte); ok {
					f(octets)
				}
			}
		}
		return rows.Err()
	})
}

// database is the file of SQLite, octet by octet, or a dump of PostgreSQL.
func (r *secretRun) database(engine string) []byte {
	r.t.Helper()
	if engine == "sqlite" {
		path := strings.TrimPrefix(r.dsn, "sqlite:")
		var all []byte
		for _, suffix := range []string{"", "-wal"} {
			text, err := os.ReadFile(path + suffix)
			if err != nil && !errors.Is(err, os.ErrNotExist) {
				r.t.Fatal(err)
			}
			all = append(all, text...)
		}
		return all
	}
	dump, err := exec.Command("pg_dump", "--dbname", r.dsn).Output()
	if err != nil || len(dump) < 100_000 {
		r.t.Fatalf("pg_dump: %d octets, %v", len(dump), err)
	}
	return dump
}
