package main

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"hufu/certs"
	"hufu/internal/fault"
	"hufu/internal/gm"
)

const certificatesPath = "/api/v1/certificates"

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
	if err := s.askWith(con.ctx, http.MethodGet, certificatesPath+"/"+url.PathEscape(c.Serial), nil, &text, "Accept", "application/json"); err != nil {
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

type certSuspendCommand struct {
	remote
	Serial string    `arg:"" help:"Serial number, hexadecimal."`
	Until  time.Time `help:"When it resumes by itself; left out: not." placeholder:"TIME"`
}

func (c *certSuspendCommand) Run(con *console) error {
	body := map[string]any{}
	if !c.Until.IsZero() {
		body["until"] = c.Until.UTC()
	}
	return c.act(con, c.Serial, "suspension", body, "suspended")
}

type certResumeCommand struct {
	remote
	Serial string `arg:"" help:"Serial number, hexadecimal."`
}

func (c *certResumeCommand) Run(con *console) error {
	return c.act(con, c.Serial, "resumption", nil, "in force again")
}

// act does something to one certificate.
func (r remote) act(con *console, serial, noun string, body any, done string) error {
	s, err := r.open()
	if err != nil {
		return err
	}
	if err := s.ask(con.ctx, http.MethodPost, certificatesPath+"/"+url.PathEscape(serial)+"/"+noun, body, nil); err != nil {
		return err
	}
	_, err = fmt.Fprintf(con.out, "certificate %s is %s\n", serial, done)
	return err
}

type certRenewCommand struct {
	remote
	Serial string `arg:"" help:"Serial number of the signing certificate, hexadecimal."`
	CSR    string `name:"csr" help:"Request for a new key, PEM; left out, the old key goes on." type:"existingfile" placeholder:"FILE"`
	Key    string `help:"Private key of the old certificate (SM2, PKCS#8, PEM): its signature can spare an officer." type:"existingfile" placeholder:"FILE"`
	Proof  string `help:"Request of the old certificate, PEM, for --key without --csr." type:"existingfile" placeholder:"FILE"`
}

var errRenewProof = fault.New(fault.Invalid, "cert.renew-proof",
	"With --key, name the request that is to be signed for: --csr for a new key, --proof for the old one.", "使用 --key 时须指明申请文件：更换密钥用 --csr，沿用原密钥用 --proof。")

func (c *certRenewCommand) Run(con *console) error {
	s, err := c.open()
	if err != nil {
		return err
	}
	noun, act, file := "renewal", "renew", c.Proof
	if c.CSR != "" {
		noun, act, file = "rekey", "rekey", c.CSR
	}
	body := map[string]any{}
	if file != "" {
		text, err := readSmall(file)
		if err != nil {
			return err
		}
		body["csr"] = string(text)
		if c.Key != "" {
			if body["proof"], err = s.renewalProof(con, c.Key, c.Serial, act, text); err != nil {
				return err
			}
		}
	} else if c.Key != "" {
		return errRenewProof
	}
	var a application
	if err := s.ask(con.ctx, http.MethodPost, certificatesPath+"/"+url.PathEscape(c.Serial)+"/"+noun, body, &a); err != nil {
		return err
	}
	next := "an officer decides; then: hufu cert issue "
	if a.State == "approved" {
		next = "next: hufu cert issue "
	}
	_, err = fmt.Fprintf(con.out, "application %s is %s; %s%s\n", a.ID, a.State, next, a.ID)
	return err
}

// renewalProof signs that a certificate be replaced on a request.
func (s *session) renewalProof(con *console, keyFile, serial, act string, request []byte) ([]byte, error) {
	der, err := certs.DecodePEM(request, "CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST")
	if err != nil {
		return nil, err
	}
	challenge, err := s.challenge(con, serial)
	if err != nil {
		return nil, err
	}
	lines := strings.Split(string(challenge), "\n") // its second line is the address of the authority
	if len(lines) < 3 {
		return nil, errRemote.With("the challenge has %d lines", len(lines))
	}
	hash := gm.SM3(der)
	return signWith(keyFile, fmt.Appendf(nil, "Replace this certificate by the attached request.\n%s\n%s\n%s\n%s\n",
		lines[1], strings.ToLower(serial), act, hex.EncodeToString(hash[:])))
}

func (s *session) challenge(con *console, serial string) ([]byte, error) {
	var out struct{ Text []byte }
	err := s.ask(con.ctx, http.MethodGet, certificatesPath+"/"+url.PathEscape(serial)+"/challenge", nil, &out)
	return out.Text, err
}

// signWith signs a message with the SM2 key of a file.
func signWith(file string, message []byte) ([]byte, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	der, err := certs.DecodePEM(text, "PRIVATE KEY")
	if err != nil {
		return nil, err
	}
	key, err := gm.ParsePKCS8(der)
	clear(der)
	clear(text)
	if err != nil {
		return nil, err
	}
	_, signature, err := certs.Sign(key, message)
	return signature, err
}

type certReportKeyCommand struct {
	Server string `help:"Address of the server." default:"http://localhost:8480"`
	Serial string `arg:"" help:"Serial number of a certificate of the key, hexadecimal."`
	Key    string `required:"" help:"The key that was found (SM2, PKCS#8, PEM)." type:"existingfile" placeholder:"FILE"`
}

func (c *certReportKeyCommand) Run(con *console) error {
	w, err := newWalker(c.Server)
	if err != nil {
		return err
	}
	s := &session{w, ""} // whoever has the key may
	challenge, err := s.challenge(con, c.Serial)
	if err != nil {
		return err
	}
	signature, err := signWith(c.Key, challenge)
	if err != nil {
		return err
	}
	var out revokedCertificates
	if err := s.ask(con.ctx, http.MethodPost, certificatesPath+"/"+url.PathEscape(c.Serial)+"/key-compromise", map[string]any{"signature": signature}, &out); err != nil {
		return err
	}
	return out.print(con, false)
}
