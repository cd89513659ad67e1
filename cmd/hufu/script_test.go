package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"github.com/rogpeppe/go-internal/testscript"

	"hufu/certs"
	"hufu/store/storetest"
)

// TestMain puts the program into the search path as hufu, so that scripts and tests start it as a process of its own.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"hufu": main})
}

// TestScripts runs the archives under testdata: read them as a tutorial. Each has two free addresses, $ADDR and $ADDR2.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(e *testscript.Env) error {
			e.Setenv("ADDR", freeAddress(t))
			e.Setenv("ADDR2", freeAddress(t))
			if !migrating.MatchString(filepath.Base(e.WorkDir)) {
				storetest.Place(t, filepath.Join(e.WorkDir, "data", "hufu.db"))
			}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"told": told, "reach": reach, "get": get, "mirror": mirror, "capture": capture, "expand": expand, "remember": remember, "damage": damage,
			"sql": sqlite, "share": share, "pause": pause, "openssl": openssl, "stamper": stamper, "waits": waits,
		},
	})
}

// migrating are the archives that begin without a data folder; the others find one with an empty migrated database.
var migrating = regexp.MustCompile(`^script-0[123478]-`)

// freeAddress is a loopback address with a port that nobody has. It lies below the range from which the system gives
// ports by itself, so that a server can be started there twice.
func freeAddress(t testing.TB) string {
	t.Helper()
	for range 200 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		port := 10000 + (l.Addr().(*net.TCPAddr).Port*7919)%20000
		l.Close()
		if l, err = net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
			l.Close()
			return l.Addr().String()
		}
	}
	t.Fatal("no free port")
	return ""
}

// told demands that the program before said one line on standard error and nothing else there, that it matches, and that
// it ends with the next step in two languages: told 'no passphrase file.*hufu init'.
func told(ts *testscript.TestScript, _ bool, args []string) {
	said := ts.ReadFile("stderr")
	if wrong := notOneLine(said); wrong != "" {
		ts.Fatalf("%s: %q", wrong, said)
	}
	if !regexp.MustCompile(args[0]).MatchString(said) {
		ts.Fatalf("%q does not match %q", said, args[0])
	}
}

var nextStep = regexp.MustCompile(`^hufu: .*\. / .*[。）]\n$`)

func notOneLine(said string) string {
	switch {
	case strings.Contains(said, "goroutine ") || strings.Contains(said, "panic"):
		return "a stack trace"
	case strings.Count(said, "\n") != 1:
		return "not one line"
	case !nextStep.MatchString(said):
		return "no next step in two languages"
	}
	return ""
}

// reach waits until a server is ready, and until it has what is named: reach http://$ADDR/pki/log/checkpoint.
func reach(ts *testscript.TestScript, _ bool, args []string) {
	where, err := url.Parse(args[0])
	ts.Check(err)
	base := where.Scheme + "://" + where.Host
	ts.Check(awaitAnswer(context.Background(), base, "/readyz"))
	if where.Path != "" {
		ts.Check(awaitAnswer(context.Background(), base, where.RequestURI()))
	}
}

func awaitAnswer(ctx context.Context, base, path string) error {
	w, err := newWalker(base)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		if _, err = w.get(ctx, path); err == nil {
			return nil
		}
		if !sleep(ctx, 20*time.Millisecond) {
			return fmt.Errorf("%s does not answer: %w", base+path, err)
		}
	}
}

// get keeps what an address answers in a file: get http://$ADDR/pki/log/checkpoint seen.
func get(ts *testscript.TestScript, _ bool, args []string) {
	w, err := newWalker("")
	ts.Check(err)
	text, err := w.get(context.Background(), args[0])
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), text, 0o600))
}

// mirror copies a whole log as any mirror does, into the folder audit below another one: mirror http://$ADDR log.vkey copy.
func mirror(ts *testscript.TestScript, _ bool, args []string) {
	key, err := readKey(ts.MkAbs(args[1]))
	ts.Check(err)
	w, err := newWalker(args[0])
	ts.Check(err)
	t := &tour{walker: w, out: ts.MkAbs(args[2]), report: tourReport{Files: map[string]string{}}}
	ts.Check(t.mirror(context.Background(), key))
}

// capture sets a variable to what the first group of a pattern matched on standard output: capture KEY 'witness key: (.*)'.
func capture(ts *testscript.TestScript, _ bool, args []string) {
	found := regexp.MustCompile(args[1]).FindStringSubmatch(ts.ReadFile("stdout"))
	if found == nil {
		ts.Fatalf("nothing matches %q", args[1])
	}
	ts.Setenv(args[0], found[1])
}

// expand puts the values of variables into a file.
func expand(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(os.Expand(ts.ReadFile(args[0]), ts.Getenv)), 0o600))
}

// openssl runs that program: openssl verify -CAfile root.pem issuing.pem. It must be there where tests count.
func openssl(ts *testscript.TestScript, neg bool, args []string) {
	if _, err := exec.LookPath("openssl"); err != nil {
		if os.Getenv("CI") != "" {
			ts.Fatalf("openssl is not there: %v", err)
		}
		ts.Logf("openssl is not there: %v not done", args)
		return
	}
	if err := ts.Exec("openssl", args...); (err != nil) != neg {
		ts.Fatalf("openssl %v: %v\n%s%s", args, err, ts.ReadFile("stdout"), ts.ReadFile("stderr"))
	}
}

// stamper asks for a time-stamp and keeps the certificate that its token carries: stamper http://$ADDR tsa.pem.
func stamper(ts *testscript.TestScript, _ bool, args []string) {
	question := certs.NewTimeStampRequest([]byte("some document"))
	body, err := question.Marshal()
	ts.Check(err)
	answer, err := http.Post(args[0]+"/pki/tsa", "application/timestamp-query", bytes.NewReader(body))
	ts.Check(err)
	defer answer.Body.Close()
	der, err := io.ReadAll(io.LimitReader(answer.Body, 1<<20))
	ts.Check(err)
	response, err := certs.ParseTimeStampResponse(der)
	ts.Check(err)
	stamp, err := response.Check(question)
	ts.Check(err)
	cert, _, err := stamp.Verify([]byte("some document"), time.Now())
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), cert.PEM(), 0o600))
}

// share lets others read a file: share data/passphrase.
func share(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(os.Chmod(ts.MkAbs(args[0]), 0o644))
}

// remember takes down what a file or folder holds; with !, it demands that nothing has changed since.
func remember(ts *testscript.TestScript, neg bool, args []string) {
	name := "REMEMBERED_" + args[0]
	now := fingerprint(ts, ts.MkAbs(args[0]))
	if !neg {
		ts.Setenv(name, now)
	} else if before := ts.Getenv(name); before != now {
		ts.Fatalf("%s is not what it was; before:\n%s\nnow:\n%s", args[0], before, now)
	}
}

// fingerprint lists files and their digests. The lock names the last process, and -shm is SQLite's scratch.
func fingerprint(ts *testscript.TestScript, root string) string {
	var all strings.Builder
	ts.Check(filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Name() == "lock" || strings.HasSuffix(path, "-shm") {
			return err
		}
		text, err := os.ReadFile(path)
		if len(text) > 0 || !strings.HasSuffix(path, "-wal") {
			fmt.Fprintf(&all, "%s %x\n", path, sha256.Sum256(text))
		}
		return err
	}))
	return all.String()
}

// damage flips a bit in the middle of a file, the first one of a pattern: damage data/keys/ca-issuing.*.
func damage(ts *testscript.TestScript, _ bool, args []string) {
	names, err := filepath.Glob(ts.MkAbs(args[0]))
	ts.Check(err)
	if len(names) == 0 {
		ts.Fatalf("no file %s", args[0])
	}
	text, err := os.ReadFile(names[0])
	ts.Check(err)
	text[len(text)/2] ^= 1
	ts.Check(os.WriteFile(names[0], text, 0o600))
}

// sql executes a statement on an SQLite file.
func sqlite(ts *testscript.TestScript, _ bool, args []string) {
	db, err := sql.Open("sqlite", ts.MkAbs(args[0]))
	ts.Check(err)
	defer db.Close()
	_, err = db.Exec(args[1])
	ts.Check(err)
}

// Every command has a help text with an example, and no error or panic on the way.
func TestHelpOfEveryCommandHasAnExample(t *testing.T) {
	parser, err := kong.New(&commands{}, kong.Name("hufu"))
	if err != nil {
		t.Fatal(err)
	}
	leaves := parser.Model.Leaves(false)
	if len(leaves) < 9 {
		t.Fatalf("only %d commands", len(leaves))
	}
	for _, command := range leaves {
		var out, errs bytes.Buffer
		path := strings.Fields(command.Path())
		words := path[:0:0]
		for _, w := range path {
			if !strings.ContainsAny(w, "<-[") {
				words = append(words, w)
			}
		}
		code := run(t.Context(), append(words, "--help"), &out, &errs)
		text := strings.Join(strings.Fields(out.String()), " ")
		_, example, _ := strings.Cut(text, "Example: ")
		if code != 0 || errs.Len() > 0 || !strings.Contains(example, "hufu "+strings.Join(words, " ")) {
			t.Errorf("%v: exit code %d, errors %q, no example in %q", words, code, errs.String(), text)
		}
	}
}

// pause gives something that runs by itself the time to run: pause 1s.
func pause(ts *testscript.TestScript, _ bool, args []string) {
	d, err := time.ParseDuration(args[0])
	ts.Check(err)
	time.Sleep(d)
}
