package main

import (
	"errors"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hufu/ca"
	"hufu/identity"
	"hufu/internal/actor"
	"hufu/internal/mail"
	"hufu/sandbox"
	"hufu/store"
	"hufu/store/storetest"
)

func TestAReminderReachesTheInbox(t *testing.T) {
	inbox, err := sandbox.NewInbox(time.Now)
	if err != nil {
		t.Fatal(err)
	}
	sender, err := mail.New(mail.Config{Server: inbox.Address(), From: "虎符 <no-reply@example.com>", Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	text := "您好：\n\n证书将到期 <b>.\n.\n"
	if err := (mailer{sender}).Send(t.Context(), ca.Mail{ID: "expiry-1", To: "wang@example.com", Subject: "证书将于 2026-12-01 到期", Text: text}); err != nil {
		t.Fatal(err)
	}
	letters := inbox.Letters()
	if len(letters) != 1 || letters[0].Text != text || letters[0].Subject != "证书将于 2026-12-01 到期" || letters[0].ID != "<expiry-1@example.com>" {
		t.Fatalf("%+v", letters)
	}
	rec := httptest.NewRecorder()
	inbox.ServeHTTP(rec, httptest.NewRequest("GET", "/sample/mail", nil))
	if page := rec.Body.String(); !strings.Contains(page, "证书将于 2026-12-01 到期") || strings.Contains(page, "<b>") {
		t.Error(page)
	}
	if err := inbox.Close(); err != nil {
		t.Error(err)
	}
	if err := (mailer{sender}).Send(t.Context(), ca.Mail{ID: "x", To: "wang@example.com"}); err == nil {
		t.Error("a closed inbox took a mail")
	}
}

func TestMailSettings(t *testing.T) {
	for _, m := range []Mail{{From: "a@b.c"}, {Server: "m:25", Username: "x"}, {Server: "m:25", PasswordFile: "x"}} {
		if err := m.check(); !errors.Is(err, errConfig) {
			t.Errorf("%+v: %v", m, err)
		}
	}
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte("secret\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	m := Mail{Server: "m:25", Username: "x", PasswordFile: file}
	if _, err := m.password(); !errors.Is(err, errConfig) {
		t.Errorf("a password that everybody reads: %v", err)
	}
	if err := os.Chmod(file, 0o600); err != nil {
		t.Fatal(err)
	}
	if p, err := m.password(); err != nil || p != "secret" {
		t.Errorf("%q, %v", p, err)
	}
}

// The registry is asked who may act now: the frozen may not, nor whose representation or post is over.
func TestWhoMayActAsksTheRegistry(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		service, err := identity.New(identity.Config{Store: db.Identity(), Now: time.Now})
		if err != nil {
			t.Fatal(err)
		}
		ctx, by := t.Context(), actor.ForSystem("test")
		register := func(name, number string) identity.Subject {
			s, err := service.RegisterPerson(ctx, by, identity.PersonForm{Name: name, Identifiers: []identity.Identifier{{Type: identity.ResidentID, Number: identity.Number(number)}}})
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
		wang, li := register("王小雅", "11010119900307002X"), register("李明", "330100199001010028")
		company, err := service.RegisterEntity(ctx, by, identity.EntityForm{Name: "云帆科技（示例）有限公司", USCC: "91330100MA0000A192", LegalRep: wang.ID})
		if err != nil {
			t.Fatal(err)
		}
		p := people{service}
		self, boss := actor.Actor{Subject: wang.ID, Capacity: actor.Person}, actor.Actor{Subject: wang.ID, Capacity: actor.Entity, For: company.ID}
		for _, a := range []actor.Actor{self, boss} {
			if err := p.MayAct(ctx, a); err != nil {
				t.Errorf("%s: %v", a, err)
			}
		}
		bureau, err := service.RegisterEntity(ctx, by, identity.EntityForm{Name: "示例市数据局", USCC: "11100000000013338W"})
		if err != nil {
			t.Fatal(err)
		}
		post, err := service.Appoint(ctx, by, identity.Appointment{Person: wang.ID, Organisation: bureau.ID, Title: "录入员", Roles: []actor.Role{actor.RoleRegistrar}})
		if err != nil {
			t.Fatal(err)
		}
		clerk := actor.Actor{Subject: wang.ID, Capacity: actor.Official, For: bureau.ID, Roles: []actor.Role{actor.RoleRegistrar}}
		if err := p.MayAct(ctx, clerk); err != nil {
			t.Errorf("a registrar in office: %v", err)
		}
		if err := service.SetRoles(ctx, by, post.ID, nil); err != nil {
			t.Fatal(err)
		}
		if err := p.MayAct(ctx, clerk); !errors.Is(err, actor.ErrRole) {
			t.Errorf("a registrar whose role was taken and who keeps the post: %v", err)
		}
		if err := service.SetLegalRep(ctx, by, company.ID, li.ID, "change"); err != nil {
			t.Fatal(err)
		}
		if err := p.MayAct(ctx, boss); !errors.Is(err, identity.ErrCapacity) {
			t.Errorf("who represents the company no more: %v", err)
		}
		if err := service.Freeze(ctx, by, wang.ID, "x"); err != nil {
			t.Fatal(err)
		}
		if err := p.MayAct(ctx, self); !errors.Is(err, identity.ErrFrozen) {
			t.Errorf("a frozen person: %v", err)
		}
		if to, err := p.Address(ctx, wang.ID); to != "" || err != nil {
			t.Errorf("mail to a frozen person: %q, %v", to, err)
		}
	})
}
