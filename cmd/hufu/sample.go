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
	"hufu/identity"
	"hufu/identity/login"
	"hufu/internal/actor"
	"hufu/internal/fault"
	"hufu/licence"
	"hufu/oidc"
	"hufu/sandbox"
	"hufu/seal"
	"hufu/web"
)

// samplePassword opens every account of the sample province. It is for trying only: everybody knows it.
const samplePassword = "Hufu-demo-2026"

// samplePIN is the owner's PIN of the sample bureau's seal; everybody knows it as well.
const samplePIN = "Hufu-seal-2026"

// The seal and the applications of the sample province.
const (
	sampleSeal   = "33010000000001"
	sampleHall   = "sample-hall"        // the sample application under /sample/
	samplePublic = "openid-client-test" // a public client, for relying parties on this machine
)

// samplePerson is a made-up person. The numbers are well-formed and belong to nobody.
type samplePerson struct {
	account, name, number, phone string
	level                        identity.Method
	post                         string // title at the sample bureau; empty for citizens
	roles                        []actor.Role
	who                          fault.Text
}

var samplePeople = []samplePerson{
	{
		account: "wangxiaoya", name: "王小雅", number: "330100199003070024", phone: "13800000001", level: identity.ByFace,
		who: fault.Text{ZH: "群众，云帆科技（示例）有限公司法定代表人", EN: "citizen, legal representative of a company"},
	},
	{
		account: "liming", name: "李明", number: "330100198506120017", phone: "13800000002", level: identity.ByCounter, post: "证照签发员",
		roles: []actor.Role{actor.RoleLicenceOfficer, actor.RoleRegistrar, actor.RoleSealOfficer},
		who: fault.Text{
			ZH: "公务人员，录入、签发证照、用印（印章口令 " + samplePIN + "）", EN: "official, enters applications, issues licences, stamps (the seal's PIN: " + samplePIN + ")",
		},
	},
	{
		account: "zhaomin", name: "赵敏", number: "33010019800101004X", phone: "13800000003", level: identity.ByCounter, post: "审核科科长",
		roles: []actor.Role{actor.RoleApprover, actor.RoleSealOfficer},
		who:   fault.Text{ZH: "公务人员，审核申请和印章", EN: "official, approves applications and seals"},
	},
	{
		account: "sunjing", name: "孙静", number: "330100197809150067", phone: "13800000004", level: identity.ByCounter, post: "审计员",
		roles: []actor.Role{actor.RoleAuditAdmin},
		who:   fault.Text{ZH: "审计管理员，查看全部记录", EN: "audit administrator, reads the whole record"},
	},
	{
		account: "guanliyuan", name: "周远", number: "33010019920820003X", phone: "13800000005", level: identity.ByCounter, post: "系统管理员",
		roles: []actor.Role{actor.RoleBusinessAdmin},
		who:   fault.Text{ZH: "业务管理员，登记应用，提出证书模板和信任清单", EN: "business administrator, registers applications, proposes profiles and trust lists"},
	},
	{
		account: "hejing", name: "何静", number: "330100199005120099", phone: "13800000008", level: identity.ByCounter, post: "系统管理员",
		roles: []actor.Role{actor.RoleBusinessAdmin},
		who:   fault.Text{ZH: "业务管理员，审核、发布周远提出的证书模板和信任清单", EN: "business administrator, publishes the profiles and trust lists that Zhou Yuan proposes"},
	},
	{
		account: "qianfeng", name: "钱峰", number: "330100198307140066", phone: "13800000006", level: identity.ByCounter, post: "密钥管理员",
		roles: []actor.Role{actor.RoleSuperAdmin},
		who:   fault.Text{ZH: "超级管理员，轮换密钥、授予角色", EN: "super administrator, rotates keys, gives roles"},
	},
	{
		account: "wuyue", name: "吴悦", number: "33010019870905008X", phone: "13800000007", level: identity.ByCounter, post: "密钥管理员",
		roles: []actor.Role{actor.RoleSuperAdmin},
		who:   fault.Text{ZH: "超级管理员，与钱峰共同销毁密钥", EN: "super administrator, destroys keys together with Qian Feng"},
	},
	{
		account: "linwei", name: "林薇", number: "330100198103230107", phone: "13800000009", level: identity.ByCounter, post: "密钥恢复员",
		roles: []actor.Role{actor.RoleRecoveryOfficer},
		who:   fault.Text{ZH: "密钥恢复员，三人中须两人批准", EN: "recovery officer; two of the three must approve"},
	},
	{
		account: "tangyu", name: "唐宇", number: "330100198609170113", phone: "13800000010", level: identity.ByCounter, post: "密钥恢复员",
		roles: []actor.Role{actor.RoleRecoveryOfficer},
		who:   fault.Text{ZH: "密钥恢复员", EN: "recovery officer"},
	},
	{
		account: "fangmin", name: "方敏", number: "330100199402280125", phone: "13800000011", level: identity.ByCounter, post: "密钥恢复员",
		roles: []actor.Role{actor.RoleRecoveryOfficer},
		who:   fault.Text{ZH: "密钥恢复员", EN: "recovery officer"},
	},
}

// The organisations of the sample province.
const (
	sampleBureau      = "示例市市场监督管理局"
	sampleBureauUSCC  = "11330100000000019E"
	sampleCompany     = "云帆科技（示例）有限公司"
	sampleCompanyUSCC = "91330100MA0000A192"
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

func (d *demo) addPeople(ctx context.Context) error {
	for _, p := range samplePeople {
		id := identity.Identifier{Type: identity.ResidentID, Number: identity.Number(p.number)}
		found, err := d.identity.ByNumber(ctx, sampleActor, id)
		if err == nil {
			_, err = d.login.Account(ctx, sampleActor, found.ID)
		}
		if errors.Is(err, identity.ErrUnknown) || errors.Is(err, login.ErrNoAccount) {
			found, err = d.login.Enrol(ctx, sampleActor, login.Enrolment{
				Person: identity.PersonForm{
					Name: p.name, Phone: p.phone, Identifiers: []identity.Identifier{id},
					Evidence: []identity.Evidence{{Method: p.level, Source: "sample"}},
				},
				Account: p.account, Password: samplePassword,
			})
		}
		if err != nil {
			return fmt.Errorf("person %s: %w", p.account, err)
		}
		d.people[p.account] = found.ID
	}
	return nil
}

func (d *demo) addOrganisations(ctx context.Context) (err error) {
	if d.bureau, err = d.organisation(ctx, sampleBureau, sampleBureauUSCC, ""); err != nil {
		return err
	}
	d.company, err = d.organisation(ctx, sampleCompany, sampleCompanyUSCC, d.people["wangxiaoya"])
	return err
}

func (d *demo) organisation(ctx context.Context, name, uscc, representative string) (string, error) {
	found, err := d.identity.ByNumber(ctx, sampleActor, identity.Identifier{Type: identity.CreditCode, Number: identity.Number(uscc)})
	if errors.Is(err, identity.ErrUnknown) {
		found, err = d.identity.RegisterEntity(ctx, sampleActor, identity.EntityForm{
			Name: name, USCC: uscc, LegalRep: representative, Evidence: []identity.Evidence{{Method: identity.ByRegistry, Source: "sample"}},
		})
	}
	if err != nil {
		return "", fmt.Errorf("organisation %s: %w", uscc, err)
	}
	return found.ID, nil
}

func (d *demo) appoint(ctx context.Context) error {
	for _, p := range samplePeople {
		if p.post == "" {
			continue
		}
		_, err := d.identity.HolderIn(ctx, d.people[p.account], d.bureau)
		if errors.Is(err, identity.ErrNoPost) {
			_, err = d.identity.Appoint(ctx, sampleActor, identity.Appointment{
				Person: d.people[p.account], Organisation: d.bureau, Title: p.post, Roles: p.roles,
			})
		}
		if err != nil {
			return fmt.Errorf("post of %s: %w", p.account, err)
		}
	}
	return nil
}

// official returns the actor of a sample official in office, as a log-in with a password would give it.
func (d *demo) official(ctx context.Context, account string) (actor.Actor, error) {
	person := actor.Actor{Subject: d.people[account], Capacity: actor.Person, IdentityLevel: 4, AuthLevel: 2}
	return d.identity.Act(ctx, person, identity.Capacity{Kind: identity.Official, For: d.bureau})
}

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

func (d *demo) samples() (all []web.Sample) {
	for _, p := range samplePeople {
		all = append(all, web.Sample{Account: p.account, Password: samplePassword, Name: p.name, Who: p.who})
	}
	return all
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
