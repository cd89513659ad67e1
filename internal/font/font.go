package font

import (
	_ "embed"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"golang.org/x/image/font"
	"golang.org/x/image/font/sfnt"
	"golang.org/x/image/math/fixed"

	"hufu/internal/fault"
)

// Weight is a font weight as OpenType counts it, 1 to 1000.
type Weight int

// The weights that are built in.
const (
	WeightRegular Weight = 400
	WeightBold    Weight = 700
)

var (
	// ErrMissing is the kind of every refusal for want of a glyph; compare with errors.Is.
	ErrMissing = fault.New(fault.Invalid, "font.missing-glyph",
		"The font has no glyph for a character of this text. Replace the character, or ask the operator to configure a font that has it.",
		"字体中没有此文字中的某个字。请更换该字，或请管理员配置含有该字的字体。")
	// ErrUnreadable is the kind of every refusal of a font file; compare with errors.Is.
	ErrUnreadable = fault.New(fault.Invalid, "font.unreadable",
		"This is not a font that can be used. Take an OpenType or TrueType file (.otf, .ttf; of a collection, one font).",
		"无法使用此字体文件。请使用 OpenType 或 TrueType 字体（.otf、.ttf；字体集请取其中一款）。")
)

// maxFile bounds an operator's font; the largest Chinese fonts have about 30 MB.
const maxFile = 64 << 20

//go:embed data/NotoSerifSC-Regular.otf
var regularFile []byte

//go:embed data/NotoSerifSC-Bold.otf
var boldFile []byte

var (
	regular = sync.OnceValues(func() (*Font, error) { return Parse(regularFile, WeightRegular) })
	bold    = sync.OnceValues(func() (*Font, error) { return Parse(boldFile, WeightBold) })
)

// Font is a parsed font. It is safe for concurrent use.
type Font struct {
	file    *sfnt.Font
	weight  Weight
	family  string // without the marks of a subset, "Noto Serif SC"
	units   int    // per em
	ascent  int    // above the baseline, in font units
	descent int    // below the baseline, positive, in font units
	cubic   bool   // outlines of an OpenType/CFF font: counter-clockwise outside
	licence map[sfnt.NameID]string

	buffers sync.Pool // of *sfnt.Buffer
	ready   sync.Map  // rune → *trueGlyph: what Subset has made before
}

// Regular returns the built-in font for running text. It is parsed at the first call.
func Regular() (*Font, error) { return regular() }

// Bold returns the built-in font for seals and headings. It is parsed at the first call.
func Bold() (*Font, error) { return bold() }

// Open returns the built-in font of a weight, WeightRegular or WeightBold.
func Open(w Weight) (*Font, error) {
	switch w {
	case WeightRegular:
		return Regular()
	case WeightBold:
		return Bold()
	}
	return nil, ErrUnreadable.With("open built-in font: no weight %d", w)
}

// Parse reads an OpenType or TrueType font. The font keeps data, which must not change afterwards.
func Parse(data []byte, w Weight) (f *Font, err error) {
	defer refuse(&err)
	if len(data) > maxFile {
		return nil, ErrUnreadable.With("parse font: %d bytes, at most %d", len(data), maxFile)
	}
	if w < 1 || w > 1000 {
		return nil, ErrUnreadable.With("parse font: weight %d is not within 1 to 1000", w)
	}
	file, err := sfnt.Parse(data)
	if err != nil {
		return nil, ErrUnreadable.With("parse font: %w", err)
	}
	f = &Font{file: file, weight: w, units: int(file.UnitsPerEm()), licence: map[sfnt.NameID]string{}}
	f.cubic = string(data[:4]) == "OTTO"
	f.buffers.New = func() any { return new(sfnt.Buffer) }
	if f.units < 16 || f.units > 16384 {
		return nil, ErrUnreadable.With("parse font: %d units per em", f.units)
	}
	m, err := file.Metrics(nil, fixed.Int26_6(f.units), font.HintingNone)
	if err != nil {
		return nil, ErrUnreadable.With("parse font: metrics: %w", err)
	}
	f.ascent, f.descent = int(m.Ascent), int(m.Descent)
	if f.ascent < 0 || f.descent < 0 || f.ascent+f.descent > 8*f.units {
		return nil, ErrUnreadable.With("parse font: ascent %d and descent %d at %d units per em", f.ascent, f.descent, f.units)
	}
	return f, f.readNames()
}

// keptNames are the entries of the name table that a subset carries on: who owns the font and under which licence.
var keptNames = []sfnt.NameID{sfnt.NameIDCopyright, sfnt.NameIDTrademark, sfnt.NameIDLicense, sfnt.NameIDLicenseURL}

func (f *Font) readNames() error {
	for _, id := range append([]sfnt.NameID{sfnt.NameIDFamily}, keptNames...) {
		s, err := f.file.Name(nil, id)
		switch {
		case errors.Is(err, sfnt.ErrNotFound):
		case err != nil:
			return ErrUnreadable.With("parse font: name %d: %w", id, err)
		case id == sfnt.NameIDFamily:
			f.family = strings.Replace(s, " CJK ", " ", 1)
		default:
			f.licence[id] = s
		}
	}
	if len(f.family) > 20 || f.family == "" { // 31 characters are the limit of Windows, 7 are the mark of a subset
		f.family = "Embedded"
	}
	return nil
}

// Family returns the name of the font's family.
func (f *Font) Family() string { return f.family }

// Weight returns the weight under which the font was opened.
func (f *Font) Weight() Weight { return f.weight }

// index returns the glyph of a character; ok is false if there is none.
func (f *Font) index(b *sfnt.Buffer, r rune) (i sfnt.GlyphIndex, ok bool) {
	i, err := f.file.GlyphIndex(b, r)
	return i, err == nil && i != 0 // sfnt answers an unknown character with glyph 0 and no error
}

// Missing returns the characters of text that the font lacks, each once, in order of appearance.
// Control characters and line breaks are among them.
func (f *Font) Missing(text string) []rune {
	b := f.buffers.Get().(*sfnt.Buffer)
	defer f.buffers.Put(b)
	var missing []rune
	for _, r := range text {
		if _, ok := f.index(b, r); !ok && !slices.Contains(missing, r) {
			missing = append(missing, r)
		}
	}
	return missing
}

// Check returns nil if the font has every character of text, and otherwise an ErrMissing whose text names those missing.
func (f *Font) Check(text string) error { return missingError(f.Missing(text)) }

// missingError names at most eight characters, so that a text in a foreign script gives a short message.
func missingError(missing []rune) error {
	if len(missing) == 0 {
		return nil
	}
	var zh, en []string
	for _, r := range missing[:min(len(missing), 8)] {
		zh = append(zh, fmt.Sprintf("“%c”（U+%04X）", r, r))
		en = append(en, fmt.Sprintf("%q (U+%04X)", r, r))
	}
	more := ""
	if len(missing) > 8 {
		more = " …"
	}
	e := ErrMissing.With("font: no glyph for %U", missing)
	e.Text = fault.Text{
		ZH: "字体中没有" + strings.Join(zh, "、") + more + "。请更换，或请管理员配置含有这些字的字体。",
		EN: "The font has no glyph for " + strings.Join(en, ", ") + more + ". Replace it, or ask the operator to configure a font that has it.",
	}
	return e
}

// refuse turns a panic of the font reader, which is not hardened, into an ErrUnreadable. It is to be deferred.
func refuse(err *error) {
	if p := recover(); p != nil {
		*err = ErrUnreadable.With("font reader: %v", p)
	}
}
