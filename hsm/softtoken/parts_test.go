package softtoken

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The Makefile is for people, build.go for tests: both link the same sources into the same files.
func TestTheMakefileBuildsTheSame(t *testing.T) {
	if _, err := exec.LookPath("make"); err != nil {
		if os.Getenv("CI") == "" {
			t.Skip("make is missing")
		}
		t.Fatal(err)
	}
	out, err := exec.Command("make", "-n", "-B", "OUT=out").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, p := range parts {
		var want []string
		for name := range Sources() {
			if slices.Contains(p.own, name) || strings.HasSuffix(name, ".c") && !belongs(name) {
				want = append(want, strings.TrimSuffix(name, ".c"))
			}
		}
		var linked []string
		for line := range strings.Lines(string(out)) {
			if !strings.Contains(line, "-o out/"+p.name+" ") {
				continue
			}
			for _, word := range strings.Fields(line) {
				if name, ok := strings.CutSuffix(filepath.Base(word), ".o"); ok {
					linked = append(linked, name)
				}
			}
			for _, flag := range flags {
				if !strings.Contains(line, flag) {
					t.Errorf("%s: no %s", p.name, flag)
				}
			}
		}
		slices.Sort(want)
		slices.Sort(linked)
		if !slices.Equal(want, linked) {
			t.Errorf("%s: make links %v, build.go %v", p.name, linked, want)
		}
	}
}
