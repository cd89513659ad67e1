package main

import (
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"hufu/certs"
	"hufu/internal/fault"
	"hufu/internal/gm"
)

const certificatesPath = "/api/v1/certificates"

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
	return c.act(con, c.Serial, "suspension", body, "suspended / 已挂起")
}

type certResumeCommand struct {
	remote
	Serial string `arg:"" help:"Serial number, hexadecimal."`
}

func (c *certResumeCommand) Run(con *console) error {
	return c.act(con, c.Serial, "resumption", nil, "in force again / 已恢复")
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
	next := "an officer decides; then / 待审核，之后执行"
	if a.State == "approved" {
		next = "next / 下一步"
	}
	_, err = fmt.Fprintf(con.out, "application %s is %s; %s: hufu cert issue %[1]s\n", a.ID, a.State, next)
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
