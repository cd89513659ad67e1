package font

import (
	"strings"
	"unicode"

	"golang.org/x/image/font"
	"golang.org/x/image/font/sfnt"
	"golang.org/x/image/math/fixed"
)

// Advances returns, for each character of text, the way from its origin to that of the next, in the unit of size (the
// em, millimetres for OFD). It returns an ErrMissing if the font lacks a character.
func (f *Font) Advances(text string, size float64) (advances []float64, err error) {
	defer refuse(&err)
	b := f.buffers.Get().(*sfnt.Buffer)
	defer f.buffers.Put(b)
	for _, r := range text {
		i, ok := f.index(b, r)
		if !ok {
			return nil, missingError(f.Missing(text))
		}
		a, err := f.file.GlyphAdvance(b, i, fixed.Int26_6(f.units), font.HintingNone)
		if err != nil {
			return nil, ErrUnreadable.With("advance of %q: %w", r, err)
		}
		advances = append(advances, float64(a)*size/float64(f.units))
	}
	return advances, nil
}

// Width returns the length of text set in one line, in the unit of size.
func (f *Font) Width(text string, size float64) (float64, error) {
	advances, err := f.Advances(text, size)
	return sum(advances), err
}

// Ascent returns how far the font reaches above the baseline, in the unit of size.
func (f *Font) Ascent(size float64) float64 { return float64(f.ascent) * size / float64(f.units) }

// Descent returns how far the font reaches below the baseline, a positive number in the unit of size.
func (f *Font) Descent(size float64) float64 { return float64(f.descent) * size / float64(f.units) }

const (
	notFirst = "，。、；：？！）》〉」』】〕｝］”’…—～·％℃,.;:?!)]}%"
	notLast  = "（《〈「『【〔｛［“‘￥＄([{$"
)

// Wrap breaks text into lines no longer than width, in the unit of size. It breaks at each \n, between Chinese
// characters and at spaces; Latin words and numbers stay whole unless one alone is longer than a line. No line begins
// with a closing mark or ends with an opening one, for which a line may end up to two characters early. A line always
// holds at least one character, also when width is less than that.
func (f *Font) Wrap(text string, size, width float64) ([]string, error) {
	var lines []string
	for paragraph := range strings.SplitSeq(text, "\n") {
		runes := []rune(strings.Trim(paragraph, " "))
		advances, err := f.Advances(string(runes), size)
		if err != nil {
			return nil, err
		}
		for {
			n := lineEnd(runes, advances, width)
			lines = append(lines, strings.TrimRight(string(runes[:n]), " "))
			for n < len(runes) && runes[n] == ' ' {
				n++
			}
			runes, advances = runes[n:], advances[n:]
			if len(runes) == 0 {
				break
			}
		}
	}
	return lines, nil
}

// lineEnd returns how many characters go on the first line.
func lineEnd(runes []rune, advances []float64, width float64) int {
	const slack = 1e-9 // so that ten characters of 4 mm fit on 40 mm
	fits, used := 0, 0.0
	for fits < len(runes) && (used+advances[fits] <= width+slack || runes[fits] == ' ') {
		used += advances[fits]
		fits++
	}
	if fits == len(runes) {
		return fits
	}
	for n := fits; n > 0; n-- {
		if mayBreak(runes, n) {
			return n
		}
	}
	return min(max(fits, 1), len(runes))
}

// mayBreak tells whether a line may end before runes[n]; 0 < n < len(runes).
func mayBreak(runes []rune, n int) bool {
	before, after := runes[n-1], runes[n]
	if before == ' ' || after == ' ' {
		return true
	}
	if strings.ContainsRune(notFirst, after) || strings.ContainsRune(notLast, before) {
		return false
	}
	return !word(before) || !word(after)
}

// word tells whether r is part of a Latin word, a number or a code.
func word(r rune) bool {
	return r < 0x2E80 && (unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("-_./@#&'+", r))
}

func sum(numbers []float64) (total float64) {
	for _, n := range numbers {
		total += n
	}
	return total
}
