package font

import (
	"crypto/sha256"
	"slices"

	"golang.org/x/image/font/sfnt"

	"hufu/internal/fault"
)

// Subset is a small font file for one document.
type Subset struct {
	Data   []byte          // a TrueType file
	Name   string          // PostScript name, "ABCDEF+NotoSerifSC-Bold": the mark tells subsets apart where fonts share one name space
	Family string          // family name, "ABCDEF+Noto Serif SC"
	Glyphs map[rune]uint16 // index of each character's glyph in Data
}

// maxSubset bounds the characters of one subset, so that their rows fit into the 16 bits of a format 4 cmap.
const maxSubset = 8000

// ErrTooMany refuses a subset of more characters than a document can hold; compare with errors.Is.
var ErrTooMany = fault.New(fault.Limited, "font.too-many-characters",
	"The text has more than 8000 different characters. Divide it over several documents.",
	"文字中不同的字超过 8000 个。请分成几份文件。")

// Subset returns a font that has the characters of texts and nothing else, or an ErrMissing that names those that this
// font lacks. Line breaks in texts are not counted as characters. The outlines are those of the font within one unit of
// 1000 per em; hinting, kerning and layout features are left out. The same characters give the same bytes.
func (f *Font) Subset(texts ...string) (s *Subset, err error) {
	defer refuse(&err)
	runes := characters(texts)
	if missing := f.Missing(string(runes)); len(missing) > 0 {
		return nil, missingError(missing)
	}
	if len(runes) > maxSubset {
		return nil, ErrTooMany.With("subset: %d characters", len(runes))
	}
	b := f.buffers.Get().(*sfnt.Buffer)
	defer f.buffers.Put(b)
	glyphs := make([]*trueGlyph, 1, len(runes)+1)
	if glyphs[0], err = f.trueGlyph(b, 0); err != nil {
		return nil, err
	}
	s = &Subset{Glyphs: make(map[rune]uint16, len(runes))}
	for _, r := range runes {
		g, err := f.cached(b, r)
		if err != nil {
			return nil, err
		}
		s.Glyphs[r] = uint16(len(glyphs))
		glyphs = append(glyphs, g)
	}
	s.name(f, runes)
	s.Data = (&trueType{font: f, subset: s, runes: runes, glyphs: glyphs}).file()
	return s, nil
}

// characters returns the characters of texts, each once, in order of code point.
func characters(texts []string) []rune {
	var runes []rune
	for _, t := range texts {
		runes = append(runes, []rune(t)...)
	}
	slices.Sort(runes)
	runes = slices.Compact(runes)
	return slices.DeleteFunc(runes, func(r rune) bool { return r == '\n' || r == '\r' })
}

// cached converts the glyph of a character once in the life of the font. What it keeps is bounded by the repertoire:
// about 10 MB if every character of a built-in font is used.
func (f *Font) cached(b *sfnt.Buffer, r rune) (*trueGlyph, error) {
	if g, ok := f.ready.Load(r); ok {
		return g.(*trueGlyph), nil
	}
	i, ok := f.index(b, r)
	if !ok {
		return nil, missingError([]rune{r})
	}
	g, err := f.trueGlyph(b, i)
	if err != nil {
		return nil, err
	}
	f.ready.Store(r, g)
	return g, nil
}

// name gives the subset its names; the mark is made from the characters, as in PDF.
func (s *Subset) name(f *Font, runes []rune) {
	digest := sha256.Sum256([]byte(f.family + "\x00" + f.style() + "\x00" + string(runes)))
	mark := make([]byte, 6)
	for i := range mark {
		mark[i] = 'A' + digest[i]%26
	}
	s.Family = string(mark) + "+" + f.family
	s.Name = string(mark) + "+" + postScript(f.family) + "-" + f.style()
}

func (f *Font) style() string {
	if f.weight >= 600 {
		return "Bold"
	}
	return "Regular"
}

// postScript keeps of a name what a PostScript name may hold.
func postScript(name string) string {
	kept := []byte{}
	for _, c := range []byte(name) {
		if c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' {
			kept = append(kept, c)
		}
	}
	if len(kept) == 0 {
		return "Embedded"
	}
	return string(kept)
}
