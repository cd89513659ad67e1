package hsmtest

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"hufu/hsm/softtoken"
)

// SoftToken is a fresh soft token of a test: its own store, its own copies of the libraries.
type SoftToken struct {
	Module  string // path of the PKCS#11 module; its file of the same name with ".conf" added names the store
	SDF     string // path of the SDF library, likewise
	Console string // path of the console program
	Store   string // folder of tokens
	Label   string // of the one token in it
	PIN     string
	PINFile string // the PIN, mode 0600
	Faults  string // path of the file of faults; absent until Disturb
}

// SoftTokenPIN and SoftTokenSOPIN open the tokens that Token makes.
const (
	SoftTokenPIN   = "12345678"
	SoftTokenSOPIN = "87654321"
)

// Token builds the soft token, once for each state of its sources, and sets up a fresh one that speaks a dialect: neutral,
// sansec, tass, luna or ep11, with further lines as README.md of softtoken tells. Without a C compiler the test is skipped,
// or fails where CI is set.
func Token(t testing.TB, dialect string) SoftToken {
	t.Helper()
	return TokenWith(t, built(t), dialect)
}

// TokenWith is Token with libraries that the caller has built.
func TokenWith(t testing.TB, library softtoken.Library, dialect string) SoftToken {
	t.Helper()
	dir := t.TempDir()
	k := SoftToken{
		Module: filepath.Join(dir, filepath.Base(library.PKCS11)), SDF: filepath.Join(dir, filepath.Base(library.SDF)), Console: library.Console,
		Store: filepath.Join(dir, "store"), Label: "hufu-" + strings.ToLower(rand.Text()[:8]), PIN: SoftTokenPIN,
		PINFile: filepath.Join(dir, "pin"), Faults: filepath.Join(dir, "faults"),
	}
	conf := fmt.Sprintf("store %s\nfaults %s\n", k.Store, k.Faults)
	for name, text := range map[string]string{k.PINFile: k.PIN, k.soPINFile(): SoftTokenSOPIN, k.Module + ".conf": conf, k.SDF + ".conf": conf} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// Copies, not links: the loader takes files of one inode for one library, and a library is one store.
	for from, to := range map[string]string{library.PKCS11: k.Module, library.SDF: k.SDF} {
		text, err := os.ReadFile(from)
		if err == nil {
			err = os.WriteFile(to, text, 0o700)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	k.init(t, dialect)
	return k
}

func (k SoftToken) soPINFile() string { return filepath.Join(filepath.Dir(k.PINFile), "so-pin") }

func (k SoftToken) init(t testing.TB, dialect string) {
	t.Helper()
	k.console(t, "init", "--label", k.Label, "--so-pin-file", k.soPINFile(), "--pin-file", k.PINFile, "--dialect", dialect, "--rounds", "1000")
}

// Another sets up one more token in the same store: another slot of the same module, with the same PIN. The SDF library
// keeps to the first by label.
func (k SoftToken) Another(t testing.TB, dialect string) SoftToken {
	t.Helper()
	k.Label = "hufu-" + strings.ToLower(rand.Text()[:8])
	k.init(t, dialect)
	return k
}

func (k SoftToken) console(t testing.TB, args ...string) {
	t.Helper()
	if out, err := exec.Command(k.Console, append([]string{k.Store}, args...)...).CombinedOutput(); err != nil {
		t.Fatalf("softtoken-console %s: %v: %s", strings.Join(args, " "), err, out)
	}
}

// MakeSDFKeys does what is done at the console of an SDF device: it makes the keys of the indices first to last, whose
// password is the PIN. what is sign, encrypt or kek.
func (k SoftToken) MakeSDFKeys(t testing.TB, what string, first, last int) {
	t.Helper()
	k.console(t, "sdf-key", fmt.Sprintf("%d-%d", first, last), what, "--pin-file", k.PINFile, "--rounds", "1000")
}

// Disturb sets the faults from which the token suffers now, one "name value" each; none ends them all. Running
// processes see it at their next call.
func (k SoftToken) Disturb(t testing.TB, faults ...string) {
	t.Helper()
	draft := k.Faults + ".draft"
	err := os.WriteFile(draft, []byte(strings.Join(append(faults, ""), "\n")), 0o600)
	if err == nil {
		err = os.Rename(draft, k.Faults)
	}
	if err != nil {
		t.Fatal(err)
	}
}

var build = sync.OnceValues(func() (softtoken.Library, error) { return softtoken.Cached(softtoken.BuildOptions{}) })

func built(t testing.TB) softtoken.Library {
	t.Helper()
	library, err := build()
	if errors.Is(err, softtoken.ErrNoCompiler) && os.Getenv("CI") == "" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return library
}
