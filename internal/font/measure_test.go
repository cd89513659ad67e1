package font_test

import (
	"math"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestAdvancesAreInTheUnitOfSize(t *testing.T) {
	f := open(t)[0]
	advances, err := f.Advances("中i", 10)
	if err != nil {
		t.Fatal(err)
	}
	if len(advances) != 2 || advances[0] != 10 || advances[1] >= 5 {
		t.Errorf("advances %v: a Chinese character is one em wide, an i much less", advances)
	}
	if w, err := f.Width("中国", 3.5); err != nil || w != 7 {
		t.Errorf("width %v, %v", w, err)
	}
	if a, d := f.Ascent(10), f.Descent(10); a < 8.8 || d < 1.2 || a+d > 20 {
		t.Errorf("ascent %v, descent %v", a, d)
	}
}

func TestWrapKeepsTheRulesOfTheLine(t *testing.T) {
	f := open(t)[0]
	for _, c := range []struct {
		name, text string
		width      float64
		want       []string
	}{
		{"fits", "一二三", 12, []string{"一二三"}},
		{"exact", "一二三四", 12, []string{"一二三", "四"}},
		{"no closing mark first", "一二三，四五六", 12, []string{"一二", "三，四", "五六"}},
		{"no opening mark last", "一二（三四）五", 12, []string{"一二", "（三", "四）五"}},
		{"code stays whole", "编号91320505MA1XX", 34, []string{"编号", "91320505MA1XX"}},
		{"too long a code is cut", "ABCDEFGHIJ", 12, []string{"ABCD", "EFGH", "IJ"}},
		{"space at the break goes", "Hufu Seal", 12, []string{"Hufu", "Seal"}},
		{"lines given", "一\n\n二", 12, []string{"一", "", "二"}},
		{"narrower than a character", "一二", 1, []string{"一", "二"}},
		{"empty", "", 12, []string{""}},
		{"only marks", "，，，，", 8, []string{"，，", "，，"}},
	} {
		got, err := f.Wrap(c.text, 4, c.width)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
		} else if !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func FuzzWrap(f *testing.F) {
	f.Add("技术服务（依法）。Hufu 2026", 4.0, 20.0)
	f.Add("\n a\nb", 0.0, -1.0)
	f.Add("\v", 12.6, 73.0)
	regular := open(f)[0]
	f.Fuzz(func(t *testing.T, text string, size, width float64) {
		lines, err := regular.Wrap(text, size, width)
		if err != nil || math.IsNaN(size) {
			return
		}
		squeeze := strings.NewReplacer(" ", "", "\n", "")
		if got, want := squeeze.Replace(strings.Join(lines, "")), squeeze.Replace(text); got != want && utf8.ValidString(text) {
			t.Errorf("wrapped %q into %q", want, got)
		}
	})
}
