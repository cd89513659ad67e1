package main

import (
	"encoding/hex"
	"fmt"
	"mime"
	"net/http"
	"os"
	"path/filepath"
	"text/tabwriter"
	"time"

	"hufu/internal/gm"
)

// certEvidenceCommands are about the documents that speak for an application.
type certEvidenceCommands struct {
	Add  evidenceAddCommand  `cmd:"" help:"Attach a document, or its SM3 alone. Example: hufu cert evidence add ID --kind id-card --file card.png"`
	List evidenceListCommand `cmd:"" help:"List the evidence of an application. Example: hufu cert evidence list ID"`
	Get  evidenceGetCommand  `cmd:"" help:"Fetch a document that is kept. Example: hufu cert evidence get ID EVIDENCE --out card.png"`
}

// evidence is what the API says of one.
type evidence struct {
	ID     string    `json:"id"`
	Kind   string    `json:"kind"`
	Name   string    `json:"name,omitempty"`
	SM3    string    `json:"sm3"`
	Size   int64     `json:"size"`
	Media  string    `json:"media_type"`
	By     string    `json:"by"`
	At     time.Time `json:"at"`
	Remark string    `json:"remark,omitempty"`
	Kept   bool      `json:"kept"`
}

type evidenceAddCommand struct {
	oneApplication
	Kind   string `required:"" help:"As the profile names it: id-card, business-licence, authorization." placeholder:"WORD"`
	File   string `required:"" type:"existingfile" help:"The document." placeholder:"FILE"`
	Media  string `help:"Its media type, if not told by the file's name." placeholder:"TYPE"`
	SM3    bool   `name:"sm3-only" help:"Keep SM3 and size alone; the document stays with you."`
	Remark string `help:"For the file." placeholder:"TEXT"`
}

func (c *evidenceAddCommand) Run(con *console) error {
	s, err := c.open()
	if err != nil {
		return err
	}
	document, err := os.ReadFile(c.File)
	if err != nil {
		return err
	}
	if c.Media == "" {
		c.Media, _, _ = mime.ParseMediaType(mime.TypeByExtension(filepath.Ext(c.File)))
	}
	if c.Media == "" {
		c.Media = "application/octet-stream"
	}
	digest := gm.SM3(document)
	body := map[string]any{
		"kind": c.Kind, "name": filepath.Base(c.File), "media_type": c.Media, "remark": c.Remark, "sm3": hex.EncodeToString(digest[:]), "size": len(document),
	}
	if !c.SM3 {
		body["document"] = document
	}
	var e evidence
	if err := s.ask(con.ctx, http.MethodPost, applicationPath(c.ID, "evidence"), body, &e); err != nil {
		return err
	}
	if c.JSON {
		return printJSON(con.out, e)
	}
	fmt.Fprintf(con.out, "evidence %s: %s, SM3 %s / 已附加\n", e.ID, e.Kind, e.SM3)
	return nil
}

type evidenceListCommand struct{ oneApplication }

func (c *evidenceListCommand) Run(con *console) error {
	s, err := c.open()
	if err != nil {
		return err
	}
	var all items[evidence]
	if err := s.ask(con.ctx, http.MethodGet, applicationPath(c.ID, "evidence"), nil, &all); err != nil {
		return err
	}
	if c.JSON {
		return printJSON(con.out, all.Items)
	}
	w := tabwriter.NewWriter(con.out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tKIND\tNAME\tSIZE\tKEPT\tBY")
	for _, e := range all.Items {
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%v\t%s\n", e.ID, e.Kind, orDash(flat(e.Name)), e.Size, e.Kept, e.By)
	}
	return w.Flush()
}

type evidenceGetCommand struct {
	remote
	ID       string `arg:"" help:"Id of the application."`
	Evidence string `arg:"" help:"Id of the evidence."`
	Out      string `required:"" type:"path" help:"New file for it." placeholder:"FILE"`
}

func (c *evidenceGetCommand) Run(con *console) error {
	s, err := c.open()
	if err != nil {
		return err
	}
	var document []byte
	if err := s.ask(con.ctx, http.MethodGet, applicationPath(c.ID, "evidence", c.Evidence), nil, &document); err != nil {
		return err
	}
	if err := newFile(c.Out, document, 0o600); err != nil {
		return err
	}
	fmt.Fprintf(con.out, "%d octets in %s / 已下载\n", len(document), c.Out)
	return nil
}
