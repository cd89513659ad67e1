package sandbox_test

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"hufu/sandbox"
	"hufu/seal/ofd"
)

// document has a field on two lines and one on one line.
func document(t testing.TB) []byte {
	t.Helper()
	d := ofd.NewDocument(ofd.Info{DocID: "00112233445566778899aabbccddeeff"})
	font := d.Font(ofd.Font{Name: "宋体"})
	page := d.Page(100, 100)
	text := func(v string, y float64) ofd.Object {
		return page.Text(ofd.Text{Value: v, Font: font, Size: 4, X: 10, Y: y})
	}
	d.Tag("urn:hufu:licence:1", "licence", []ofd.TagItem{
		{Name: "name", Objects: []ofd.Object{text("甲乙丙", 10)}},
		{Name: "scope", Objects: []ofd.Object{text("一二三", 20), text("四五", 30)}},
		{Name: "empty"},
	})
	b, err := d.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func printed(t testing.TB, doc []byte) map[string][]string {
	t.Helper()
	c, err := ofd.Open(doc)
	if err != nil {
		t.Fatal(err)
	}
	m, err := c.Model()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]string{}
	all, _ := m.Bindings("urn:hufu:licence:1")
	for _, b := range all {
		for _, o := range b.Objects {
			out[b.Name] = append(out[b.Name], o.Text)
		}
	}
	return out
}

func TestTheForgerChangesOneFieldAndOneFile(t *testing.T) {
	doc := document(t)
	for _, c := range []struct {
		field, value string
		want         []string
	}{
		{"name", "丁<&>", []string{"丁<&>"}},
		{"scope", "六七八九十百", []string{"六七八", "九十百"}},
		{"scope", "六", []string{"六", ""}},
	} {
		forged, err := sandbox.Forge(doc, c.field, c.value)
		if err != nil {
			t.Fatal(err)
		}
		got := printed(t, forged)
		if !slices.Equal(got[c.field], c.want) {
			t.Errorf("%s = %q: the page shows %q", c.field, c.value, got[c.field])
		}
		before, err1 := ofd.Open(doc)
		after, err2 := ofd.Open(forged)
		if err := errors.Join(err1, err2); err != nil {
			t.Fatal(err)
		}
		for _, name := range before.Names() {
			a, _ := before.Read(name)
			b, _ := after.Read(name)
			if changed := !bytes.Equal(a, b); changed != (name == "Doc_0/Pages/Page_0/Content.xml") {
				t.Errorf("%s: changed %v", name, changed)
			}
		}
	}
	for field, file := range map[string][]byte{"nothing": doc, "empty": doc, "name": []byte("garbage")} {
		if _, err := sandbox.Forge(file, field, "x"); !errors.Is(err, sandbox.ErrForge) {
			t.Errorf("field %q: %v", field, err)
		}
	}
}
