package ca

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/simplifiedchinese"

	"hufu/internal/fault"
)

// Limits of a batch's file.
const (
	MaxBatchFile = 48 << 20 // octets
	MaxBatchRows = 100_000  // below the header
	maxColumns   = 64
	maxCell      = 16 << 10 // octets
)

// atRow is a refusal that names the row of a file, for the person to find; 0 is the header.
func atRow(err *fault.Error, row int) error {
	zh, en := fmt.Sprintf("第 %d 行：", row), fmt.Sprintf("Row %d: ", row)
	if row == 0 {
		zh, en = "表头：", "Header: "
	}
	return fault.New(err.Kind, err.Code, en+err.Text.EN, zh+err.Text.ZH)
}

// decodeText returns a file's text: UTF-8, with or without byte order mark, or else GB18030 (GB 18030, of which GBK is part).
func decodeText(file []byte) (string, error) {
	switch {
	case len(file) > MaxBatchFile:
		return "", ErrBatchSize.With("%d octets", len(file))
	case bytes.HasPrefix(file, []byte{0xFF, 0xFE}) || bytes.HasPrefix(file, []byte{0xFE, 0xFF}):
		return "", ErrBatchFile.With("UTF-16")
	case bytes.IndexByte(file, 0) >= 0:
		return "", ErrBatchFile.With("a NUL")
	}
	file = bytes.TrimPrefix(file, []byte("\uFEFF"))
	if utf8.Valid(file) {
		return string(file), nil
	}
	text, err := simplifiedchinese.GB18030.NewDecoder().Bytes(file)
	if err != nil || bytes.ContainsRune(text, utf8.RuneError) {
		return "", ErrBatchFile.With("neither UTF-8 nor GB18030")
	}
	return string(text), nil
}

// csvReader reads records of comma-separated values (RFC 4180) with bounds on columns and cells, so that no file takes more
// memory than itself. Cells are slices of the text, unless they have quotes to undo.
type csvReader struct {
	rest string
	row  int // of the record that is read now; the header is 0
}

// next returns the next record that is not an empty line; ok is false at the end.
func (r *csvReader) next() (record []string, ok bool, err error) {
	for r.rest != "" {
		record, blank, err := r.record()
		if err != nil {
			return nil, false, err
		}
		if blank {
			continue
		}
		r.row++
		return record, true, nil
	}
	return nil, false, nil
}

func (r *csvReader) record() (record []string, blank bool, err error) {
	for {
		if len(record) == maxColumns {
			return nil, false, atRow(ErrBatchWide, r.row)
		}
		quoted := strings.HasPrefix(r.rest, `"`)
		cell, err := r.cell(quoted)
		if err != nil {
			return nil, false, err
		}
		if len(cell) > maxCell {
			return nil, false, atRow(ErrBatchWide, r.row)
		}
		record = append(record, cell)
		switch {
		case strings.HasPrefix(r.rest, ","):
			r.rest = r.rest[1:]
			continue
		case strings.HasPrefix(r.rest, "\r\n"):
			r.rest = r.rest[2:]
		case strings.HasPrefix(r.rest, "\n"):
			r.rest = r.rest[1:]
		case r.rest != "":
			return nil, false, atRow(ErrBatchQuotes, r.row)
		}
		return record, len(record) == 1 && cell == "" && !quoted, nil
	}
}

// cell reads one cell up to what ends it, which stays.
func (r *csvReader) cell(quoted bool) (string, error) {
	if !quoted {
		end := strings.IndexAny(r.rest, ",\"\r\n")
		if end < 0 {
			end = len(r.rest)
		}
		cell := r.rest[:end]
		r.rest = r.rest[end:]
		return cell, nil
	}
	from := 1
	for {
		end := strings.IndexByte(r.rest[from:], '"')
		if end < 0 {
			return "", atRow(ErrBatchQuotes, r.row)
		}
		end += from
		if strings.HasPrefix(r.rest[end:], `""`) {
			from = end + 2
			continue
		}
		cell := r.rest[1:end]
		r.rest = r.rest[end+1:]
		if strings.ContainsAny(cell, "\"\r") {
			cell = strings.NewReplacer(`""`, `"`, "\r\n", "\n").Replace(cell)
		}
		return cell, nil
	}
}

// safeCell keeps a spreadsheet from taking a cell for a formula: what begins like one gets an apostrophe before it.
func safeCell(s string) string {
	if s != "" && strings.ContainsRune("=+-@\t\r", rune(s[0])) {
		return "'" + s
	}
	return s
}
