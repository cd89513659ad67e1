// Package font holds the two fonts that Hufu draws with and everything it does with them.
//
// Regular and Bold are subsets of Noto Serif SC (a Song face) with the GBK repertoire and the whole General Standard
// Chinese Character List (通用规范汉字表, 8,105 characters); data/make.py makes them from Debian's packages and
// data/SHA256SUMS holds their hashes. Parse takes an operator's own font in their place.
//
// A Font answers three questions: what a character looks like (Glyph: outline and advance, for seal pictures), how long
// a text is (Advances, Width, Wrap: for layout in millimetres), and which small font file shows it (Subset: a TrueType
// font with only the characters asked for, to be embedded in a document).
//
// A character that the font lacks is an error that names it (ErrMissing), never a blank box: ask Check before anything
// is sealed. A Font is safe for concurrent use. Nothing here reads the disk, and the same input gives the same bytes.
package font
