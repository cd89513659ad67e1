package font

// run is a row of characters whose glyphs are numbered on.
type run struct{ first, last, glyph int }

// runs returns the rows of characters up to limit.
func (t *trueType) runs(limit rune) []run {
	var rows []run
	for i, r := range t.runes {
		c, n := int(r), len(rows)
		switch {
		case r > limit:
			return rows
		case n > 0 && rows[n-1].last == c-1:
			rows[n-1].last = c
		default:
			rows = append(rows, run{first: c, last: c, glyph: i + 1})
		}
	}
	return rows
}

// cmap holds the characters twice: those of the first plane in format 4, which every reader knows, and all in format 12.
func (t *trueType) cmap() (w words) {
	four, twelve := t.format4(), t.format12()
	const header = 4 + 4*8
	w.u16(0, 4)
	for _, table := range []struct{ platform, encoding, offset int }{
		{0, 3, header}, {0, 4, header + len(four)}, {3, 1, header}, {3, 10, header + len(four)},
	} {
		w.u16(table.platform, table.encoding)
		w.u32(table.offset)
	}
	return append(append(w, four...), twelve...)
}

func (t *trueType) format4() (w words) {
	rows := append(t.runs(0xFFFE), run{first: 0xFFFF, last: 0xFFFF, glyph: 0x10000}) // the last one maps U+FFFF to glyph 0
	n := len(rows)
	power, exponent := 1, 0
	for power*2 <= n {
		power, exponent = power*2, exponent+1
	}
	w.u16(4, 16+8*n, 0, 2*n, 2*power, exponent, 2*(n-power))
	for _, r := range rows {
		w.u16(r.last)
	}
	w.u16(0)
	for _, r := range rows {
		w.u16(r.first)
	}
	for _, r := range rows {
		w.u16(r.glyph - r.first)
	}
	return append(w, make([]byte, 2*n)...) // no offsets: every row goes by its difference
}

func (t *trueType) format12() (w words) {
	rows := t.runs(0x10FFFF)
	w.u16(12, 0)
	w.u32(16+12*len(rows), 0, len(rows))
	for _, r := range rows {
		w.u32(r.first, r.last, r.glyph)
	}
	return w
}
