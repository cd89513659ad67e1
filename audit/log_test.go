package audit_test

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"hufu/audit"
	"hufu/audit/tree"
	"hufu/internal/actor"
	"hufu/internal/fault"
	"hufu/internal/gm"
	"hufu/store"
	"hufu/store/storetest"
)

var (
	auditor = actor.Actor{Subject: "P-AUDIT", Capacity: actor.Person, Roles: []actor.Role{actor.RoleAuditAdmin}}
	super   = actor.Actor{Subject: "P-SUPER", Capacity: actor.Person, Roles: []actor.Role{actor.RoleSuperAdmin}}
	citizen = actor.Actor{Subject: "P-0", Capacity: actor.Person, Session: "S-1"}
)

// party is a log or witness with its private key.
type party struct {
	*tree.Key
	signer crypto.Signer
}

func newParty(t *testing.T, name string, use tree.Use) party {
	t.Helper()
	priv, err := gm.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	k, err := tree.NewKey(name, use, priv.Public())
	if err != nil {
		t.Fatal(err)
	}
	return party{k, priv}
}

func (p party) sign(t *testing.T, head tree.Head) []byte {
	t.Helper()
	note, err := tree.Sign(tree.Checkpoint{Origin: p.Name(), Head: head}, p.Key, p.signer)
	if err != nil {
		t.Fatal(err)
	}
	return note
}

// site is a log on a database, with a clock of its own.
type site struct {
	*audit.Log
	party
	now     time.Time
	written int
}

// each runs f with a fresh log on every engine.
func each(t *testing.T, f func(t *testing.T, s *site)) {
	t.Helper()
	s := &site{}
	storetest.EachWith(t, store.Options{Now: func() time.Time { return s.now }}, func(t *testing.T, db *store.DB) {
		*s = site{party: newParty(t, "ca.example.cn/log", tree.Log), now: time.Date(2026, 5, 1, 8, 0, 0, 0, time.UTC)}
		s.Log = newLog(t, s, db.Audit(), nil, 0)
		f(t, s)
	})
}

func newLog(t *testing.T, s *site, st audit.Store, witnesses []*tree.Key, quorum int) *audit.Log {
	t.Helper()
	l, err := audit.New(audit.Config{Store: st, Key: s.party.Key, Witnesses: witnesses, Quorum: quorum, Now: func() time.Time { return s.now }})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// record writes n entries "seal.use" about seals O-0, O-1, … of subjects P-0 … P-2.
func (s *site) record(t *testing.T, n int) {
	t.Helper()
	for n > 0 {
		err := s.Store.Update(t.Context(), func(w audit.W) error {
			for range min(n, 500) {
				n--
				if err := w.Record(s.entry(s.written)); err != nil {
					return err
				}
				s.written++
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func (s *site) entry(i int) audit.Entry {
	return audit.Entry{
		ID: fmt.Sprintf("E-%05d", i), At: s.now.Add(time.Duration(i) * time.Millisecond), Actor: citizen, Action: "seal.use",
		Object: audit.Object{Kind: "seal", ID: fmt.Sprintf("O-%d", i)}, Public: map[string]string{"n": fmt.Sprint(i)},
		Subject: fmt.Sprintf("P-%d", i%3), Personal: map[string]string{"name": "张三", "number": "11010119900307002X"},
	}
}

// rounds runs a sequencer until nothing waits.
func (s *site) rounds(t *testing.T, holder string, batch int) {
	t.Helper()
	if err := s.tryRounds(t, s.Store, s.signer, holder, batch); err != nil {
		t.Fatal(err)
	}
}

func (s *site) tryRounds(t *testing.T, st audit.Store, signer crypto.Signer, holder string, batch int) error {
	t.Helper()
	q, err := audit.NewSequencer(audit.SequencerConfig{Store: st, Key: s.party.Key, Signer: signer, Holder: holder, Batch: batch, Now: func() time.Time { return s.now }})
	if err != nil {
		t.Fatal(err)
	}
	for {
		if more, err := q.Round(t.Context()); err != nil || !more {
			return err
		}
	}
}

// folder is an exported log.
type folder map[string][]byte

func (f folder) fetch(_ context.Context, path string) ([]byte, error) {
	if b, ok := f[path]; ok {
		return b, nil
	}
	return nil, fmt.Errorf("%s: %w", path, fs.ErrNotExist)
}

func (s *site) export(t *testing.T) folder {
	t.Helper()
	f := folder{}
	if err := s.Export(t.Context(), func(path string, data []byte) error { f[path] = data; return nil }); err != nil {
		t.Fatal(err)
	}
	return f
}

func (s *site) verify(t *testing.T, f folder, x audit.Expect) audit.Report {
	t.Helper()
	x.Log = s.party.Key
	report, err := audit.VerifyExport(t.Context(), f.fetch, x)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

func (s *site) mustVerify(t *testing.T, entries uint64, earlier ...[]byte) {
	t.Helper()
	if r := s.verify(t, s.export(t), audit.Expect{Earlier: earlier}); !r.OK() || r.Head.Size != entries || r.Entries != entries {
		t.Errorf("log of %d entries, want %d: %+v", r.Entries, entries, r.Findings)
	}
}

func (s *site) head(t *testing.T) (head tree.Head) {
	t.Helper()
	if err := s.Store.View(t.Context(), func(r audit.R) error {
		state, err := r.State()
		head = state.Head
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return head
}

func TestLogGrowsAndVerifies(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		s.rounds(t, "node", 0)
		s.mustVerify(t, 0) // a log without entries has a checkpoint too
		empty := s.export(t)["checkpoint"]
		s.record(t, 300)
		s.rounds(t, "node", 100)
		first := s.export(t)["checkpoint"]
		s.record(t, 400)
		s.rounds(t, "node", 0)
		s.rounds(t, "node", 0) // nothing to do
		s.mustVerify(t, 700, first, empty)
	})
}

func TestProofOfAnEntry(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		s.record(t, 3)
		if _, err := s.Proof(t.Context(), "E-00001"); !errors.Is(err, audit.ErrPending) {
			t.Errorf("before the sequencer: %v", err)
		}
		if _, err := s.Proof(t.Context(), "E-99999"); !errors.Is(err, audit.ErrUnknown) {
			t.Errorf("no such entry: %v", err)
		}
		s.rounds(t, "node", 0)
		proof, err := s.Proof(t.Context(), "E-00001")
		if err != nil {
			t.Fatal(err)
		}
		proof, err = tree.ParseProof(proof.Text())
		if err != nil {
			t.Fatal(err)
		}
		if v, err := proof.Verify(s.party.Key, nil, 0); err != nil || v.Size != 3 || !strings.Contains(string(proof.Entry), `"E-00001"`) {
			t.Errorf("%+v, %v: %s", v, err, proof.Entry)
		}
		if _, err := proof.Verify(newParty(t, "ca.example.cn/log", tree.Log).Key, nil, 0); !errors.Is(err, tree.ErrSignature) {
			t.Errorf("another log's key: %v", err)
		}
		all, err := s.Proofs(t.Context(), audit.Object{Kind: "seal", ID: "O-2"})
		if err != nil || len(all) != 1 || all[0].Index != 2 {
			t.Errorf("by object: %d, %v", len(all), err)
		}
	})
}

func TestSearch(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		s.record(t, 120)
		s.rounds(t, "node", 0)
		s.record(t, 1) // not sequenced yet, but found
		var ids []string
		q := audit.Query{Limit: 50}
		for pages := 1; ; pages++ {
			page, err := s.Search(t.Context(), auditor, q)
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range page.Entries {
				ids = append(ids, f.ID)
				if !f.Intact || f.Opened || f.Personal != nil || f.Sequenced != (f.ID != "E-00120") {
					t.Errorf("%+v", f)
				}
			}
			if q.After = page.Next; q.After == "" {
				if pages != 3 {
					t.Errorf("%d pages", pages)
				}
				break
			}
		}
		if len(ids) != 121 || ids[0] != "E-00120" || len(slices.Compact(slices.Sorted(slices.Values(ids)))) != 121 {
			t.Errorf("%d entries, first %s", len(ids), ids[0])
		}
		at := s.now
		for name, row := range map[string]struct {
			q    audit.Query
			want int
		}{
			"object":          {audit.Query{Object: audit.Object{Kind: "seal", ID: "O-7"}}, 1},
			"kind":            {audit.Query{Object: audit.Object{Kind: "licence"}}, 0},
			"action":          {audit.Query{Action: "seal.use", Limit: 100}, 100},
			"noun":            {audit.Query{Action: "seal.", Limit: 3}, 3},
			"another noun":    {audit.Query{Action: "sea."}, 0},
			"actor":           {audit.Query{Actor: "person:P-0", Limit: 2}, 2},
			"another actor":   {audit.Query{Actor: "person:P-1"}, 0},
			"subject":         {audit.Query{Subject: "P-1", Limit: 100}, 40},
			"period":          {audit.Query{From: at.Add(10 * time.Millisecond), To: at.Add(20 * time.Millisecond)}, 10},
			"subject, period": {audit.Query{Subject: "P-1", From: at, To: at.Add(9 * time.Millisecond)}, 3},
		} {
			if page, err := s.Search(t.Context(), auditor, row.q); err != nil || len(page.Entries) != row.want {
				t.Errorf("%s: %d entries, want %d (%v)", name, len(page.Entries), row.want, err)
			}
		}
		for _, q := range []audit.Query{{Limit: 101}, {Limit: -1}, {After: "x"}, {After: "1.a b"}} {
			if _, err := s.Search(t.Context(), auditor, q); !errors.Is(err, audit.ErrQuery) {
				t.Errorf("%+v: %v", q, err)
			}
		}
	})
}

func TestWhoMaySearchAndOpen(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		s.record(t, 6)
		mine := audit.Query{Subject: "P-0", Personal: true}
		for name, row := range map[string]struct {
			who  actor.Actor
			q    audit.Query
			kind fault.Kind
		}{
			"nobody":                 {actor.Actor{}, audit.Query{}, fault.Unauthenticated},
			"nobody, own":            {actor.Actor{}, audit.Query{Subject: ""}, fault.Unauthenticated},
			"a citizen, everything":  {citizen, audit.Query{}, fault.Denied},
			"a citizen, another":     {citizen, audit.Query{Subject: "P-1"}, fault.Denied},
			"the super admin":        {super, audit.Query{}, fault.Denied},
			"the system, sealed":     {actor.ForSystem("job"), audit.Query{Personal: true}, fault.Denied},
			"an actor half made":     {actor.Actor{Subject: "P-0"}, mine, fault.Unauthenticated},
			"an application for her": {actor.Actor{Subject: "P-0", Capacity: actor.Person, Scopes: []string{"openid"}}, mine, fault.Denied},
			"the auditor":            {auditor, mine, -1},
			"the system":             {actor.ForSystem("job"), audit.Query{}, -1},
			"the citizen about self": {citizen, mine, -1},
		} {
			page, err := s.Search(t.Context(), row.who, row.q)
			if row.kind >= 0 && (err == nil || fault.KindOf(err) != row.kind) {
				t.Errorf("%s: %d entries, %v", name, len(page.Entries), err)
			}
			if row.kind < 0 && (err != nil || len(page.Entries) == 0) {
				t.Errorf("%s: %d entries, %v", name, len(page.Entries), err)
			}
		}
		s.now = s.now.Add(time.Second)
		page, err := s.Search(t.Context(), auditor, audit.Query{Object: audit.Object{Kind: "seal", ID: "O-3"}, Personal: true})
		if err != nil || len(page.Entries) != 1 || !page.Entries[0].Opened || page.Entries[0].Personal["name"] != "张三" || page.Entries[0].Session != "S-1" {
			t.Errorf("opened: %+v, %v", page, err)
		}
		reads, err := s.Search(t.Context(), auditor, audit.Query{Action: audit.ActionRead})
		if err != nil || len(reads.Entries) != 3 {
			t.Fatalf("each opening is recorded: %d, %v", len(reads.Entries), err)
		}
		if last := reads.Entries[0]; last.Actor != "person:P-AUDIT" || last.Public["object"] != "O-3" || last.Public["entries"] != "1" {
			t.Errorf("the record of reading: %+v", last)
		}
	})
}

func TestEraseLeavesTheTree(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		s.record(t, 30)
		s.rounds(t, "node", 0)
		before := s.export(t)["checkpoint"]
		for _, who := range []actor.Actor{{}, citizen, auditor} {
			if err := s.Erase(t.Context(), who, "P-1"); err == nil {
				t.Errorf("%s erased", who)
			}
		}
		for range 2 { // twice is no error
			if err := s.Erase(t.Context(), super, "P-1"); err != nil {
				t.Fatal(err)
			}
		}
		s.record(t, 3) // acts about the erased subject are still recorded
		s.rounds(t, "node", 0)
		s.mustVerify(t, 35, before)
		if _, err := s.Proof(t.Context(), "E-00001"); err != nil {
			t.Errorf("proof of an erased entry: %v", err)
		}
		page, err := s.Search(t.Context(), auditor, audit.Query{Subject: "P-1", Personal: true})
		if err != nil || len(page.Entries) != 11 {
			t.Fatalf("%d entries, %v", len(page.Entries), err)
		}
		for _, f := range page.Entries {
			if f.Opened || f.Personal != nil || !f.Intact || f.Erased != (f.ID != "E-00031") {
				t.Errorf("after erasing: %+v", f)
			}
		}
		if page, err := s.Search(t.Context(), auditor, audit.Query{Subject: "P-2", Personal: true}); err != nil || !page.Entries[0].Opened {
			t.Errorf("another subject was erased too: %v", err)
		}
		if page, err := s.Search(t.Context(), auditor, audit.Query{Action: audit.ActionErase}); err != nil || len(page.Entries) != 2 || page.Entries[0].Object.ID != "P-1" {
			t.Errorf("erasing is recorded: %+v, %v", page, err)
		}
	})
}

func TestHandler(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		w := newParty(t, "w.example.cn", tree.Witness)
		s.Log = newLog(t, s, s.Store, []*tree.Key{w.Key}, 1)
		srv := httptest.NewServer(s.Handler())
		defer srv.Close()
		get := func(path string, status int, cache string) string {
			t.Helper()
			resp, err := srv.Client().Get(srv.URL + path)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			b, err := io.ReadAll(resp.Body)
			if err != nil || resp.StatusCode != status || resp.Header.Get("Cache-Control") != cache {
				t.Errorf("%s: %s, cached %q, %v: %.100s", path, resp.Status, resp.Header.Get("Cache-Control"), err, b)
			}
			return string(b)
		}
		const forEver, briefly = "public, max-age=31536000, immutable", "public, max-age=1"
		get("/pki/log/checkpoint", 503, "no-store")
		s.record(t, 300)
		get("/pki/log/proof?entry=E-00007", 503, "no-store")
		s.rounds(t, "node", 0)
		note := get("/pki/log/checkpoint", 200, briefly)
		if v, err := tree.VerifyCheckpoint([]byte(note), s.party.Key, nil, 0); err != nil || v.Size != 300 {
			t.Errorf("%v: %s", err, note)
		}
		if n := len(get("/pki/log/tile/0/000", 200, forEver)); n != 256*32 {
			t.Errorf("full tile of %d bytes", n)
		}
		if n := len(get("/pki/log/tile/0/001.p/40", 200, forEver)); n != 40*32 {
			t.Errorf("a narrower partial tile of %d bytes", n)
		}
		get("/pki/log/tile/entries/001.p/44", 200, forEver)
		s.record(t, 1)
		for _, path := range []string{"0/001.p/45", "entries/001.p/45", "entries/001", "0/002.p/1", "3/000", "0/0", "0/x999/x999/x999/x999/x999/999"} {
			get("/pki/log/tile/"+path, 404, "no-store")
		}
		get("/pki/log/proof", 404, "no-store")
		get("/pki/log/proof?entry=nonsense", 404, "no-store")
		get("/pki/log/proof?kind=seal&object=O-9999", 404, "no-store")
		for _, path := range []string{"entry=E-00007", "kind=seal&object=O-7"} {
			p, err := tree.ParseProof([]byte(get("/pki/log/proof?"+path, 200, briefly)))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := p.Verify(s.party.Key, nil, 0); err != nil || p.Index != 7 {
				t.Errorf("%s: %d, %v", path, p.Index, err)
			}
		}
		get("/pki/log/cosigned", 503, "no-store")
		s.cosignOver(t, srv, w)
		cosigned := get("/pki/log/cosigned", 200, briefly)
		if v, err := tree.VerifyCheckpoint([]byte(cosigned), s.party.Key, []*tree.Key{w.Key}, 1); err != nil || v.Cosignatures[0].Witness != "w.example.cn" {
			t.Errorf("%v: %s", err, cosigned)
		}
		report, err := audit.VerifyExport(t.Context(), audit.FetchHTTP(srv.Client(), srv.URL+"/pki/log"), audit.Expect{Log: s.party.Key, Witnesses: []*tree.Key{w.Key}, Quorum: 1})
		if err != nil || !report.OK() || report.Entries != 300 {
			t.Errorf("over HTTP: %+v, %v", report, err)
		}
	})
}

// cosignOver lets a witness follow the log over HTTP and bring its line back; a stranger's line is refused.
func (s *site) cosignOver(t *testing.T, srv *httptest.Server, w party) {
	t.Helper()
	post := func(size uint64, line string, want int) {
		t.Helper()
		resp, err := srv.Client().Post(fmt.Sprintf("%s/pki/log/cosignature?size=%d", srv.URL, size), "text/plain", strings.NewReader(line))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("cosignature: %s, want %d", resp.Status, want)
		}
	}
	for name, p := range map[string]party{"known": w, "stranger": newParty(t, "w.example.cn", tree.Witness)} {
		seen, err := s.witness(t, p, audit.FetchHTTP(srv.Client(), srv.URL+"/pki/log"), &memory{}).Round(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if name == "stranger" {
			post(seen.Size, string(seen.Line), http.StatusBadRequest)
			continue
		}
		post(seen.Size+1, string(seen.Line), http.StatusServiceUnavailable) // no such checkpoint
		post(seen.Size, string(seen.Line)+"\n", http.StatusBadRequest)
		post(seen.Size, strings.Repeat("x", 5000), http.StatusBadRequest)
		post(seen.Size, string(seen.Line), http.StatusNoContent)
		post(seen.Size, string(seen.Line), http.StatusNoContent) // again is no harm
	}
}

func TestNewRefusesHalfAConfiguration(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		for name, change := range map[string]func(*audit.Config){
			"store": func(c *audit.Config) { c.Store = nil }, "key": func(c *audit.Config) { c.Key = nil }, "clock": func(c *audit.Config) { c.Now = nil },
			"quorum": func(c *audit.Config) { c.Quorum = 1 }, "negative": func(c *audit.Config) { c.Quorum = -1 },
		} {
			c := s.Config
			change(&c)
			if _, err := audit.New(c); err == nil {
				t.Errorf("%s missing or wrong, yet taken", name)
			}
		}
	})
}

func clone(f folder) folder { return maps.Clone(f) }
