package font

import (
	"encoding/binary"
	"unicode/utf16"

	"golang.org/x/image/font/sfnt"
)

// trueType writes a TrueType file with the tables that readers ask for. Glyph 0 is the box for missing characters,
// glyph i+1 is runes[i]; runes ascend.
type trueType struct {
	font   *Font
	subset *Subset
	runes  []rune
	glyphs []*trueGlyph
	long   bool // loca in 32 bits
}

// words is a table under construction.
type words []byte

func (w *words) u16(values ...int) {
	for _, v := range values {
		*w = binary.BigEndian.AppendUint16(*w, uint16(v))
	}
}

func (w *words) u32(values ...int) {
	for _, v := range values {
		*w = binary.BigEndian.AppendUint32(*w, uint32(v))
	}
}

// file returns the whole file.
func (t *trueType) file() []byte {
	glyf, loca := t.outlines()
	tables := []struct {
		tag  string
		data words
	}{ // in the order of the tags, which the directory demands
		{"OS/2", t.os2()},
		{"cmap", t.cmap()},
		{"glyf", glyf},
		{"head", t.head()},
		{"hhea", t.hhea()},
		{"hmtx", t.hmtx()},
		{"loca", loca},
		{"maxp", t.maxp()},
		{"name", t.name()},
		{"post", t.post()},
	}
	var directory, body words
	directory.u32(0x00010000)
	power, exponent := 1, 0
	for power*2 <= len(tables) {
		power, exponent = power*2, exponent+1
	}
	directory.u16(len(tables), power*16, exponent, (len(tables)-power)*16)
	start, head := len(directory)+16*len(tables), 0
	for _, table := range tables {
		if table.tag == "head" {
			head = start + len(body)
		}
		directory = append(directory, table.tag...)
		directory.u32(int(checksum(table.data)), start+len(body), len(table.data))
		body = append(body, table.data...)
		for len(body)%4 != 0 {
			body = append(body, 0)
		}
	}
	file := append(directory, body...)
	binary.BigEndian.PutUint32(file[head+8:], 0xB1B0AFBA-checksum(file))
	return file
}

func checksum(data []byte) (sum uint32) {
	for i := 0; i < len(data); i += 4 {
		var word [4]byte
		copy(word[:], data[i:])
		sum += binary.BigEndian.Uint32(word[:])
	}
	return sum
}

func (t *trueType) outlines() (glyf, loca words) {
	offsets := []int{0}
	for _, g := range t.glyphs {
		glyf = append(glyf, g.data...)
		offsets = append(offsets, len(glyf))
	}
	t.long = len(glyf) > 2*0xFFFF
	for _, o := range offsets {
		if t.long {
			loca.u32(o)
		} else {
			loca.u16(o / 2)
		}
	}
	if len(glyf) == 0 {
		glyf = words{0} // an empty table is refused by some readers
	}
	return glyf, loca
}

// box returns the box round all glyphs.
func (t *trueType) box() (xMin, yMin, xMax, yMax int) {
	first := true
	for _, g := range t.glyphs {
		switch {
		case g.points == 0:
		case first:
			xMin, yMin, xMax, yMax, first = g.xMin, g.yMin, g.xMax, g.yMax, false
		default:
			xMin, yMin, xMax, yMax = min(xMin, g.xMin), min(yMin, g.yMin), max(xMax, g.xMax), max(yMax, g.yMax)
		}
	}
	return xMin, yMin, xMax, yMax
}

// made is the day of the font's upstream release, 2022-01-27, in seconds since 1904: a subset bears no date of its own.
const made = 3726086400

func (t *trueType) head() (w words) {
	xMin, yMin, xMax, yMax := t.box()
	bold, long := 0, 0
	if t.font.style() == "Bold" {
		bold = 1
	}
	if t.long {
		long = 1
	}
	w.u32(0x00010000, 0x00010000, 0, 0x5F0F3CF5) // version, revision, checksum put in later, magic
	w.u16(0b11, t.font.units)                    // baseline at y 0, left side bearing at x 0
	w.u32(0, made, 0, made)
	w.u16(xMin, yMin, xMax, yMax, bold, 8, 2, long, 0) // smallest readable size 8; direction hint, loca form, glyf form
	return w
}

func (t *trueType) hhea() (w words) {
	widest, left, right, extent := 0, 0, 0, 0
	for i, g := range t.glyphs {
		widest = max(widest, g.advance)
		if g.points == 0 {
			continue
		}
		if i == 0 {
			left, right = g.xMin, g.advance-g.xMax
		}
		left, right, extent = min(left, g.xMin), min(right, g.advance-g.xMax), max(extent, g.xMax)
	}
	w.u32(0x00010000)
	w.u16(t.font.ascent, -t.font.descent, 0, widest, left, right, extent)
	w.u16(1, 0, 0, 0, 0, 0, 0, 0) // upright caret, four reserved, form 0
	w.u16(t.metrics())
	return w
}

// metrics returns how many glyphs hmtx lists with an advance: those after the last one of them share its advance.
func (t *trueType) metrics() int {
	n := len(t.glyphs)
	for n > 1 && t.glyphs[n-1].advance == t.glyphs[n-2].advance {
		n--
	}
	return n
}

func (t *trueType) hmtx() (w words) {
	n := t.metrics()
	for i, g := range t.glyphs {
		if i < n {
			w.u16(g.advance)
		}
		w.u16(g.xMin)
	}
	return w
}

func (t *trueType) maxp() (w words) {
	points, contours := 0, 0
	for _, g := range t.glyphs {
		points, contours = max(points, g.points), max(contours, g.contours)
	}
	w.u32(0x00010000)
	w.u16(len(t.glyphs), points, contours, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0)
	return w
}

func (t *trueType) post() (w words) {
	w.u32(0x00030000, 0) // no glyph names, upright
	w.u16(-t.font.units/8, t.font.units/20)
	w.u32(0, 0, 0, 0, 0)
	return w
}

func (t *trueType) os2() (w words) {
	em, total, inked := t.font.units, 0, 0
	for _, g := range t.glyphs {
		if g.advance > 0 {
			total, inked = total+g.advance, inked+1
		}
	}
	first, last := 0xFFFF, 0
	if len(t.runes) > 0 {
		first, last = min(int(t.runes[0]), 0xFFFF), min(int(t.runes[len(t.runes)-1]), 0xFFFF)
	}
	selection := 1 << 6 // regular
	if t.font.style() == "Bold" {
		selection = 1 << 5
	}
	_, yMin, _, yMax := t.box()
	w.u16(4, total/max(inked, 1), int(t.font.weight), 5, 0) // version, average width, weight, normal width, may be embedded
	w.u16(em*65/100, em*7/10, 0, em*14/100, em*65/100, em*7/10, 0, em*48/100, em/20, em*26/100, 0)
	w = append(w, make([]byte, 10)...)                     // no PANOSE
	w.u32(1|1<<31, 1<<(48-32)|1<<(57-32)|1<<(59-32), 0, 0) // Latin, general punctuation, CJK, beyond the first plane
	w = append(w, "HUFU"...)
	w.u16(selection, first, last, t.font.ascent, -t.font.descent, 0)
	w.u16(max(t.font.ascent, yMax), max(t.font.descent, -yMin)) // what Windows clips at
	w.u32(1|1<<18, 0)                                           // code pages 1252 and 936
	w.u16(em/2, em*7/10, 0, ' ', 1)
	return w
}

func (t *trueType) name() (w words) {
	style := t.font.style()
	texts := []struct {
		id   sfnt.NameID
		text string
	}{
		{sfnt.NameIDCopyright, t.font.licence[sfnt.NameIDCopyright]},
		{sfnt.NameIDFamily, t.subset.Family},
		{sfnt.NameIDSubfamily, style},
		{sfnt.NameIDUniqueIdentifier, "hufu;" + t.subset.Name},
		{sfnt.NameIDFull, t.subset.Family + " " + style},
		{sfnt.NameIDVersion, "Version 1.0"},
		{sfnt.NameIDPostScript, t.subset.Name},
		{sfnt.NameIDTrademark, t.font.licence[sfnt.NameIDTrademark]},
		{sfnt.NameIDLicense, t.font.licence[sfnt.NameIDLicense]},
		{sfnt.NameIDLicenseURL, t.font.licence[sfnt.NameIDLicenseURL]},
	}
	var records, storage words
	n := 0
	for _, entry := range texts {
		if entry.text == "" {
			continue
		}
		start := len(storage)
		for _, unit := range utf16.Encode([]rune(entry.text)) {
			storage.u16(int(unit))
		}
		records.u16(3, 1, 0x409, int(entry.id), len(storage)-start, start) // Windows, UTF-16, English
		n++
	}
	w.u16(0, n, 6+len(records))
	return append(append(w, records...), storage...)
}
