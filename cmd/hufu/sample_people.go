package main

import (
	"context"
	"errors"
	"fmt"

	"hufu/identity"
	"hufu/identity/login"
	"hufu/internal/actor"
	"hufu/internal/fault"
	"hufu/web"
)

// samplePassword opens every account of the sample province. It is for trying only: everybody knows it.
const samplePassword = "Hufu-demo-2026"

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

func (d *demo) samples() (all []web.Sample) {
	for _, p := range samplePeople {
		all = append(all, web.Sample{Account: p.account, Password: samplePassword, Name: p.name, Who: p.who})
	}
	return all
}
