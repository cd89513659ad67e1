package main

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"hufu/internal/fault"
	"hufu/internal/gm"
)

// certBatchCommands are about many applications in one file.
type certBatchCommands struct {
	Check        batchCheckCommand   `cmd:"" help:"Check every row of a file; nothing is stored. Example: hufu cert batch check people.csv"`
	Upload       batchUploadCommand  `cmd:"" help:"Apply for the rows of a file. Example: hufu cert batch upload people.csv --profile person-sign --wait"`
	List         batchListCommand    `cmd:"" help:"List batches, newest first. Example: hufu cert batch list"`
	Status       batchStatusCommand  `cmd:"" help:"Show how far a batch is. Example: hufu cert batch status ID --wait"`
	Rows         batchRowsCommand    `cmd:"" help:"List rows and what is wrong with them. Example: hufu cert batch rows ID --state failed"`
	Correct      batchCorrectCommand `cmd:"" help:"Put other lines into failed rows; the file has the column row. Example: hufu cert batch correct ID fixed.csv"`
	Retry        batchRetryCommand   `cmd:"" help:"Run failed rows again as they are. Example: hufu cert batch retry ID --row 7 --row 9"`
	Cancel       batchCancelCommand  `cmd:"" help:"End the rows that have not begun. Example: hufu cert batch cancel ID"`
	Approve      batchApproveCommand `cmd:"" help:"Approve the rows that another entered. Example: hufu cert batch approve ID"`
	Reject       batchRejectCommand  `cmd:"" help:"Reject rows. Example: hufu cert batch reject ID --row 7 --reason 'no such post'"`
	Result       batchResultCommand  `cmd:"" help:"Fetch what became of each row as CSV. Example: hufu cert batch result ID --out result.csv"`
	Certificates batchFetchCommand   `cmd:"" help:"Fetch certificates and envelopes as ZIP. Example: hufu cert batch certificates ID --out certificates.zip"`
}

// batch is what the API says of one.
type batch struct {
	ID       string    `json:"id"`
	Name     string    `json:"name,omitempty"`
	State    string    `json:"state"`
	Total    int       `json:"total"`
	At       time.Time `json:"at"`
	Progress struct {
		Done      int `json:"done"`
		Waiting   int `json:"waiting"`
		Undecided int `json:"undecided"`
		Failed    int `json:"failed"`
	} `json:"progress"`
	Rows      map[string]int  `json:"rows,omitempty"`
	Decisions []batchDecision `json:"decisions,omitempty"`
}

type batchDecision struct {
	ID      string `json:"id"`
	Verdict string `json:"verdict"`
	Decided int    `json:"decided"`
	Refused int    `json:"refused"`
	Done    bool   `json:"done"`
}

// rests tells that the server has nothing to do for the batch.
func (b batch) rests() bool {
	return b.Progress.Waiting == 0 && !slices.ContainsFunc(b.Decisions, func(d batchDecision) bool { return !d.Done })
}

func (b batch) line() string {
	var parts []string
	for _, state := range []string{"waiting", "draft", "submitted", "approved", "issued", "delivered", "rejected", "withdrawn", "failed", "cancelled"} {
		if n := b.Rows[state]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s / %s", n, state, applicationWords[state]))
		}
	}
	return fmt.Sprintf("batch %s, %d rows: %s", b.ID, b.Total, strings.Join(parts, ", "))
}

// slow is how long the server may take for a file of 100,000 rows.
const slow = 2 * time.Minute

// openSlow is open for calls with large files.
func (r remote) openSlow() (*session, error) {
	s, err := r.open()
	if err == nil {
		s.client.Timeout = slow
	}
	return s, err
}

type batchFile struct {
	remote
	File    string `arg:"" type:"existingfile" help:"CSV in UTF-8 or GB18030: profile, holder or number_type and number, organization, csr, fact.NAME."`
	Profile string `help:"Of rows that name none." placeholder:"NAME"`
	JSON    bool   `help:"Print JSON."`
}

func (f batchFile) query() string { return "?" + url.Values{"profile": {f.Profile}}.Encode() }

type batchCheckCommand struct{ batchFile }

type checked struct {
	Rows   int        `json:"rows"`
	Wrong  int        `json:"wrong"`
	Errors []batchRow `json:"errors"`
}

type batchRow struct {
	Row          int      `json:"row"`
	State        string   `json:"state,omitempty"`
	Application  string   `json:"application,omitempty"`
	Code         string   `json:"code,omitempty"`
	ZH           string   `json:"zh,omitempty"`
	EN           string   `json:"en,omitempty"`
	Certificates []string `json:"certificates,omitempty"`
}

var errRowsWrong = fault.New(fault.Invalid, "cert.rows-wrong",
	"Rows of the file are wrong, as listed. Correct them, then check again.", "文件中有错误的行，见所列。请更正后重新检查。")

func (c *batchCheckCommand) Run(con *console) error {
	s, err := c.openSlow()
	if err != nil {
		return err
	}
	text, err := os.ReadFile(c.File)
	if err != nil {
		return err
	}
	all := checked{Errors: []batchRow{}}
	parts := divide(text, checkRows)
	bar := newProgress(con.err, "checking")
	for i, part := range parts {
		var got checked
		if err := s.exchange(con.ctx, sending{http.MethodPost, batchesPath + "/check" + c.query(), "text/csv", part, nil}, &got); err != nil {
			return err
		}
		for _, row := range got.Errors {
			row.Row += all.Rows
			all.Errors = append(all.Errors, row)
		}
		all.Rows, all.Wrong = all.Rows+got.Rows, all.Wrong+got.Wrong
		bar(int64(i+1), int64(len(parts)))
	}
	if c.JSON {
		err = printJSON(con.out, all)
	} else {
		printRows(con, all.Errors)
		fmt.Fprintf(con.out, "%d rows, %d wrong; nothing was stored / 共 %d 行，%d 行有误，未保存\n", all.Rows, all.Wrong, all.Rows, all.Wrong)
	}
	if err == nil && all.Wrong > 0 {
		err = errRowsWrong.With("%d of %d rows", all.Wrong, all.Rows)
	}
	return err
}

// checkRows is how many rows are checked in one call, so that progress shows and no call takes long.
const checkRows = 2000

// divide cuts a CSV file into parts of so many records, each with the header. Quotes are counted to find where records end;
// neither in UTF-8 nor in GB18030 is a quote or a line feed a part of another character.
func divide(text []byte, rows int) (parts [][]byte) {
	var ends []int
	quoted := false
	for i, c := range text {
		switch {
		case c == '"':
			quoted = !quoted
		case c == '\n' && !quoted:
			ends = append(ends, i+1)
		}
	}
	if len(ends) == 0 || ends[len(ends)-1] != len(text) {
		ends = append(ends, len(text))
	}
	if len(ends) <= rows+1 {
		return [][]byte{text}
	}
	head := text[:ends[0]]
	for from := 1; from < len(ends); from += rows {
		to := min(from+rows, len(ends))
		parts = append(parts, append(bytes.Clone(head), text[ends[from-1]:ends[to-1]]...))
	}
	return parts
}

func printRows(con *console, rows []batchRow) {
	w := tabwriter.NewWriter(con.out, 0, 8, 2, ' ', 0)
	for _, r := range rows {
		fmt.Fprintf(w, "row %d\t%s\t%s\t%s\t%s\n", r.Row, orDash(r.State), orDash(r.Code), flat(r.EN), flat(r.ZH))
	}
	w.Flush()
}

type batchUploadCommand struct {
	batchFile
	Name string `help:"What people call the batch." placeholder:"TEXT"`
	Key  string `help:"Idempotency key; else the file's own SM3, so that an upload that broke off goes on when it is repeated." placeholder:"WORD"`
	Wait bool   `help:"Stay until the rows are entered; they are in any case."`
}

func (c *batchUploadCommand) Run(con *console) error {
	s, err := c.openSlow()
	if err != nil {
		return err
	}
	text, err := os.ReadFile(c.File)
	if err != nil {
		return err
	}
	if c.Key == "" {
		digest := gm.SM3(text)
		c.Key = hex.EncodeToString(digest[:])
	}
	var b batch
	path := batchesPath + c.query() + "&" + url.Values{"name": {c.Name}}.Encode()
	if err := s.exchange(con.ctx, sending{http.MethodPost, path, "text/csv", text, []string{"Idempotency-Key", c.Key}}, &b); err != nil {
		return err
	}
	return followBatch(con, s, b.ID, c.Wait, c.JSON)
}

// followBatch shows a batch, when it rests if wait says so.
func followBatch(con *console, s *session, id string, wait, asJSON bool) error {
	bar := newProgress(con.err, "batch")
	var b batch
	for {
		b = batch{}
		if err := s.ask(con.ctx, http.MethodGet, batchesPath+"/"+url.PathEscape(id), nil, &b); err != nil {
			return err
		}
		bar(int64(b.Total-b.Progress.Waiting), int64(max(b.Total, 1)))
		if !wait || b.rests() {
			break
		}
		if !sleep(con.ctx, 300*time.Millisecond) {
			return con.ctx.Err()
		}
	}
	if asJSON {
		return printJSON(con.out, b)
	}
	fmt.Fprintln(con.out, b.line())
	for _, d := range b.Decisions {
		fmt.Fprintf(con.out, "decision %s: %s, %d rows decided, %d refused / 已处理 %[3]d 行，%[4]d 行未通过\n", d.ID, d.Verdict, d.Decided, d.Refused)
	}
	return nil
}
