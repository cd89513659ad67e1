package ofd

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

func sample(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func open(t testing.TB, b []byte) (*Container, *Model, Signatures) {
	t.Helper()
	c, err := Open(b)
	if err != nil {
		t.Fatal(err)
	}
	m, err := c.Model()
	if err != nil {
		t.Fatal(err)
	}
	return c, m, c.Signatures(m)
}

func TestSamplesAreReadAsTheirReadmeSays(t *testing.T) {
	for _, tc := range []struct {
		file    string
		pages   int
		sigs    int
		refs    int
		id      string
		typ     Type
		stamps  []string
		whole   bool
		remarks []Remark
	}{
		{file: "hello-unsigned.ofd", pages: 1},
		{file: "unsigned-nonstandard-namespace.ofd", pages: 1, remarks: []Remark{{RemarkNamespace, "OFD.xml"}}},
		{file: "sealed-v4-expired.ofd", pages: 1, sigs: 1, refs: 5, id: "1", typ: TypeSeal, stamps: []string{"2"}},
		{file: "sealed-v4-whole-protected.ofd", pages: 1, sigs: 1, refs: 6, id: "001", typ: TypeSeal, stamps: []string{"002"}, whole: true},
		{
			file: "sealed-v4-cross-page.ofd", pages: 5, sigs: 1, refs: 9, id: "s001", typ: TypeSeal, whole: true,
			stamps: []string{"s002", "s003", "s004", "s005", "s006"}, remarks: []Remark{{RemarkPartMissing, "Doc_0/PublicRes.xml"}},
		},
		{file: "signed-bare.ofd", pages: 1, sigs: 1, refs: 4, id: "s001", typ: TypeSign},
	} {
		t.Run(tc.file, func(t *testing.T) {
			c, m, all := open(t, sample(t, tc.file))
			if len(c.Remarks()) != 0 || len(m.Pages) != tc.pages || len(all.List) != tc.sigs {
				t.Fatalf("remarks %v, %d pages, %d signatures", c.Remarks(), len(m.Pages), len(all.List))
			}
			for _, want := range tc.remarks {
				if !slices.Contains(m.Remarks, want) {
					t.Errorf("remark %v is missing in %v", want, m.Remarks)
				}
			}
			if tc.sigs == 0 {
				return
			}
			s := all.List[0]
			if s.Err != nil || s.ID != tc.id || s.Type != tc.typ || len(s.References) != tc.refs || s.ListsSignatures(all.Lists) != tc.whole {
				t.Fatalf("signature %q %q, %d references, whole %v: %v", s.ID, s.Type, len(s.References), s.ListsSignatures(all.Lists), s.Err)
			}
			var ids []string
			for _, st := range s.Stamps {
				ids = append(ids, st.ID)
			}
			if !slices.Equal(ids, tc.stamps) || len(s.Remarks) != 0 {
				t.Errorf("stamps %v, remarks %v", ids, s.Remarks)
			}
			for _, it := range c.Coverage(m, all, s) {
				switch it.State {
				case ListedBad, ListedMissing, UnlistedReachable, UnlistedOrphan:
					t.Errorf("%s is %s", it.Path, it.State)
				}
			}
		})
	}
}

func TestSigningASampleKeepsItsOtherBytes(t *testing.T) {
	for _, name := range []string{"hello-unsigned.ofd", "unsigned-nonstandard-namespace.ofd", "sealed-v4-expired.ofd"} {
		before, _, old := open(t, sample(t, name))
		p, err := before.Prepare(Request{
			Type: TypeSeal, Provider: "Hufu", Time: time.Unix(0, 0), Seal: []byte{0x30, 0},
			Stamps: []Stamp{{Page: 1, Boundary: Box{100, 200, 40, 40}}},
		})
		if err != nil {
			t.Fatal(name, err)
		}
		out, err := p.Finish([]byte{1})
		if err != nil {
			t.Fatal(name, err)
		}
		c, m, all := open(t, out)
		if len(all.List) != len(old.List)+1 {
			t.Fatalf("%s: %d signatures", name, len(all.List))
		}
		for _, n := range before.Names() {
			if n == "OFD.xml" && len(old.List) == 0 || len(old.Lists) > 0 && n == old.Lists[0] {
				continue
			}
			was, _ := before.Digest(n)
			is, _ := c.Digest(n)
			if was != is {
				t.Errorf("%s: %s changed", name, n)
			}
		}
		for i, s := range all.List {
			for _, it := range c.Coverage(m, all, s) {
				if it.State == ListedBad || it.State == UnlistedReachable || it.State == UnlistedOrphan || it.State == ListedMissing {
					t.Errorf("%s: signature %d: %s is %s", name, i, it.Path, it.State)
				}
			}
		}
		last := all.List[len(all.List)-1]
		if "/"+last.Path != p.PropertyInfo() || last.ID != p.ID() || last.Stamps[0].PageRef != "1" {
			t.Errorf("%s: %+v", name, last)
		}
		if len(old.List) > 0 && (last.ID != "3" || last.Stamps[0].ID != "4") {
			t.Errorf("ids %q %q do not continue the sequence", last.ID, last.Stamps[0].ID)
		}
	}
}

func TestWholeProtectedIsNotSignedAgain(t *testing.T) {
	for _, name := range []string{"sealed-v4-whole-protected.ofd", "sealed-v4-cross-page.ofd"} {
		c, _, _ := open(t, sample(t, name))
		if _, err := c.Prepare(Request{Type: TypeSign}); !errors.Is(err, ErrWholeProtected) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// Our own whole-protected signature refuses a second one too.
	c, _, _ := open(t, sample(t, "hello-unsigned.ofd"))
	p, err := c.Prepare(Request{Type: TypeSign, WholeProtected: true})
	if err != nil {
		t.Fatal(err)
	}
	out, err := p.Finish([]byte{1})
	if err != nil {
		t.Fatal(err)
	}
	c, _, _ = open(t, out)
	if _, err := c.Prepare(Request{Type: TypeSign}); !errors.Is(err, ErrWholeProtected) {
		t.Error(err)
	}
}

func TestStampsOutsideThePageAreRefused(t *testing.T) {
	c, m, _ := open(t, sample(t, "hello-unsigned.ofd"))
	for _, s := range []Stamp{
		{Page: 0, Boundary: Box{0, 0, 40, 40}},
		{Page: 2, Boundary: Box{0, 0, 40, 40}},
		{Page: 1, Boundary: Box{180, 0, 40, 40}},
		{Page: 1, Boundary: Box{0, 280, 40, 40}},
		{Page: 1, Boundary: Box{-1, 0, 40, 40}},
		{Page: 1, Boundary: Box{0, 0, 0, 40}},
	} {
		if _, err := c.Prepare(Request{Type: TypeSign, Stamps: []Stamp{s}}); !errors.Is(err, ErrStamp) {
			t.Errorf("%+v: %v", s, err)
		}
	}
	if _, err := Riding(m.Pages, 40, 40, 40); !errors.Is(err, ErrStamp) {
		t.Error("a riding seal on one page")
	}
}

func TestRidingSeal(t *testing.T) {
	_, m, all := open(t, sample(t, "sealed-v4-cross-page.ofd"))
	stamps, err := Riding(m.Pages, 40, 40, 40)
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range stamps {
		foreign := all.List[0].Stamps[i]
		if s.Boundary != foreign.Boundary || *s.Clip != *foreign.Clip || s.Page != foreign.Page {
			t.Errorf("slice %d: %v %v, the sample has %v %v", i, s.Boundary, s.Clip, foreign.Boundary, foreign.Clip)
		}
	}
	for _, n := range []int{2, 5, 200} {
		pages := make([]Page, n)
		for i := range pages {
			pages[i] = Page{Number: i + 1, Box: Box{0, 0, 210, 297}}
		}
		stamps, err := Riding(pages, 42, 42, 100)
		if err != nil {
			t.Fatal(err)
		}
		if r := checkStamps(stamps, pages); len(r) != 0 {
			t.Errorf("%d pages: %v", n, r)
		}
		stamps[0], stamps[1] = stamps[1], stamps[0]
		if r := checkStamps(stamps, pages); len(r) == 0 {
			t.Errorf("%d pages: swapped slices pass", n)
		}
		if r := checkStamps(stamps[1:], pages); len(r) == 0 {
			t.Errorf("%d pages: a missing slice passes", n)
		}
	}
}
