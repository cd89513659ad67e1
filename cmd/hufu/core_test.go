package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"testing"
)

// A running server has a core limit of 0, whatever the limits of who started it were.
func TestNoCoreFileIsWritten(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("only Linux tells the limits of a process")
	}
	addr := freeAddress(t)
	p := exec.Command("sh", "-c", "ulimit -c unlimited 2>/dev/null; exec hufu serve --demo --data "+filepath.Join(t.TempDir(), "data")+" --listen "+addr)
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = p.Process.Kill(); _ = p.Wait() }()
	if err := awaitAnswer(t.Context(), "http://"+addr, "/healthz"); err != nil {
		t.Fatal(err)
	}
	limits, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", p.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`(?m)^Max core file size +0 +0 `).Match(limits) {
		t.Errorf("limits of the server:\n%s", limits)
	}
}
