package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// row is the result of a workload, as --json writes it.
type row struct {
	Name          string  `json:"name"`
	Ours          float64 `json:"ours"`
	Unit          string  `json:"unit"`
	Reference     float64 `json:"reference"`
	ReferenceName string  `json:"reference_name"`
	Ratio         float64 `json:"ratio"`
	Goal          float64 `json:"goal"`
	Met           bool    `json:"met"`
	Database      string  `json:"database"` // "" when none is touched
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// run measures what the arguments name and prints it as a table.
func run(ctx context.Context, args []string, out, errs io.Writer) error {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(errs)
	only := flags.String("only", "", "measure these alone, separated by commas")
	rounds := flags.Int("rounds", 5, "how often ours and the reference take turns")
	turn := flags.Duration("turn", 400*time.Millisecond, "how long each works at a time")
	pg := flags.String("pg", "", "address of a PostgreSQL for the rows that touch a database (default: SQLite in a temporary folder)")
	file := flags.String("json", "", "write the rows to this file too")
	if err := flags.Parse(args); err != nil {
		return err
	}
	chosen, err := choose(*only)
	if err != nil {
		return err
	}
	if flags.NArg() > 0 || *rounds < 1 {
		return fmt.Errorf("wrong use: %q, --rounds %d", flags.Args(), *rounds)
	}
	dir, err := os.MkdirTemp("", "hufu-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	b := &bed{ctx: ctx, dir: dir, pg: *pg, rounds: *rounds, turn: *turn, notes: errs}
	var rows []row
	for _, w := range chosen {
		r, err := b.measure(w)
		if err != nil {
			return fmt.Errorf("%s: %w", w.name, err)
		}
		rows = append(rows, r)
		fmt.Fprintf(errs, "measured %s\n", r.Name)
	}
	if err := print(out, rows); err != nil || *file == "" {
		return err
	}
	text, err := json.MarshalIndent(rows, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(*file, append(text, '\n'), 0o644)
}

// choose returns the workloads of a list of names, all of them for "".
func choose(only string) ([]workload, error) {
	if only == "" {
		return workloads, nil
	}
	var chosen []workload
	for name := range strings.SplitSeq(only, ",") {
		i := slices.IndexFunc(workloads, func(w workload) bool { return w.name == name })
		if i < 0 {
			return nil, fmt.Errorf("no workload %q; there are: %s", name, names())
		}
		chosen = append(chosen, workloads[i])
	}
	return chosen, nil
}

func names() string {
	var all []string
	for _, w := range workloads {
		all = append(all, w.name)
	}
	return strings.Join(all, ", ")
}

func print(out io.Writer, rows []row) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "name\tours\treference\tratio\tgoal\tmet\tunit\treference is\tdatabase")
	for _, r := range rows {
		met := "yes"
		if !r.Met {
			met = "no"
		}
		fmt.Fprintf(w, "%s\t%.0f\t%.0f\t%.2f\t%.2f\t%s\t%s\t%s\t%s\n", r.Name, r.Ours, r.Reference, r.Ratio, r.Goal, met, r.Unit, r.ReferenceName, r.Database)
	}
	return w.Flush()
}
