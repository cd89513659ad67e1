package font_test

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/text/encoding/simplifiedchinese"

	"hufu/internal/fault"
	"hufu/internal/font"
)

// open returns both built-in fonts.
func open(t testing.TB) []*font.Font {
	t.Helper()
	regular, err := font.Regular()
	if err != nil {
		t.Fatal(err)
	}
	bold, err := font.Open(font.WeightBold)
	if err != nil {
		t.Fatal(err)
	}
	return []*font.Font{regular, bold}
}

func TestDataHasTheHashesOfTheDocumentedStep(t *testing.T) {
	sums, err := os.ReadFile("data/SHA256SUMS")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(sums)), "\n")
	if len(lines) != 4 {
		t.Fatalf("%d files listed, want 4", len(lines))
	}
	for _, line := range lines {
		want, name, _ := strings.Cut(line, "  ")
		data, err := os.ReadFile(filepath.Join("data", name))
		if err != nil {
			t.Fatal(err)
		}
		if got := sha256.Sum256(data); hex.EncodeToString(got[:]) != want {
			t.Errorf("%s: hash %x, want %s", name, got, want)
		}
	}
}

// standardList returns the 8,105 characters of the General Standard Chinese Character List.
func standardList(t *testing.T) []rune {
	t.Helper()
	data, err := os.ReadFile("testdata/tgh.txt")
	if err != nil {
		t.Fatal(err)
	}
	var list []rune
	for line := range strings.Lines(string(data)) {
		if !strings.HasPrefix(line, "#") {
			list = append(list, []rune(strings.TrimSpace(line))...)
		}
	}
	return list
}

func TestFontsHaveTheWholeStandardList(t *testing.T) {
	list := standardList(t)
	if len(list) != 8105 || list[0] != '一' || list[3500] != '乂' || list[6500] != '亍' {
		t.Fatalf("the list has %d characters and begins its levels with %c %c %c", len(list), list[0], list[3500], list[6500])
	}
	for _, f := range open(t) {
		if missing := f.Missing(string(list)); len(missing) > 0 {
			t.Errorf("weight %d lacks %d: %c", f.Weight(), len(missing), missing)
		}
	}
}

func TestFontsHaveGBK(t *testing.T) {
	decoder := simplifiedchinese.GBK.NewDecoder()
	var repertoire strings.Builder
	n := 0
	for lead := 0x81; lead < 0xFF; lead++ {
		for trail := 0x40; trail < 0xFF; trail++ {
			text, err := decoder.Bytes([]byte{byte(lead), byte(trail)})
			r := []rune(string(text))
			if err != nil || len(r) != 1 || r[0] == 0xFFFD || r[0] >= 0xE000 && r[0] <= 0xF8FF {
				continue
			}
			n++
			repertoire.WriteRune(r[0])
		}
	}
	if n < 21800 {
		t.Fatalf("GBK has only %d characters here", n)
	}
	for _, f := range open(t) {
		if missing := f.Missing(repertoire.String()); string(missing) != "≒" { // the one sign that Noto Serif SC has not
			t.Errorf("weight %d lacks %q", f.Weight(), string(missing))
		}
	}
}

// repertoire returns every character of data/codepoints.txt.
func repertoire(t *testing.T) []rune {
	t.Helper()
	data, err := os.ReadFile("data/codepoints.txt")
	if err != nil {
		t.Fatal(err)
	}
	var runes []rune
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "#") {
			continue
		}
		first, last, ok := strings.Cut(line, "-")
		if !ok {
			last = first
		}
		a, errA := strconv.ParseUint(first, 16, 32)
		b, errB := strconv.ParseUint(last, 16, 32)
		if errA != nil || errB != nil {
			t.Fatalf("line %q", line)
		}
		for ; a <= b; a++ {
			runes = append(runes, rune(a))
		}
	}
	return runes
}

func TestEveryCharacterHasInk(t *testing.T) {
	runes := repertoire(t)
	if len(runes) < 23000 {
		t.Fatalf("only %d characters", len(runes))
	}
	for weight, f := range open(t) {
		for i, r := range runes {
			if i%2 != weight { // the two files hold the same glyphs; half of each keeps the race detector quick
				continue
			}
			g, err := f.Glyph(r)
			if err != nil {
				t.Fatalf("%c U+%04X: %v", r, r, err)
			}
			blank := g.Ink == font.Rect{}
			if space := strings.ContainsRune(" \u00a0\u3000\uffa0\u3164\u2028\u2029", r); blank != space {
				t.Errorf("%c U+%04X: blank %v", r, r, blank)
			}
			mark := r >= 0x302A && r <= 0x302D // tone marks stand over the character before
			if g.Advance <= 0 && !mark || g.Advance > 4 || g.Ink.MaxY > 1.4 || g.Ink.MinY < -0.6 {
				t.Errorf("%c U+%04X: advance %v, ink %v", r, r, g.Advance, g.Ink)
			}
		}
	}
}

func TestMissingCharacterIsNamedInBothLanguages(t *testing.T) {
	f := open(t)[1]
	err := f.Check("张\U0002A6A5三\U0002A6A5")
	if !errors.Is(err, font.ErrMissing) || fault.KindOf(err) != fault.Invalid {
		t.Fatalf("error = %v", err)
	}
	text, _ := fault.TextOf(err)
	for _, s := range []string{text.ZH, text.EN} {
		if strings.Count(s, "\U0002A6A5") != 1 || strings.Count(s, "U+2A6A5") != 1 {
			t.Errorf("the text does not name the character once: %s", s)
		}
	}
	for what, err := range map[string]error{
		"control":   f.Check("张\x00三"),
		"tab":       f.Check("张\t三"),
		"private":   f.Check("\ue5e5"),
		"surrogate": f.Check("\xed\xa0\x80"),
		"variation": f.Check("\u845b\U000e0100"),
		"emoji":     f.Check("😀"),
	} {
		if !errors.Is(err, font.ErrMissing) {
			t.Errorf("%s: error = %v", what, err)
		}
	}
	if _, err := f.Glyph('😀'); !errors.Is(err, font.ErrMissing) {
		t.Errorf("glyph: %v", err)
	}
	if _, err := f.Advances("😀", 10); !errors.Is(err, font.ErrMissing) {
		t.Errorf("advances: %v", err)
	}
	if _, err := f.Subset("好", "😀"); !errors.Is(err, font.ErrMissing) {
		t.Errorf("subset: %v", err)
	}
	text, _ = fault.TextOf(f.Check("ءآأؤإئابةت"))
	if strings.Count(text.EN, "U+") != 8 || !strings.Contains(text.EN, "…") {
		t.Errorf("a long list is not cut: %s", text.EN)
	}
}

func TestGlyphIsInEms(t *testing.T) {
	f := open(t)[0]
	g, err := f.Glyph('一')
	if err != nil {
		t.Fatal(err)
	}
	if g.Advance != 1 || g.Ink.MaxX-g.Ink.MinX < 0.8 || g.Ink.MaxY-g.Ink.MinY > 0.2 || g.Ink.MinY < 0.3 {
		t.Errorf("advance %v, ink %v: not a horizontal stroke in the middle of an em", g.Advance, g.Ink)
	}
	if g.Path[0].Op != font.Move {
		t.Error("a path begins with a move")
	}
}

func TestOpenRefusesUnknownWeightAndParseRefusesGarbage(t *testing.T) {
	if _, err := font.Open(300); !errors.Is(err, font.ErrUnreadable) {
		t.Errorf("weight 300: %v", err)
	}
	whole, err := os.ReadFile("data/NotoSerifSC-Bold.otf")
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{
		"empty": nil, "text": []byte("not a font"), "header": whole[:12], "truncated": whole[:200000], "collection": []byte("ttcf\x00\x01\x00\x00\x00\x00\x00\x00"),
	} {
		if _, err := font.Parse(data, font.WeightBold); !errors.Is(err, font.ErrUnreadable) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, w := range []font.Weight{0, -1, 1001} {
		if _, err := font.Parse(whole, w); !errors.Is(err, font.ErrUnreadable) {
			t.Errorf("weight %d: %v", w, err)
		}
	}
}

func TestFontIsSafeForConcurrentUse(t *testing.T) {
	f := open(t)[0]
	errs := make(chan error, 8)
	for range cap(errs) {
		go func() {
			_, err := f.Subset("一字千金，言出必行")
			if err == nil {
				_, err = f.Glyph('虎')
			}
			errs <- err
		}()
	}
	for range cap(errs) {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
}

func ExampleFont_Wrap() {
	f, err := font.Regular()
	if err != nil {
		fmt.Println(err)
		return
	}
	lines, err := f.Wrap("技术服务、软件开发（依法须经批准的项目，经相关部门批准后方可开展经营活动）。", 4, 40)
	fmt.Println(strings.Join(lines, "\n"), err)
	// Output:
	// 技术服务、软件开发
	// （依法须经批准的项
	// 目，经相关部门批准后
	// 方可开展经营活动）。 <nil>
}
