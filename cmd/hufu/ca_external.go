package main

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"text/tabwriter"
	"time"
)

// externalCommands are about CAs of others that issue for us, by the API of a running server.
type externalCommands struct {
	List    externalListCommand    `cmd:"" help:"List the external CAs. Example: hufu ca external list"`
	Request externalRequestCommand `cmd:"" help:"Make our key for an external CA and a request for its certificate. Example: hufu ca external request province --out ra.csr"`
	Add     externalAddCommand     `cmd:"" help:"Propose an external CA. Example: hufu ca external add province --url https://ca.example/.well-known/cmp/p/person-sign --certificate ca.pem --own ra.pem --reason 省级 CA 签发"`
	Approve externalApproveCommand `cmd:"" help:"Put one that another administrator proposed in force, or reject it. Example: hufu ca external approve ID"`
	Orders  externalOrdersCommand  `cmd:"" help:"List what was ordered from external CAs. Example: hufu ca external orders --state sent"`
}

const externalPath = "/api/v1/external-authorities"

type externalListCommand struct {
	remote
	JSON bool `help:"Print JSON."`
}

type externalLine struct {
	motionLine
	URL     string `json:"url"`
	Dialect string `json:"dialect,omitempty"`
	Signer  string `json:"signer"`
	Own     string `json:"own"`
}

func (c *externalListCommand) Run(con *console) error {
	s, err := c.open()
	if err != nil {
		return err
	}
	var all items[externalLine]
	if err := s.ask(con.ctx, http.MethodGet, externalPath, nil, &all); err != nil {
		return err
	}
	if c.JSON {
		return printJSON(con.out, all.Items)
	}
	w := tabwriter.NewWriter(con.out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tSTATE\tNAME\tMADE\tBY\tDIALECT\tADDRESS")
	for _, e := range all.Items {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", e.ID, e.State, e.Name, e.At.Local().Format(time.DateTime), orDash(e.Maker), orDash(e.Dialect), e.URL)
	}
	return w.Flush()
}

type externalRequestCommand struct {
	remote
	Name      string `arg:"" help:"Word for the external CA: small letters, digits, hyphens."`
	Algorithm string `enum:"sm2,p256" default:"sm2" help:"Of our key: sm2 or p256."`
	Out       string `type:"path" help:"File for the request; else it is printed." placeholder:"FILE"`
	JSON      bool   `help:"Print JSON."`
}

func (c *externalRequestCommand) Run(con *console) error {
	s, err := c.open()
	if err != nil {
		return err
	}
	var made struct {
		Name    string `json:"name"`
		Request string `json:"request"`
	}
	if err := s.ask(con.ctx, http.MethodPost, externalPath+"/requests", map[string]any{"name": c.Name, "algorithm": c.Algorithm}, &made); err != nil {
		return err
	}
	switch {
	case c.JSON:
		return printJSON(con.out, made)
	case c.Out == "":
		_, err = fmt.Fprint(con.out, made.Request)
		return err
	}
	if err := os.WriteFile(c.Out, []byte(made.Request), 0o644); err != nil { // a request is public
		return errCAFile.With("%w", err)
	}
	fmt.Fprintf(con.out, "request for %s: %s. 请交该机构签发注册机构证书。/ Have that CA certify it as a registration authority's, then run hufu ca external add.\n", c.Name, c.Out)
	return nil
}

type externalAddCommand struct {
	remote
	Name        string `arg:"" help:"The word of hufu ca external request."`
	URL         string `required:"" help:"Of its CMP service, with the profile's name there." placeholder:"URL"`
	Certificate string `required:"" type:"path" help:"Certificate that signs what it issues, PEM." placeholder:"FILE"`
	Signer      string `type:"path" help:"Certificate whose key protects its answers, PEM; without it the same." placeholder:"FILE"`
	Own         string `required:"" type:"path" help:"What it issued for our key, PEM." placeholder:"FILE"`
	Dialect     string `help:"hufu for another Hufu, which takes the holder from the request; without it any CA that takes p10cr of a registration authority." placeholder:"NAME"`
	Reason      string `required:"" help:"It is kept." placeholder:"TEXT"`
	DryRun      bool   `help:"Print what would be proposed."`
	JSON        bool   `help:"Print JSON."`
}

func (c *externalAddCommand) Run(con *console) error {
	call := map[string]any{"name": c.Name, "url": c.URL, "reason": c.Reason}
	for field, file := range map[string]string{"certificate": c.Certificate, "signer": c.Signer, "own": c.Own} {
		if file == "" {
			continue
		}
		text, err := readText(file)
		if err != nil {
			return err
		}
		call[field] = text
	}
	if c.Dialect != "" {
		call["dialect"] = c.Dialect
	}
	if c.DryRun {
		return printJSON(con.out, call)
	}
	return proposed(con, c.remote, externalPath, call, c.JSON)
}

type externalApproveCommand struct {
	remote
	ID     string `arg:"" help:"Of the proposal; hufu ca external list shows it."`
	Reject bool   `help:"Reject it."`
	JSON   bool   `help:"Print JSON."`
}

func (c *externalApproveCommand) Run(con *console) error {
	return proposed(con, c.remote, externalPath+"/"+url.PathEscape(c.ID)+"/decision", map[string]any{"approve": !c.Reject}, c.JSON)
}

type externalOrdersCommand struct {
	remote
	State string `enum:"sent,answered,refused" default:"sent" help:"sent, answered or refused."`
	JSON  bool   `help:"Print JSON."`
}

func (c *externalOrdersCommand) Run(con *console) error {
	s, err := c.open()
	if err != nil {
		return err
	}
	var all items[struct {
		Application string    `json:"application"`
		External    string    `json:"external"`
		State       string    `json:"state"`
		Waits       bool      `json:"waits,omitempty"`
		Failure     string    `json:"failure,omitempty"`
		At          time.Time `json:"at"`
		Changed     time.Time `json:"changed"`
	}]
	if err := s.ask(con.ctx, http.MethodGet, externalPath+"/orders?state="+c.State, nil, &all); err != nil {
		return err
	}
	if c.JSON {
		return printJSON(con.out, all.Items)
	}
	w := tabwriter.NewWriter(con.out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "APPLICATION\tEXTERNAL\tSTATE\tSENT\tLAST")
	for _, o := range all.Items {
		last := o.Failure
		if o.Waits {
			last = "the external CA has not decided"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", o.Application, o.External, o.State, o.At.Local().Format(time.DateTime), orDash(last))
	}
	return w.Flush()
}
