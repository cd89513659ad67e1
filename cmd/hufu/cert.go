package main

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"text/tabwriter"
	"time"
)

// certCommands are about applications for certificates and what comes of them, by the API of a running server.
type certCommands struct {
	NewKey   certNewKeyCommand    `cmd:"" help:"Make an SM2 key and a request for its certificate. Example: hufu cert new-key --key my.key --csr my.csr"`
	Apply    certApplyCommand     `cmd:"" help:"Apply for a certificate, or keep a draft. Example: hufu cert apply --profile person-sign --csr my.csr"`
	List     certListCommand      `cmd:"" help:"Search applications, newest first; who is no officer gets those entered by himself, or with --holder his own. Example: hufu cert list --state submitted"`
	Show     certShowCommand      `cmd:"" help:"Show an application and what was done to it. Example: hufu cert show ID"`
	Change   certChangeCommand    `cmd:"" help:"Put another request into a draft. Example: hufu cert change ID --profile person-sign --csr my.csr"`
	Submit   certSubmitCommand    `cmd:"" help:"Hand a draft in. Example: hufu cert submit ID"`
	Withdraw certWithdrawCommand  `cmd:"" help:"Take back what is not decided. Example: hufu cert withdraw ID"`
	Evidence certEvidenceCommands `cmd:"" help:"Work with the evidence of an application."`
	Approve  certApproveCommand   `cmd:"" help:"Approve an application that another entered. Example: hufu cert approve ID"`
	Reject   certRejectCommand    `cmd:"" help:"Reject an application. Example: hufu cert reject ID --reason 'the photo is of another person'"`
	Return   certReturnCommand    `cmd:"" help:"Send an application back for correction. Example: hufu cert return ID --reason 'the scan cannot be read'"`
	Issue    certIssueCommand     `cmd:"" help:"Issue the certificates of an approved application. Example: hufu cert issue ID"`
	Deliver  certDeliverCommand   `cmd:"" help:"Fetch what was issued into a folder. Example: hufu cert deliver ID --out certificates"`
	Batch    certBatchCommands    `cmd:"" help:"Apply for many certificates by one CSV file."`

	Find      certFindCommand      `cmd:"" help:"Search certificates, newest first. Example: hufu cert find --holder ID --state valid"`
	Status    certStatusCommand    `cmd:"" help:"Show a certificate, its state and what happened to it. Example: hufu cert status SERIAL"`
	Suspend   certSuspendCommand   `cmd:"" help:"Suspend a certificate. Example: hufu cert suspend SERIAL --until 2026-12-01T08:00:00+08:00"`
	Resume    certResumeCommand    `cmd:"" help:"Let a suspended certificate be used again. Example: hufu cert resume SERIAL"`
	Revoke    certRevokeCommand    `cmd:"" help:"Revoke certificates, one or many. Example: hufu cert revoke --holder ID --reason affiliationChanged --dry-run"`
	Mass      certMassCommand      `cmd:"" help:"List mass revocations, approve or reject one. Example: hufu cert mass ID --approve"`
	Renew     certRenewCommand     `cmd:"" help:"Apply for a new certificate for the same key, or with --csr for a new one. Example: hufu cert renew SERIAL --csr new.csr --key old.key"`
	BlockKey  certBlockKeyCommand  `cmd:"" name:"block-key" help:"Block keys for ever. Example: hufu cert block-key found.csr --note 'published on a web page' --revoke"`
	ReportKey certReportKeyCommand `cmd:"" name:"report-key" help:"Have the certificates of a key revoked by showing that one has it; no account is needed. Example: hufu cert report-key SERIAL --key found.key"`

	Secret secretCommands `cmd:"" help:"Work with the secrets with which devices enrol by CMP or EST."`
	RA     raCommands     `cmd:"" name:"ra" help:"Work with registration clients."`
}

const (
	applicationsPath = "/api/v1/applications"
	batchesPath      = "/api/v1/batches"
)

// application is what the API says of one.
type application struct {
	ID           string            `json:"id"`
	Profile      string            `json:"profile"`
	Holder       string            `json:"holder"`
	Organization string            `json:"organization,omitempty"`
	Facts        map[string]string `json:"facts,omitempty"`
	State        string            `json:"state"`
	Act          string            `json:"act,omitempty"`
	Replaces     string            `json:"replaces,omitempty"`
	Reason       string            `json:"reason,omitempty"`
	Steps        []struct {
		Act    string    `json:"act"`
		By     string    `json:"by"`
		At     time.Time `json:"at"`
		Remark string    `json:"remark,omitempty"`
	} `json:"steps,omitempty"`
	Batch        string    `json:"batch,omitempty"`
	Revision     int64     `json:"revision"`
	At           time.Time `json:"at"`
	Certificates []string  `json:"certificates,omitempty"`
}

// applicationWords say where an application stands.
var applicationWords = map[string]string{
	"draft": "草稿", "submitted": "待审核", "approved": "已通过", "rejected": "已驳回", "issued": "已签发", "delivered": "已领取", "withdrawn": "已撤回",
	"waiting": "待处理", "failed": "失败", "cancelled": "已取消",
}

func (a application) tell(w io.Writer) error {
	_, err := fmt.Fprintf(w, "application %s: %s / %s\n", a.ID, a.State, applicationWords[a.State])
	return err
}

type certListCommand struct {
	remote
	State   string    `help:"draft, submitted, approved, rejected, issued, delivered or withdrawn." placeholder:"STATE"`
	Profile string    `help:"Name of the profile." placeholder:"NAME"`
	Holder  string    `help:"Subject id of the holder." placeholder:"ID"`
	Maker   string    `help:"Who entered it: capacity:subject, or me." placeholder:"WHO"`
	Batch   string    `help:"Id of a batch." placeholder:"ID"`
	From    time.Time `help:"Made then or later, 2026-09-01T00:00:00+08:00." placeholder:"TIME"`
	To      time.Time `help:"Made before then." placeholder:"TIME"`
	Limit   int       `help:"At most so many." default:"100"`
	JSON    bool      `help:"Print JSON."`
}

func (c *certListCommand) query() url.Values {
	q := url.Values{}
	for name, value := range map[string]string{"state": c.State, "profile": c.Profile, "holder": c.Holder, "maker": c.Maker, "batch": c.Batch} {
		if value != "" {
			q.Set(name, value)
		}
	}
	for name, at := range map[string]time.Time{"from": c.From, "to": c.To} {
		if !at.IsZero() {
			q.Set(name, at.UTC().Format(time.RFC3339))
		}
	}
	return q
}

func (c *certListCommand) Run(con *console) error {
	s, err := c.open()
	if err != nil {
		return err
	}
	all := []application{}
	for q := c.query(); len(all) < c.Limit; {
		q.Set("limit", fmt.Sprint(min(100, c.Limit-len(all))))
		var page struct {
			Items []application `json:"items"`
			Next  string        `json:"next"`
		}
		if err := s.ask(con.ctx, http.MethodGet, applicationsPath+"?"+q.Encode(), nil, &page); err != nil {
			return err
		}
		all = append(all, page.Items...)
		if page.Next == "" {
			break
		}
		q.Set("after", page.Next)
	}
	if c.JSON {
		return printJSON(con.out, all)
	}
	w := tabwriter.NewWriter(con.out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tPROFILE\tHOLDER\tSTATE\tMADE")
	for _, a := range all {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", a.ID, a.Profile, a.Holder, a.State, a.At.Local().Format(time.DateTime))
	}
	return w.Flush()
}

// oneApplication names an application, and a server.
type oneApplication struct {
	remote
	ID   string `arg:"" help:"Id of the application."`
	JSON bool   `help:"Print JSON."`
}

// do sends one call about the application and tells how it stands then.
func (c *oneApplication) do(con *console, method, verb string, in any) error {
	s, err := c.open()
	if err != nil {
		return err
	}
	var a application
	if err := s.ask(con.ctx, method, applicationPath(c.ID, verb), in, &a); err != nil {
		return err
	}
	if c.JSON {
		return printJSON(con.out, a)
	}
	return a.tell(con.out)
}

// applicationPath is the address of an application, or of what is under it.
func applicationPath(id string, under ...string) string {
	path := applicationsPath + "/" + url.PathEscape(id)
	for _, part := range under {
		if part != "" {
			path += "/" + url.PathEscape(part)
		}
	}
	return path
}

type certShowCommand struct{ oneApplication }

func (c *certShowCommand) Run(con *console) error {
	s, err := c.open()
	if err != nil {
		return err
	}
	var a application
	if err := s.ask(con.ctx, http.MethodGet, applicationPath(c.ID), nil, &a); err != nil {
		return err
	}
	if c.JSON {
		return printJSON(con.out, a)
	}
	if err := a.tell(con.out); err != nil {
		return err
	}
	fmt.Fprintf(con.out, "profile %s, holder %s, revision %d\n", a.Profile, a.Holder, a.Revision)
	for _, step := range a.Steps {
		fmt.Fprintln(con.out, strings.TrimSpace(fmt.Sprintf("%s  %s  %s  %s", step.At.Local().Format(time.DateTime), step.Act, step.By, flat(step.Remark))))
	}
	for _, serial := range a.Certificates {
		fmt.Fprintln(con.out, "certificate", serial)
	}
	return nil
}
