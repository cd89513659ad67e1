package softtoken_test

import (
	"bufio"
	"encoding/hex"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"hufu/hsm/hsmtest"
	"hufu/hsm/softtoken"
)

// sanitized is the token under the address and undefined-behaviour sanitizers.
var sanitized = sync.OnceValues(func() (softtoken.Library, error) {
	return softtoken.Cached(softtoken.BuildOptions{Sanitize: true})
})

// watched returns a token whose every step the sanitizers watch.
func watched(t *testing.T, dialect string) hsmtest.SoftToken {
	t.Helper()
	library, err := sanitized()
	if errors.Is(err, softtoken.ErrNoCompiler) && os.Getenv("CI") == "" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return hsmtest.TokenWith(t, library, dialect)
}

// programs are the applications of testdata, built once: check drives the PKCS#11 module, sdfcheck the SDF library.
var programs = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "softtoken-check-")
	if err != nil {
		return "", err
	}
	flags := []string{"-std=c11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-g", "-pthread"}
	for name, sources := range map[string][]string{
		"check":    {"check.c", "round.c", "known.c", "wraps.c", "policy.c", "abuse.c", "threads.c", "faults.c"},
		"sdfcheck": {"sdfcheck.c"},
	} {
		args := append(append(flags, "-o", filepath.Join(dir, name)), sources...)
		cmd := exec.Command("cc", append(args, "-ldl")...)
		cmd.Dir = "testdata"
		if out, err := cmd.CombinedOutput(); err != nil {
			return dir, errors.Join(err, errors.New(string(out)))
		}
	}
	return dir, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if dir, err := programs(); err == nil {
		os.RemoveAll(dir)
	}
	os.Exit(code)
}

// application returns one of the programs, to be run with the sanitizers' library in place.
func application(t *testing.T, name string, args ...string) *exec.Cmd {
	t.Helper()
	dir, err := programs()
	if err != nil {
		t.Fatal(err)
	}
	asan, err := exec.Command("cc", "-print-file-name=libasan.so").Output()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), filepath.Join(dir, name), args...)
	cmd.Env = append(os.Environ(), "LD_PRELOAD="+strings.TrimSpace(string(asan)), "ASAN_OPTIONS=detect_leaks=1:exitcode=99", "UBSAN_OPTIONS=print_stacktrace=1")
	return cmd
}

// check runs the program check on a token, and returns what it printed by name.
func check(t *testing.T, k hsmtest.SoftToken, dialect, what, argument string) map[string]string {
	t.Helper()
	return run(t, application(t, "check", k.Module, dialect, k.PIN, what, argument))
}

func run(t *testing.T, cmd *exec.Cmd) map[string]string {
	t.Helper()
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.HasSuffix(string(out), "done\n") {
		t.Fatalf("%s: %v\n%s", strings.Join(cmd.Args[1:], " "), err, out)
	}
	said := map[string]string{}
	for lines := bufio.NewScanner(strings.NewReader(string(out))); lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), " ")
		said[name] = value
	}
	return said
}

func unhex(t *testing.T, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(text)
	if err != nil || len(b) == 0 {
		t.Fatalf("%q: %v", text, err)
	}
	return b
}

// outside runs a program that we did not write; where it is missing the test is skipped, or fails under CI.
func outside(t *testing.T, name string, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		if os.Getenv("CI") == "" {
			t.Skipf("%s is missing", name)
		}
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

func tool(t *testing.T, k hsmtest.SoftToken, args ...string) string {
	t.Helper()
	return outside(t, "pkcs11-tool", append([]string{"--module", k.Module}, args...)...)
}

func write(t *testing.T, dir, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
