package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"hufu/hsm"
	"hufu/internal/actor"
	"hufu/internal/fault"
	"hufu/licence"
	"hufu/oidc"
	"hufu/sandbox"
	"hufu/seal"
)

// samplePIN is the owner's PIN of the sample bureau's seal; everybody knows it as well.
const samplePIN = "Hufu-seal-2026"

// The seal and the applications of the sample province.
const (
	sampleSeal   = "33010000000001"
	sampleHall   = "sample-hall"        // the sample application under /sample/
	samplePublic = "openid-client-test" // a public client, for relying parties on this machine
)

// demo is the sample province of `serve --demo`: who is who, for the story and the tests.
type demo struct {
	*server
	people  map[string]string // account → subject id
	bureau  string            // subject id
	company string
	licence string // identifier of the citizen's first licence
	secret  string // of the sample application
	hall    *sandbox.App
}

var errNotSample = fault.New(fault.Conflict, "demo.real-data",
	"A server that is no demonstration lives in this data folder, and the demonstration opens accounts whose passwords everybody knows. Name another folder with --data.",
	"该数据目录中是正式服务，而演示会开通密码众所周知的账号。请用 --data 另选目录。")

// claimSample keeps the demonstration and real servers out of each other's data folders: the secret of the sample
// application, made before anything else, tells them apart.
func (s *server) claimSample(_ context.Context, o openOptions) error {
	_, err := os.Stat(sampleFile(s.cfg))
	sample := err == nil
	_, err = os.Stat(s.cfg.PassphraseFile)
	used := err == nil
	switch {
	case !o.demo && sample:
		s.log.Warn("this data folder is a demonstration's: everybody knows the passwords of its accounts", "folder", s.cfg.Data)
	case o.demo && !sample && used:
		return errNotSample.With("data folder %s", s.cfg.Data)
	case o.demo && !sample:
		_, err := sampleSecret(s.cfg)
		return err
	}
	return nil
}

// openDemo fills the sample province. Every step finds what an earlier start or a crash left, so that it may run again.
func (s *server) openDemo(ctx context.Context, o openOptions) error {
	if !o.demo {
		return nil
	}
	s.demo = &demo{server: s, people: map[string]string{}}
	for _, step := range []func(context.Context) error{s.demo.addPeople, s.demo.addOrganisations, s.demo.appoint, s.demo.makeSeal, s.demo.activateSeal, s.demo.issueLicence} {
		if err := step(ctx); err != nil {
			return fmt.Errorf("sample province: %w", err)
		}
	}
	return nil
}

var sampleActor = actor.ForSystem("sample-province")

// makeSeal has one official enter the bureau's seal and another approve it, and makes it under the owner's PIN.
func (d *demo) makeSeal(ctx context.Context) error {
	clerk, err := d.official(ctx, "liming")
	if err != nil {
		return err
	}
	chief, err := d.official(ctx, "zhaomin")
	if err != nil {
		return err
	}
	now, err := d.seals.Get(ctx, clerk, sampleSeal)
	if errors.Is(err, seal.ErrUnknown) {
		now, err = d.seals.Apply(ctx, clerk, seal.Application{Code: sampleSeal, Owner: d.bureau, Style: "bureau", Type: 1})
	}
	if err == nil && now.State == seal.Applied {
		if err = d.seals.Decide(ctx, chief, sampleSeal, true, ""); err == nil {
			now.State = seal.Approved
		}
	}
	if err == nil && now.State == seal.Approved {
		_, err = d.seals.Make(ctx, clerk, sampleSeal, seal.Making{Owner: seal.Enrolment{PIN: []byte(samplePIN)}})
	}
	if err != nil {
		return err
	}
	held, err := d.seals.Held(ctx, clerk, sampleSeal)
	if err == nil && held.Method == "" { // made by a version without sole control
		err = d.seals.SetPIN(ctx, clerk, sampleSeal, nil, []byte(samplePIN))
	}
	return err
}

// What the sample owner allows in advance, and when it is renewed.
const (
	sampleUses  = 10000
	sampleDays  = 30
	sampleRenew = 7 // days before the end
)

// activateSeal stands for licences, so that officials issue them without a PIN; for other documents they need it.
func (d *demo) activateSeal(ctx context.Context) error {
	clerk, err := d.official(ctx, "liming")
	if err != nil {
		return err
	}
	now, err := d.seals.Get(ctx, clerk, sampleSeal)
	if err != nil || now.State != seal.Active {
		return err // frozen or revoked by a visitor
	}
	all, err := d.seals.Activations(ctx, clerk, sampleSeal)
	if err != nil {
		return err
	}
	for _, a := range all {
		if a.State == seal.ActivationActive && a.Count-a.Used > sampleUses/10 && a.Until.Sub(d.now()) > sampleRenew*24*time.Hour {
			return nil
		}
	}
	bounds := seal.Bounds{Count: sampleUses, Until: d.now().AddDate(0, 0, sampleDays)}
	for _, t := range d.licences.Types() {
		bounds.Kinds = append(bounds.Kinds, seal.KindLicence(t.Code))
	}
	_, err = d.seals.Activate(ctx, clerk, sampleSeal, seal.Consent{PIN: []byte(samplePIN)}, bounds)
	if kind := fault.KindOf(err); kind == fault.Denied || kind == fault.Limited {
		d.log.Warn("the sample seal has another PIN now, so that issuing licences asks for it", "seal", sampleSeal, "error", err)
		return nil
	}
	return err
}

// sampleLicence is the type of the sample company's business licence.
const sampleLicence = "11990000MB0000019F001"

// sampleOrder is the business licence of the sample company.
func (d *demo) sampleOrder(key string) licence.Order {
	return licence.Order{
		Type: sampleLicence, Holder: d.company, Key: key, Seal: sampleSeal,
		Data: map[string]string{
			"kind": "有限责任公司（自然人独资）", "legal_representative": "王小雅", "capital": "壹佰万元整", "established": "2020-03-18",
			"term": "长期", "address": "示例省示例市云栖路88号", "scope": "软件开发；信息系统集成服务；电子产品销售。（依法须经批准的项目，经相关部门批准后方可开展经营活动）",
		},
	}
}

func (d *demo) issueLicence(ctx context.Context) error {
	officer, err := d.official(ctx, "liming")
	if err != nil {
		return err
	}
	issued, err := d.licences.Issue(ctx, officer, d.sampleOrder("sample-first"))
	d.licence = issued.ID
	return err
}

// addClients registers the sample applications. The secret of the confidential one is kept in the data folder.
func (d *demo) addClients(ctx context.Context) (err error) {
	if d.secret, err = sampleSecret(d.cfg); err != nil {
		return err
	}
	for _, c := range []oidc.NewClient{
		{
			Client: oidc.Client{
				ID: sampleHall, Name: "示例办事大厅", NameEN: "Sample service hall", RedirectURIs: []string{d.cfg.URL + "/sample/callback"},
				LogoutURIs: []string{d.cfg.URL + "/sample/"}, Scopes: []string{"openid", "profile", "entity"}, AuthMethod: oidc.AuthBasic, IDTokenAlg: "ES256",
			},
			Secret: d.secret,
		},
		{Client: oidc.Client{
			ID: samplePublic, Name: "互通测试应用", NameEN: "Interoperability test", RedirectURIs: []string{toolCallback, "http://localhost:9/callback"}, AuthMethod: oidc.AuthNone, Refresh: true,
			Scopes: []string{"openid", "profile", "phone", "entity", "identity", "offline_access"}, IDTokenAlg: "RS256",
		}},
		{Client: commandLine()},
	} {
		if _, err := d.oidc.RegisterClient(ctx, sampleActor, c); err != nil && !errors.Is(err, oidc.ErrClientTaken) {
			return fmt.Errorf("sample application %s: %w", c.ID, err)
		}
	}
	return nil
}

func sampleFile(cfg Config) string { return filepath.Join(cfg.Data, "sample-hall.secret") }

func sampleSecret(cfg Config) (string, error) {
	file := sampleFile(cfg)
	if err := makePassphrase(Config{Data: cfg.Data, PassphraseFile: file}); err != nil {
		return "", err
	}
	secret, err := hsm.PassphraseFile(file)
	if err != nil {
		return "", fmt.Errorf("secret of the sample application: %w", err)
	}
	return strings.Repeat(string(secret), 2), nil // 52 characters of base32, of which 26 are drawn
}

// welcome tells where to look and how to log in.
func (d *demo) welcome(w io.Writer, cfg Config) {
	fmt.Fprintf(w, "\nHufu is ready 虎符已就绪\n\n  %s/            the guided story 导览（六步走完全程）\n  %s/verify      check a sealed file 验章\n"+
		"  %s/login       log in 登录\n  %s/api/docs    the API\n\nSample log-ins, password %s 示例账号，密码 %s:\n\n", cfg.URL, cfg.URL, cfg.URL, cfg.URL, samplePassword, samplePassword)
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, p := range samplePeople {
		fmt.Fprintf(table, "  %s\t%s\t%s\n", p.account, p.who.EN, p.name)
	}
	_ = table.Flush() // to the terminal; nothing depends on it
	fmt.Fprintf(w, "\nPIN of the sample seal, its owner's alone 示例印章口令（仅所有者掌握）: %s\n  %s/seals/%s\n", samplePIN, cfg.URL, sampleSeal)
	fmt.Fprintf(w, "\nState is kept in %s. Ctrl-C ends the server.\n", d.cfg.Data)
}
