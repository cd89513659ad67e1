package main

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"text/tabwriter"
	"time"

	"hufu/internal/fault"
)

const massPath = "/api/v1/mass-revocations"

// massRevocation is what the API says of one.
type massRevocation struct {
	motionLine
	Count   int                  `json:"count"`
	Keys    int                  `json:"keys,omitempty"`
	Serials []string             `json:"serials,omitempty"`
	Revoked string               `json:"revocation_reason,omitempty"`
	Note    string               `json:"note,omitempty"`
	Ended   *revokedCertificates `json:"ended,omitempty"`
}

// massAtOnce is how many certificates or keys one mass revocation may name.
const massAtOnce = 1000

// inParts does something with parts of a list that one mass revocation takes.
func inParts[T any](all []T, do func(part []T) error) error {
	for part := range slices.Chunk(all, massAtOnce) {
		if err := do(part); err != nil {
			return err
		}
	}
	return nil
}

func (c *certRevokeCommand) propose(con *console, s *session, serials []string) error {
	return inParts(serials, func(part []string) error {
		body := map[string]any{"serials": part, "revocation_reason": c.Reason, "pair": c.Pair, "obtained": c.Obtained, "reason": c.Propose}
		if !c.Invalid.IsZero() {
			body["invalid_since"] = c.Invalid.UTC()
		}
		return proposeMass(con, s, body)
	})
}

func proposeMass(con *console, s *session, body map[string]any) error {
	var m massRevocation
	if err := s.ask(con.ctx, http.MethodPost, massPath, body, &m); err != nil {
		return err
	}
	_, err := fmt.Fprintf(con.out, "%s: %d certificates; another officer decides: hufu cert mass %[1]s --approve 已提出，待另一名人员审核\n", m.ID, m.Count)
	return err
}

type certMassCommand struct {
	remote
	ID      string `arg:"" optional:"" help:"Of a mass revocation; without one all are listed."`
	Approve bool   `help:"Approve it: it is carried out at once." xor:"decision"`
	Reject  string `help:"Reject it for this reason." xor:"decision" placeholder:"TEXT"`
	JSON    bool   `help:"Print JSON."`
}

var (
	errDecideWhich = fault.New(fault.Invalid, "decide.which",
		"Name what you decide on: without --approve and --reject the same command lists what waits.", "请指明要审核的事项：不带 --approve 和 --reject 执行同一命令可列出待审事项。")
	errNoMass = fault.New(fault.NotFound, "cert.no-mass",
		"There is no mass revocation of this id. See hufu cert mass.", "没有该批量吊销。请用 hufu cert mass 查看。")
)

func (c *certMassCommand) Run(con *console) error {
	deciding := c.Approve || c.Reject != ""
	if deciding && c.ID == "" {
		return errDecideWhich
	}
	s, err := c.open()
	if err != nil {
		return err
	}
	if deciding {
		return c.decide(con, s)
	}
	var all items[massRevocation]
	if err := s.ask(con.ctx, http.MethodGet, massPath, nil, &all); err != nil {
		return err
	}
	if c.ID != "" {
		all.Items = slices.DeleteFunc(all.Items, func(m massRevocation) bool { return m.ID != c.ID })
		if len(all.Items) == 0 {
			return errNoMass.With("%q", c.ID)
		}
	}
	if c.JSON {
		return printJSON(con.out, all.Items)
	}
	w := tabwriter.NewWriter(con.out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tSTATE\tMADE\tBY\tCERTIFICATES\tKEYS\tREASON")
	for _, m := range all.Items {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d\t%s\t%s\n", m.ID, m.State, m.At.Local().Format(time.DateTime), orDash(m.Maker), m.Count, strconv.Itoa(m.Keys), m.Reason)
		if c.ID == "" {
			continue
		}
		for _, serial := range m.Serials {
			fmt.Fprintf(w, "  %s\t%s\n", serial, m.Revoked)
		}
	}
	return w.Flush()
}

func (c *certMassCommand) decide(con *console, s *session) error {
	var m massRevocation
	if err := s.ask(con.ctx, http.MethodPost, massPath+"/"+url.PathEscape(c.ID)+"/decision", map[string]any{"approve": c.Approve, "reason": c.Reject}, &m); err != nil {
		return err
	}
	if c.JSON {
		return printJSON(con.out, m)
	}
	if m.Ended != nil {
		if err := m.Ended.print(con, false); err != nil {
			return err
		}
	}
	return m.tell(con, false)
}
