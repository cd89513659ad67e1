package main

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// waits returns when an application under a profile waits for an officer: waits PROFILE. The script has $AT and the approver's
// token.
func waits(ts *testscript.TestScript, _ bool, args []string) {
	for range 100 {
		err := ts.Exec("hufu", "cert", "list", ts.Getenv("AT"), "--token-file", "approver", "--state", "submitted", "--profile", args[0])
		ts.Check(err)
		if strings.Contains(ts.ReadFile("stdout"), args[0]) {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	ts.Fatalf("no application under %s", args[0])
}

// TestTheEnrolmentCommandsOfThePageAreRun: what docs/ISSUING.md shows is what the script does.
func TestTheEnrolmentCommandsOfThePageAreRun(t *testing.T) {
	page, err := os.ReadFile("../../docs/ISSUING.md")
	if err != nil {
		t.Fatal(err)
	}
	script, err := os.ReadFile("testdata/16-enrol.txtar")
	if err != nil {
		t.Fatal(err)
	}
	run := strings.NewReplacer("$ADDR", "localhost:8480", "$AT --token-file registrar ", "", " &device&", "").Replace(string(script))
	lines := regexp.MustCompile(`(?m)^(openssl cmp|hufu cert secret) .*$`).FindAllString(string(page), -1)
	if len(lines) < 4 {
		t.Fatalf("the page shows %d commands", len(lines))
	}
	for _, line := range lines {
		if !strings.Contains(run, "exec "+line+"\n") {
			t.Errorf("nobody runs: %s", line)
		}
	}
}

func TestSecretsTravelWhereNobodyListens(t *testing.T) {
	safe := confidential([]netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")})
	for name, c := range map[string]struct {
		peer, proto string
		safe        bool
	}{
		"this machine": {"127.0.0.1:1", "", true}, "elsewhere": {"192.0.2.1:1", "", false}, "who says so": {"192.0.2.1:1", "https", false},
		"a proxy of ours with https": {"10.1.1.1:1", "https", true}, "with http": {"10.1.1.1:1", "http", false}, "without a word": {"10.1.1.1:1", "", false},
	} {
		r := httptest.NewRequest(http.MethodPost, "/", nil)
		if r.RemoteAddr = c.peer; c.proto != "" {
			r.Header.Set("X-Forwarded-Proto", c.proto)
		}
		if safe(r) != c.safe {
			t.Errorf("%s: %t", name, !c.safe)
		}
	}
}
