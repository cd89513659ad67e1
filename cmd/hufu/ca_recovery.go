package main

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"hufu/internal/fault"
	"hufu/internal/gm"
)

// recoveryCommands are about the recovery of encryption keys, by the API of a running server.
type recoveryCommands struct {
	Request recoveryRequestCommand `cmd:"" help:"Ask for encryption keys to be recovered to a new signing certificate, or by order of an authority. Example: hufu ca recovery request --recipient 01ab --reason \"token lost\""`
	List    recoveryListCommand    `cmd:"" help:"List recoveries, newest first. Example: hufu ca recovery list --state requested"`
	Show    recoveryShowCommand    `cmd:"" help:"Show a recovery and who approved it. Example: hufu ca recovery show ID"`
	Approve recoveryApproveCommand `cmd:"" help:"Approve a recovery, as one of k officers. Example: hufu ca recovery approve ID"`
	Reject  recoveryRejectCommand  `cmd:"" help:"Reject a recovery; that ends it. Example: hufu ca recovery reject ID --reason \"not the holder\""`
	Cancel  recoveryCancelCommand  `cmd:"" help:"Cancel a recovery that you asked for. Example: hufu ca recovery cancel ID"`
	Take    recoveryTakeCommand    `cmd:"" help:"Take the recovered keys, once, as enveloped keys in files. Example: hufu ca recovery take ID --out recovered"`
	Keys    recoveryKeysCommand    `cmd:"" help:"List all encryption keys of a holder. Example: hufu ca recovery keys"`
	Pool    recoveryPoolCommand    `cmd:"" help:"Tell how the pool of encryption keys stands. Example: hufu ca recovery pool"`
}

type recoveryItem struct {
	ID        string    `json:"id"`
	Kind      string    `json:"kind"`
	Holder    string    `json:"holder"`
	State     string    `json:"state"`
	Serials   []string  `json:"serials"`
	Reason    string    `json:"reason"`
	Order     *orderOf  `json:"order,omitempty"`
	Recipient string    `json:"recipient_sm3"`
	Maker     whoIs     `json:"maker"`
	Approvals []signOff `json:"approvals,omitempty"`
	Rejection string    `json:"rejection,omitempty"`
	At        time.Time `json:"at"`
	Until     time.Time `json:"until,omitzero"`
	Delivered time.Time `json:"delivered_at,omitzero"`
}

type orderOf struct {
	Number    string `json:"number"`
	Authority string `json:"authority"`
	SM3       string `json:"sm3"`
}

type whoIs struct {
	Subject string `json:"subject"`
	Name    string `json:"name,omitempty"`
}

type signOff struct {
	Officer whoIs     `json:"officer"`
	Witness bool      `json:"witness,omitempty"`
	At      time.Time `json:"at"`
}

// recoveryWords says where a recovery stands.
var recoveryWords = map[string]fault.Text{
	"requested": {ZH: "等待审批", EN: "waits for approvals"}, "approved": {ZH: "已批准，可领取", EN: "approved, can be taken"},
	"delivered": {ZH: "已交付", EN: "handed out"}, "rejected": {ZH: "已驳回", EN: "rejected"},
	"cancelled": {ZH: "已取消", EN: "cancelled"}, "expired": {ZH: "已过期", EN: "expired"},
}

func (r recoveryItem) tell(con *console, asJSON bool) error {
	if asJSON {
		return printJSON(con.out, r)
	}
	words := recoveryWords[r.State]
	fmt.Fprintf(con.out, "recovery %s (%s): %s / %s\n  holder %s, keys of %s\n  reason %s\n", r.ID, r.Kind, words.EN, words.ZH, flat(r.Holder), strings.Join(r.Serials, ", "), flat(r.Reason))
	if r.Order != nil {
		fmt.Fprintf(con.out, "  order %s of %s, SM3 %s\n", flat(r.Order.Number), flat(r.Order.Authority), r.Order.SM3)
	}
	for _, a := range r.Approvals {
		as := "approved"
		if a.Witness {
			as = "approved as witness"
		}
		fmt.Fprintf(con.out, "  %s by %s %s, %s\n", as, a.Officer.Subject, flat(a.Officer.Name), a.At.Local().Format(time.DateTime))
	}
	if r.Rejection != "" {
		fmt.Fprintf(con.out, "  rejected: %s\n", flat(r.Rejection))
	}
	if !r.Until.IsZero() {
		fmt.Fprintf(con.out, "  until %s\n", r.Until.Local().Format(time.DateTime))
	}
	return nil
}

type recoveryRequestCommand struct {
	remote
	Holder      string   `help:"Subject id; yourself, or whom you act for, if left out." placeholder:"ID"`
	Serial      []string `sep:"none" help:"Serial of an encryption certificate, hexadecimal; repeat it. All keys of the holder if left out." placeholder:"HEX"`
	Reason      string   `required:"" help:"Why." placeholder:"TEXT"`
	Recipient   string   `help:"Serial of the holder's new signing certificate, hexadecimal." placeholder:"HEX"`
	Judicial    bool     `help:"By order of a court or an authority (司法恢复)."`
	Certificate string   `help:"Judicial: SM2 certificate of the authority that receives, PEM." type:"path" placeholder:"FILE"`
	Order       string   `help:"Judicial: number of the document." placeholder:"TEXT"`
	Authority   string   `help:"Judicial: who ordered it." placeholder:"TEXT"`
	Document    string   `help:"Judicial: the document, whose SM3 is kept; the file itself is not sent." type:"path" placeholder:"FILE"`
	JSON        bool     `help:"Print JSON."`
}

func (c *recoveryRequestCommand) Run(con *console) error {
	in := map[string]any{"kind": "holder", "holder": c.Holder, "serials": c.Serial, "reason": c.Reason, "recipient": c.Recipient}
	if c.Judicial {
		certificate, err := os.ReadFile(c.Certificate)
		if err != nil {
			return err
		}
		document, err := os.ReadFile(c.Document)
		if err != nil {
			return err
		}
		digest := gm.SM3(document)
		in["kind"], in["certificate"] = "judicial", string(certificate)
		in["order"] = orderOf{c.Order, c.Authority, hex.EncodeToString(digest[:])}
	}
	for name, value := range in {
		if value == "" {
			delete(in, name)
		}
	}
	if len(c.Serial) == 0 {
		delete(in, "serials")
	}
	s, err := c.open()
	if err != nil {
		return err
	}
	var r recoveryItem
	if err := s.ask(con.ctx, http.MethodPost, "/api/v1/recoveries", in, &r); err != nil {
		return err
	}
	return r.tell(con, c.JSON)
}

type recoveryListCommand struct {
	remote
	State string `help:"requested, approved, delivered, rejected, cancelled or expired." placeholder:"STATE"`
	JSON  bool   `help:"Print JSON."`
}

func (c *recoveryListCommand) Run(con *console) error {
	s, err := c.open()
	if err != nil {
		return err
	}
	path := "/api/v1/recoveries"
	if c.State != "" {
		path += "?state=" + url.QueryEscape(c.State)
	}
	var all items[recoveryItem]
	if err := s.ask(con.ctx, http.MethodGet, path, nil, &all); err != nil {
		return err
	}
	if c.JSON {
		return printJSON(con.out, all.Items)
	}
	w := tabwriter.NewWriter(con.out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "RECOVERY\tKIND\tSTATE\tHOLDER\tKEYS\tAPPROVALS\tAT")
	for _, r := range all.Items {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d\t%d\t%s\n", r.ID, r.Kind, r.State, r.Holder, len(r.Serials), len(r.Approvals), r.At.Local().Format(time.DateTime))
	}
	return w.Flush()
}

// oneRecovery names a recovery.
type oneRecovery struct {
	remote
	ID   string `arg:"" help:"The recovery."`
	JSON bool   `help:"Print JSON."`
}

func (c *oneRecovery) call(con *console, method, action string, in any) error {
	s, err := c.open()
	if err != nil {
		return err
	}
	var r recoveryItem
	if err := s.ask(con.ctx, method, "/api/v1/recoveries/"+url.PathEscape(c.ID)+action, in, &r); err != nil {
		return err
	}
	return r.tell(con, c.JSON)
}

type recoveryShowCommand struct{ oneRecovery }

func (c *recoveryShowCommand) Run(con *console) error { return c.call(con, http.MethodGet, "", nil) }

type recoveryApproveCommand struct{ oneRecovery }

func (c *recoveryApproveCommand) Run(con *console) error {
	return c.call(con, http.MethodPost, "/decision", map[string]any{"approve": true})
}

type recoveryRejectCommand struct {
	oneRecovery
	Reason string `required:"" help:"Why." placeholder:"TEXT"`
}

func (c *recoveryRejectCommand) Run(con *console) error {
	return c.call(con, http.MethodPost, "/decision", map[string]any{"approve": false, "reason": c.Reason})
}

type recoveryCancelCommand struct{ oneRecovery }

func (c *recoveryCancelCommand) Run(con *console) error {
	return c.call(con, http.MethodPost, "/cancel", nil)
}

type recoveryTakeCommand struct {
	oneRecovery
	Out     string `required:"" type:"path" help:"New folder for the enveloped keys." placeholder:"DIR"`
	Receipt string `help:"Of a try whose answer was lost." placeholder:"TEXT"`
}

func (c *recoveryTakeCommand) Run(con *console) error {
	s, err := c.open()
	if err != nil {
		return err
	}
	if err := os.Mkdir(c.Out, 0o700); err != nil { // before the keys are taken, which happens once
		return err
	}
	if c.Receipt == "" {
		c.Receipt = rand.Text()
	}
	var got struct {
		Recovery recoveryItem `json:"recovery"`
		Keys     []struct {
			Key      string `json:"key"`
			Serial   string `json:"serial"`
			Envelope []byte `json:"envelope"`
		} `json:"keys"`
	}
	err = s.ask(con.ctx, http.MethodPost, "/api/v1/recoveries/"+url.PathEscape(c.ID)+"/take", map[string]any{"receipt": c.Receipt}, &got)
	if err != nil {
		return errors.Join(fmt.Errorf("receipt %s: %w", c.Receipt, err), os.Remove(c.Out))
	}
	for _, k := range got.Keys {
		name := k.Serial
		if _, err := hex.DecodeString(name); err != nil || name == "" {
			digest := gm.SM3(k.Envelope)
			name = hex.EncodeToString(digest[:8])
		}
		if err := os.WriteFile(filepath.Join(c.Out, name+".der"), k.Envelope, 0o600); err != nil {
			return err
		}
	}
	if c.JSON {
		return printJSON(con.out, got.Recovery)
	}
	fmt.Fprintf(con.out, "%d enveloped keys in %s; the recipient's key opens them. / %d 个密钥已写入，用接收密钥打开。\n", len(got.Keys), c.Out, len(got.Keys))
	return nil
}
