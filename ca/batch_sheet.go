package ca

import (
	"encoding/base64"
	"slices"
	"strconv"
	"strings"

	"hufu/internal/gm"
)

// columns are the names that a header may have, in either language. Facts are "fact." and the field's name.
var columns = map[string]string{
	"profile": "profile", "模板": "profile", "证书模板": "profile",
	"holder": "holder", "持有人": "holder",
	"number_type": "number_type", "证件类型": "number_type",
	"number": "number", "证件号码": "number",
	"organization": "organization", "单位": "organization",
	"organization_number": "organization_number", "单位代码": "organization_number",
	"csr": "csr", "证书请求": "csr",
	"row": "row", "行号": "row",
}

// passed over in a file that corrects rows, so that the result can be sent back as it came
var resultColumns = []string{"state", "code", "error_zh", "error_en", "application", "serials"}

const factColumn = "fact."

// sheet is a batch's file as read: lines, and the row each is for.
type sheet struct {
	lines   []Line
	numbers []int
	twins   map[[32]byte]int // row by digest of its request
	seen    map[int]bool     // numbers
}

// readSheet reads a batch's file. correcting says that a column names the rows that the lines are for; else they are
// numbered from 1.
func readSheet(file []byte, correcting bool) (*sheet, error) {
	text, err := decodeText(file)
	if err != nil {
		return nil, err
	}
	r := &csvReader{rest: text}
	record, ok, err := r.next()
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, ErrBatchEmpty
	}
	header, err := readHeader(record, correcting)
	if err != nil {
		return nil, err
	}
	s := &sheet{twins: map[[32]byte]int{}, seen: map[int]bool{}}
	for {
		record, ok, err := r.next()
		switch {
		case err != nil:
			return nil, err
		case !ok && len(s.lines) == 0:
			return nil, ErrBatchEmpty
		case !ok:
			return s, nil
		case len(s.lines) == MaxBatchRows:
			return nil, ErrBatchSize.With("more than %d rows", MaxBatchRows)
		}
		if err := s.add(header, record); err != nil {
			return nil, err
		}
	}
}

func readHeader(record []string, correcting bool) ([]string, error) {
	header := make([]string, len(record))
	for i, cell := range record {
		cell = strings.TrimSpace(cell)
		name := columns[strings.ToLower(cell)]
		switch {
		case strings.HasPrefix(cell, factColumn) && len(cell) > len(factColumn) && plain(cell):
			name = cell
		case correcting && slices.Contains(resultColumns, strings.ToLower(cell)):
			header[i] = ""
			continue
		case name == "" || name == "row" && !correcting:
			return nil, atRow(ErrBatchHeader, 0)
		}
		if slices.Contains(header[:i], name) {
			return nil, atRow(ErrBatchHeader, 0)
		}
		header[i] = name
	}
	if !slices.Contains(header, "csr") || correcting && !slices.Contains(header, "row") {
		return nil, atRow(ErrBatchHeader, 0)
	}
	return header, nil
}

// add takes a record in. What is wrong with it alone becomes the row's error, not the file's.
func (s *sheet) add(header, record []string) error {
	number := len(s.lines) + 1
	var line Line
	if len(record) != len(header) {
		line.Wrong = "columns"
	}
	for i, name := range header[:min(len(header), len(record))] {
		cell := strings.TrimSpace(record[i])
		if name != "row" {
			line.set(name, cell)
			continue
		}
		var err error
		if number, err = strconv.Atoi(cell); err != nil || number < 1 || number > MaxBatchRows || s.seen[number] {
			return atRow(ErrBatchNumber, len(s.lines)+1)
		}
	}
	if line.CSR != "" {
		digest := gm.SM3([]byte(line.CSR))
		if first := s.twins[digest]; first != 0 {
			line.Twin = first
		} else {
			s.twins[digest] = number
		}
	}
	s.seen[number] = true
	s.lines, s.numbers = append(s.lines, line), append(s.numbers, number)
	return nil
}

// set puts a cell where its column says.
func (l *Line) set(column, cell string) {
	if cell == "" {
		return
	}
	switch column {
	case "profile":
		l.Profile = cell
	case "holder":
		l.Holder = cell
	case "number_type":
		l.NumberType = cell
	case "number":
		l.Number = cell
	case "organization":
		l.Organization = cell
	case "organization_number":
		l.OrganizationNumber = cell
	case "csr":
		l.CSR = cell
	case "":
	default:
		if l.Facts == nil {
			l.Facts = map[string]string{}
		}
		l.Facts[strings.TrimPrefix(column, factColumn)] = cell
	}
}

// request returns the certificate request: PEM as it is, or DER out of base64, over lines or not.
func (l *Line) request() ([]byte, error) {
	if strings.HasPrefix(l.CSR, "-") {
		return []byte(l.CSR), nil
	}
	text := strings.TrimRight(strings.Join(strings.Fields(l.CSR), ""), "=")
	der, err := base64.RawStdEncoding.DecodeString(text)
	if err != nil || len(der) == 0 {
		return nil, ErrRequest.With("neither PEM nor base64")
	}
	return der, nil
}
