package ofd

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
	"strings"
	"testing"
	"time"
)

type part struct{ name, data string }

var minimal = []part{
	{"OFD.xml", `<ofd:OFD xmlns:ofd="http://www.ofdspec.org/2016"><ofd:DocBody><ofd:DocRoot>Doc_0/Document.xml</ofd:DocRoot></ofd:DocBody></ofd:OFD>`},
	{"Doc_0/Document.xml", `<ofd:Document xmlns:ofd="http://www.ofdspec.org/2016"><ofd:CommonData><ofd:PageArea><ofd:PhysicalBox>0 0 210 297</ofd:PhysicalBox></ofd:PageArea></ofd:CommonData><ofd:Pages><ofd:Page ID="1" BaseLoc="P/C.xml"/></ofd:Pages></ofd:Document>`},
	{"Doc_0/P/C.xml", `<ofd:Page xmlns:ofd="http://www.ofdspec.org/2016"/>`},
}

// pack writes parts as they are, hostile names and duplicates included.
func pack(parts ...part) []byte {
	var entries []*Entry
	for _, p := range parts {
		entries = append(entries, newEntry(p.name, []byte(p.data)))
	}
	return writeZip(entries)
}

// packStd writes with archive/zip: data descriptors, as most producers leave them.
func packStd(t *testing.T, parts ...part) []byte {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, p := range parts {
		f, err := w.CreateHeader(&zip.FileHeader{Name: p.name, Method: zip.Deflate, Modified: time.Unix(1e9, 0)})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write([]byte(p.data)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestContainersFromOtherWritersOpen(t *testing.T) {
	b := packStd(t, append(slices.Clone(minimal), part{"Doc_0/", ""})...)
	c, m, _ := open(t, b)
	if len(c.Names()) != 3 || len(c.Remarks()) != 0 || len(m.Pages) != 1 || m.Pages[0].Missing {
		t.Fatalf("%v %v %+v", c.Names(), c.Remarks(), m.Pages)
	}
	again, err := Open(c.Bytes())
	if err != nil || !slices.Equal(again.Names(), c.Names()) {
		t.Fatal(err)
	}
	if _, err := zip.NewReader(bytes.NewReader(c.Bytes()), int64(len(c.Bytes()))); err != nil {
		t.Fatal("archive/zip cannot read what we write:", err)
	}
}

func TestDuplicateNamesAreRefused(t *testing.T) {
	for _, twin := range []string{
		"Doc_0/P/C.xml", "Doc_0\\P\\C.xml", "./Doc_0/P/C.xml", "Doc_0/./P/C.xml", "Doc_0//P/C.xml",
		"/Doc_0/P/C.xml", "doc_0/p/c.xml", "Doc_0/P/C.xml/",
	} {
		for _, at := range []int{0, len(minimal)} {
			parts := slices.Insert(slices.Clone(minimal), at, part{twin, ""})
			if _, err := Open(pack(parts...)); !errors.Is(err, ErrDuplicate) || !Damaged(err) {
				t.Errorf("%q at %d: %v", twin, at, err)
			}
		}
	}
}

func TestPathsThatClimbOutAreRefused(t *testing.T) {
	for _, name := range []string{"../x", "a/../../x", `..\x`, "a/..", "C:/x", "a\x00b", "a\nb", strings.Repeat("a", 600), "/", "."} {
		if _, err := Open(pack(append(slices.Clone(minimal), part{name, "x"})...)); !errors.Is(err, ErrPath) {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestOddBytesAroundAreRemarked(t *testing.T) {
	b := pack(minimal...)
	for _, tc := range []struct {
		file []byte
		want string
	}{
		{append([]byte("#!/bin/sh\n"), b...), RemarkPrefixBytes},
		{append(slices.Clone(b), "tail"...), RemarkSuffixBytes},
	} {
		c, _, _ := open(t, tc.file)
		if !slices.ContainsFunc(c.Remarks(), func(r Remark) bool { return r.Code == tc.want }) {
			t.Errorf("%v, want %s", c.Remarks(), tc.want)
		}
	}
	// Offsets that count the prefix, as some writers of self-extracting files leave them.
	shifted := shiftOffsets(append([]byte("junk"), b...), 4)
	if c, err := Open(shifted); err != nil || c.Remarks()[0].Code != RemarkPrefixBytes {
		t.Errorf("shifted: %v", err)
	}
	if _, err := Open(append(slices.Clone(b), pack(minimal...)...)); !errors.Is(err, ErrTwoEnds) {
		t.Errorf("two containers in one file: %v", err)
	}
	empty := writeZip(nil)
	if _, err := Open(append(slices.Clone(b), empty...)); !errors.Is(err, ErrTwoEnds) {
		t.Errorf("an empty end record behind: %v", err)
	}
}

// shiftOffsets adds n to every offset of the directory of a file made by writeZip.
func shiftOffsets(b []byte, n uint32) []byte {
	end := bytes.LastIndex(b, []byte("PK\x05\x06"))
	size, at := binary.LittleEndian.Uint32(b[end+12:]), binary.LittleEndian.Uint32(b[end+16:])
	binary.LittleEndian.PutUint32(b[end+16:], at+n)
	for p := end - int(size); p < end; {
		off := binary.LittleEndian.Uint32(b[p+42:])
		binary.LittleEndian.PutUint32(b[p+42:], off+n)
		p += centralLen + int(binary.LittleEndian.Uint16(b[p+28:]))
	}
	return b
}

func TestHeadersMustAgree(t *testing.T) {
	for field, at := range map[string]int{"name": localLen + 1, "method": 8, "crc": 14, "packed": 18, "size": 22, "encrypted": 6} {
		b := pack(minimal...)
		b[at] ^= 1
		if _, err := Open(b); !errors.Is(err, ErrHeaders) {
			t.Errorf("local %s: %v", field, err)
		}
	}
	// A local entry that the directory does not know: streaming readers see it.
	b := pack(minimal...)
	hidden := writeZip([]*Entry{newEntry("Doc_0/P/C.xml", []byte("<forged/>"))})
	cut := bytes.Index(hidden, []byte("PK\x01\x02"))
	if _, err := Open(append(slices.Clone(hidden[:cut]), b...)); !errors.Is(err, ErrHeaders) {
		t.Errorf("hidden entry in front: %v", err)
	}
	end := bytes.Index(b, []byte("PK\x01\x02"))
	between := slices.Insert(slices.Clone(b), end, hidden[:cut]...)
	e := bytes.LastIndex(between, []byte("PK\x05\x06"))
	binary.LittleEndian.PutUint32(between[e+16:], uint32(end+cut))
	if _, err := Open(between); !errors.Is(err, ErrHeaders) {
		t.Errorf("hidden entry behind: %v", err)
	}
	// A second name in an Info-ZIP Unicode Path.
	ep := newEntry("OFD.xml", []byte(minimal[0].data))
	u := unicodePath("other.xml")
	if _, err := Open(withExtra(ep, u)); !errors.Is(err, ErrHeaders) {
		t.Errorf("unicode path: %v", err)
	}
	if _, err := Open(withExtra(ep, unicodePath("OFD.xml"))); err != nil {
		t.Errorf("an equal unicode path: %v", err)
	}
}

func unicodePath(name string) []byte {
	x := binary.LittleEndian.AppendUint16(nil, 0x7075)
	x = binary.LittleEndian.AppendUint16(x, uint16(5+len(name)))
	x = append(x, 1)
	x = binary.LittleEndian.AppendUint32(x, crc32.ChecksumIEEE([]byte(name)))
	return append(x, name...)
}

// withExtra writes one entry with an extra field in its local header.
func withExtra(e *Entry, extra []byte) []byte {
	b := writeZip([]*Entry{e})
	at := localLen + len(e.Name)
	b = slices.Insert(b, at, extra...)
	binary.LittleEndian.PutUint16(b[28:], uint16(len(extra)))
	end := bytes.LastIndex(b, []byte("PK\x05\x06"))
	binary.LittleEndian.PutUint32(b[end+16:], binary.LittleEndian.Uint32(b[end+16:])+uint32(len(extra)))
	return b
}

func TestLimits(t *testing.T) {
	zeros := strings.Repeat("\x00", 4<<20)
	for name, tc := range map[string]struct {
		parts []part
		l     func(*Limits)
	}{
		"bomb":    {append(slices.Clone(minimal), part{"z", zeros}), func(*Limits) {}},
		"entries": {minimal, func(l *Limits) { l.Entries = 2 }},
		"entry":   {minimal, func(l *Limits) { l.EntrySize = 100 }},
		"total":   {minimal, func(l *Limits) { l.TotalSize = 300 }},
	} {
		l := DefaultLimits
		tc.l(&l)
		if _, err := OpenLimited(pack(tc.parts...), l); !errors.Is(err, ErrTooLarge) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestATruncatedOrDamagedContainerIsNeverSilent(t *testing.T) {
	b := pack(minimal...)
	for n := range b {
		_, err := Open(b[:n])
		if err == nil {
			t.Fatalf("cut to %d octets opens", n)
		}
		if n > 4 && !Damaged(err) {
			t.Fatalf("cut to %d octets: %v", n, err)
		}
	}
	for i := range b {
		c := slices.Clone(b)
		c[i] ^= 0x40
		if got, err := Open(c); err == nil {
			for _, p := range minimal {
				if d, _ := got.Read(p.name); string(d) != p.data {
					t.Fatalf("octet %d changes %s unseen", i, p.name)
				}
			}
		}
	}
	for _, other := range [][]byte{nil, []byte("%PDF-1.7"), pack(part{"word/document2.xml", ""})} {
		if _, err := Open(other); !errors.Is(err, ErrNotOFD) || Damaged(err) {
			t.Errorf("%.10q: %v", other, err)
		}
	}
	if _, err := Open(pack(minimal[1:]...)); !errors.Is(err, ErrMissing) {
		t.Errorf("OFD.xml taken out: %v", err)
	}
}

func TestHostileXML(t *testing.T) {
	deep := strings.Repeat("<a>", 70) + strings.Repeat("</a>", 70)
	for name, x := range map[string]string{
		"doctype":     `<!DOCTYPE OFD [<!ENTITY a "b">]><OFD><DocBody/></OFD>`,
		"entity":      `<OFD><DocBody>&a;</DocBody></OFD>`,
		"deep":        `<OFD>` + deep + `</OFD>`,
		"two roots":   `<OFD><DocBody/></OFD><OFD/>`,
		"text after":  `<OFD><DocBody/></OFD>x`,
		"twice":       `<OFD a="1" a="2"><DocBody/></OFD>`,
		"unclosed":    `<OFD><DocBody>`,
		"mismatched":  `<OFD></DocBody>`,
		"empty":       ``,
		"charset":     `<?xml version="1.0" encoding="UTF-7"?><OFD><DocBody/></OFD>`,
		"no body":     `<OFD/>`,
		"not UTF-8":   "<OFD><DocBody>\xff</DocBody></OFD>",
		"other root":  `<Document/>`,
		"processings": `<OFD><DocBody/></OFD><?xml version="2.0"?>`,
	} {
		c, err := Open(pack(part{"OFD.xml", x}))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Model(); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
	l := DefaultLimits
	l.Elements = 4
	c, err := OpenLimited(pack(minimal...), l)
	if err != nil {
		t.Fatal(err)
	}
	if m, err := c.Model(); err != nil || !slices.Contains(m.Remarks, Remark{RemarkUnreadable, "Doc_0/Document.xml"}) {
		t.Errorf("the limit of elements is over all parts: %v", err)
	}
}

func TestReferencesStayInside(t *testing.T) {
	for _, tc := range [][3]string{
		{"Doc_0/Document.xml", "Pages/C.xml", "Doc_0/Pages/C.xml"},
		{"Doc_0/Document.xml", "/Doc_0/C.xml", "Doc_0/C.xml"},
		{"OFD.xml", "./Doc_0/D.xml", "Doc_0/D.xml"},
		{"Doc_0/Signs/Sign_0/Signature.xml", "../../C.xml", "Doc_0/C.xml"},
		{"Doc_0/D.xml", "../../../../etc/passwd", "etc/passwd"},
		{"Doc_0/D.xml", `Res\a.png`, "Doc_0/Res/a.png"},
		{"Doc_0/D.xml", "  ", ""},
	} {
		if got := resolve(tc[0], tc[1]); got != tc[2] {
			t.Errorf("%s + %s = %s, want %s", tc[0], tc[1], got, tc[2])
		}
	}
}

func TestManyRemarksDoNotCostMuch(t *testing.T) {
	parts := slices.Clone(minimal)
	for i := range 3000 {
		parts = append(parts, part{fmt.Sprintf("x/%d", i), "y"})
	}
	c, m, all := open(t, pack(parts...))
	if items := c.Coverage(m, all, Signature{}); len(items) != 3003 {
		t.Fatal(len(items))
	}
}

func FuzzOpen(f *testing.F) {
	for _, n := range []string{"hello-unsigned.ofd", "signed-bare.ofd", "sealed-v4-expired.ofd", "sealed-v4-cross-page.ofd"} {
		f.Add(sample(f, n))
	}
	f.Add(pack(minimal...))
	f.Fuzz(func(t *testing.T, b []byte) {
		l := DefaultLimits
		l.TotalSize = 4 << 20
		c, err := OpenLimited(b, l)
		if err != nil {
			return
		}
		again, err := OpenLimited(c.Bytes(), l)
		if err != nil {
			t.Fatal("what we write, we cannot read:", err)
		}
		for _, n := range c.Names() {
			x, _ := c.Digest(n)
			y, ok := again.Digest(n)
			if !ok || x != y {
				t.Fatalf("%q changed on rewriting", n)
			}
		}
		m, err := c.Model()
		if err != nil {
			return
		}
		all := c.Signatures(m)
		for _, s := range all.List {
			c.Coverage(m, all, s)
		}
		m.Bindings("urn:x")
	})
}

func FuzzXML(f *testing.F) {
	for _, p := range minimal {
		f.Add([]byte(p.data))
	}
	f.Add([]byte(`<a b="c"><!-- x --><d/>t<![CDATA[u]]></a>`))
	f.Fuzz(func(t *testing.T, b []byte) {
		budget := 10_000
		n, err := parseXML(b, DefaultLimits, &budget)
		if err != nil {
			return
		}
		n.walk(func(x *node) {
			if x.start < 0 || x.start > x.inner || x.inner > x.innerEnd && x.innerEnd != x.end || x.innerEnd > x.end || x.end > len(b) {
				t.Fatalf("offsets of %q: %d %d %d %d of %d", x.name, x.start, x.inner, x.innerEnd, x.end, len(b))
			}
		})
		budget = 10_000
		if _, err := parseXML(insertInside(b, n, "<x/>"), DefaultLimits, &budget); err != nil {
			t.Fatalf("inserting broke it: %v", err)
		}
	})
}
