package ofd

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"hash/crc32"
	"io"
	"strings"
)

// Entry is one file of the container. Name is folded: slashes forward, no leading slash, no "." segments.
type Entry struct {
	Name   string
	Data   []byte // uncompressed; never changed
	raw    []byte // as it stands in the ZIP
	method uint16
	crc    uint32
	offset int // of the local header
	end    int // first octet after data and data descriptor
}

const (
	sigLocal   = 0x04034b50
	sigCentral = 0x02014b50
	sigEnd     = 0x06054b50
	sigDesc    = 0x08074b50

	endLen     = 22
	centralLen = 46
	localLen   = 30

	flagEncrypted  = 1
	flagDescriptor = 1 << 3
	flagUTF8       = 1 << 11

	methodStored  = 0
	methodDeflate = 8
)

// central is one record of the central directory.
type central struct {
	flags, method uint16
	crc           uint32
	packed, size  int64
	rawName       string
	extra         []byte
	offset        int
}

// readZip checks the whole structure before it inflates anything.
func readZip(b []byte, l Limits) (entries []*Entry, remarks []Remark, err error) {
	end, err := findEnd(b)
	if err != nil {
		return nil, nil, err
	}
	note := func(code, part string) { remarks = append(remarks, Remark{code, part}) }
	count := int(binary.LittleEndian.Uint16(b[end+10:]))
	cdSize := int(binary.LittleEndian.Uint32(b[end+12:]))
	cdOffset := int(binary.LittleEndian.Uint32(b[end+16:]))
	if count > l.Entries {
		return nil, nil, ErrTooLarge.With("%d entries", count)
	}
	if comment := int(binary.LittleEndian.Uint16(b[end+20:])); comment > 0 {
		note(RemarkComment, "")
	}
	if end+endLen+int(binary.LittleEndian.Uint16(b[end+20:])) < len(b) {
		note(RemarkSuffixBytes, "")
	}
	start := end - cdSize // central directory as found
	records, err := readCentral(b[start:end], count, start-cdOffset)
	if err != nil {
		return nil, nil, err
	}
	if err := checkSizes(records, l); err != nil {
		return nil, nil, err
	}
	seen := map[string]string{}
	for _, r := range records {
		e, err := locate(b[:start], r, l)
		if err != nil {
			return nil, nil, err
		}
		more, err := admit(seen, r.rawName, e.Name, l)
		if err != nil {
			return nil, nil, err
		}
		remarks = append(remarks, more...)
		entries = append(entries, e)
	}
	more, err := checkLayout(b[:start], entries)
	if err != nil {
		return nil, nil, err
	}
	remarks = append(remarks, more...)
	files := entries[:0:0]
	unpacker := flate.NewReader(bytes.NewReader(nil)) // one for all: it is large
	for i, e := range entries {
		if strings.HasSuffix(e.Name, "/") {
			if records[i].size != 0 {
				return nil, nil, ErrDamaged.With("directory entry %q holds data", e.Name)
			}
			continue
		}
		if e.Data, err = inflate(unpacker, e, records[i].size); err != nil {
			return nil, nil, err
		}
		files = append(files, e)
	}
	return files, remarks, nil
}

// findEnd returns the offset of the only end record. Two plausible ones are refused: readers differ in which they take.
func findEnd(b []byte) (int, error) {
	found := -1
	for at := 0; ; {
		i := bytes.Index(b[at:], []byte("PK\x05\x06"))
		if i < 0 {
			break
		}
		at += i
		if plausibleEnd(b, at) {
			if found >= 0 {
				return 0, ErrTwoEnds.With("end records at %d and %d", found, at)
			}
			found = at
		}
		at++
	}
	if found >= 0 {
		return found, nil
	}
	if bytes.HasPrefix(b, []byte("PK\x03\x04")) {
		return 0, ErrDamaged.With("no end record: the file is cut off")
	}
	return 0, ErrNotOFD.With("no ZIP end record")
}

func plausibleEnd(b []byte, at int) bool {
	if at+endLen > len(b) {
		return false
	}
	u16 := func(o int) int { return int(binary.LittleEndian.Uint16(b[at+o:])) }
	size, offset := int64(binary.LittleEndian.Uint32(b[at+12:])), int64(binary.LittleEndian.Uint32(b[at+16:]))
	if u16(4) != 0 || u16(6) != 0 || u16(8) != u16(10) || at+endLen+u16(20) > len(b) {
		return false
	}
	start := int64(at) - size
	if start < 0 || start < offset {
		return false
	}
	if u16(10) == 0 {
		return size == 0
	}
	return start+4 <= int64(len(b)) && binary.LittleEndian.Uint32(b[start:]) == sigCentral
}

// readCentral reads exactly count records filling dir exactly. shift is what the prefix before the ZIP adds to offsets.
func readCentral(dir []byte, count, shift int) ([]central, error) {
	var out []central
	for i := range count {
		if len(dir) < centralLen || binary.LittleEndian.Uint32(dir) != sigCentral {
			return nil, ErrDamaged.With("central directory record %d", i)
		}
		u16 := func(o int) int { return int(binary.LittleEndian.Uint16(dir[o:])) }
		u32 := func(o int) uint32 { return binary.LittleEndian.Uint32(dir[o:]) }
		nameLen, extraLen, commentLen := u16(28), u16(30), u16(32)
		total := centralLen + nameLen + extraLen + commentLen
		if len(dir) < total {
			return nil, ErrDamaged.With("central directory record %d is cut off", i)
		}
		r := central{
			flags: uint16(u16(8)), method: uint16(u16(10)), crc: u32(16),
			packed: int64(u32(20)), size: int64(u32(24)), offset: int(u32(42)) + shift,
			rawName: string(dir[centralLen : centralLen+nameLen]),
			extra:   dir[centralLen+nameLen : centralLen+nameLen+extraLen],
		}
		if r.packed == 0xffffffff || r.size == 0xffffffff || u32(42) == 0xffffffff {
			return nil, ErrUnsupported.With("%q: ZIP64", r.rawName)
		}
		if r.flags&flagEncrypted != 0 || r.method != methodStored && r.method != methodDeflate {
			return nil, ErrUnsupported.With("%q: method %d, flags %#x", r.rawName, r.method, r.flags)
		}
		out = append(out, r)
		dir = dir[total:]
	}
	if len(dir) != 0 {
		return nil, ErrHeaders.With("%d octets in the central directory after its %d records", len(dir), count)
	}
	return out, nil
}

// locate finds the local header of r and demands that it says the same.
func locate(b []byte, r central, l Limits) (*Entry, error) {
	if r.offset < 0 || r.offset+localLen > len(b) || binary.LittleEndian.Uint32(b[r.offset:]) != sigLocal {
		return nil, ErrHeaders.With("%q: no local header", r.rawName)
	}
	h := b[r.offset:]
	u16 := func(o int) int { return int(binary.LittleEndian.Uint16(h[o:])) }
	u32 := func(o int) uint32 { return binary.LittleEndian.Uint32(h[o:]) }
	nameLen, extraLen := u16(26), u16(28)
	data := r.offset + localLen + nameLen + extraLen
	end := int64(data) + r.packed
	if end > int64(len(b)) {
		return nil, ErrDamaged.With("%q: data runs over the directory", r.rawName)
	}
	const mustAgree = flagEncrypted | flagDescriptor | flagUTF8
	if string(h[localLen:localLen+nameLen]) != r.rawName || u16(8) != int(r.method) || uint16(u16(6))&mustAgree != r.flags&mustAgree {
		return nil, ErrHeaders.With("%q: local header differs", r.rawName)
	}
	extras := [][]byte{r.extra, h[localLen+nameLen : localLen+nameLen+extraLen]}
	if err := checkUnicodePath(r.rawName, extras); err != nil {
		return nil, err
	}
	same := u32(14) == r.crc && int64(u32(18)) == r.packed && int64(u32(22)) == r.size
	tail := 0
	if r.flags&flagDescriptor != 0 {
		same = same || u32(14) == 0 && u32(18) == 0 && u32(22) == 0
		tail = descriptor(b[end:], r)
		if tail < 0 {
			return nil, ErrHeaders.With("%q: data descriptor differs", r.rawName)
		}
	}
	if !same {
		return nil, ErrHeaders.With("%q: sizes or CRC differ", r.rawName)
	}
	name, err := fold(r.rawName, l)
	if err != nil {
		return nil, err
	}
	return &Entry{Name: name, raw: b[data:end], method: r.method, crc: r.crc, offset: r.offset, end: int(end) + tail}, nil
}

// descriptor returns the length of the data descriptor at b, or -1 when it says something else than the directory.
func descriptor(b []byte, r central) int {
	n := 0
	if len(b) >= 4 && binary.LittleEndian.Uint32(b) == sigDesc {
		n = 4
	}
	if len(b) < n+12 {
		return -1
	}
	u32 := func(o int) uint32 { return binary.LittleEndian.Uint32(b[n+o:]) }
	if u32(0) != r.crc || int64(u32(4)) != r.packed || int64(u32(8)) != r.size {
		return -1
	}
	return n + 12
}

// inflate returns the data of e, which must be exactly size octets with the CRC of the directory.
func inflate(r io.ReadCloser, e *Entry, size int64) ([]byte, error) {
	data := e.raw
	if e.method == methodDeflate {
		in := bytes.NewReader(e.raw)
		if err := r.(flate.Resetter).Reset(in, nil); err != nil {
			return nil, ErrDamaged.With("%q: %w", e.Name, err)
		}
		var out bytes.Buffer
		out.Grow(int(min(size, int64(len(e.raw))*8+512)) + 1)
		n, err := io.Copy(&out, io.LimitReader(r, size+1))
		if err != nil || n != size {
			return nil, ErrDamaged.With("%q: compressed data", e.Name)
		}
		if in.Len() != 0 {
			return nil, ErrHeaders.With("%q: %d octets after the compressed data", e.Name, in.Len())
		}
		data = out.Bytes()
	}
	if int64(len(data)) != size || crc32.ChecksumIEEE(data) != e.crc {
		return nil, ErrDamaged.With("%q: CRC or size", e.Name)
	}
	return data, nil
}
