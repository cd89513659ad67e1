package ca

import (
	"encoding/csv"
	"errors"
	"slices"
	"strings"
	"testing"

	"golang.org/x/text/encoding/simplifiedchinese"

	"hufu/internal/fault"
)

// FuzzCSV holds our reader against the standard library's: what ours takes, that one takes too, and reads the same.
func FuzzCSV(f *testing.F) {
	for _, seed := range []string{
		"", "a,b\n1,2\n", "\"a\"\"b\",c\r\n", "a\n\n\nb", "\"\"\n", "a,\"b\nc\",d", "\"x", "a\"b", ",,,\n", "\r", "a\r\nb\r", "\"a\"b", "\uFEFFa", "\xff\xfe",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		text, err := decodeText(file)
		if err != nil {
			return
		}
		r := &csvReader{rest: text}
		var ours [][]string
		for {
			record, ok, err := r.next()
			if err != nil {
				if fault.KindOf(err) == fault.Internal {
					t.Fatalf("no refusal: %v", err)
				}
				return
			}
			if !ok {
				break
			}
			ours = append(ours, record)
		}
		oracle := csv.NewReader(strings.NewReader(text))
		oracle.FieldsPerRecord = -1
		theirs, err := oracle.ReadAll()
		if err != nil {
			t.Fatalf("we took %q, encoding/csv did not: %v", text, err)
		}
		if !slices.EqualFunc(ours, theirs, slices.Equal) {
			t.Fatalf("%q:\n%q\n%q", text, ours, theirs)
		}
		_, _ = readSheet(file, true)
	})
}

func TestHostileFilesAreRefusedAndTellWhere(t *testing.T) {
	chinese, err := simplifiedchinese.GB18030.NewEncoder().String("模板,持有人,证书请求\nperson-sign,p1,AAAA\n")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		file       string
		correcting bool
		want       *fault.Error
		says       string
	}{
		"nothing":            {"", false, ErrBatchEmpty, ""},
		"a header alone":     {"profile,csr\n", false, ErrBatchEmpty, ""},
		"NUL":                {"profile,csr\na,\x00", false, ErrBatchFile, ""},
		"UTF-16":             {"\xff\xfep\x00r\x00", false, ErrBatchFile, ""},
		"no encoding":        {"profile,csr\n\xff\xff\xff,a\n", false, ErrBatchFile, ""},
		"a cell of 1 MB":     {"profile,csr\na,b\na," + strings.Repeat("x", 1<<20), false, ErrBatchWide, "Row 2"},
		"a quoted 1 MB":      {"profile,csr\na,\"" + strings.Repeat("x", 1<<20) + "\"", false, ErrBatchWide, "Row 1"},
		"a million columns":  {strings.Repeat(",", 1_000_000) + "\n", false, ErrBatchWide, "Header"},
		"a row of a million": {"profile,csr\n" + strings.Repeat(",", 1_000_000), false, ErrBatchWide, "Row 1"},
		"an open quote":      {"profile,csr\na,\"b\nc,d\n", false, ErrBatchQuotes, "Row 1"},
		"a quote inside":     {"profile,csr\na,b\"c\n", false, ErrBatchQuotes, "Row 1"},
		"a carriage return":  {"profile,csr\na\rb,c\n", false, ErrBatchQuotes, "Row 1"},
		"a strange column":   {"profile,csr,name\na,b,c\n", false, ErrBatchHeader, "Header"},
		"a column twice":     {"profile,csr,模板\na,b,c\n", false, ErrBatchHeader, "Header"},
		"no request":         {"profile,holder\na,b\n", false, ErrBatchHeader, "Header"},
		"a fact twice":       {"csr,fact.a,fact.a\na,b,c\n", false, ErrBatchHeader, "Header"},
		"row when new":       {"row,csr\n1,b\n", false, ErrBatchHeader, "Header"},
		"no row to correct":  {"profile,csr\n1,b\n", true, ErrBatchHeader, "Header"},
		"row zero":           {"row,csr\n0,b\n", true, ErrBatchNumber, "Row 1"},
		"row twice":          {"row,csr\n3,b\n3,c\n", true, ErrBatchNumber, "Row 2"},
		"row a word":         {"row,csr\n=1,b\n", true, ErrBatchNumber, "Row 1"},
		"too many rows":      {"csr\n" + strings.Repeat("x\n", MaxBatchRows+1), false, ErrBatchSize, ""},
		"too large":          {"csr\n" + strings.Repeat("x", MaxBatchFile), false, ErrBatchSize, ""},
		"GB18030":            {chinese, false, nil, ""},
		"byte order mark":    {"\uFEFFprofile,CSR\r\na,b\r\n", false, nil, ""},
	} {
		s, err := readSheet([]byte(c.file), c.correcting)
		if c.want == nil {
			if err != nil || len(s.lines) != 1 || s.lines[0].Profile == "" || s.lines[0].CSR == "" {
				t.Errorf("%s: %+v, %v", name, s, err)
			}
			continue
		}
		text, _ := fault.TextOf(err)
		if !errors.Is(err, c.want) || !strings.Contains(text.EN, c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestWhatIsWrongWithARowStaysWithTheRow(t *testing.T) {
	s, err := readSheet([]byte("holder,csr,fact.code\np1,AAAA,1\np1,AAAA,2\np1\n\"p2\",\"AA\nBB\",\"a\"\"b\"\n\n p3 , CC ,\n"), false)
	if err != nil {
		t.Fatal(err)
	}
	if len(s.lines) != 5 || s.lines[1].Twin != 1 || s.lines[2].Wrong == "" || s.lines[3].Facts["code"] != `a"b` || s.lines[4].Holder != "p3" || s.lines[4].Facts != nil {
		t.Errorf("%+v", s.lines)
	}
	if der, err := s.lines[3].request(); err != nil || len(der) != 3 {
		t.Errorf("%x %v", der, err)
	}
	if _, err := (&Line{CSR: "not base 64!"}).request(); !errors.Is(err, ErrRequest) {
		t.Error(err)
	}
}

func TestNoCellOfAResultIsAFormula(t *testing.T) {
	for in, want := range map[string]string{"=1+1": "'=1+1", "+1": "'+1", "-1": "'-1", "@x": "'@x", "\tx": "'\tx", "x=1": "x=1", "": "", "第": "第"} {
		if got := safeCell(in); got != want {
			t.Errorf("%q became %q", in, got)
		}
	}
}
