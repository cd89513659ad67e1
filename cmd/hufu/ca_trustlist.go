package main

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"text/tabwriter"
	"time"

	"hufu/ca"
	"hufu/certs/bundle"
)

// trustCommands are about the trust list (信任清单), by the API of a running server.
type trustCommands struct {
	List     trustListCommand    `cmd:"" help:"List the CAs of the trust list in force. Example: hufu ca trust list"`
	Show     trustShowCommand    `cmd:"" help:"Print an entry as JSON. Example: hufu ca trust show hb-ca"`
	Versions trustVersions       `cmd:"" help:"List the versions of the list. Example: hufu ca trust versions"`
	Sources  trustSources        `cmd:"" help:"List the revocation lists of other CAs and how old they are. Example: hufu ca trust sources"`
	Import   trustImportCommand  `cmd:"" help:"Propose an entry (YAML with certificates), or the signed list of another. Example: hufu ca trust import hb-ca.yaml --reason 互认协议"`
	Remove   trustRemoveCommand  `cmd:"" help:"Propose to remove an entry. Example: hufu ca trust remove hb-ca --reason 协议终止"`
	Undo     trustUndoCommand    `cmd:"" help:"Propose to bring an older version back. Example: hufu ca trust undo 3 --reason 误删"`
	Review   trustReviewCommand  `cmd:"" help:"List proposals, show one with its differences, or decide on it. Example: hufu ca trust review ID --approve"`
	Publish  trustPublishCommand `cmd:"" help:"Sign and publish an approved proposal as the next version. Example: hufu ca trust publish ID"`
}

type trustList struct {
	Sequence   uint64              `json:"sequence"`
	IssuedAt   time.Time           `json:"issued_at,omitzero"`
	NextUpdate time.Time           `json:"next_update,omitzero"`
	SM3        string              `json:"sm3,omitempty"`
	Entries    []bundle.TrustEntry `json:"entries,omitempty"`
}

const trustPath = "/api/v1/trust-list"

type trustListCommand struct {
	remote
	JSON bool `help:"Print JSON."`
}

func (c *trustListCommand) Run(con *console) error {
	s, err := c.open()
	if err != nil {
		return err
	}
	var l trustList
	if err := s.ask(con.ctx, http.MethodGet, trustPath, nil, &l); err != nil {
		return err
	}
	if c.JSON {
		return printJSON(con.out, l)
	}
	if l.Sequence == 0 {
		fmt.Fprintln(con.out, "No trust list was published yet. 尚未发布信任清单。")
		return nil
	}
	fmt.Fprintf(con.out, "version %d, from %s until %s, SM3 %s\n", l.Sequence, l.IssuedAt.Format(time.DateTime), l.NextUpdate.Format(time.DateTime), l.SM3)
	w := tabwriter.NewWriter(con.out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "ENTRY\tLEVEL\tPURPOSES\tDISTRUSTED AFTER\tNAME")
	for _, e := range l.Entries {
		after := "-"
		if !e.DistrustAfter.IsZero() {
			after = e.DistrustAfter.Format(time.DateTime)
		}
		fmt.Fprintf(w, "%s\t%d\t%v\t%s\t%s\n", e.ID, e.Level, e.Purposes, after, e.Name)
	}
	return w.Flush()
}

type trustShowCommand struct {
	remote
	ID string `arg:"" help:"Of the entry."`
}

func (c *trustShowCommand) Run(con *console) error {
	s, err := c.open()
	if err != nil {
		return err
	}
	var l trustList
	if err := s.ask(con.ctx, http.MethodGet, trustPath, nil, &l); err != nil {
		return err
	}
	for _, e := range l.Entries {
		if e.ID == c.ID {
			return printJSON(con.out, e)
		}
	}
	return ca.ErrTrustNoEntry.With("%q", c.ID)
}

type trustVersions struct {
	remote
	JSON bool `help:"Print JSON."`
}

func (c *trustVersions) Run(con *console) error {
	s, err := c.open()
	if err != nil {
		return err
	}
	var all items[trustList]
	if err := s.ask(con.ctx, http.MethodGet, trustPath+"/versions", nil, &all); err != nil {
		return err
	}
	if c.JSON {
		return printJSON(con.out, all.Items)
	}
	for _, l := range all.Items {
		fmt.Fprintf(con.out, "%d  %s  %s\n", l.Sequence, l.IssuedAt.Local().Format(time.DateTime), l.SM3)
	}
	return nil
}

type trustSources struct {
	remote
	JSON bool `help:"Print JSON."`
}

func (c *trustSources) Run(con *console) error {
	s, err := c.open()
	if err != nil {
		return err
	}
	var all items[struct {
		URL        string    `json:"url"`
		Entry      string    `json:"entry,omitempty"`
		ThisUpdate time.Time `json:"this_update,omitzero"`
		NextUpdate time.Time `json:"next_update,omitzero"`
		Failure    string    `json:"failure,omitempty"`
		Over       bool      `json:"over,omitempty"`
	}]
	if err := s.ask(con.ctx, http.MethodGet, trustPath+"/sources", nil, &all); err != nil {
		return err
	}
	if c.JSON {
		return printJSON(con.out, all.Items)
	}
	w := tabwriter.NewWriter(con.out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "ENTRY\tMADE\tUNTIL\tSTATE\tADDRESS")
	for _, l := range all.Items {
		state := "current"
		if l.Over {
			state = "none that counts: " + orDash(l.Failure)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", orDash(l.Entry), l.ThisUpdate.Local().Format(time.DateTime), l.NextUpdate.Local().Format(time.DateTime), state, l.URL)
	}
	return w.Flush()
}

type trustReviewCommand struct {
	remote
	ID      string `arg:"" optional:"" help:"Of a proposal; without one all are listed."`
	Approve bool   `help:"Approve it." xor:"decision"`
	Reject  string `help:"Reject it for this reason." xor:"decision" placeholder:"TEXT"`
	JSON    bool   `help:"Print JSON."`
}

func (c *trustReviewCommand) Run(con *console) error {
	if c.ID == "" && (c.Approve || c.Reject != "") {
		return errDecideWhich
	}
	if c.ID == "" {
		return listMotions(con, c.remote, trustPath+"/proposals", c.JSON)
	}
	path := trustPath + "/proposals/" + url.PathEscape(c.ID)
	if c.Approve || c.Reject != "" {
		return proposed(con, c.remote, path+"/decision", map[string]any{"approve": c.Approve, "reason": c.Reject}, c.JSON)
	}
	s, err := c.open()
	if err != nil {
		return err
	}
	var m motionLine
	if err := s.ask(con.ctx, http.MethodGet, path, nil, &m); err != nil {
		return err
	}
	if c.JSON {
		return printJSON(con.out, m)
	}
	fmt.Fprintf(con.out, "%s, by %s: %s\n", m.State, orDash(m.Maker), m.Reason)
	if err := m.origin(con); err != nil {
		return err
	}
	for _, d := range m.Differences {
		fmt.Fprintf(con.out, "%s %s\n", d.Act, d.Entry)
		for _, f := range d.Fields {
			fmt.Fprintf(con.out, "  %s\n    - %s\n    + %s\n", f.Field, orDash(f.Old), orDash(f.New))
		}
	}
	return nil
}

type trustPublishCommand struct {
	remote
	ID   string `arg:"" help:"Of an approved proposal."`
	JSON bool   `help:"Print JSON."`
}

func (c *trustPublishCommand) Run(con *console) error {
	s, err := c.open()
	if err != nil {
		return err
	}
	var l trustList
	if err := s.ask(con.ctx, http.MethodPost, trustPath+"/proposals/"+url.PathEscape(c.ID)+"/publish", nil, &l); err != nil {
		return err
	}
	if c.JSON {
		return printJSON(con.out, l)
	}
	fmt.Fprintf(con.out, "version %s is published. 已发布第 %[1]s 版信任清单。\n", strconv.FormatUint(l.Sequence, 10))
	return nil
}

// origin tells of a foreign list who signed it, and what of it was left out.
func (m motionLine) origin(con *console) error {
	if m.Signer == "" {
		return nil
	}
	if _, err := fmt.Fprintf(con.out, "list %d of series %q, signed by the key with SM3 %s 清单签名公钥的 SM3 如上\n", m.Sequence, m.Source, m.Signer); err != nil {
		return err
	}
	if m.New {
		fmt.Fprintln(con.out, "The series is new: publishing pins this signer. Compare the SM3 with its publisher first. 该系列为首次导入，发布即登记其签名公钥，请先与发布方核对 SM3。")
	}
	for _, id := range m.Left {
		fmt.Fprintf(con.out, "left out, since it is an authority of our own: %s 已去除（本机构自己的认证机构）\n", id)
	}
	return nil
}
