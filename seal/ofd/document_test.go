package ofd

import (
	"bytes"
	"errors"
	"image"
	"image/png"
	"testing"
	"time"
)

// licenceLike builds a page with everything that the builder knows.
func licenceLike(t testing.TB) []byte {
	t.Helper()
	var pic bytes.Buffer
	if err := png.Encode(&pic, image.NewGray(image.Rect(0, 0, 2, 2))); err != nil {
		t.Fatal(err)
	}
	d := NewDocument(Info{DocID: "00112233445566778899aabbccddeeff", Title: "执照 <1>", Creator: "Hufu", Created: time.Unix(1e9, 0), Custom: []Property{{"a", "b&c"}}})
	font := d.Font(Font{Name: "宋体", Family: "SimSun", Serif: true, Data: []byte("\x00\x01\x00\x00font")})
	img := d.Image(pic.Bytes())
	back := d.Template(210, 297)
	back.Rect(Box{10, 10, 190, 277}, 0.5, &Color{200, 0, 0}, nil)
	p := d.Page(210, 297)
	p.Background(back)
	p.Line(10, 20, 200, 20, 0.3, Color{})
	p.Picture(Picture{Image: img, Box: Box{20, 30, 25, 35}})
	one := p.Text(Text{Value: "甲 & 乙", Font: font, Size: 5, X: 60, Y: 50, DeltaX: []float64{5, 2.5, 2.5, 2.5}, Glyphs: []uint16{1, 2, 3, 2, 4}})
	two := p.Text(Text{Value: "有限公司", Font: font, Size: 5, X: 60, Y: 58})
	d.Attach("licence", "json", "licence.json", []byte(`{}`))
	d.Tag("urn:x", "licence", []TagItem{{"name", []Object{one, two}}})
	b, err := d.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestANewDocumentIsReadBack(t *testing.T) {
	b := licenceLike(t)
	if !bytes.Equal(b, licenceLike(t)) {
		t.Fatal("the same calls give other bytes")
	}
	c, m, _ := open(t, b)
	if len(m.Remarks) != 0 || len(m.Missing) != 0 || len(m.Pages) != 1 || m.Pages[0].Box != (Box{0, 0, 210, 297}) {
		t.Fatalf("%+v", m)
	}
	for _, n := range c.Names() {
		want := Drawn
		switch n {
		case "OFD.xml", "Doc_0/Attachs/Attachments.xml", "Doc_0/Attachs/licence.json", "Doc_0/Tags/CustomTags.xml", "Doc_0/Tags/CustomTag_0.xml":
			want = Metadata
		}
		if m.Reach(n) != want {
			t.Errorf("%s: reach %d, want %d", n, m.Reach(n), want)
		}
	}
	if len(m.Attachments) != 1 || m.Attachments[0].Path != "Doc_0/Attachs/licence.json" {
		t.Errorf("attachments %+v", m.Attachments)
	}
	bindings, ok := m.Bindings("urn:x")
	if !ok || len(bindings) != 1 || bindings[0].Name != "name" || len(bindings[0].Objects) != 2 || bindings[0].Objects[0].Text != "甲 & 乙" || bindings[0].Objects[1].Text != "有限公司" {
		t.Errorf("bindings %+v", bindings)
	}
	if _, ok := m.Bindings("urn:y"); ok {
		t.Error("a tag of another namespace is taken for ours")
	}
}

func TestEveryPartOfANewDocumentIsProtected(t *testing.T) {
	c, _, _ := open(t, licenceLike(t))
	p, err := c.Prepare(Request{Type: TypeSign, Provider: `a"b`, Time: time.Unix(1e9, 0)})
	if err != nil {
		t.Fatal(err)
	}
	out, err := p.Finish([]byte("value"))
	if err != nil {
		t.Fatal(err)
	}
	signed, _, _ := open(t, out)
	for _, n := range signed.Names() {
		data, _ := signed.Read(n)
		tampered, err := signed.With(n, append([]byte{}, append(data, ' ')...))
		if err != nil {
			t.Fatal(err)
		}
		tc, tm, all := open(t, tampered.Bytes())
		bad := 0
		for _, it := range tc.Coverage(tm, all, all.List[0]) {
			if it.State == ListedBad {
				bad++
			}
		}
		switch n {
		case "Doc_0/Signs/Signatures.xml", "Doc_0/Signs/Sign_0/Signature.xml", "Doc_0/Signs/Sign_0/SignedValue.dat":
			if bad != 0 {
				t.Errorf("%s is listed", n)
			}
		default:
			if bad != 1 {
				t.Errorf("a change of %s shows in %d digests", n, bad)
			}
		}
	}
	// The proof that comes afterwards is known, and breaks nothing; a file of that name elsewhere is no proof of ours.
	proof, err := signed.With(p.LogProofPath(), []byte("{}"))
	if err != nil {
		t.Fatal(err)
	}
	stray, err := proof.With("Doc_0/LogProof.txt", []byte("{}"))
	if err != nil {
		t.Fatal(err)
	}
	pc, pm, all := open(t, stray.Bytes())
	for _, it := range pc.Coverage(pm, all, all.List[0]) {
		want := map[string]State{p.LogProofPath(): Later, "Doc_0/LogProof.txt": UnlistedOrphan}[it.Path]
		if want != "" && it.State != want {
			t.Errorf("%s is %s", it.Path, it.State)
		}
	}
	if string(all.List[0].LogProof) != "{}" {
		t.Error("the proof is not found")
	}
}

func TestTheBuilderNamesTheMistake(t *testing.T) {
	for name, f := range map[string]func(*Document){
		"no page":    func(*Document) {},
		"page size":  func(d *Document) { d.Page(0, 10) },
		"no font":    func(d *Document) { d.Page(10, 10).Text(Text{Value: "x", Size: 1}) },
		"empty text": func(d *Document) { d.Page(10, 10).Text(Text{Font: d.Font(Font{Name: "a"}), Size: 1}) },
		"advances": func(d *Document) {
			d.Page(10, 10).Text(Text{Value: "abc", Font: d.Font(Font{Name: "a"}), Size: 1, DeltaX: []float64{1}})
		},
		"control":    func(d *Document) { d.Page(10, 10).Text(Text{Value: "a\x01", Font: d.Font(Font{Name: "a"}), Size: 1}) },
		"image":      func(d *Document) { d.Image([]byte("GIF89a")); d.Page(10, 10) },
		"attachment": func(d *Document) { d.Attach("x", "json", "../x", nil); d.Page(10, 10) },
		"twice":      func(d *Document) { d.Attach("x", "json", "x", nil); d.Attach("y", "json", "X", nil); d.Page(10, 10) },
		"path":       func(d *Document) { d.Page(10, 10).Path(Path{Data: `M 0 0"><x/>`, Stroke: &Color{}}) },
		"foreign tag": func(d *Document) {
			o := NewDocument(Info{}).Page(1, 1).Line(0, 0, 1, 1, 1, Color{})
			d.Page(10, 10)
			d.Tag("urn:x", "x", []TagItem{{"a", []Object{o}}})
		},
	} {
		d := NewDocument(Info{DocID: "1"})
		f(d)
		if _, err := d.Bytes(); !errors.Is(err, ErrContent) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
