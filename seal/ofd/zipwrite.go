package ofd

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"hash/crc32"
)

// dosDate is 1980-01-01, the zero of ZIP: results depend on contents only.
const dosDate = 1<<5 | 1

// newEntry packs data; small or incompressible data is stored.
func newEntry(name string, data []byte) *Entry {
	e := &Entry{Name: name, Data: data, raw: data, method: methodStored, crc: crc32.ChecksumIEEE(data)}
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, flate.BestCompression)
	if err != nil {
		return e // not reachable: the level is a constant
	}
	_, _ = w.Write(data) // a bytes.Buffer takes everything
	_ = w.Close()
	if b.Len() < len(data) {
		e.raw, e.method = b.Bytes(), methodDeflate
	}
	return e
}

// writeZip writes entries in their order, sizes in the local headers, no dates, no extra fields.
func writeZip(entries []*Entry) []byte {
	var body, dir []byte
	for _, e := range entries {
		offset := uint32(len(body))
		body = binary.LittleEndian.AppendUint32(body, sigLocal)
		body = appendHead(body, e)
		body = append(body, e.Name...)
		body = append(body, e.raw...)

		dir = binary.LittleEndian.AppendUint32(dir, sigCentral)
		dir = binary.LittleEndian.AppendUint16(dir, 20) // made by: 2.0, FAT
		dir = appendHead(dir, e)
		dir = append(dir, make([]byte, 10)...) // comment, disk, attributes
		dir = binary.LittleEndian.AppendUint32(dir, offset)
		dir = append(dir, e.Name...)
	}
	at := uint32(len(body))
	body = append(body, dir...)
	body = binary.LittleEndian.AppendUint32(body, sigEnd)
	body = append(body, 0, 0, 0, 0)
	body = binary.LittleEndian.AppendUint16(body, uint16(len(entries)))
	body = binary.LittleEndian.AppendUint16(body, uint16(len(entries)))
	body = binary.LittleEndian.AppendUint32(body, uint32(len(dir)))
	body = binary.LittleEndian.AppendUint32(body, at)
	return append(body, 0, 0)
}

// appendHead appends the fields that local and central header share, from "version needed" to "extra length".
func appendHead(b []byte, e *Entry) []byte {
	flags := uint16(0)
	for _, c := range []byte(e.Name) {
		if c >= 0x80 {
			flags = flagUTF8
		}
	}
	b = binary.LittleEndian.AppendUint16(b, 20)
	b = binary.LittleEndian.AppendUint16(b, flags)
	b = binary.LittleEndian.AppendUint16(b, e.method)
	b = binary.LittleEndian.AppendUint16(b, 0)
	b = binary.LittleEndian.AppendUint16(b, dosDate)
	b = binary.LittleEndian.AppendUint32(b, e.crc)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(e.raw)))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(e.Data)))
	b = binary.LittleEndian.AppendUint16(b, uint16(len(e.Name)))
	return binary.LittleEndian.AppendUint16(b, 0)
}
