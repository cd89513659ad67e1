package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestRowsAreWrittenAsTheContractSays(t *testing.T) {
	file := filepath.Join(t.TempDir(), "rows.json")
	var out, errs bytes.Buffer
	if err := run(t.Context(), []string{"--only", "keys.wrapped", "--rounds", "2", "--turn", "20ms", "--json", file}, &out, &errs); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var rows []map[string]any
	if err := json.Unmarshal(text, &rows); err != nil || len(rows) != 1 {
		t.Fatalf("%s: %v", text, err)
	}
	for _, name := range []string{"name", "ours", "unit", "reference", "reference_name", "ratio", "goal", "met", "database"} {
		if _, ok := rows[0][name]; !ok {
			t.Errorf("%s is missing in %s", name, text)
		}
	}
	r := rows[0]
	ours, reference, ratio := r["ours"].(float64), r["reference"].(float64), r["ratio"].(float64)
	if ours <= 0 || ratio != ours/reference || r["met"] != (ratio >= r["goal"].(float64)) {
		t.Errorf("the figures do not go together: %s", text)
	}
	if lines := strings.Split(strings.TrimSpace(out.String()), "\n"); len(lines) != 2 || !strings.HasPrefix(lines[1], "keys.wrapped ") {
		t.Errorf("the table is %q", out.String())
	}
}

func TestWrongUseIsTold(t *testing.T) {
	for _, args := range [][]string{{"--only", "nonsense"}, {"--rounds", "0"}, {"more"}, {"--fly"}} {
		var out, errs bytes.Buffer
		if err := run(t.Context(), args, &out, &errs); err == nil || out.Len() > 0 {
			t.Errorf("%v: %v, %q", args, err, out.String())
		}
	}
}

func TestMedian(t *testing.T) {
	if a, b := median([]float64{9, 1, 5}), median([]float64{4, 1, 2, 100}); a != 5 || b != 3 {
		t.Errorf("medians %v, %v", a, b)
	}
}
