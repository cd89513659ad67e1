package licence

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"image"
	"image/png"
	"io"
	"regexp"
	"strings"
	"testing"
	"time"

	"hufu/configs"
	"hufu/identity"
	"hufu/internal/font"
	"hufu/licence/card"
	"hufu/sandbox"
	"hufu/seal/ofd"
)

// made is an unsealed licence for a name.
func made(t testing.TB, name string) []byte {
	t.Helper()
	types, err := ParseCatalogue(configs.Files, "licences")
	if err != nil {
		t.Fatal(err)
	}
	f, err := openFaces(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	ty := types["11990000MB0000027A001"]
	at := time.Date(2026, 9, 1, 8, 0, 0, 0, time.UTC)
	who := parties{
		holder: identity.Holder{Kind: identity.Person, Name: name, Number: "11010119900307002X", NumberType: identity.ResidentID},
		issuer: identity.Holder{Kind: identity.Entity, Name: "云溪市公安局", Number: "11990000MA00000151"},
	}
	id := card.Identifier{Type: ty.Code, Issuer: "11990000MA00000151", Serial: "20260000000001", Version: 1}
	d, err := ty.fill(map[string]string{"address": "云溪市青石区望江路 66 号", "since": "2026-03-01", "reason": "就业"}, who, id, at)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := ty.render(f, &d, strings.Repeat("0", 32), "http://localhost:8480/verify?licence="+d.Identifier, at)
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

func TestTheSameOrderGivesTheSameBytes(t *testing.T) {
	if !bytes.Equal(made(t, "王小雅"), made(t, "王小雅")) {
		t.Error("two renderings differ")
	}
}

// wellFormed checks that an SVG is XML with nothing that runs, loads or links out.
func wellFormed(t testing.TB, svg []byte) {
	t.Helper()
	d := xml.NewDecoder(bytes.NewReader(svg))
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("not XML: %v", err)
		}
		e, ok := token.(xml.StartElement)
		if !ok {
			continue
		}
		if !strings.Contains(" svg defs path g use rect image ", " "+e.Name.Local+" ") {
			t.Fatalf("element %q", e.Name.Local)
		}
		for _, a := range e.Attr {
			local := strings.HasPrefix(a.Value, "#g") || strings.HasPrefix(a.Value, "data:image/png;base64,") || strings.HasPrefix(a.Value, "data:image/jpeg;base64,")
			if strings.HasPrefix(a.Name.Local, "on") || a.Name.Local == "href" && !local {
				t.Fatalf("attribute %s=%.40q", a.Name.Local, a.Value)
			}
		}
	}
	if bytes.Contains(svg, []byte("NaN")) || bytes.Contains(svg, []byte("Inf")) {
		t.Fatal("a number that is none")
	}
}

// uses lists where the outline of a character is drawn.
func uses(svg []byte, r rune) [][]byte {
	return regexp.MustCompile(fmt.Sprintf(`<use href="#g\d+-%x" `, r)).FindAll(svg, -1)
}

func TestThePreviewShowsWhatThePageSays(t *testing.T) {
	doc := made(t, "王小雅")
	svg, err := Preview(doc)
	if err != nil {
		t.Fatal(err)
	}
	wellFormed(t, svg)
	for _, r := range "王小雅居住登记证明" {
		if len(uses(svg, r)) == 0 {
			t.Errorf("%c is not drawn", r)
		}
	}
	forged, err := sandbox.Forge(doc, "name", "赵伪造<&>")
	if err != nil {
		t.Fatal(err)
	}
	if svg, err = Preview(forged); err != nil {
		t.Fatal(err)
	}
	wellFormed(t, svg)
	if len(uses(svg, '伪')) != 1 || len(uses(svg, '雅')) != 0 || len(uses(svg, '<')) != 1 {
		t.Error("the forged name is not drawn in place of the true one")
	}
	lost, err := sandbox.Forge(doc, "name", "王𠮷")
	if err != nil {
		t.Fatal(err)
	}
	if svg, err = Preview(lost); err != nil || !bytes.Contains(svg, []byte(`stroke="#c00"`)) {
		t.Errorf("a character that no font has must be a box: %v", err)
	}
}

// edited replaces a part of the page.
func edited(t testing.TB, doc []byte, old, with string) []byte {
	t.Helper()
	c, err := ofd.Open(doc)
	if err != nil {
		t.Fatal(err)
	}
	const page = "Doc_0/Pages/Page_0/Content.xml"
	content, _ := c.Read(page)
	after := bytes.Replace(content, []byte(old), []byte(with), 1)
	if bytes.Equal(after, content) {
		t.Fatalf("%q is not on the page", old)
	}
	if c, err = c.With(page, after); err != nil {
		t.Fatal(err)
	}
	return c.Bytes()
}

func TestHostilePagesAreBounded(t *testing.T) {
	doc := made(t, "王小雅")
	for name, with := range map[string]string{
		"markup in numbers": `<ofd:TextObject ID="900" Boundary='0 0 9 9"/&gt;&lt;script&gt;' Font="1" Size="4"><ofd:TextCode X="0" Y="4">x</ofd:TextCode></ofd:TextObject>`,
		"markup in colour":  `<ofd:PathObject ID="900" Boundary="0 0 9 9" Fill="true"><ofd:FillColor Value='"/&gt;&lt;script&gt; 1 2'/><ofd:AbbreviatedData>M 0 0 L 9 9 C</ofd:AbbreviatedData></ofd:PathObject>`,
		"markup in path":    `<ofd:PathObject ID="900" Boundary="0 0 9 9"><ofd:AbbreviatedData>M 0 0 L "onload=alert(1) 9</ofd:AbbreviatedData></ofd:PathObject>`,
		"numbers that are none": `<ofd:PathObject ID="900" Boundary="NaN 0 Inf 9"><ofd:AbbreviatedData>M NaN 0</ofd:AbbreviatedData></ofd:PathObject>
			<ofd:TextObject ID="901" Boundary="0 0 9 9" Font="1" Size="NaN"><ofd:TextCode X="1e400" Y="4">x</ofd:TextCode></ofd:TextObject>`,
		"foreign picture":  `<ofd:ImageObject ID="900" Boundary="0 0 9 9" CTM="9 0 0 9 0 0" ResourceID="77"/>`,
		"no such font":     `<ofd:TextObject ID="900" Boundary="0 0 9 9" Font="77" Size="4"><ofd:TextCode X="0" Y="4">x</ofd:TextCode></ofd:TextObject>`,
		"repeated advance": `<ofd:TextObject ID="900" Boundary="0 0 9 9" Font="1" Size="4"><ofd:TextCode X="0" Y="4" DeltaX="g 999999999 1">xyz</ofd:TextCode></ofd:TextObject>`,
	} {
		svg, err := Preview(edited(t, doc, "</ofd:Layer>", with+"</ofd:Layer>"))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		wellFormed(t, svg)
	}
	for name, with := range map[string]string{
		"too many characters": `<ofd:TextObject ID="900" Boundary="0 0 9 9" Font="1" Size="4"><ofd:TextCode X="0" Y="4">` + strings.Repeat("字", 30_000) + `</ofd:TextCode></ofd:TextObject></ofd:Layer>`,
		"too deep":            strings.Repeat("<ofd:PageBlock>", 40) + strings.Repeat("</ofd:PageBlock>", 40) + `</ofd:Layer>`,
		"not closed":          `<ofd:PageBlock></ofd:Layer>`,
	} {
		if _, err := Preview(edited(t, doc, "</ofd:Layer>", with)); !errors.Is(err, ErrPreview) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, file := range map[string][]byte{"nothing": nil, "garbage": []byte("garbage"), "truncated": doc[:len(doc)/2]} {
		if _, err := Preview(file); !errors.Is(err, ErrPreview) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAPictureOfHugeSizeIsNotPassedOn(t *testing.T) {
	p := &preview{}
	var small bytes.Buffer
	if err := png.Encode(&small, image.NewGray(image.Rect(0, 0, 2, 2))); err != nil {
		t.Fatal(err)
	}
	p.picture(small.Bytes(), `x="0"`)
	if !strings.Contains(p.body.String(), "data:image/png;base64,") {
		t.Error("a sound picture is not drawn")
	}
	before := p.body.Len()
	huge := bytes.Clone(small.Bytes())
	copy(huge[16:24], []byte{0x7f, 0xff, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff})
	for _, data := range [][]byte{huge, []byte("<svg onload='x'/>"), nil} {
		if p.picture(data, `x="0"`); p.body.Len() != before {
			t.Errorf("picture %.10q was drawn", data)
		}
	}
}

func TestEmbeddedFontsAreWhatIsDrawn(t *testing.T) {
	doc := made(t, "王小雅")
	c, err := ofd.Open(doc)
	if err != nil {
		t.Fatal(err)
	}
	bold, err := font.Bold()
	if err != nil {
		t.Fatal(err)
	}
	// A forger embeds a font in which every outline is another: the preview shows what a reader shows.
	other, err := bold.Subset("就业")
	if err != nil {
		t.Fatal(err)
	}
	if c, err = c.With("Doc_0/Res/font_1.ttf", other.Data); err != nil {
		t.Fatal(err)
	}
	before, err1 := Preview(doc)
	after, err2 := Preview(c.Bytes())
	if err1 != nil || err2 != nil || bytes.Equal(before, after) {
		t.Errorf("the embedded font does not count: %v, %v", err1, err2)
	}
	if c, err = c.With("Doc_0/Res/font_1.ttf", []byte("garbage")); err != nil {
		t.Fatal(err)
	}
	if _, err := Preview(c.Bytes()); err != nil {
		t.Errorf("an unreadable font: %v", err)
	}
}

func FuzzPreviewPage(f *testing.F) {
	doc := made(f, "王小雅")
	c, err := ofd.Open(doc)
	if err != nil {
		f.Fatal(err)
	}
	content, _ := c.Read("Doc_0/Pages/Page_0/Content.xml")
	f.Add(content)
	f.Add([]byte(`<Page><TextObject Boundary="0 0 1 1" Font="1" Size="1" CTM="1 0 0 1 0 0"><TextCode X="0" Y="0" DeltaX="g 2 1">ab</TextCode></TextObject></Page>`))
	f.Add([]byte(`<Page><PathObject Boundary="0 0 1 1"><AbbreviatedData>S 0 0 M 0 0 Q 1 1 2 2 A 1 1 0 0 1 3 3 C</AbbreviatedData></PathObject></Page>`))
	f.Fuzz(func(t *testing.T, page []byte) {
		with, err := c.With("Doc_0/Pages/Page_0/Content.xml", page)
		if err != nil {
			return
		}
		if svg, err := Preview(with.Bytes()); err == nil {
			wellFormed(t, svg)
		}
	})
}
