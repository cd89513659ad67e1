package main

import (
	"archive/zip"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"text/tabwriter"
	"time"
)

// oneBatch names a batch, and a server.
type oneBatch struct {
	remote
	ID   string `arg:"" help:"Id of the batch."`
	JSON bool   `help:"Print JSON."`
}

func (c oneBatch) path(under string) string { return batchesPath + "/" + url.PathEscape(c.ID) + under }

// count sends a call that answers to how many rows it was done, and tells it.
func (c oneBatch) count(con *console, call sending, done string) error {
	s, err := c.openSlow()
	if err != nil {
		return err
	}
	var got struct {
		Rows int64 `json:"rows"`
	}
	if err := s.exchange(con.ctx, call, &got); err != nil {
		return err
	}
	if c.JSON {
		return printJSON(con.out, got)
	}
	_, err = fmt.Fprintf(con.out, "%d rows %s\n", got.Rows, done)
	return err
}

type batchListCommand struct {
	remote
	JSON bool `help:"Print JSON."`
}

func (c *batchListCommand) Run(con *console) error {
	s, err := c.open()
	if err != nil {
		return err
	}
	var all items[batch]
	if err := s.ask(con.ctx, http.MethodGet, batchesPath+"?limit=100", nil, &all); err != nil {
		return err
	}
	if c.JSON {
		return printJSON(con.out, all.Items)
	}
	w := tabwriter.NewWriter(con.out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tROWS\tSTATE\tMADE\tNAME")
	for _, b := range all.Items {
		fmt.Fprintf(w, "%s\t%d\t%s\t%s\t%s\n", b.ID, b.Total, b.State, b.At.Local().Format(time.DateTime), flat(b.Name))
	}
	return w.Flush()
}

type batchStatusCommand struct {
	oneBatch
	Wait bool `help:"Stay until the server has nothing to do for it."`
}

func (c *batchStatusCommand) Run(con *console) error {
	s, err := c.open()
	if err != nil {
		return err
	}
	return followBatch(con, s, c.ID, c.Wait, c.JSON)
}

type batchRowsCommand struct {
	oneBatch
	State string `help:"waiting, failed, cancelled, or the state of the application." placeholder:"STATE"`
	After int    `help:"Begin behind this row." placeholder:"N"`
	Limit int    `help:"At most so many, up to 500." default:"100"`
}

func (c *batchRowsCommand) Run(con *console) error {
	s, err := c.open()
	if err != nil {
		return err
	}
	query := fmt.Sprintf("/rows?after=%d&limit=%d", c.After, c.Limit)
	if c.State != "" {
		query += "&state=" + url.QueryEscape(c.State)
	}
	var all items[batchRow]
	if err := s.ask(con.ctx, http.MethodGet, c.path(query), nil, &all); err != nil {
		return err
	}
	if c.JSON {
		return printJSON(con.out, all.Items)
	}
	printRows(con, all.Items)
	return nil
}

type batchCorrectCommand struct {
	oneBatch
	File    string `arg:"" type:"existingfile" help:"CSV with the column row; the columns of a result are passed over."`
	Profile string `help:"Of rows that name none." placeholder:"NAME"`
}

func (c *batchCorrectCommand) Run(con *console) error {
	text, err := os.ReadFile(c.File)
	if err != nil {
		return err
	}
	path := c.path("/rows?" + url.Values{"profile": {c.Profile}}.Encode())
	return c.count(con, sending{http.MethodPut, path, "text/csv", text, nil}, "begin anew / 重新处理")
}

type batchRetryCommand struct {
	oneBatch
	Row []int `help:"Number of a row; repeat it. All failed rows, if left out." placeholder:"N"`
}

func (c *batchRetryCommand) Run(con *console) error {
	return c.count(con, jsonCall(http.MethodPost, c.path("/retry"), map[string]any{"rows": c.Row}), "begin anew / 重新处理")
}

type batchCancelCommand struct{ oneBatch }

func (c *batchCancelCommand) Run(con *console) error {
	return c.count(con, jsonCall(http.MethodPost, c.path("/cancel"), map[string]any{}), "cancelled / 已取消")
}

type batchApproveCommand struct {
	oneBatch
	Row    []int  `help:"Number of a row; repeat it. All that stand submitted, if left out." placeholder:"N"`
	Remark string `help:"What was checked, for the file." placeholder:"TEXT"`
	Wait   bool   `help:"Stay until the certificates are issued; they are in any case."`
}

func (c *batchApproveCommand) Run(con *console) error {
	return decideBatch(con, c.oneBatch, map[string]any{"approve": true, "reason": c.Remark, "rows": c.Row}, c.Wait)
}

type batchRejectCommand struct {
	oneBatch
	Row      []int  `help:"Number of a row; repeat it. All that stand submitted, if left out." placeholder:"N"`
	Reason   string `required:"" help:"Why; the maker reads it." placeholder:"TEXT"`
	SendBack bool   `help:"Send the rows back for correction instead."`
	Wait     bool   `help:"Stay until it is done."`
}

func (c *batchRejectCommand) Run(con *console) error {
	return decideBatch(con, c.oneBatch, map[string]any{"approve": false, "send_back": c.SendBack, "reason": c.Reason, "rows": c.Row}, c.Wait)
}

func decideBatch(con *console, c oneBatch, verdict map[string]any, wait bool) error {
	s, err := c.open()
	if err != nil {
		return err
	}
	if err := s.ask(con.ctx, http.MethodPost, c.path("/decision"), verdict, nil); err != nil {
		return err
	}
	return followBatch(con, s, c.ID, wait, c.JSON)
}

type batchResultCommand struct {
	oneBatch
	Out string `required:"" type:"path" help:"New file for it." placeholder:"FILE"`
}

func (c *batchResultCommand) Run(con *console) error {
	s, err := c.openSlow()
	if err != nil {
		return err
	}
	var text []byte
	if err := s.ask(con.ctx, http.MethodGet, c.path("/result.csv"), nil, &text); err != nil {
		return err
	}
	if err := newFile(c.Out, text, 0o600); err != nil {
		return err
	}
	fmt.Fprintf(con.out, "result in %s / 结果已下载\n", c.Out)
	return nil
}

type batchFetchCommand struct {
	oneBatch
	Out string `required:"" type:"path" help:"New ZIP file: ROW-SERIAL.pem, ROW-envelope.der and chain.pem." placeholder:"FILE"`
}

// packedRows is how many rows the server packs into one answer.
const packedRows = 10_000

func (c *batchFetchCommand) Run(con *console) error {
	s, err := c.openSlow()
	if err != nil {
		return err
	}
	var b batch
	if err := s.ask(con.ctx, http.MethodGet, c.path(""), nil, &b); err != nil {
		return err
	}
	var out bytes.Buffer
	whole := zip.NewWriter(&out)
	bar := newProgress(con.err, "fetching")
	n, seen := 0, map[string]bool{}
	for after := 0; after < b.Total; after += packedRows {
		var part []byte
		if err := s.ask(con.ctx, http.MethodGet, fmt.Sprintf("%s?after=%d", c.path("/certificates.zip"), after), nil, &part); err != nil {
			return err
		}
		added, err := repack(whole, part, seen)
		if err != nil {
			return errRemote.With("%w", err)
		}
		n += added
		bar(int64(min(after+packedRows, b.Total)), int64(b.Total))
	}
	if err := whole.Close(); err != nil {
		return err
	}
	if err := newFile(c.Out, out.Bytes(), 0o600); err != nil {
		return err
	}
	fmt.Fprintf(con.out, "%d files in %s / 证书已下载\n", n, c.Out)
	return nil
}

// repack takes the files of a part over into the whole, each name once.
func repack(whole *zip.Writer, part []byte, seen map[string]bool) (n int, err error) {
	z, err := zip.NewReader(bytes.NewReader(part), int64(len(part)))
	if err != nil {
		return 0, err
	}
	for _, f := range z.File {
		if seen[f.Name] {
			continue
		}
		seen[f.Name] = true
		if err := whole.Copy(f); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

// jsonCall is a call with a body of JSON made of words, numbers and lists alone.
func jsonCall(method, path string, in map[string]any) sending {
	var body bytes.Buffer
	_ = printJSON(io.Writer(&body), in) // such a body has no error
	return sending{method, path, "application/json", body.Bytes(), nil}
}
