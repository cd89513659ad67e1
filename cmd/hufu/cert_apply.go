package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"

	"hufu/certs"
	"hufu/internal/fault"
	"hufu/internal/gm"
)

var errOutput = fault.New(fault.Invalid, "cert.output",
	"The file cannot be written. Choose a name that is not taken, in a folder that you may write to.", "无法写入文件。请在可写目录中选择未被占用的文件名。")

type certNewKeyCommand struct {
	Key  string `required:"" type:"path" help:"New file for the private key, PKCS#8 in PEM, in clear, for you alone to read. Keys of persons belong into a token." placeholder:"FILE"`
	CSR  string `name:"csr" required:"" type:"path" help:"New file for the request, PKCS#10 in PEM." placeholder:"FILE"`
	Name string `help:"Common name in the request. What a certificate says comes from the registry." default:"hufu" placeholder:"NAME"`
}

func (c *certNewKeyCommand) Run(con *console) error {
	key, err := gm.GenerateKey()
	if err != nil {
		return err
	}
	der, err := certs.NewRequest(key, certs.NewName(certs.Attribute{Type: certs.OIDCommonName, Value: c.Name}), certs.RequestOptions{})
	if err != nil {
		return err
	}
	private, err := gm.MarshalPKCS8(key)
	if err != nil {
		return err
	}
	if err := newFile(c.Key, certs.EncodePEM("PRIVATE KEY", private), 0o600); err != nil {
		return err
	}
	if err := newFile(c.CSR, certs.EncodePEM("CERTIFICATE REQUEST", der), 0o644); err != nil {
		return err
	}
	fmt.Fprintf(con.out, "key in %s, request in %s / 私钥与证书请求已生成\n", c.Key, c.CSR)
	return nil
}

// newFile writes a file that must not be there yet.
func newFile(path string, text []byte, mode os.FileMode) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return errOutput.With("%w", err)
	}
	if _, err = f.Write(text); err == nil {
		err = f.Close()
	} else {
		f.Close()
	}
	if err != nil {
		return errOutput.With("%w", err)
	}
	return nil
}

// order is what an application asks for.
type order struct {
	Profile      string            `required:"" help:"Name of the profile." placeholder:"NAME"`
	Holder       string            `help:"Subject id of the holder; yourself, or whom you act for, if left out." placeholder:"ID"`
	Organization string            `help:"For an official: subject id of the organisation." placeholder:"ID"`
	Fact         map[string]string `help:"A field of the profile, NAME=VALUE; repeat it." placeholder:"NAME=VALUE"`
	CSR          string            `name:"csr" type:"existingfile" help:"File with the request, PKCS#10 in PEM." placeholder:"FILE"`
}

func (o order) body(draft bool) (map[string]any, error) {
	body := map[string]any{"profile": o.Profile, "holder": o.Holder, "organization": o.Organization, "facts": o.Fact, "draft": draft}
	if o.CSR != "" {
		text, err := os.ReadFile(o.CSR)
		if err != nil {
			return nil, err
		}
		body["csr"] = string(text)
	}
	return body, nil
}

type certApplyCommand struct {
	remote
	order
	Draft bool   `help:"Keep it as a draft, to be changed and submitted later."`
	Key   string `help:"Idempotency key: the same one gives the same application." placeholder:"WORD"`
	JSON  bool   `help:"Print JSON."`
}

func (c *certApplyCommand) Run(con *console) error {
	s, err := c.open()
	if err != nil {
		return err
	}
	body, err := c.body(c.Draft)
	if err != nil {
		return err
	}
	call := jsonCall(http.MethodPost, applicationsPath, body)
	if c.Key != "" {
		call.header = []string{"Idempotency-Key", c.Key}
	}
	var a application
	if err := s.exchange(con.ctx, call, &a); err != nil {
		return err
	}
	if c.JSON {
		return printJSON(con.out, a)
	}
	return a.tell(con.out)
}

type certChangeCommand struct {
	oneApplication
	order
}

func (c *certChangeCommand) Run(con *console) error {
	body, err := c.body(false)
	if err != nil {
		return err
	}
	return c.do(con, http.MethodPut, "", body)
}

type certSubmitCommand struct{ oneApplication }

func (c *certSubmitCommand) Run(con *console) error { return c.do(con, http.MethodPost, "submit", nil) }

type certWithdrawCommand struct {
	oneApplication
	Remark string `help:"Why, for the file." placeholder:"TEXT"`
}

func (c *certWithdrawCommand) Run(con *console) error {
	return c.do(con, http.MethodPost, "withdraw", map[string]any{"remark": c.Remark})
}

type certApproveCommand struct {
	oneApplication
	Remark   string `help:"What was checked, for the file." placeholder:"TEXT"`
	Revision int64  `help:"Of the application that you looked at; if it changed since, nothing is decided." placeholder:"N"`
}

func (c *certApproveCommand) Run(con *console) error {
	return c.do(con, http.MethodPost, "decision", map[string]any{"approve": true, "reason": c.Remark, "revision": c.Revision})
}

type certRejectCommand struct {
	oneApplication
	Reason string `required:"" help:"Why; the maker reads it." placeholder:"TEXT"`
}

func (c *certRejectCommand) Run(con *console) error {
	return c.do(con, http.MethodPost, "decision", map[string]any{"approve": false, "reason": c.Reason})
}

type certReturnCommand struct {
	oneApplication
	Reason string `required:"" help:"What to correct; the maker reads it." placeholder:"TEXT"`
}

func (c *certReturnCommand) Run(con *console) error {
	return c.do(con, http.MethodPost, "decision", map[string]any{"approve": false, "send_back": true, "reason": c.Reason})
}

// issued is what the API hands out.
type issued struct {
	Application  application `json:"application"`
	Certificates []struct {
		Serial string `json:"serial"`
		PEM    string `json:"pem"`
	} `json:"certificates"`
	Chain    string `json:"chain"`
	Envelope []byte `json:"envelope,omitempty"`
}

type certIssueCommand struct{ oneApplication }

func (c *certIssueCommand) Run(con *console) error {
	s, err := c.open()
	if err != nil {
		return err
	}
	var got issued
	if err := s.ask(con.ctx, http.MethodPost, applicationPath(c.ID, "issue"), nil, &got); err != nil {
		return err
	}
	if c.JSON {
		return printJSON(con.out, got)
	}
	for _, cert := range got.Certificates {
		fmt.Fprintln(con.out, "certificate", cert.Serial)
	}
	return got.Application.tell(con.out)
}

type certDeliverCommand struct {
	oneApplication
	Out string `type:"path" help:"Folder for SERIAL.pem, chain.pem and envelope.der; made if it is not there." placeholder:"DIR"`
}

func (c *certDeliverCommand) Run(con *console) error {
	s, err := c.open()
	if err != nil {
		return err
	}
	var got issued
	if err := s.ask(con.ctx, http.MethodPost, applicationPath(c.ID, "delivery"), nil, &got); err != nil {
		return err
	}
	if c.Out != "" {
		if err := got.keep(c.Out); err != nil {
			return err
		}
	}
	if c.JSON {
		return printJSON(con.out, got)
	}
	return got.Application.tell(con.out)
}

// keep writes what was issued into a folder. The envelope opens with the holder's signing key alone.
func (i issued) keep(folder string) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return errOutput.With("%w", err)
	}
	files := map[string][]byte{"chain.pem": []byte(i.Chain)}
	for _, cert := range i.Certificates {
		files[filepath.Base(cert.Serial)+".pem"] = []byte(cert.PEM)
	}
	if len(i.Envelope) > 0 {
		files["envelope.der"] = i.Envelope
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(folder, name), text, 0o644); err != nil {
			return errOutput.With("%w", err)
		}
	}
	return nil
}
