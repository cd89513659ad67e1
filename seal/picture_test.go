package seal

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/xml"
	"errors"
	"fmt"
	"image/png"
	"math"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"hufu/internal/fault"
	"hufu/internal/font"
)

func style(t testing.TB, id string) Style {
	t.Helper()
	s, ok := FindStyle(id)
	if !ok {
		t.Fatalf("no style %q", id)
	}
	return s
}

// golden designs with the hashes of their SVG and of the pixels of their PNG at 600 dpi. A new hash means that seals
// already made can't be drawn again bit by bit: look at the picture, and say so in the change log.
var golden = []struct {
	style, name, line, code string
	svg, pixels             string
}{
	{"company", "苏州市示例科技有限公司", "", "3205051234567", "f18c5d7f0e4d9f24", "7f985e57fc404711"},
	{"special", "湖北省数字政府示例中心", "电子证照专用章", "4201061234567", "51dcddac95e83117", "38431d35874f2a7a"},
	{"department", "云南省市场监督管理局行政审批服务中心大厅", "业务专用章", "5301021234567", "22ab702c1a1f4bd8", "24a7799fc01b59c7"},
	{"organ", "内蒙古自治区呼伦贝尔市莫力达瓦达斡尔族自治旗局", "", "", "da044d62ae3ada55", "160a23fd47ad7ef0"},
	{"state", "虎符", "", "", "e35f118c229bccf6", "263e2bacbeaf4e12"},
}

func TestGoldenPictures(t *testing.T) {
	for _, g := range golden {
		d, err := Draw(Design{Style: style(t, g.style), Name: g.name, Line: g.line, Code: g.code})
		if err != nil {
			t.Errorf("%s: %v", g.name, err)
			continue
		}
		svg := d.SVG()
		// Other processors fuse multiplication and addition, and may round a micrometre or a shade otherwise.
		const exact = runtime.GOARCH == "amd64"
		if h := sha256.Sum256(svg); exact && fmt.Sprintf("%x", h[:8]) != g.svg {
			t.Errorf("%s: SVG %x, want %s", g.name, h[:8], g.svg)
		}
		if len(svg) > 40<<10 || bytes.Contains(svg, []byte("<text")) {
			t.Errorf("%s: SVG of %d bytes", g.name, len(svg))
		}
		picture, err := d.Image(600)
		if err != nil {
			t.Fatal(err)
		}
		h := sha256.Sum256(picture.Pix)
		if exact && fmt.Sprintf("%x", h[:8]) != g.pixels {
			t.Errorf("%s: pixels %x, want %s", g.name, h[:8], g.pixels)
		}
	}
}

func TestSameDesignGivesTheSameBytes(t *testing.T) {
	design := Design{Style: style(t, "company"), Name: "示例市大数据局", Code: "3301060000001"}
	a, errA := Draw(design)
	b, errB := Draw(design)
	if errA != nil || errB != nil {
		t.Fatal(errA, errB)
	}
	pa, errA := a.PNG(300)
	pb, errB := b.PNG(300)
	if errA != nil || errB != nil || !bytes.Equal(pa, pb) || !bytes.Equal(a.SVG(), b.SVG()) {
		t.Error("two drawings of one design differ", errA, errB)
	}
}

func TestPNGIsTransparentAndOfTrueSize(t *testing.T) {
	d, err := Draw(Design{Style: style(t, "company"), Name: "苏州市示例科技有限公司", Code: "3205051234567"})
	if err != nil {
		t.Fatal(err)
	}
	data, err := d.PNG(600)
	if err != nil {
		t.Fatal(err)
	}
	if len(data) > 135<<10 {
		t.Errorf("%d bytes", len(data))
	}
	at := bytes.Index(data, []byte("pHYs"))
	if at < 0 || binary.BigEndian.Uint32(data[at+4:]) != 23622 || data[at+12] != 1 {
		t.Error("the resolution is not 600 dpi")
	}
	picture, err := png.Decode(bytes.NewReader(data)) // checks the checksum of each chunk
	if err != nil {
		t.Fatal(err)
	}
	if picture.Bounds().Dx() != 993 || picture.Bounds().Dy() != 993 {
		t.Errorf("size %v, want 993", picture.Bounds())
	}
	for _, c := range []struct {
		x, y  int
		clear bool
		where string
	}{{0, 0, true, "corner"}, {992, 992, true, "corner"}, {496, 496, false, "star"}, {496, 12, false, "ring"}, {14, 496, false, "ring"}, {496, 780, true, "ground"}} {
		r, g, b, a := picture.At(c.x, c.y).RGBA()
		if c.clear && a != 0 || !c.clear && (a != 0xFFFF || r != 0xE6E6 || g != 0 || b != 0x1212) {
			t.Errorf("%s at %d,%d: %x %x %x %x", c.where, c.x, c.y, r, g, b, a)
		}
	}
	for _, dpi := range []int{0, -600, 71, 2401} {
		if _, err := d.PNG(dpi); !errors.Is(err, ErrResolution) {
			t.Errorf("%d dpi: %v", dpi, err)
		}
	}
}

var svgStep = regexp.MustCompile(`[mlqcz]|-?(?:\d+(?:\.\d+)?|\.\d+)`)

// TestSVGHoldsTheDrawing reads the path back: every point of the drawing, in millimetres.
func TestSVGHoldsTheDrawing(t *testing.T) {
	d, err := Draw(Design{Style: style(t, "department"), Name: "杭州示例（集团）有限公司", Line: "合同专用章", Code: "3301060000001"})
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Width   string `xml:"width,attr"`
		ViewBox string `xml:"viewBox,attr"`
		Path    struct {
			D    string `xml:"d,attr"`
			Fill string `xml:"fill,attr"`
		} `xml:"path"`
	}
	if err := xml.Unmarshal(d.SVG(), &doc); err != nil {
		t.Fatal(err)
	}
	if doc.Width != "40mm" || doc.ViewBox != "0 0 40 40" || doc.Path.Fill != "#e60012" {
		t.Errorf("width %q, view box %q, fill %q", doc.Width, doc.ViewBox, doc.Path.Fill)
	}
	if rest := strings.Trim(svgStep.ReplaceAllString(doc.Path.D, ""), " "); rest != "" {
		t.Fatalf("the path has %q in it", rest)
	}
	var strokes []stroke
	var at, start [2]int
	tokens := svgStep.FindAllString(doc.Path.D, -1)
	letter := ""
	for i := 0; i < len(tokens); {
		if strings.Contains("mlqcz", tokens[i]) {
			letter = tokens[i]
			i++
			if letter == "z" {
				at = start
				continue
			}
		}
		s := stroke{op: font.Op(strings.Index("mlqc", letter))}
		for j := range s.op.Points() {
			for k := range 2 {
				v, err := strconv.ParseFloat(tokens[i], 64)
				if err != nil {
					t.Fatal(err)
				}
				s.args[j][k] = at[k] + int(math.Round(v*1000))
				i++
			}
		}
		at = s.args[s.op.Points()-1]
		if s.op == font.Move {
			start = at
		}
		strokes = append(strokes, s)
	}
	if len(strokes) != len(d.strokes) {
		t.Fatalf("%d strokes, want %d", len(strokes), len(d.strokes))
	}
	for i := range strokes {
		if strokes[i] != d.strokes[i] {
			t.Fatalf("stroke %d: %v, want %v", i, strokes[i], d.strokes[i])
		}
	}
}

func TestDesignIsCheckedAtTheDoor(t *testing.T) {
	company := style(t, "company")
	with := func(change func(*Style)) Style { s := company; change(&s); return s }
	for name, c := range map[string]struct {
		design Design
		want   *fault.Error
	}{
		"one character":      {Design{Style: company, Name: "虎"}, ErrNameLength},
		"no name":            {Design{Style: company}, ErrNameLength},
		"31 characters":      {Design{Style: company, Name: strings.Repeat("省", 31)}, ErrNameLength},
		"space":              {Design{Style: company, Name: "示例 公司"}, ErrBadText},
		"wide space":         {Design{Style: company, Name: "示例\u3000公司"}, ErrBadText},
		"line break in line": {Design{Style: company, Name: "示例公司", Line: "专用\n章"}, ErrBadText},
		"zero width":         {Design{Style: company, Name: "示例\u200b公司"}, ErrBadText},
		"right to left":      {Design{Style: company, Name: "示例\u202e公司"}, ErrBadText},
		"not UTF-8":          {Design{Style: company, Name: "示例\xff公司"}, ErrBadText},
		"unknown character":  {Design{Style: company, Name: "示例\U0002A6A5公司"}, font.ErrMissing},
		"12 digits":          {Design{Style: company, Name: "示例公司", Code: "123456789012"}, ErrBadCode},
		"wide digits":        {Design{Style: company, Name: "示例公司", Code: "１２３４５６７８９０１２３"}, ErrBadCode},
		"letters in code":    {Design{Style: company, Name: "示例公司", Code: "123456789012X"}, ErrBadCode},
		"long line":          {Design{Style: company, Name: "示例公司", Line: strings.Repeat("章", 17)}, ErrLineTooLong},
		"no style":           {Design{Name: "示例公司"}, ErrBadStyle},
		"too large":          {Design{Style: with(func(s *Style) { s.Diameter = 61 }), Name: "示例公司"}, ErrBadStyle},
		"too small":          {Design{Style: with(func(s *Style) { s.Diameter = 19 }), Name: "示例公司"}, ErrBadStyle},
		"not a number":       {Design{Style: with(func(s *Style) { s.Diameter = math.NaN() }), Name: "示例公司"}, ErrBadStyle},
		"no ring":            {Design{Style: with(func(s *Style) { s.Ring = 0 }), Name: "示例公司"}, ErrBadStyle},
		"huge star":          {Design{Style: with(func(s *Style) { s.Star = 30 }), Name: "示例公司"}, ErrBadStyle},
		"too long for it":    {Design{Style: with(func(s *Style) { s.Diameter, s.Star = 20, 7 }), Name: strings.Repeat("国", 28)}, ErrNameTooLong},
		"line too long":      {Design{Style: with(func(s *Style) { s.Diameter, s.Star = 20, 7 }), Name: "示例公司", Line: strings.Repeat("鑫", 16)}, ErrLineTooLong},
	} {
		_, err := Draw(c.design)
		text, ok := fault.TextOf(err)
		if !errors.Is(err, c.want) || !ok || text.ZH == "" || text.EN == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestStylesAreDrawn(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range Styles() {
		if seen[s.ID] || s.Name.ZH == "" || s.Name.EN == "" || s.Diameter != math.Trunc(s.Diameter) {
			t.Errorf("style %+v", s) // SES_ESPictrueInfo holds whole millimetres
		}
		seen[s.ID] = true
		d, err := Draw(Design{Style: s, Name: "示例市人民政府办公厅", Code: "3301060000001"})
		if err != nil || d.Diameter() != s.Diameter {
			t.Errorf("style %s: %v", s.ID, err)
		}
	}
	if _, ok := FindStyle("emperor"); ok {
		t.Error("found a style that is not there")
	}
}

// FuzzDraw: whatever is typed into the form, a drawing or a refusal that a person can read.
func FuzzDraw(f *testing.F) {
	f.Add("示例市人民政府", "专用章", "3301060000001", 42.0, 1.2, 14.0)
	f.Add("WWWWWWWWW·（）", "——", "", 20.0, 3.0, 10.0)
	f.Add("一一", "", "1111111111111", 60.0, 0.5, 0.0)
	f.Fuzz(func(t *testing.T, name, line, code string, diameter, ring, star float64) {
		d, err := Draw(Design{Style: Style{Diameter: diameter, Ring: ring, Star: star}, Name: name, Line: line, Code: code})
		if err == nil {
			var doc struct {
				XMLName xml.Name `xml:"http://www.w3.org/2000/svg svg"`
			}
			if err := xml.Unmarshal(d.SVG(), &doc); err != nil {
				t.Error(err)
			}
		} else if _, ok := fault.TextOf(err); !ok {
			t.Errorf("an internal error: %v", err)
		}
	})
}
