package hsm_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hufu/hsm"
	"hufu/hsm/hsmtest"
	"hufu/internal/gm"
)

// childDir, when set, makes this test binary a process that works on the key store there until it is killed.
const childDir = "HUFU_TEST_HSM_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		child(dir)
	}
	os.Exit(m.Run())
}

// child makes and destroys keys for ever and prints the label of each key that it was told is safe.
func child(dir string) {
	d, err := hsm.OpenSoft(dir, []byte(hsmtest.Passphrase), quick)
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	fmt.Println("open")
	for i := 0; ; i++ {
		spec := hsm.Spec{Label: fmt.Sprintf("k%d-%d", os.Getpid(), i), Algorithm: hsm.SM2}
		if _, err := d.Generate(context.Background(), spec); err != nil {
			os.Exit(1)
		}
		fmt.Println("made", spec.Label)
		if i%3 == 2 {
			gone := fmt.Sprintf("k%d-%d", os.Getpid(), i-1)
			fmt.Println("destroying", gone)
			if err := d.Destroy(context.Background(), gone); err != nil {
				os.Exit(1)
			}
		}
	}
}

func start(t *testing.T, dir string) (*exec.Cmd, *bufio.Scanner) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childDir+"="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd, bufio.NewScanner(out)
}

// A process is killed again and again while it makes and destroys keys. What it was told is safe works afterwards, and
// nothing half-written is left.
func TestKilledWriterLeavesASoundStore(t *testing.T) {
	dir, safe := store(t), map[string]bool{}
	for round := range 6 {
		cmd, lines := start(t, dir)
		time.AfterFunc(time.Duration(60+17*round)*time.Millisecond, func() { cmd.Process.Kill() })
		for lines.Scan() {
			verb, label, _ := strings.Cut(lines.Text(), " ")
			switch verb {
			case "made":
				safe[label] = true
			case "destroying":
				delete(safe, label)
			case "error":
				t.Fatal(label)
			}
		}
		cmd.Wait()
		d := open(t, dir)
		if err := d.Health(t.Context()); err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		for label := range safe {
			signer, err := d.Signer(t.Context(), label)
			if err != nil {
				t.Fatalf("round %d: key %s is lost: %v", round, label, err)
			}
			if _, err := signer.Sign(nil, make([]byte, 32), gm.Digest); err != nil {
				t.Fatal(err)
			}
		}
		entries, err := filepath.Glob(filepath.Join(dir, ".tmp-*"))
		if err != nil || len(entries) > 0 {
			t.Errorf("left behind: %v %v", entries, err)
		}
		d.Close()
	}
	if len(safe) == 0 {
		t.Fatal("no child made any key: the test says nothing")
	}
}

// Only one process works on a folder; the second is told which one holds it, and gets in when that one dies.
func TestSecondWriterIsRefused(t *testing.T) {
	dir := store(t, "root")
	cmd, lines := start(t, dir)
	if !lines.Scan() || lines.Text() != "open" {
		t.Fatalf("child says %q", lines.Text())
	}
	err := openErr(t, dir, hsmtest.Passphrase)
	want(t, "second process", err, hsm.ErrBusy)
	if !strings.Contains(err.Error(), fmt.Sprint("process ", cmd.Process.Pid)) {
		t.Errorf("the error does not name the holder: %v", err)
	}
	cmd.Process.Kill()
	cmd.Wait()
	d := open(t, dir)
	want(t, "second open in one process", openErr(t, dir, hsmtest.Passphrase), hsm.ErrBusy)
	_, err = hsm.CreateSoft(dir, []byte(hsmtest.Passphrase), quick)
	want(t, "create over an open one", err, hsm.ErrBusy)
	d.Close()
	open(t, dir)
}

// Half a file under a temporary name is a torn write: it is removed, and the old state stands.
func TestTornWriteIsSweptAway(t *testing.T) {
	dir := store(t, "root")
	good, err := os.ReadFile(filepath.Join(dir, "root.key"))
	if err != nil {
		t.Fatal(err)
	}
	torn := filepath.Join(dir, ".tmp-TORN")
	write(t, torn, good[:len(good)/2])
	d := open(t, dir)
	if _, err := os.Stat(torn); !os.IsNotExist(err) {
		t.Errorf("still there: %v", err)
	}
	if keys, err := d.Keys(t.Context()); err != nil || len(keys) != 1 {
		t.Errorf("%v, %v", keys, err)
	}
}
