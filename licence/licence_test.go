package licence_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"hufu/internal/actor"
	"hufu/internal/fault"
	"hufu/internal/font"
	"hufu/licence"
	"hufu/licence/card"
	"hufu/licence/reader"
	"hufu/sandbox"
	"hufu/seal"
	"hufu/seal/check"
	"hufu/seal/ofd"
)

func TestALicenceIsIssuedAndEveryStepOfACheckPasses(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		for name, o := range map[string]licence.Order{"entity": order(), "person": personOrder()} {
			l := w.issued(o)
			id, err := card.ParseIdentifier(l.ID)
			if err != nil || id.Type != o.Type || id.Issuer != "11990000MA00000151" || id.Version != 1 {
				t.Errorf("%s: identifier %s, %v", name, l.ID, err)
			}
			doc := w.document(l)
			r := w.verify(doc)
			for _, s := range r.Signatures {
				for _, step := range s.Steps {
					if step.Result == check.Failed || step.Result == check.Indeterminate {
						t.Errorf("%s: %s is %s: %s %s", name, step.Name, step.Result, step.Code, step.Detail)
					}
				}
			}
			if r.Result != check.Passed || !r.Coverage.Complete || r.Licence == nil || r.Licence.Identifier != l.ID {
				t.Errorf("%s: %s, coverage %+v, licence %+v", name, r.Result, r.Coverage, r.Licence)
			}
			keep(t, name, doc)
		}
	})
}

// keep writes a document and its preview to HUFU_LOOK for a person to look at.
func keep(t *testing.T, name string, doc []byte) {
	t.Helper()
	svg, err := licence.Preview(doc)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	if folder := os.Getenv("HUFU_LOOK"); folder != "" {
		for ext, data := range map[string][]byte{".ofd": doc, ".svg": svg} {
			if err := os.WriteFile(filepath.Join(folder, name+ext), data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestTheForgerIsCaught(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		l := w.issued(order())
		doc := w.document(l)
		forged, err := sandbox.Forge(doc, "capital", "玖仟万元整")
		if err != nil {
			t.Fatal(err)
		}
		r := w.verify(forged)
		if r.Result != check.Failed {
			t.Errorf("the forged copy is %s", r.Result)
		}
		for step, want := range map[check.StepName]check.Result{check.StepDigests: check.Failed, check.StepLicenceData: check.Failed, check.StepSignature: check.Passed, check.StepSealSignature: check.Passed} {
			if got := r.Signatures[0].Step(step); got.Result != want {
				t.Errorf("%s is %s %s %s, want %s", step, got.Result, got.Code, got.Detail, want)
			}
		}
		if detail := r.Signatures[0].Step(check.StepDigests).Detail; !strings.Contains(detail, "Pages/Page_0/Content.xml") {
			t.Errorf("the digest step does not name the page: %s", detail)
		}
		good, err1 := licence.Preview(doc)
		bad, err2 := licence.Preview(forged)
		if err1 != nil || err2 != nil || bytes.Equal(good, bad) {
			t.Errorf("the preview does not show the forged text: %v, %v", err1, err2)
		}
		keep(t, "forged", forged)
	})
}

func TestWhoMayIssue(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		asPerson := officer
		asPerson.Capacity, asPerson.For = actor.Person, ""
		noRole := officer
		noRole.Roles = []actor.Role{actor.RoleSealOfficer}
		for name, c := range map[string]struct {
			by   actor.Actor
			want error
		}{
			"nobody": {actor.Actor{}, actor.ErrUnknown}, "the holder": {company, licence.ErrNotIssuer}, "a citizen": {citizen, licence.ErrNotIssuer},
			"an officer as a person": {asPerson, licence.ErrNotIssuer}, "an officer without the role": {noRole, licence.ErrNotIssuer},
			"the system": {actor.ForSystem("x"), licence.ErrNotIssuer}, "an organisation without a seal": {stranger, licence.ErrSeal},
		} {
			if _, err := w.Issue(t.Context(), c.by, order()); !errors.Is(err, c.want) {
				t.Errorf("%s: %v, want %v", name, err, c.want)
			}
		}
		foreign := order()
		w.makeSeal("bureau2", "99000000000002")
		foreign.Seal = "99000000000002"
		if _, err := w.Issue(t.Context(), officer, foreign); !errors.Is(err, seal.ErrUnknown) {
			t.Errorf("with another organisation's seal: %v", err)
		}
		if len(w.seals.stamped) != 0 {
			t.Error("something was sealed")
		}
	})
}

func TestEveryWrongFieldIsNamedBeforeAnythingIsSealed(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		for name, c := range map[string]struct {
			change func(o *licence.Order)
			want   error
			words  string
		}{
			"missing":         {func(o *licence.Order) { delete(o.Data, "capital") }, licence.ErrField, "注册资本"},
			"unknown field":   {func(o *licence.Order) { o.Data["x"] = "1" }, licence.ErrField, ""},
			"registry's own":  {func(o *licence.Order) { o.Data["name"] = "别的公司" }, licence.ErrField, ""},
			"issue's own":     {func(o *licence.Order) { o.Data["issuer"] = "别的机关" }, licence.ErrField, ""},
			"no date":         {func(o *licence.Order) { o.Data["established"] = "2026-02-30" }, licence.ErrField, "成立日期"},
			"too long":        {func(o *licence.Order) { o.Data["kind"] = strings.Repeat("长", 41) }, licence.ErrField, "类型"},
			"line break":      {func(o *licence.Order) { o.Data["address"] = "一\n二" }, licence.ErrField, "住所"},
			"control":         {func(o *licence.Order) { o.Data["address"] = "一\x00二" }, licence.ErrField, "住所"},
			"right to left":   {func(o *licence.Order) { o.Data["address"] = "一\u202e二" }, licence.ErrField, "住所"},
			"not UTF-8":       {func(o *licence.Order) { o.Data["address"] = "\xff" }, licence.ErrField, "住所"},
			"blank":           {func(o *licence.Order) { o.Data["address"] = " " }, licence.ErrField, "住所"},
			"no glyph":        {func(o *licence.Order) { o.Data["legal_representative"] = "王𠮷" }, font.ErrMissing, "法定代表人"},
			"no glyph, named": {func(o *licence.Order) { o.Data["legal_representative"] = "王𠮷" }, font.ErrMissing, "𠮷"},
			"unknown type":    {func(o *licence.Order) { o.Type = "x" }, licence.ErrType, ""},
			"wrong holder":    {func(o *licence.Order) { o.Holder = "p1" }, licence.ErrHolder, ""},
			"long key":        {func(o *licence.Order) { o.Key = strings.Repeat("k", 65) }, licence.ErrKey, ""},
		} {
			o := order()
			c.change(&o)
			_, err := w.Issue(t.Context(), officer, o)
			text, _ := fault.TextOf(err)
			if !errors.Is(err, c.want) || !strings.Contains(text.ZH, c.words) {
				t.Errorf("%s: %v (%s), want %v naming %q", name, err, text.ZH, c.want, c.words)
			}
		}
		bad := personOrder()
		bad.Data["reason"] = "旅游"
		if _, err := w.Issue(t.Context(), officer, bad); !errors.Is(err, licence.ErrField) {
			t.Errorf("a value outside the pattern: %v", err)
		}
		passport := personOrder()
		passport.Holder = "p3"
		if _, err := w.Issue(t.Context(), officer, passport); !errors.Is(err, licence.ErrField) {
			t.Errorf("a birth date that the registry does not have: %v", err)
		}
		rare := personOrder()
		rare.Holder = "p4"
		if _, err := w.Issue(t.Context(), officer, rare); !errors.Is(err, font.ErrMissing) {
			t.Errorf("a holder's name with a character that the font lacks: %v", err)
		}
		if page, err := w.Search(t.Context(), officer, licence.Query{}); err != nil || len(page.Licences) != 0 || len(w.seals.stamped) != 0 {
			t.Errorf("%d licences, %d stamps, %v: want nothing stored, nothing sealed", len(page.Licences), len(w.seals.stamped), err)
		}
	})
}

func TestLongTextsShrinkAndThenAreRefused(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		long := order()
		long.Holder = "e2"
		long.Data["kind"] = "股份有限公司（非上市、自然人投资或控股，外商投资企业投资，中外合资，未上市）"
		long.Data["legal_representative"] = "古丽仙·阿卜杜热合曼·买买提艾力"
		long.Data["capital"] = "人民币壹拾贰亿叁仟肆佰伍拾陆万柒仟捌佰玖拾元整"
		long.Data["address"] = strings.Repeat("云溪市青石区新时代大道一千二百三十四号", 5)
		long.Data["scope"] = strings.Repeat("第一类增值电信业务；网络文化经营；食品销售（依法须经批准的项目）；", 15)
		keep(t, "long", w.document(w.issued(long)))
		person := personOrder()
		person.Holder = "p2"
		person.Data["address"] = strings.Repeat("云溪市青石区新时代大道一千二百三十四号", 5)
		keep(t, "long-person", w.document(w.issued(person)))
		long.Data["scope"] = strings.Repeat("长", 601)
		if _, err := w.Issue(t.Context(), officer, long); !errors.Is(err, licence.ErrField) {
			t.Errorf("601 characters: %v", err)
		}
	})
}

func TestTheDocumentIsSmallAndBindsEveryField(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		l := w.issued(order())
		c, err := ofd.Open(w.document(l))
		if err != nil {
			t.Fatal(err)
		}
		fonts := 0
		for _, name := range c.Names() {
			if strings.Contains(name, "font_") {
				data, _ := c.Read(name)
				fonts += len(data)
			}
		}
		if fonts == 0 || fonts > 64<<10 {
			t.Errorf("%d octets of fonts", fonts)
		}
		m, err := c.Model()
		if err != nil {
			t.Fatal(err)
		}
		bindings, ok := m.Bindings(card.TagSpace)
		if !ok || len(bindings) != len(l.Data.Fields) {
			t.Fatalf("%d bindings for %d fields", len(bindings), len(l.Data.Fields))
		}
		for i, b := range bindings {
			text := ""
			for _, o := range b.Objects {
				text += o.Text
			}
			if f := l.Data.Fields[i]; b.Name != f.Name || text != f.Printed() || len(b.Missing) > 0 {
				t.Errorf("field %s prints %q, the data say %q", b.Name, text, f.Printed())
			}
		}
		raw, _ := c.Read("Doc_0/Attachs/" + card.AttachmentFile)
		if d, err := card.ParseData(raw); err != nil || d.Identifier != l.ID {
			t.Errorf("attached data: %v", err)
		}
		if facts, err := reader.New().Data(raw); err != nil || facts.Holder != l.HolderName {
			t.Errorf("the verifier reads %+v, %v", facts, err)
		}
	})
}

func TestNoIdentityNumberLeavesWhole(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		c, err := ofd.Open(w.document(w.issued(personOrder())))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range c.Names() {
			if data, _ := c.Read(name); bytes.Contains(data, []byte("11010119900307002X")) {
				t.Errorf("%s holds the whole identity number", name)
			}
		}
	})
}

func TestTheSameKeyGivesTheSameLicence(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		o := order()
		o.Key = "k1"
		first := w.issued(o)
		if again := w.issued(o); again.ID != first.ID || len(w.seals.stamped) != 1 {
			t.Errorf("%s, then %s, %d stamps", first.ID, again.ID, len(w.seals.stamped))
		}
		other := order()
		other.Key, other.Data["capital"] = "k1", "贰仟万元整"
		if _, err := w.Issue(t.Context(), officer, other); !errors.Is(err, licence.ErrKey) {
			t.Errorf("the key with another order: %v", err)
		}
		without := order()
		if second := w.issued(without); second.ID == first.ID {
			t.Error("two orders without a key gave one licence")
		}
	})
}

func TestTwoCallsWithOneKeyIssueOnce(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		o := order()
		o.Key = "double-click"
		var wg sync.WaitGroup
		var mu sync.Mutex
		ids := map[string]bool{}
		for range 4 {
			wg.Go(func() {
				l, err := w.Issue(t.Context(), officer, o)
				mu.Lock()
				defer mu.Unlock()
				switch {
				case err == nil:
					ids[l.ID] = true
				case !errors.Is(err, licence.ErrBusy):
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if len(ids) != 1 || len(w.seals.stamped) != 1 {
			t.Errorf("licences %v, %d stamps", ids, len(w.seals.stamped))
		}
	})
}

// TestCrashTable breaks an issue at each step, restarts, and checks that one licence comes of it in the end, that every
// sealed document is that licence's or one whose identifier is told as withdrawn, and that no draft is left.
func TestCrashTable(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		for i, c := range []struct {
			name          string
			update        int // which Update fails: 1 reserves, 2 stores the result
			before        bool
			seal          string // the seal service dies before or after stamping
			made, stamped int    // licences made and documents sealed when the crash happens
		}{
			{name: "reserve fails before", update: 1, before: true},
			{name: "reserve fails after", update: 1},
			{name: "stamping fails before", seal: "before"},
			{name: "stamping fails after", seal: "after", stamped: 1},
			{name: "result fails before", update: 2, before: true, stamped: 1},
			{name: "result fails after", update: 2, made: 1, stamped: 1},
		} {
			t.Run(c.name, func(t *testing.T) {
				w.t = t
				o := order()
				o.Key = fmt.Sprint("crash-", i)
				w.seals.stamped = nil
				switch c.seal {
				case "before":
					w.seals.before, w.store.dead = errCrash, false
					w.store.failAt(2, true) // the process is gone: it voids nothing either
				case "after":
					w.seals.after = errCrash
					w.store.failAt(2, true)
				default:
					w.store.failAt(c.update, c.before)
				}
				if _, err := w.Issue(t.Context(), officer, o); !errors.Is(err, errCrash) {
					t.Fatalf("the crash did not happen: %v", err)
				}
				if len(w.seals.stamped) != c.stamped {
					t.Fatalf("%d documents sealed, want %d", len(w.seals.stamped), c.stamped)
				}
				w.seals.before, w.seals.after = nil, nil
				w.store.revive()
				w.open() // the next start
				if _, err := w.Recover(t.Context(), true); err != nil {
					t.Fatal(err)
				}
				done := w.issued(o)
				if done.State != licence.Active || len(w.seals.stamped) != c.stamped+1-c.made {
					t.Errorf("%s, %d documents sealed", done.State, len(w.seals.stamped))
				}
				w.everyStampIsKnown(done.ID)
				if r := w.verify(w.document(done)); r.Result != check.Passed {
					t.Errorf("the licence handed out is %s: %+v", r.Result, r.Reasons)
				}
				if left, err := w.Recover(t.Context(), true); err != nil || left != 0 {
					t.Errorf("%d drafts left, %v", left, err)
				}
			})
		}
	})
}

// everyStampIsKnown checks that what was sealed is the licence id, or is refused by whoever checks it.
func (w *world) everyStampIsKnown(id string) {
	w.t.Helper()
	for _, doc := range w.seals.stamped {
		r := w.verify(doc)
		if r.Licence == nil {
			w.t.Fatal("a sealed document without licence data")
		}
		if r.Licence.Identifier != id && r.Result != check.Failed {
			w.t.Errorf("sealed document %s was given up, and a check says %s", r.Licence.Identifier, r.Result)
		}
	}
}

func TestAFailureVoidsItsDraftAtOnce(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.seals.before = errors.New("the device is away")
		o := order()
		o.Key = "k"
		if _, err := w.Issue(t.Context(), officer, o); !errors.Is(err, w.seals.before) {
			t.Fatalf("%v", err)
		}
		w.seals.before = nil
		if left, err := w.Recover(t.Context(), true); err != nil || left != 0 {
			t.Errorf("%d drafts left, %v", left, err)
		}
		if l := w.issued(o); l.State != licence.Active {
			t.Errorf("the retry is %s", l.State)
		}
		page, err := w.Search(t.Context(), officer, licence.Query{State: licence.Void})
		if err != nil || len(page.Licences) != 1 {
			t.Errorf("%d void drafts, %v", len(page.Licences), err)
		}
	})
}

func TestRecoverLeavesALivingDraftAlone(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.seals.before = errCrash
		w.store.failAt(2, true)
		if _, err := w.Issue(t.Context(), officer, order()); !errors.Is(err, errCrash) {
			t.Fatal(err)
		}
		w.store.revive()
		if n, err := w.Recover(t.Context(), false); err != nil || n != 0 {
			t.Errorf("%d young drafts voided, %v", n, err)
		}
		w.now = w.now.Add(11 * time.Minute)
		if n, err := w.Recover(t.Context(), false); err != nil || n != 1 {
			t.Errorf("%d old drafts voided, %v", n, err)
		}
	})
}

func TestStatesFollowTheirOrder(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		l := w.issued(order())
		if err := w.Suspend(ctx, officer, l.ID, ""); !errors.Is(err, licence.ErrReason) {
			t.Errorf("without a reason: %v", err)
		}
		for name, by := range map[string]actor.Actor{"another organisation": stranger, "the holder": company, "nobody": {}} {
			if err := w.Suspend(ctx, by, l.ID, "x"); err == nil {
				t.Errorf("%s suspended", name)
			}
		}
		if err := w.Resume(ctx, officer, l.ID, "查无违法"); !errors.Is(err, licence.ErrState) {
			t.Errorf("an active licence was resumed: %v", err)
		}
		if err := w.Suspend(ctx, officer, l.ID, "立案调查"); err != nil {
			t.Fatal(err)
		}
		w.wantStatus(l.ID, licence.Suspended)
		if r := w.verify(w.document(l)); r.Result == check.Passed {
			t.Error("a suspended licence passes the check")
		}
		if _, err := w.Show(ctx, company, l.ID, licence.Showing{}); !errors.Is(err, licence.ErrState) {
			t.Errorf("a suspended licence was shown: %v", err)
		}
		if _, err := w.Change(ctx, officer, l.ID, licence.Changes{Data: order().Data, Consent: consent}); !errors.Is(err, licence.ErrState) {
			t.Errorf("a change lifted the suspension: %v", err)
		}
		if err := w.Resume(ctx, officer, l.ID, "查无违法"); err != nil {
			t.Fatal(err)
		}
		if err := w.Revoke(ctx, officer, l.ID, "处罚决定"); err != nil {
			t.Fatal(err)
		}
		w.wantStatus(l.ID, licence.Revoked)
		if got, err := w.Get(ctx, company, l.ID); err != nil || got.Reason != "处罚决定" {
			t.Errorf("the holder reads reason %q, %v", got.Reason, err)
		}
		for _, again := range []func() error{
			func() error { return w.Resume(ctx, officer, l.ID, "x") }, func() error { return w.Cancel(ctx, officer, l.ID, "x") },
			func() error { return w.Withdraw(ctx, officer, l.ID, "x") }, func() error { return w.Suspend(ctx, officer, l.ID, "x") },
		} {
			if err := again(); !errors.Is(err, licence.ErrState) {
				t.Errorf("an ended licence moved: %v", err)
			}
		}
		if _, err := w.Change(ctx, officer, l.ID, licence.Changes{Data: order().Data, Consent: consent}); !errors.Is(err, licence.ErrState) {
			t.Errorf("an ended licence was changed: %v", err)
		}
	})
}

func (w *world) wantStatus(id string, want licence.State) {
	w.t.Helper()
	all, err := w.Statuses(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	for _, s := range all {
		if s.ID == id {
			if s.State != want {
				w.t.Errorf("licence %s is told as %s, want %s", id, s.State, want)
			}
			return
		}
	}
	w.t.Errorf("licence %s is not told at all, want %s", id, want)
}

func TestALicenceExpiresByTheClockAlone(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		l := w.issued(personOrder())
		if want := time.Date(2027, 8, 31, 16, 0, 0, 0, time.UTC); !l.Until.Equal(want) || l.Data.ValidTo != "2027-08-31" {
			t.Fatalf("valid until %s (%s), want %s", l.Until, l.Data.ValidTo, want)
		}
		for _, want := range []licence.State{licence.Active, licence.Expired} {
			if w.now = l.Until; want == licence.Active {
				w.now = l.Until.Add(-time.Second)
			}
			w.wantStatus(l.ID, want)
			got, err := w.Get(t.Context(), citizen, l.ID)
			page, err2 := w.List(t.Context(), citizen, licence.Query{State: want})
			if err != nil || err2 != nil || got.State != want || len(page.Licences) != 1 || page.Licences[0].State != want {
				t.Errorf("at %s: %s, %d listed, %v, %v", w.now, got.State, len(page.Licences), err, err2)
			}
		}
		if _, err := w.Show(t.Context(), citizen, l.ID, licence.Showing{}); !errors.Is(err, licence.ErrState) {
			t.Errorf("an expired licence was shown: %v", err)
		}
		if err := w.Suspend(t.Context(), officer, l.ID, "x"); !errors.Is(err, licence.ErrState) {
			t.Errorf("an expired licence was suspended: %v", err)
		}
	})
}

func TestAChangeSupersedesTheVersionBefore(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		first := w.issued(order())
		data := order().Data
		data["capital"] = "贰仟万元整"
		if _, err := w.Change(ctx, stranger, first.ID, licence.Changes{Data: data, Consent: consent}); !errors.Is(err, licence.ErrUnknown) {
			t.Errorf("another organisation changed it: %v", err)
		}
		second, err := w.Change(ctx, officer, first.ID, licence.Changes{Data: data, Key: "change-1", Consent: consent})
		if err != nil {
			t.Fatal(err)
		}
		again, err := w.Change(ctx, officer, first.ID, licence.Changes{Data: data, Key: "change-1", Consent: consent})
		if err != nil || again.ID != second.ID {
			t.Errorf("the same key gave %s, %v", again.ID, err)
		}
		if licence.Series(first.ID) != licence.Series(second.ID) || second.Version != 2 || second.Replaces != first.ID {
			t.Errorf("%s after %s", second.ID, first.ID)
		}
		old, err := w.Get(ctx, company, first.ID)
		if err != nil || old.State != licence.Superseded || old.ReplacedBy != second.ID {
			t.Errorf("the version before: %s by %q, %v", old.State, old.ReplacedBy, err)
		}
		if r := w.verify(w.document(first)); r.Result == check.Passed {
			t.Error("the version before still passes")
		}
		if r := w.verify(w.document(second)); r.Result != check.Passed {
			t.Errorf("the new version is %s", r.Result)
		}
		if _, err := w.Change(ctx, officer, first.ID, licence.Changes{Data: data, Consent: consent}); !errors.Is(err, licence.ErrState) {
			t.Errorf("the old version was changed again: %v", err)
		}
		// What happens to the old version while the new one is sealed counts.
		w.seals.while = func() {
			if err := w.Suspend(ctx, officer, second.ID, "立案调查"); err != nil {
				t.Error(err)
			}
		}
		if _, err := w.Change(ctx, officer, second.ID, licence.Changes{Data: order().Data, Consent: consent}); !errors.Is(err, licence.ErrState) {
			t.Errorf("a licence suspended meanwhile was superseded: %v", err)
		}
		w.seals.while = nil
		if err := w.Resume(ctx, officer, second.ID, "查无违法"); err != nil {
			t.Fatal(err)
		}
		// A change that fails leaves the old version in force, and its number is not used again.
		w.seals.before = errCrash
		if _, err := w.Change(ctx, officer, second.ID, licence.Changes{Data: order().Data, Consent: consent}); !errors.Is(err, errCrash) {
			t.Fatal(err)
		}
		w.seals.before = nil
		w.wantStatus(second.ID, licence.Active)
		third, err := w.Change(ctx, officer, second.ID, licence.Changes{Data: order().Data, Consent: consent})
		if err != nil || third.Version != 5 {
			t.Errorf("version %d, %v: want 5, since 3 and 4 were given up", third.Version, err)
		}
	})
}

func TestWhoSeesALicence(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		mine, theirs := w.issued(personOrder()), w.issued(order())
		for name, c := range map[string]struct {
			by   actor.Actor
			id   string
			sees bool
		}{
			"holder": {citizen, mine.ID, true}, "for the company": {company, theirs.ID, true}, "issuer": {officer, mine.ID, true},
			"a person the company's": {citizen, theirs.ID, false}, "the company the person's": {company, mine.ID, false},
			"another organisation": {stranger, mine.ID, false}, "another person": {actor.Actor{Subject: "p2", Capacity: actor.Person}, mine.ID, false},
			"the official as one": {actor.Actor{Subject: "p1", Capacity: actor.Official, For: "bureau2"}, mine.ID, false},
		} {
			_, err1 := w.Get(ctx, c.by, c.id)
			_, err2 := w.Document(ctx, c.by, c.id)
			if c.sees && (err1 != nil || err2 != nil) || !c.sees && (!errors.Is(err1, licence.ErrUnknown) || !errors.Is(err2, licence.ErrUnknown)) {
				t.Errorf("%s: %v, %v", name, err1, err2)
			}
		}
		if page, err := w.List(ctx, company, licence.Query{}); err != nil || len(page.Licences) != 1 || page.Licences[0].ID != theirs.ID {
			t.Errorf("the company's list: %d, %v", len(page.Licences), err)
		}
		if _, err := w.List(ctx, officer, licence.Query{}); !errors.Is(err, licence.ErrNotHolder) {
			t.Errorf("an officer listed as a holder: %v", err)
		}
		if _, err := w.Search(ctx, company, licence.Query{}); !errors.Is(err, licence.ErrNotIssuer) {
			t.Errorf("a holder searched as an officer: %v", err)
		}
		if page, err := w.Search(ctx, stranger, licence.Query{}); err != nil || len(page.Licences) != 0 {
			t.Errorf("another organisation found %d, %v", len(page.Licences), err)
		}
		for text, want := range map[string]string{"王小雅": mine.ID, "云溪虎符科技有限公司": theirs.ID, theirs.ID: theirs.ID} {
			if page, err := w.Search(ctx, officer, licence.Query{Text: text}); err != nil || len(page.Licences) != 1 || page.Licences[0].ID != want {
				t.Errorf("search %q: %d, %v", text, len(page.Licences), err)
			}
		}
	})
}

func TestListsComeInPages(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		want := map[string]bool{}
		for i := range 5 {
			w.now = start.Add(time.Duration(i/2) * time.Minute) // two at one time
			want[w.issued(personOrder()).ID] = true
		}
		var got []string
		for page := ""; ; {
			p, err := w.List(t.Context(), citizen, licence.Query{Limit: 2, Page: page})
			if err != nil {
				t.Fatal(err)
			}
			for _, l := range p.Licences {
				if !want[l.ID] {
					t.Errorf("%s twice or foreign", l.ID)
				}
				delete(want, l.ID)
				got = append(got, l.ID)
			}
			if page = p.Next; page == "" {
				break
			}
		}
		if len(got) != 5 {
			t.Errorf("%d licences on the pages", len(got))
		}
		for _, bad := range []string{"x", "e30", "!!!", strings.Repeat("A", 5000)} {
			if _, err := w.List(t.Context(), citizen, licence.Query{Page: bad}); !errors.Is(err, licence.ErrPage) {
				t.Errorf("page %.10q: %v", bad, err)
			}
		}
	})
}

func TestTheProofGoesInWithoutBreakingTheSeal(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		l := w.issued(order())
		job, err := w.db.ClaimJob(ctx)
		if err != nil || job == nil || job.Kind != licence.JobProof || job.Key != l.ID || string(job.Payload) != l.Stamp.Entry {
			t.Fatalf("job %+v, %v: the proof must follow by a durable job", job, err)
		}
		if err := w.AttachProof(ctx, l.ID, []byte("proof of inclusion\n")); err != nil {
			t.Fatal(err)
		}
		c, err := ofd.Open(w.document(l))
		if err != nil {
			t.Fatal(err)
		}
		m, err := c.Model()
		if err != nil {
			t.Fatal(err)
		}
		if all := c.Signatures(m); len(all.List) != 1 || string(all.List[0].LogProof) != "proof of inclusion\n" {
			t.Errorf("the proof is not where a verifier looks")
		}
		r := w.verify(c.Bytes())
		for _, step := range []check.StepName{check.StepDigests, check.StepCoverage, check.StepDataHash, check.StepSignature} {
			if got := r.Signatures[0].Step(step); got.Result != check.Passed {
				t.Errorf("with the side file %s is %s", step, got.Result)
			}
		}
		for name, bad := range map[string]struct{ at, proof string }{
			"empty": {l.Stamp.Path, ""}, "large": {l.Stamp.Path, strings.Repeat("x", 65<<10)}, "not text": {l.Stamp.Path, "\xff"},
			"page": {"Doc_0/Pages/Page_0/Content.xml", "x"}, "elsewhere": {"Doc_0/Signs/Sign_9/LogProof.txt", "x"}, "out": {"../LogProof.txt", "x"},
		} {
			if _, err := licence.WithProof(c.Bytes(), bad.at, []byte(bad.proof)); !errors.Is(err, licence.ErrProof) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if err := w.AttachProof(ctx, "x", []byte("y")); !errors.Is(err, licence.ErrUnknown) {
			t.Errorf("proof for no licence: %v", err)
		}
	})
}

func TestTheHolderShowsWhatHeChooses(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		l := w.issued(order())
		for name, by := range map[string]actor.Actor{"the person alone": citizen, "another": {Subject: "p2", Capacity: actor.Person}} {
			if _, err := w.Show(ctx, by, l.ID, licence.Showing{}); !errors.Is(err, licence.ErrUnknown) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if _, err := w.Show(ctx, officer, l.ID, licence.Showing{}); !errors.Is(err, licence.ErrNotHolder) {
			t.Errorf("the officer: %v", err)
		}
		for name, s := range map[string]licence.Showing{"too long": {Life: 25 * time.Hour}, "negative": {Life: -1}, "no such field": {Fields: []string{"x"}}} {
			if _, err := w.Show(ctx, company, l.ID, s); !errors.Is(err, licence.ErrShow) {
				t.Errorf("%s: %v", name, err)
			}
		}
		text, err := w.Show(ctx, company, l.ID, licence.Showing{Fields: []string{"name", "established"}, Audience: "云溪银行", Life: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		q, err := card.ParseQR(text)
		if err != nil || len(q.Fields) != 2 || q.Fields[1].Value != "2026年9月1日" || q.Identifier != l.ID || q.Audience != "云溪银行" {
			t.Errorf("%+v, %v", q, err)
		}
		if r := w.verify([]byte(text)); r.Kind != check.KindQR || r.Result != check.Passed {
			t.Errorf("the QR text is %s: %+v", r.Result, r.Signatures)
		}
	})
}

func TestADraftShowsWithoutStoring(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		svg, err := w.Draft(t.Context(), officer, order())
		if err != nil || !bytes.HasPrefix(svg, []byte("<svg ")) {
			t.Fatalf("%.20s, %v", svg, err)
		}
		if _, err := w.Draft(t.Context(), company, order()); !errors.Is(err, licence.ErrNotIssuer) {
			t.Errorf("the holder drafted: %v", err)
		}
		page, err := w.Search(t.Context(), officer, licence.Query{})
		if err != nil || len(page.Licences) != 0 || len(w.seals.stamped) != 0 {
			t.Errorf("%d licences, %d stamps, %v", len(page.Licences), len(w.seals.stamped), err)
		}
	})
}

func TestTextsForPeopleAreInBothLanguages(t *testing.T) {
	for _, err := range []*fault.Error{
		licence.ErrCatalogue, licence.ErrType, licence.ErrUnknown, licence.ErrNotIssuer, licence.ErrNotHolder, licence.ErrHolder, licence.ErrField, licence.ErrReason,
		licence.ErrKey, licence.ErrBusy, licence.ErrState, licence.ErrSeal, licence.ErrProof, licence.ErrShow, licence.ErrPage, licence.ErrPreview,
	} {
		if err.Text.EN == "" || utf8.RuneCountInString(err.Text.ZH) < 5 || err.Code == "" {
			t.Errorf("%+v", err)
		}
	}
}

func TestNoLicenceWithoutTheConsentOfTheSealsOwner(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		t.Cleanup(func() { w.auth.allowed = nil })
		for name, c := range map[string]seal.Consent{"none": {}, "a wrong PIN": {PIN: []byte("12345678")}} {
			o := order()
			o.Consent, o.Key = c, name
			if _, err := w.Issue(t.Context(), officer, o); !errors.Is(err, errConsent) {
				t.Errorf("%s: %v", name, err)
			}
			if len(w.seals.stamped) > 0 {
				t.Fatalf("%s: a document was stamped", name)
			}
			o.Consent = consent // the refused draft is void, so that its key serves again
			if _, err := w.Issue(t.Context(), officer, o); err != nil {
				t.Errorf("after %s: %v", name, err)
			}
			w.seals.stamped = nil
		}
		w.auth.allowed = []string{seal.KindDocument, seal.KindLicence(residence), seal.KindRequest}
		o := order()
		o.Consent = seal.Consent{}
		if _, err := w.Issue(t.Context(), officer, o); !errors.Is(err, errConsent) {
			t.Errorf("activated for other kinds: %v", err)
		}
		w.auth.allowed = []string{seal.KindLicence(business)}
		first, err := w.Issue(t.Context(), officer, o)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Change(t.Context(), officer, first.ID, licence.Changes{Data: o.Data}); err != nil {
			t.Errorf("a change under the activation: %v", err)
		}
		w.auth.allowed = nil
		if _, err := w.Change(t.Context(), officer, first.ID, licence.Changes{Data: o.Data}); err == nil {
			t.Error("changed without consent")
		}
	})
}
