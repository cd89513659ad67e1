package main

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"text/tabwriter"
	"time"

	"hufu/internal/fault"
)

var errCAFile = fault.New(fault.Invalid, "ca.file",
	"The file cannot be read. Check its path.", "无法读取该文件。请检查路径。")

// readText reads a file that a call sends along.
func readText(name string) (string, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return "", errCAFile.With("%w", err)
	}
	return string(text), nil
}

// authority is what the API says of one.
type authorityLine struct {
	Name        string    `json:"name"`
	Subject     string    `json:"subject"`
	Issuer      string    `json:"issuer"`
	NotBefore   time.Time `json:"not_before"`
	NotAfter    time.Time `json:"not_after"`
	SM3         string    `json:"sm3"`
	Offline     bool      `json:"offline,omitempty"`
	Subordinate bool      `json:"subordinate,omitempty"`
	Certificate string    `json:"certificate"`
}

// where tells who has the key and who certified it.
func (a authorityLine) where() string {
	switch {
	case a.Subordinate:
		return "under a superior"
	case a.Offline:
		return "with custodians"
	}
	return "in the device"
}

type caListCommand struct {
	remote
	JSON bool `help:"Print JSON."`
}

func (c *caListCommand) Run(con *console) error {
	s, err := c.open()
	if err != nil {
		return err
	}
	var all items[authorityLine]
	if err := s.ask(con.ctx, http.MethodGet, "/api/v1/authorities", nil, &all); err != nil {
		return err
	}
	if c.JSON {
		return printJSON(con.out, all.Items)
	}
	w := tabwriter.NewWriter(con.out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "AUTHORITY\tUNTIL\tKEY\tSM3\tSUBJECT")
	for _, a := range all.Items {
		fmt.Fprintf(w, "%s\t%s\t%s\t%.16s\t%s\n", a.Name, a.NotAfter.Format(time.DateOnly), a.where(), a.SM3, a.Subject)
	}
	return w.Flush()
}

type caShowCommand struct {
	remote
	Name string `arg:"" help:"Name of the authority."`
	JSON bool   `help:"Print JSON."`
}

var errNoAuthority = fault.New(fault.NotFound, "ca.no-authority",
	"There is no authority of this name. See hufu ca list.", "没有该名称的 CA。请用 hufu ca list 查看。")

func (c *caShowCommand) Run(con *console) error {
	s, err := c.open()
	if err != nil {
		return err
	}
	var all items[authorityLine]
	if err := s.ask(con.ctx, http.MethodGet, "/api/v1/authorities", nil, &all); err != nil {
		return err
	}
	for _, a := range all.Items {
		if a.Name != c.Name {
			continue
		}
		if c.JSON {
			return printJSON(con.out, a)
		}
		fmt.Fprintf(con.out, "subject: %s\nissuer:  %s\nvalid:   %s to %s\nSM3:     %s\nkey:     %s\n%s",
			a.Subject, a.Issuer, a.NotBefore.Format(time.DateTime), a.NotAfter.Format(time.DateTime), a.SM3, a.where(), a.Certificate)
		return nil
	}
	return errNoAuthority.With("%q", c.Name)
}

// motionLine is what the API says of something that one proposes and others decide.
type motionLine struct {
	ID          string    `json:"id"`
	State       string    `json:"state"`
	Reason      string    `json:"reason,omitempty"`
	Maker       string    `json:"maker,omitempty"`
	Checkers    []string  `json:"checkers,omitempty"`
	At          time.Time `json:"at,omitzero"`
	Authority   string    `json:"authority,omitempty"`
	Request     string    `json:"request,omitempty"`
	Certificate string    `json:"certificate,omitempty"`
	Root        string    `json:"root,omitempty"`
	Way         string    `json:"way,omitempty"`
	Name        string    `json:"name,omitempty"`
	Entries     []string  `json:"entries,omitempty"`
	Source      string    `json:"source,omitempty"`
	Sequence    uint64    `json:"sequence,omitempty"`
	Signer      string    `json:"signer_sm3,omitempty"`
	New         bool      `json:"new_source,omitempty"`
	Left        []string  `json:"left_out,omitempty"`
	Differences []struct {
		Entry  string       `json:"entry"`
		Act    string       `json:"act"`
		Fields []difference `json:"fields"`
	} `json:"differences,omitempty"`
}

// authorityWords say what comes next.
var authorityWords = map[string]fault.Text{
	"requested": {ZH: "申请已生成，等待上级 CA 签发", EN: "the request is out; the superior's answer is awaited"},
	"proposed":  {ZH: "等待另一管理员审核", EN: "another administrator has to look at it"},
	"approved":  {ZH: "审核已通过，可以发布或签发", EN: "agreed; it can be published or signed"},
	"in-force":  {ZH: "已生效", EN: "in force"},
	"rejected":  {ZH: "已驳回", EN: "rejected"},
	"withdrawn": {ZH: "已撤回", EN: "withdrawn"},
}

func (m motionLine) tell(con *console, json bool) error {
	if json {
		return printJSON(con.out, m)
	}
	words := authorityWords[m.State]
	if _, err := fmt.Fprintf(con.out, "%s: %s / %s\n", m.ID, words.EN, words.ZH); err != nil {
		return err
	}
	return m.origin(con)
}

type caRequestCommand struct {
	remote
	Profile string `default:"issuing" help:"Profile of the authority." placeholder:"NAME"`
	SameKey bool   `help:"Renew the certificate of the present key."`
	Out     string `type:"path" help:"File for the request; else it is printed." placeholder:"FILE"`
	JSON    bool   `help:"Print JSON."`
}

func (c *caRequestCommand) Run(con *console) error {
	s, err := c.open()
	if err != nil {
		return err
	}
	var m motionLine
	if err := s.ask(con.ctx, http.MethodPost, "/api/v1/authorities/requests", map[string]any{"profile": c.Profile, "same_key": c.SameKey}, &m); err != nil {
		return err
	}
	switch {
	case c.JSON:
		return printJSON(con.out, m)
	case c.Out == "":
		_, err = fmt.Fprint(con.out, m.Request)
		return err
	}
	if err := os.WriteFile(c.Out, []byte(m.Request), 0o644); err != nil { // a request is public
		return errCAFile.With("%w", err)
	}
	return m.tell(con, false)
}

type caInstallCommand struct {
	remote
	Certificate string `arg:"" type:"path" help:"What the superior issued, PEM."`
	Chain       string `required:"" type:"path" help:"What stands above it, with the root, PEM." placeholder:"FILE"`
	Root        string `required:"" help:"Fingerprint of the root, SM3 or SHA-256: type it from what the superior published, not from the file." placeholder:"HEX"`
	JSON        bool   `help:"Print JSON."`
}

func (c *caInstallCommand) Run(con *console) error {
	certificate, err := readText(c.Certificate)
	if err != nil {
		return err
	}
	chain, err := readText(c.Chain)
	if err != nil {
		return err
	}
	s, err := c.open()
	if err != nil {
		return err
	}
	var m motionLine
	if err := s.ask(con.ctx, http.MethodPost, "/api/v1/authorities/answers", map[string]any{
		"certificate": certificate, "chain": chain, "root_fingerprint": c.Root,
	}, &m); err != nil {
		return err
	}
	return m.tell(con, c.JSON)
}

type caConfirmCommand struct {
	remote
	ID   string `arg:"" help:"Of the request; hufu ca requests lists them."`
	Root string `required:"" help:"Fingerprint of the root, typed anew from what the superior published." placeholder:"HEX"`
	JSON bool   `help:"Print JSON."`
}

func (c *caConfirmCommand) Run(con *console) error {
	s, err := c.open()
	if err != nil {
		return err
	}
	var m motionLine
	path := "/api/v1/authorities/requests/" + url.PathEscape(c.ID) + "/confirm"
	if err := s.ask(con.ctx, http.MethodPost, path, map[string]any{"root_fingerprint": c.Root}, &m); err != nil {
		return err
	}
	return m.tell(con, c.JSON)
}

type caRequestsCommand struct {
	remote
	JSON bool `help:"Print JSON."`
}

func (c *caRequestsCommand) Run(con *console) error {
	return listMotions(con, c.remote, "/api/v1/authorities/requests", c.JSON)
}

type caWithdrawCommand struct {
	remote
	ID string `arg:"" help:"Of the request; hufu ca requests lists them."`
}

func (c *caWithdrawCommand) Run(con *console) error {
	s, err := c.open()
	if err != nil {
		return err
	}
	if err := s.ask(con.ctx, http.MethodDelete, "/api/v1/authorities/requests/"+url.PathEscape(c.ID), nil, nil); err != nil {
		return err
	}
	fmt.Fprintf(con.out, "%s is withdrawn; the next request under its name uses the same key. 已撤回；同名的下次申请沿用该密钥。\n", c.ID)
	return nil
}

// listMotions prints what is proposed or decided, newest first.
func listMotions(con *console, r remote, path string, json bool) error {
	s, err := r.open()
	if err != nil {
		return err
	}
	var all items[motionLine]
	if err := s.ask(con.ctx, http.MethodGet, path, nil, &all); err != nil {
		return err
	}
	if json {
		return printJSON(con.out, all.Items)
	}
	w := tabwriter.NewWriter(con.out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tSTATE\tMADE\tBY\tAGREED\tABOUT")
	for _, m := range all.Items {
		about := m.Authority
		if m.Way != "" {
			about += " " + m.Way + ": " + m.Name
		}
		if len(m.Entries) > 0 {
			about = fmt.Sprint(m.Entries)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d\t%s\n", m.ID, m.State, m.At.Local().Format(time.DateTime), orDash(m.Maker), len(m.Checkers), about)
	}
	return w.Flush()
}
