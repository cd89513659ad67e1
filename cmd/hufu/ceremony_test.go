package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"hufu/ca"
	"hufu/certs"
	"hufu/internal/gm"
	"hufu/keys"
	"hufu/keys/shares"
)

var custodians = []string{"张三", "李四", "王五"}

// desk is where custodians type: each types "the passphrase of NAME" when asked, as often as asked; prompts counts, and at
// the prompt stop somebody pulls the plug.
type desk struct {
	out     bytes.Buffer
	prompts int
	stop    int
}

var errPlug = errors.New("the plug was pulled")

func (d *desk) read(_ context.Context, _ string) ([]byte, error) {
	if d.prompts++; d.prompts == d.stop {
		return nil, errPlug
	}
	called := regexp.MustCompile(`(?m)^(\S+): please come to the keyboard alone`).FindAllStringSubmatch(d.out.String(), -1)
	return []byte("the passphrase of " + called[len(called)-1][1]), nil
}

func (d *desk) asked() *passphrases { return &passphrases{read: d.read, out: &d.out} }

// room is an installation in which ceremonies are held, with cheap derivations.
type room struct {
	t   *testing.T
	dir string
	cfg Config
	now func() time.Time
}

func newRoom(t *testing.T) *room {
	r := &room{t: t, dir: t.TempDir(), now: time.Now}
	r.cfg = Config{Data: filepath.Join(r.dir, "data")}
	r.cfg.fill()
	return r
}

func (r *room) open() *server {
	r.t.Helper()
	s, err := openForCeremony(r.t.Context(), r.cfg, openOptions{create: true, migrate: true, log: slog.New(slog.DiscardHandler)})
	if err != nil {
		r.t.Fatal(err)
	}
	s.now = r.now
	return s
}

// hold holds the making of a root, interrupted at a prompt or, with a transcript that cannot be kept, at the end.
func (r *room) hold(d *desk, name string) (string, error) {
	r.t.Helper()
	s := r.open()
	defer s.Close()
	path := filepath.Join(r.dir, name)
	t, err := newTranscript(path, r.now, io.Discard, "test", false)
	if err != nil {
		r.t.Fatal(err)
	}
	if name == "lost" {
		t.path = filepath.Join(r.dir, "nowhere", name)
	}
	h := &holding{
		s: s, t: t, asked: d.asked(), cost: shares.Cost{Passes: 1, Memory: 8, Lanes: 1}, by: ceremonyActor(),
		order: shares.Order{Key: "root", Threshold: 2, Holders: custodians}, dir: filepath.Join(r.dir, "shares"), life: 400 * 24 * time.Hour,
	}
	err = h.hold(r.t.Context())
	return t.text.String(), err
}

// shareFiles returns the files of the newest ceremony.
func (r *room) shareFiles(s *server) []*shares.File {
	r.t.Helper()
	c, _, err := s.ca.Ceremony(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	files, err := (&holding{dir: filepath.Join(r.dir, "shares")}).files(c)
	if err != nil || len(files) != 3 {
		r.t.Fatalf("%d files, %v", len(files), err)
	}
	return files
}

func (r *room) sql(statement string, args ...any) {
	r.t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(r.cfg.Data, "hufu.db"))
	if err != nil {
		r.t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(statement, args...); err != nil {
		r.t.Fatal(err)
	}
}

// Pulled at any prompt before the shares are confirmed, a ceremony leaves nothing usable, and the next one says so and
// begins anew; after that it goes on where it was.
func TestInterruptedCeremonies(t *testing.T) {
	r := newRoom(t)
	for _, stop := range []int{1, 5, 9} { // of 3·2 prompts to choose and 3 to read back
		if _, err := r.hold(&desk{stop: stop}, "interrupted"); !errors.Is(err, errPlug) {
			t.Fatalf("prompt %d: %v", stop, err)
		}
		s := r.open()
		if c, begun, _ := s.ca.Ceremony(t.Context()); !begun || c.State != ca.CeremonyKey {
			t.Errorf("prompt %d left %+v", stop, c)
		}
		if err := s.ca.Bootstrap(t.Context(), ceremonyActor()); !errors.Is(err, ca.ErrCeremony) {
			t.Errorf("a root in the device's hands meanwhile: %v", err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	d := &desk{}
	text, err := r.hold(d, "lost")
	if !errors.Is(err, errTranscript) || !strings.Contains(text, "an interrupted ceremony was voided") || d.prompts != 9 {
		t.Fatalf("%d prompts, %v in\n%s", d.prompts, err, text)
	}
	s := r.open()
	names, chain := s.ca.Issuers()
	if c, _, _ := s.ca.Ceremony(t.Context()); c.State != ca.CeremonyShares || len(names) != 2 {
		t.Errorf("with a lost transcript: %s, %v", c.State, names)
	}
	before := chain["root"].Fingerprint()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	d = &desk{}
	text, err = r.hold(d, "kept")
	if err != nil || d.prompts != 2 || !strings.Contains(text, "going on with a ceremony whose shares were confirmed") || !strings.Contains(text, "opened their shares: 张三, 李四") {
		t.Fatalf("%d prompts, %v in\n%s", d.prompts, err, text)
	}
	s = r.open()
	defer s.Close()
	_, chain = s.ca.Issuers()
	c, _, _ := s.ca.Ceremony(t.Context())
	if c.State != ca.CeremonyDone || chain["root"].Fingerprint() != before {
		t.Errorf("%+v", c)
	}
	kept, err := os.ReadFile(filepath.Join(r.dir, "kept"))
	if sum := gm.SM3(kept); err != nil || !bytes.Equal(sum[:], c.Transcript) {
		t.Errorf("the transcript is not the recorded one: %v", err)
	}
	r.oldSharesOpenNothing(s)
}

// oldSharesOpenNothing tries all share files of ceremonies that were voided.
func (r *room) oldSharesOpenNothing(s *server) {
	names, err := filepath.Glob(filepath.Join(r.dir, "shares", "*.share"))
	if err != nil {
		r.t.Fatal(err)
	}
	c, _, _ := s.ca.Ceremony(r.t.Context())
	tried := 0
	for _, name := range names {
		if strings.HasPrefix(filepath.Base(name), "root-"+c.ID[:8]) {
			continue
		}
		tried++
		files, err := readShares([]string{name})
		if err != nil {
			r.t.Fatal(err)
		}
		if err := ofCeremony(c, files); !errors.Is(err, ca.ErrStrangeRoot) {
			r.t.Errorf("%s passes as one of the root's: %v", name, err)
		}
	}
	if tried == 0 {
		r.t.Error("no old share was tried")
	}
}

// An administrator has the database, the configuration, the device, and the shares of all but one of the custodians that
// are needed. Nothing signs as the root.
func TestTheAdministratorCannotSignAsTheRoot(t *testing.T) {
	r := newRoom(t)
	if _, err := r.hold(&desk{}, "transcript"); err != nil {
		t.Fatal(err)
	}
	s := r.open()
	defer s.Close()
	ctx := t.Context()
	c, _, _ := s.ca.Ceremony(ctx)
	_, chain := s.ca.Issuers()
	files := r.shareFiles(s)
	mine, err := files[1].Open([]byte("the passphrase of 李四"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.openRoot(ctx, c.Key, []*shares.Share{mine}); !errors.Is(err, shares.ErrMissing) {
		t.Errorf("with one share: %v", err)
	}
	if _, err := s.openRoot(ctx, c.Key, []*shares.Share{mine, mine}); !errors.Is(err, shares.ErrTwice) {
		t.Errorf("with one share twice: %v", err)
	}
	for _, label := range []string{"ca-root", ca.Custody(c.Key), c.Key, rootMaster} {
		if _, err := s.keys.Signer(ctx, label); err == nil {
			t.Errorf("the device signs with %q", label)
		}
	}
	if err := s.ca.PublishLists(ctx, "root"); !errors.Is(err, ca.ErrOffline) {
		t.Errorf("the server signs the root's list: %v", err)
	}
	other, err := gm.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.ca.Sit(ceremonyActor(), c, other, ""); !errors.Is(err, ca.ErrStrangeRoot) {
		t.Errorf("another key sits as the root: %v", err)
	}
	many, err := s.rootKeys(ctx)
	if err != nil {
		t.Fatal(err)
	}
	guess := make([]byte, shares.Size)
	rand.Read(guess)
	for what, consent := range map[string]keys.Consent{
		"nothing": {Kind: rootKind}, "a guess": {Kind: rootKind, Half: guess}, "zero": {Kind: rootKind, Half: make([]byte, 32)},
		"a PIN": {Kind: rootKind, PIN: []byte("Hufu-seal-2026")},
	} {
		if _, err := many.Signer(ctx, c.Key, ceremonyActor(), consent); err == nil {
			t.Errorf("the root's key opens with %s", what)
		}
	}
	r.tamper(s, many, c, guess)
	r.foreignRoot(s, chain["root"])
}

// tamper changes rows so that the key might pass as the platform's, or as owned by the administrator.
func (r *room) tamper(s *server, many *keys.Many, c ca.Ceremony, half []byte) {
	ctx, t := r.t.Context(), r.t
	r.sql(`UPDATE wrapped_key SET control = 'platform' WHERE id = $1`, c.Key)
	if _, err := many.Signer(ctx, c.Key, ceremonyActor(), keys.Consent{Kind: rootKind, Half: half}); err == nil {
		t.Error("as the platform's key it signs")
	}
	if err := many.Adopt(ctx, ceremonyActor(), c.Key, keys.Enrolment{Half: half}); err == nil {
		t.Error("it was adopted")
	}
	r.sql(`UPDATE wrapped_key SET control = 'owner' WHERE id = $1`, c.Key)
	mine, _, err := many.Generate(ctx, "mine", keys.Enrolment{Half: half})
	if err != nil {
		t.Fatal(err)
	}
	r.sql(`UPDATE wrapped_key SET wrapped = (SELECT wrapped FROM wrapped_key WHERE id = $1) WHERE id = $2`, c.Key, mine)
	if _, err := many.Signer(ctx, mine, ceremonyActor(), keys.Consent{Kind: rootKind, Half: half}); err == nil {
		t.Error("the root's key opens in the administrator's row")
	}
	if _, err := s.openRoot(ctx, c.Key, openAll(t, r.shareFiles(s))); err != nil {
		t.Errorf("put back, the custodians cannot use it: %v", err)
	}
}

func openAll(t *testing.T, files []*shares.File) []*shares.Share {
	t.Helper()
	var all []*shares.Share
	for _, f := range files {
		share, err := f.Open([]byte("the passphrase of " + f.Holder()))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, share)
	}
	return all
}

// foreignRoot points the root's row at a key of the device: what that signs does not pass for the root's.
func (r *room) foreignRoot(s *server, root *certs.Certificate) {
	ctx, t := r.t.Context(), r.t
	if _, err := s.keys.Ensure(ctx, ceremonyActor(), "ca-root", keys.CARoot, keys.SM2); err != nil {
		t.Fatal(err)
	}
	r.sql(`UPDATE ca_issuer SET key_label = 'ca-root' WHERE name = 'root'`)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = r.open()
	defer s.Close()
	if err := s.ca.PublishLists(ctx, "root"); err == nil {
		t.Error("a list was published under another key than the root's")
	}
	der, err := s.ca.ListDER(ctx, "root", ca.FullShard)
	if err != nil {
		t.Fatal(err)
	}
	list, err := certs.ParseCRL(der)
	if err != nil || list.CheckSignature(root) != nil {
		t.Errorf("the published list is not the root's: %v", err)
	}
}

// A half is nowhere but in the shares: neither in files of the installation nor in the transcript.
func TestTheHalfIsNowhere(t *testing.T) {
	r := newRoom(t)
	if _, err := r.hold(&desk{}, "transcript"); err != nil {
		t.Fatal(err)
	}
	s := r.open()
	half, err := shares.Combine(openAll(t, r.shareFiles(s))...)
	if err = errors.Join(err, s.Close()); err != nil {
		t.Fatal(err)
	}
	err = filepath.WalkDir(r.dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		if bytes.Contains(text, half) || bytes.Contains(text, []byte("the passphrase of")) {
			t.Errorf("%s holds it", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestCustodiansMistype(t *testing.T) {
	_, all, err := shares.Split(bytes.Repeat([]byte{7}, shares.Size), shares.Order{Key: "root", Threshold: 2, Holders: custodians, Made: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	file, err := all[0].Seal([]byte("the right passphrase"), shares.Cost{Passes: 1, Memory: 8, Lanes: 1})
	if err != nil {
		t.Fatal(err)
	}
	typing := func(lines ...string) *passphrases {
		return &passphrases{out: io.Discard, read: func(context.Context, string) ([]byte, error) {
			next := []byte(lines[0])
			lines = lines[1:]
			return next, nil
		}}
	}
	if _, err := typing("wrong wrong wrong", "short", "the right passphrase").open(t.Context(), file); err != nil {
		t.Errorf("right at the third try: %v", err)
	}
	if _, err := typing("wrong wrong wrong", "wrong wrong wrong", "wrong wrong wrong").open(t.Context(), file); !errors.Is(err, shares.ErrWrong) {
		t.Errorf("wrong three times: %v", err)
	}
	if got, err := typing("one passphrase here", "another passphrase", "short", "short", "a good passphrase", "a good passphrase").choose(t.Context(), "张三"); err != nil || string(got) != "a good passphrase" {
		t.Errorf("agreed at the third try: %q, %v", got, err)
	}
	if _, err := typing("one", "one", "two", "two", "six", "six").choose(t.Context(), "张三"); !errors.Is(err, errTyped) {
		t.Errorf("too short three times: %v", err)
	}
}

func TestTheRootsListIsToldInTime(t *testing.T) {
	r := newRoom(t)
	if _, err := r.hold(&desk{}, "transcript"); err != nil {
		t.Fatal(err)
	}
	s := r.open()
	defer s.Close()
	ofLists := func() []note { // nobody fills the key pool here, which is told too
		return slices.DeleteFunc(s.notes(t.Context()), func(n note) bool { return n.Code == "kmc-pool" })
	}
	if n := ofLists(); len(n) != 0 {
		t.Errorf("a fresh list is told of: %+v", n)
	}
	for days, code := range map[int]string{270: "root-list", 401: "root-list-over"} {
		s.now = func() time.Time { return time.Now().AddDate(0, 0, days) }
		if n := ofLists(); len(n) != 1 || n[0].Code != code || n[0].About != "root" || n[0].Until.IsZero() || n[0].ZH == "" {
			t.Errorf("after %d days: %+v", days, n)
		}
	}
	var told []string
	doctor := func() string {
		var out bytes.Buffer
		told = nil
		checkRootLists(&console{ctx: t.Context(), out: &out}, r.cfg, func(what string, err error) {
			if err != nil {
				told = append(told, what)
			}
		})
		return out.String()
	}
	if out := doctor(); out != "" || len(told) != 0 {
		t.Errorf("the doctor says %q, %q of a fresh list", out, told)
	}
	r.sql(`UPDATE ca_list_state SET this_update = this_update - 300 * 86400000000, next_update = next_update - 300 * 86400000000 WHERE issuer = 'root'`)
	if out := doctor(); !strings.Contains(out, "note   list of \"root\"") || len(told) != 0 {
		t.Errorf("the doctor says %q, %q of one that is due", out, told)
	}
	r.sql(`UPDATE ca_list_state SET next_update = 1 WHERE issuer = 'root'`)
	if doctor(); len(told) != 1 {
		t.Errorf("the doctor blames %q", told)
	}
}

// The root stays with its master key, whatever algorithm the configuration names for new ones.
func TestTheRootOutlivesAnotherMasterAlgorithm(t *testing.T) {
	r := newRoom(t)
	if text, err := r.hold(&desk{}, "made"); err != nil {
		t.Fatal(text, err)
	}
	r.cfg.Master = keys.AES256
	s := r.open()
	defer s.Close()
	c, _, err := s.ca.Ceremony(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	d := &desk{}
	all, err := openShares(t.Context(), d.asked(), r.shareFiles(s)[:c.Threshold])
	if err != nil {
		t.Fatal(err)
	}
	root, err := s.openRoot(t.Context(), c.Key, all)
	if err != nil {
		t.Fatal(err)
	}
	root.clear()
}
