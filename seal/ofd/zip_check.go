package ofd

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strings"
	"unicode/utf8"
)

func checkSizes(records []central, l Limits) error {
	var total int64
	for _, r := range records {
		total += r.size
		if r.size > l.EntrySize || total > l.TotalSize {
			return ErrTooLarge.With("%q: %d octets, %d in all", r.rawName, r.size, total)
		}
		if r.size > ratioFloor && r.size > r.packed*l.Ratio {
			return ErrTooLarge.With("%q: %d octets from %d", r.rawName, r.size, r.packed)
		}
	}
	return nil
}

// checkUnicodePath refuses an Info-ZIP Unicode Path (0x7075) that gives the entry another name.
func checkUnicodePath(name string, extras [][]byte) error {
	for _, x := range extras {
		for len(x) >= 4 {
			id, n := binary.LittleEndian.Uint16(x), int(binary.LittleEndian.Uint16(x[2:]))
			if len(x) < 4+n {
				break // tail padding as some writers leave it
			}
			if id == 0x7075 && (n < 5 || string(x[9:4+n]) != name) {
				return ErrHeaders.With("%q: second name in an extra field", name)
			}
			x = x[4+n:]
		}
	}
	return nil
}

// fold gives the one name under which an entry is known. A directory keeps its trailing slash.
func fold(raw string, l Limits) (string, error) {
	if raw == "" || len(raw) > l.Name {
		return "", ErrPath.With("a name of %d octets", len(raw))
	}
	s := strings.ReplaceAll(raw, `\`, "/")
	var out []string
	for seg := range strings.SplitSeq(s, "/") {
		switch {
		case seg == "" || seg == ".":
			continue
		case seg == "..":
			return "", ErrPath.With("%q climbs out", raw)
		case strings.ContainsFunc(seg, func(r rune) bool { return r < 0x20 || r == 0x7f || r == ':' }):
			return "", ErrPath.With("%q", raw)
		}
		out = append(out, seg)
	}
	if len(out) == 0 {
		return "", ErrPath.With("%q", raw)
	}
	name := strings.Join(out, "/")
	if strings.HasSuffix(s, "/") {
		name += "/"
	}
	return name, nil
}

// admit refuses a name that is already there, also by another writing of it: letter case, slashes, dots.
func admit(seen map[string]string, raw, name string, l Limits) ([]Remark, error) {
	var remarks []Remark
	if strings.Contains(raw, `\`) {
		remarks = append(remarks, Remark{RemarkBackslash, name})
	}
	if !utf8.ValidString(raw) {
		remarks = append(remarks, Remark{RemarkNameEncoding, name})
	}
	key := strings.ToLower(strings.TrimSuffix(name, "/"))
	if first, ok := seen[key]; ok {
		if strings.HasSuffix(name, "/") && strings.HasSuffix(first, "/") {
			return append(remarks, Remark{RemarkDirectory, name}), nil
		}
		return nil, ErrDuplicate.With("%q and %q", first, raw)
	}
	seen[key] = name
	return remarks, nil
}

// checkLayout demands that the entries follow each other without overlap. A hidden entry between them, which
// streaming readers would see, is refused; other bytes are remarked.
func checkLayout(b []byte, entries []*Entry) ([]Remark, error) {
	sorted := slices.SortedFunc(slices.Values(entries), func(a, b *Entry) int { return a.offset - b.offset })
	var remarks []Remark
	at := 0
	gap := func(to int, code string) error {
		if bytes.Contains(b[at:to], []byte("PK\x03\x04")) {
			return ErrHeaders.With("an entry at %d to %d is not in the directory", at, to)
		}
		remarks = append(remarks, Remark{code, ""})
		return nil
	}
	for i, e := range sorted {
		if e.offset < at {
			return nil, ErrHeaders.With("%q overlaps another entry", e.Name)
		}
		if e.offset > at {
			code := RemarkGap
			if i == 0 {
				code = RemarkPrefixBytes
			}
			if err := gap(e.offset, code); err != nil {
				return nil, err
			}
		}
		at = e.end
	}
	if at < len(b) {
		if err := gap(len(b), RemarkGap); err != nil {
			return nil, err
		}
	}
	return remarks, nil
}
