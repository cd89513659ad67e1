package softtoken_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"hufu/hsm/hsmtest"
	"hufu/hsm/softtoken"
)

// Each try is another process, so the count is on the disk.
func TestTheTenthWrongPINLocks(t *testing.T) {
	k := watched(t, "neutral")
	try := func(pin, want string) {
		t.Helper()
		if said := check(t, k, "neutral", "login", pin); said["login"] != want {
			t.Errorf("PIN %s: %s, want %s", pin, said["login"], want)
		}
	}
	try("wrong PIN", "a0")
	try(k.PIN, "0")
	for range 10 {
		try("wrong PIN", "a0")
	}
	try("wrong PIN", "a4")
	try(k.PIN, "a4")
	if out, err := exec.Command(k.Console, k.Store, "list").Output(); err != nil || !strings.Contains(string(out), "wrong PINs 10,") {
		t.Errorf("the console says %s (%v)", out, err)
	}
}

func objects(t *testing.T, k hsmtest.SoftToken) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(k.Store, k.Label, "obj-*"))
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func count(t *testing.T, k hsmtest.SoftToken) (public, private int) {
	t.Helper()
	said := check(t, k, "neutral", "count", "")
	if _, err := fmt.Sscanf(said["public"], "%d private %d", &public, &private); err != nil {
		t.Fatal(err)
	}
	return public, private
}

func TestProcessesShareAStore(t *testing.T) {
	k := watched(t, "neutral")
	var running []*exec.Cmd
	for range 3 {
		cmd := application(t, "check", k.Module, "neutral", k.PIN, "generate", "8")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		running = append(running, cmd)
	}
	for _, cmd := range running {
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	}
	if public, private := count(t, k); public != 24 || private != 24 {
		t.Errorf("%d public and %d private keys, want 24 each", public, private)
	}
}

func TestOneProcessUsesTwoStores(t *testing.T) {
	check(t, watched(t, "neutral"), "neutral", "two", watched(t, "neutral").Module)
}

// A process killed while it makes keys leaves whole keys, at most one public half without its private one, and nothing else.
func TestKilledWhileGenerating(t *testing.T) {
	k := watched(t, "neutral")
	const kills = 8
	made := 0
	for i := range kills {
		cmd := application(t, "check", k.Module, "neutral", k.PIN, "generate", "100000")
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for range 3 + i {
			if !lines.Scan() {
				t.Fatal("the program ended before it was killed")
			}
			made++
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		for lines.Scan() {
			made++
		}
		if err := cmd.Wait(); err == nil {
			t.Fatal("the program was not killed")
		}
	}
	public, private := count(t, k)
	if private < made || public < private || public > private+kills {
		t.Errorf("%d pairs were announced; %d public and %d private keys are there", made, public, private)
	}
	if files := len(objects(t, k)); files != public+private {
		t.Errorf("%d files for %d objects: some cannot be read", files, public+private)
	}
	if drafts, _ := filepath.Glob(filepath.Join(k.Store, k.Label, ".draft-*")); len(drafts) != 0 {
		t.Errorf("left behind: %v", drafts)
	}
}

// A changed or swapped file is no key any more, harms no other and is not removed.
func TestDamagedFilesAreNoKeys(t *testing.T) {
	k := watched(t, "neutral")
	check(t, k, "neutral", "generate", "2")
	files := objects(t, k)
	if len(files) != 4 {
		t.Fatalf("%d files", len(files))
	}
	for _, file := range files {
		whole, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, bad := range [][]byte{nil, whole[:8], whole[:9], whole[:len(whole)-1], flipped(whole, 0), flipped(whole, 8), flipped(whole, 20), flipped(whole, len(whole)-1)} {
			write(t, filepath.Dir(file), filepath.Base(file), bad)
			if public, private := count(t, k); public+private != 3 {
				t.Errorf("with a file of %d octets instead of %d: %d public, %d private", len(bad), len(whole), public, private)
			}
		}
		write(t, filepath.Dir(file), filepath.Base(file), whole)
	}
	var sealed []string
	for _, file := range files {
		if text, err := os.ReadFile(file); err == nil && text[8] == 1 {
			sealed = append(sealed, file)
		}
	}
	if len(sealed) != 2 || os.Rename(sealed[0], sealed[0]+"x") != nil || os.Rename(sealed[1], sealed[0]) != nil || os.Rename(sealed[0]+"x", sealed[1]) != nil {
		t.Fatalf("sealed files: %v", sealed)
	}
	if public, private := count(t, k); public != 2 || private != 0 {
		t.Errorf("swapped files still open: %d public, %d private", public, private)
	}
}

func flipped(b []byte, at int) []byte {
	bad := bytes.Clone(b)
	bad[at] ^= 1
	return bad
}

func TestDamagedRecordsAreRefused(t *testing.T) {
	for name, want := range map[string]string{"token": "C_OpenSession", "tries": "login 30"} {
		k := watched(t, "neutral")
		path := filepath.Join(k.Store, k.Label, name)
		whole, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, bad := range [][]byte{nil, whole[:len(whole)-1], append(bytes.Clone(whole), 0), bytes.Repeat([]byte{0xFF}, 5000)} {
			write(t, filepath.Dir(path), name, bad)
			out, _ := application(t, "check", k.Module, "neutral", k.PIN, "login", k.PIN).CombinedOutput()
			if !strings.Contains(string(out), want) {
				t.Errorf("%s of %d octets: %s", name, len(bad), out)
			}
		}
	}
}

// Neither PIN nor key stands in any file of the store.
func TestTheStoreHoldsNothingInTheClear(t *testing.T) {
	k := hsmtest.Token(t, "neutral")
	secret := []byte("0123456789abcdefFEDCBA9876543210")
	tool(t, k, "-l", "--pin", k.PIN, "-w", write(t, t.TempDir(), "secret", secret), "-y", "secrkey", "--key-type", "AES:32", "--label", "imported", "--private", "--sensitive")
	if out := tool(t, k, "-l", "--pin", k.PIN, "-O"); !strings.Contains(out, "imported") {
		t.Fatal(out)
	}
	err := filepath.WalkDir(k.Store, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if info, err := d.Info(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: mode %v (%v)", path, info.Mode(), err)
		}
		text, err := os.ReadFile(path)
		if bytes.Contains(text, secret[:16]) || bytes.Contains(text, []byte(k.PIN)) || bytes.Contains(text, []byte(hsmtest.SoftTokenSOPIN)) {
			t.Errorf("%s holds a secret in the clear", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func TestTheConsoleRefuses(t *testing.T) {
	k := watched(t, "neutral")
	dir := t.TempDir()
	short, none := write(t, dir, "short", []byte("123\n")), filepath.Join(dir, "none")
	for _, c := range []struct {
		args string
		code int
		says string
	}{
		{"init --label " + k.Label + " --so-pin-file " + k.PINFile + " --pin-file " + k.PINFile, 1, "a token already"},
		{"init --label new --so-pin-file " + short + " --pin-file " + k.PINFile, 1, "PIN files are needed"},
		{"init --label new --so-pin-file " + none + " --pin-file " + k.PINFile, 1, "PIN files are needed"},
		{"init --label ../out --so-pin-file " + k.PINFile + " --pin-file " + k.PINFile, 1, "not a folder's name"},
		{"init --label new --dialect klingon --so-pin-file " + k.PINFile + " --pin-file " + k.PINFile, 1, "unknown dialect"},
		{"sdf-key 0 sign --pin-file " + k.PINFile, 1, "1 to 4096"},
		{"sdf-key 5-4 sign --pin-file " + k.PINFile, 1, "1 to 4096"},
		{"sdf-key 1 dance --pin-file " + k.PINFile, 1, "sign, encrypt or kek"},
		{"sdf-key 1 sign", 1, "--pin-file"},
		{"init --rounds 1", 2, "usage"},
		{"dance", 2, "for trying and testing only"},
	} {
		out, err := exec.Command(k.Console, append([]string{k.Store}, strings.Fields(c.args)...)...).CombinedOutput()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != c.code || !strings.Contains(string(out), c.says) {
			t.Errorf("%s: %v %s", c.args, err, out)
		}
	}
	if public, private := count(t, k); public+private != 0 {
		t.Error("the token was touched")
	}
}

func TestTheConsoleMakesFaults(t *testing.T) {
	k := watched(t, "neutral")
	for _, args := range [][]string{{"fault", "slow", "5"}, {"fault", "removed"}} {
		if out, err := exec.Command(k.Console, append([]string{k.Store}, args...)...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	path := filepath.Join(k.Store, "faults")
	if text, err := os.ReadFile(path); err != nil || string(text) != "slow 5\nremoved 1\n" {
		t.Errorf("%q, %v", text, err)
	}
	if out, err := exec.Command(k.Console, k.Store, "fault").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if text, err := os.ReadFile(path); err != nil || len(text) != 0 {
		t.Errorf("%q, %v", text, err)
	}
}

func TestBuildSaysWhatIsMissing(t *testing.T) {
	t.Setenv("CC", "no-such-compiler")
	if _, err := softtoken.Build(t.TempDir(), softtoken.BuildOptions{}); !errors.Is(err, softtoken.ErrNoCompiler) || !strings.Contains(err.Error(), "libssl-dev") {
		t.Errorf("error %v", err)
	}
	t.Setenv("CC", "cc -nostdinc")
	if _, err := softtoken.Build(t.TempDir(), softtoken.BuildOptions{}); err == nil {
		t.Error("built without headers")
	}
}
