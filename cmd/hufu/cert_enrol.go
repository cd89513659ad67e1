package main

import (
	"fmt"
	"net/http"
	"net/url"
	"text/tabwriter"
	"time"
)

// secretCommands are about the secrets with which devices enrol, by CMP or EST.
type secretCommands struct {
	Make   secretMakeCommand   `cmd:"" help:"Make a secret for a holder and a profile; it is shown once. Example: hufu cert secret make tls-client-p256 HOLDER"`
	List   secretListCommand   `cmd:"" help:"List secrets without their values, newest first. Example: hufu cert secret list"`
	Revoke secretRevokeCommand `cmd:"" help:"Revoke a secret at once. Example: hufu cert secret revoke ID"`
}

const secretsPath = "/api/v1/enrolment/secrets"

type enrolSecret struct {
	ID      string    `json:"id"`
	Secret  string    `json:"secret,omitempty"`
	Profile string    `json:"profile"`
	Holder  string    `json:"holder"`
	Left    int       `json:"left"`
	Tries   int       `json:"tries,omitempty"`
	Locked  bool      `json:"locked,omitempty"`
	Ends    time.Time `json:"ends"`
	Revoked time.Time `json:"revoked,omitzero"`
}

type secretMakeCommand struct {
	remote
	Profile      string            `arg:"" help:"Profile of the certificates."`
	Holder       string            `arg:"" help:"Subject id of the holder."`
	Organization string            `help:"For an official: subject id of the organisation." placeholder:"ID"`
	Fact         map[string]string `help:"A field of the profile, NAME=VALUE; repeat it."`
	Uses         int               `help:"How many certificates." default:"1"`
	For          time.Duration     `help:"How long it counts." default:"168h"`
	JSON         bool              `help:"Print JSON."`
}

func (c *secretMakeCommand) Run(con *console) error {
	s, err := c.open()
	if err != nil {
		return err
	}
	var made enrolSecret
	if err := s.ask(con.ctx, http.MethodPost, secretsPath, map[string]any{
		"profile": c.Profile, "holder": c.Holder, "organization": c.Organization, "facts": c.Fact, "uses": c.Uses, "ends": time.Now().Add(c.For).UTC(),
	}, &made); err != nil {
		return err
	}
	if c.JSON {
		return printJSON(con.out, made)
	}
	_, err = fmt.Fprintf(con.out, "reference %s\nsecret    %s\nuntil     %s; hand it to the holder now, it is not shown again / 请立即交给持有人，不再显示\n", made.ID, made.Secret, made.Ends.Local().Format(time.DateTime))
	return err
}

type secretListCommand struct {
	remote
	Holder string `help:"Only this holder's." placeholder:"ID"`
	JSON   bool   `help:"Print JSON."`
}

func (c *secretListCommand) Run(con *console) error {
	s, err := c.open()
	if err != nil {
		return err
	}
	path := secretsPath + "?limit=100"
	if c.Holder != "" {
		path += "&holder=" + url.QueryEscape(c.Holder)
	}
	var all items[enrolSecret]
	if err := s.ask(con.ctx, http.MethodGet, path, nil, &all); err != nil {
		return err
	}
	if c.JSON {
		return printJSON(con.out, all.Items)
	}
	w := tabwriter.NewWriter(con.out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "REFERENCE\tSTATE\tLEFT\tENDS\tPROFILE\tHOLDER")
	for _, v := range all.Items {
		fmt.Fprintf(w, "%s\t%s\t%d\t%s\t%s\t%s\n", v.ID, v.state(), v.Left, v.Ends.Local().Format(time.DateTime), v.Profile, v.Holder)
	}
	return w.Flush()
}

func (v enrolSecret) state() string {
	switch {
	case !v.Revoked.IsZero():
		return "revoked"
	case v.Locked:
		return "locked"
	case !v.Ends.After(time.Now()):
		return "ended"
	case v.Left == 0:
		return "used"
	default:
		return "open"
	}
}

type secretRevokeCommand struct {
	remote
	ID string `arg:"" help:"Reference number."`
}

func (c *secretRevokeCommand) Run(con *console) error {
	s, err := c.open()
	if err != nil {
		return err
	}
	if err := s.ask(con.ctx, http.MethodDelete, secretsPath+"/"+url.PathEscape(c.ID), nil, nil); err != nil {
		return err
	}
	_, err = fmt.Fprintf(con.out, "secret %s is revoked / 已吊销\n", c.ID)
	return err
}

// raCommands are about registration clients: holders whose certificates may ask for those of others.
type raCommands struct {
	Put  raPutCommand  `cmd:"" help:"Give a holder the rights of a registration client. Example: hufu cert ra put HOLDER --profile tls-client-p256"`
	List raListCommand `cmd:"" help:"List registration clients. Example: hufu cert ra list"`
	Drop raDropCommand `cmd:"" help:"Take the rights. Example: hufu cert ra drop HOLDER"`
}

const clientsPath = "/api/v1/enrolment/clients"

type raPutCommand struct {
	remote
	Holder  string   `arg:"" help:"Subject id of who runs the registration client."`
	Profile []string `required:"" help:"A profile that it may ask for; repeat it."`
	Revokes bool     `help:"It may revoke certificates of these profiles too."`
}

func (c *raPutCommand) Run(con *console) error {
	s, err := c.open()
	if err != nil {
		return err
	}
	in := map[string]any{"profiles": c.Profile, "revokes": c.Revokes}
	if err := s.ask(con.ctx, http.MethodPut, clientsPath+"/"+url.PathEscape(c.Holder), in, nil); err != nil {
		return err
	}
	_, err = fmt.Fprintf(con.out, "%s may ask for %v / 可申请上述模板的证书\n", c.Holder, c.Profile)
	return err
}

type raListCommand struct {
	remote
	JSON bool `help:"Print JSON."`
}

func (c *raListCommand) Run(con *console) error {
	s, err := c.open()
	if err != nil {
		return err
	}
	var all items[struct {
		Subject  string   `json:"subject"`
		Profiles []string `json:"profiles"`
		Revokes  bool     `json:"revokes,omitempty"`
	}]
	if err := s.ask(con.ctx, http.MethodGet, clientsPath, nil, &all); err != nil {
		return err
	}
	if c.JSON {
		return printJSON(con.out, all.Items)
	}
	w := tabwriter.NewWriter(con.out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "HOLDER\tREVOKES\tPROFILES")
	for _, v := range all.Items {
		fmt.Fprintf(w, "%s\t%t\t%v\n", v.Subject, v.Revokes, v.Profiles)
	}
	return w.Flush()
}

type raDropCommand struct {
	remote
	Holder string `arg:"" help:"Subject id."`
}

func (c *raDropCommand) Run(con *console) error {
	s, err := c.open()
	if err != nil {
		return err
	}
	if err := s.ask(con.ctx, http.MethodDelete, clientsPath+"/"+url.PathEscape(c.Holder), nil, nil); err != nil {
		return err
	}
	_, err = fmt.Fprintf(con.out, "%s is no registration client any more / 不再是注册客户端\n", c.Holder)
	return err
}
