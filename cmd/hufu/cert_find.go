package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"text/tabwriter"
	"time"
)

// foundCertificate is what a search says of one.
type foundCertificate struct {
	Serial   string    `json:"serial"`
	Profile  string    `json:"profile"`
	Holder   string    `json:"holder"`
	State    string    `json:"state"`
	NotAfter time.Time `json:"not_after"`
	IssuedAt time.Time `json:"issued_at"`
}

// which names the certificates of a search.
type which struct {
	Holder  string    `help:"Subject id of the holder." placeholder:"ID"`
	Profile string    `help:"Name of the profile." placeholder:"NAME"`
	Issuer  string    `help:"Name of the authority." placeholder:"NAME"`
	From    time.Time `help:"Issued at or after." placeholder:"TIME"`
	To      time.Time `help:"Issued before." placeholder:"TIME"`
}

// any tells whether something is named.
func (q which) any() bool { return q != which{} }

func (q which) values(state string) url.Values {
	v := url.Values{"limit": {"100"}}
	for name, value := range map[string]string{"holder": q.Holder, "profile": q.Profile, "issuer": q.Issuer, "state": state} {
		if value != "" {
			v.Set(name, value)
		}
	}
	for name, at := range map[string]time.Time{"from": q.From, "to": q.To} {
		if !at.IsZero() {
			v.Set(name, at.UTC().Format(time.RFC3339))
		}
	}
	return v
}

// find reads a search page by page, at most limit certificates; 0 is all.
func (s *session) find(con *console, v url.Values, limit int) (all []foundCertificate, err error) {
	for {
		var page struct {
			Items []foundCertificate `json:"items"`
			Next  string             `json:"next"`
		}
		if err := s.ask(con.ctx, http.MethodGet, certificatesPath+"?"+v.Encode(), nil, &page); err != nil {
			return nil, err
		}
		all = append(all, page.Items...)
		if limit > 0 && len(all) >= limit {
			return all[:limit], nil
		}
		if page.Next == "" {
			return all, nil
		}
		v.Set("after", page.Next)
	}
}

type certFindCommand struct {
	remote
	which
	State string `help:"valid, held, revoked or expired." placeholder:"STATE"`
	Limit int    `help:"How many at most; 0 is all." default:"100"`
	JSON  bool   `help:"Print JSON."`
}

func (c *certFindCommand) Run(con *console) error {
	s, err := c.open()
	if err != nil {
		return err
	}
	all, err := s.find(con, c.values(c.State), c.Limit)
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(con.out, all)
	}
	w := tabwriter.NewWriter(con.out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "SERIAL\tSTATE\tENDS\tPROFILE\tHOLDER")
	for _, f := range all {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", f.Serial, f.State, f.NotAfter.Local().Format(time.DateOnly), f.Profile, f.Holder)
	}
	return w.Flush()
}

// certificateCourse is what a certificate says, its state and what happened to it.
type certificateCourse struct {
	Serial     string    `json:"serial"`
	Subject    string    `json:"subject"`
	Issuer     string    `json:"issuer"`
	Profile    string    `json:"profile"`
	State      string    `json:"state"`
	NotBefore  time.Time `json:"not_before"`
	NotAfter   time.Time `json:"not_after"`
	Pair       string    `json:"pair"`
	Replaces   string    `json:"replaces"`
	ReplacedBy string    `json:"replaced_by"`
	Successor  string    `json:"successor"`
	History    []struct {
		Act    string    `json:"act"`
		Reason string    `json:"reason"`
		At     time.Time `json:"at"`
	} `json:"history"`
	PEM string `json:"pem"`
}

func (c certificateCourse) print(out io.Writer) error {
	fmt.Fprintf(out, "certificate %s: %s\nsubject: %s\nissuer:  %s\nvalid:   %s to %s\nprofile: %s\n", c.Serial, c.State, c.Subject, c.Issuer,
		c.NotBefore.Local().Format(time.DateTime), c.NotAfter.Local().Format(time.DateTime), c.Profile)
	for _, v := range []struct{ what, which string }{
		{"issued with", c.Pair}, {"replaces", c.Replaces}, {"replaced by", c.ReplacedBy}, {"application for the next", c.Successor},
	} {
		if v.which != "" {
			fmt.Fprintf(out, "%s: %s\n", v.what, v.which)
		}
	}
	for _, e := range c.History {
		fmt.Fprintf(out, "  %s  %s (%s)\n", e.At.Local().Format(time.DateTime), e.Act, e.Reason)
	}
	_, err := io.WriteString(out, c.PEM)
	return err
}

type certStatusCommand struct {
	remote
	Serial string `arg:"" help:"Serial number, hexadecimal."`
	JSON   bool   `help:"Print JSON."`
}

func (c *certStatusCommand) Run(con *console) error {
	s, err := c.open()
	if err != nil {
		return err
	}
	var text json.RawMessage
	if err := s.exchange(con.ctx, sending{method: http.MethodGet, path: certificatesPath + "/" + url.PathEscape(c.Serial), header: []string{"Accept", "application/json"}}, &text); err != nil {
		return err
	}
	if c.JSON {
		return printJSON(con.out, text)
	}
	var course certificateCourse
	if err := json.Unmarshal(text, &course); err != nil {
		return errRemote.With("%w", err)
	}
	return course.print(con.out)
}
