package identity_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"hufu/identity"
	"hufu/internal/actor"
	"hufu/internal/fault"
	"hufu/store"
	"hufu/store/storetest"
)

const (
	companyCode = "91330106MA00000190"
	officeCode  = "11330105002500287C"
)

var (
	system    = actor.ForSystem("test")
	registrar = actor.Actor{Subject: "registrar", Capacity: actor.Official, Roles: []actor.Role{actor.RoleRegistrar}}
	super     = actor.Actor{Subject: "super", Capacity: actor.Official, Roles: []actor.Role{actor.RoleSuperAdmin}}
	citizen   = actor.Actor{Subject: "citizen", Capacity: actor.Person}
)

// world is a service on one engine with a clock that the test moves.
type world struct {
	*testing.T
	*identity.Service
	ctx context.Context
	now time.Time
	db  *store.DB
}

func each(t *testing.T, f func(w *world)) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := &world{T: t, ctx: t.Context(), now: time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC), db: db}
		var err error
		if w.Service, err = identity.New(identity.Config{Store: db.Identity(), Now: func() time.Time { return w.now }}); err != nil {
			t.Fatal(err)
		}
		f(w)
	})
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func (w *world) refused(err error, want *fault.Error) {
	w.Helper()
	if !errors.Is(err, want) {
		w.Errorf("got %v, want %s", err, want.Code)
	}
}

func resident(number string) identity.Identifier {
	return identity.Identifier{Type: identity.ResidentID, Number: identity.Number(number)}
}

func (w *world) person(name, number string, evidence ...identity.Evidence) identity.Subject {
	w.Helper()
	s, err := w.RegisterPerson(w.ctx, system, identity.PersonForm{
		Name: name, Identifiers: []identity.Identifier{resident(number)}, Evidence: evidence,
	})
	w.must(err)
	return s
}

func (w *world) entity(name, code, rep string) identity.Subject {
	w.Helper()
	s, err := w.RegisterEntity(w.ctx, system, identity.EntityForm{
		Name: name, USCC: code, LegalRep: rep, Evidence: []identity.Evidence{{Method: identity.ByRegistry, Source: "register"}},
	})
	w.must(err)
	return s
}

func TestRegisterAndFind(t *testing.T) {
	each(t, func(w *world) {
		made, err := w.RegisterPerson(w.ctx, registrar, identity.PersonForm{
			Name: " 张  小明 ", Phone: "138 0000 0011",
			Identifiers: []identity.Identifier{resident("11010119900307002x"), {Type: identity.Passport, Number: "E12345678"}},
			Evidence:    []identity.Evidence{{Method: identity.ByCounter, Source: "counter 3"}},
		})
		w.must(err)
		got, err := w.Get(w.ctx, system, made.ID)
		w.must(err)
		if got.Name != "张 小明" || got.Phone.Reveal() != "+8613800000011" || len(got.Identifiers) != 2 || got.Registered != w.now || got.State != identity.Active {
			t.Errorf("stored %+v", got)
		}
		for _, id := range made.Identifiers {
			if found, err := w.ByNumber(w.ctx, registrar, id); err != nil || found.ID != made.ID {
				t.Errorf("by %s: %v, %v", id.Type, found.ID, err)
			}
		}
		_, err = w.ByNumber(w.ctx, registrar, identity.Identifier{Type: identity.Passport, Country: "DEU", Number: "E12345678"})
		w.refused(err, identity.ErrUnknown)
		standing, err := w.Standing(w.ctx, made.ID)
		w.must(err)
		if standing != (identity.Standing{ID: made.ID, Kind: identity.Person, Name: "张 小明", Level: 4}) {
			t.Errorf("standing %+v", standing)
		}
		profile, err := w.Profile(w.ctx, made.ID)
		if err != nil || profile.Phone != got.Phone || len(profile.Identifiers) != 2 {
			t.Errorf("profile %+v, %v", profile, err)
		}
	})
}

func TestBadFormsAreRefused(t *testing.T) {
	each(t, func(w *world) {
		good := []identity.Identifier{resident("110101199003070011")}
		for name, c := range map[string]struct {
			form identity.PersonForm
			want *fault.Error
		}{
			"no number":        {identity.PersonForm{Name: "张三"}, identity.ErrForm},
			"wrong check":      {identity.PersonForm{Name: "张三", Identifiers: []identity.Identifier{resident("110101199003070012")}}, identity.ErrNumber},
			"not born yet":     {identity.PersonForm{Name: "张三", Identifiers: []identity.Identifier{resident(residentID("11010120260401001"))}}, identity.ErrNumber},
			"no name":          {identity.PersonForm{Name: " ", Identifiers: good}, identity.ErrName},
			"bidi name":        {identity.PersonForm{Name: "张\u202e三", Identifiers: good}, identity.ErrName},
			"markup":           {identity.PersonForm{Name: "<b>张三", Identifiers: good}, identity.ErrName},
			"phone":            {identity.PersonForm{Name: "张三", Phone: "110"}, identity.ErrPhone},
			"level too high":   {identity.PersonForm{Name: "张三", Identifiers: good, Evidence: []identity.Evidence{{Method: identity.ByPhone, Source: "x", Level: 4}}}, identity.ErrForm},
			"future evidence":  {identity.PersonForm{Name: "张三", Identifiers: good, Evidence: []identity.Evidence{{Method: identity.ByFace, Source: "x", At: w.now.Add(time.Hour)}}}, identity.ErrForm},
			"unknown evidence": {identity.PersonForm{Name: "张三", Identifiers: good, Evidence: []identity.Evidence{{Method: "rumour", Source: "x"}}}, identity.ErrForm},
			"entity's method":  {identity.PersonForm{Name: "张三", Identifiers: good, Evidence: []identity.Evidence{{Method: identity.ByRegistry, Source: "x"}}}, identity.ErrForm},
			"no source":        {identity.PersonForm{Name: "张三", Identifiers: good, Evidence: []identity.Evidence{{Method: identity.ByFace}}}, identity.ErrForm},
		} {
			if _, err := w.RegisterPerson(w.ctx, registrar, c.form); !errors.Is(err, c.want) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if _, err := w.ByNumber(w.ctx, registrar, good[0]); !errors.Is(err, identity.ErrUnknown) {
			t.Errorf("a refused form left something: %v", err)
		}
	})
}

func residentID(body string) string {
	sum := 0
	for i, w := range []int{7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2} {
		sum += int(body[i]-'0') * w
	}
	return body + string("10X98765432"[sum%11])
}

func TestOneNumberOneLivingSubject(t *testing.T) {
	each(t, func(w *world) {
		form := identity.PersonForm{Name: "张三", Identifiers: []identity.Identifier{resident("110101199003070011")}}
		var wg sync.WaitGroup
		ids, refusals := make([]string, 8), make([]error, 8)
		for i := range 8 {
			wg.Go(func() {
				s, err := w.RegisterPerson(w.ctx, registrar, form)
				ids[i], refusals[i] = s.ID, err
			})
		}
		wg.Wait()
		won := ""
		for i, err := range refusals {
			if err == nil {
				if won != "" {
					t.Error("two racers registered the same number")
				}
				won = ids[i]
			} else if !errors.Is(err, identity.ErrNumberTaken) {
				t.Error(err)
			}
		}
		w.must(w.Close(w.ctx, registrar, won, "emigrated"))
		again, err := w.RegisterPerson(w.ctx, registrar, form)
		if err != nil || again.ID == won {
			t.Errorf("a closed subject's number must be free: %v", err)
		}
		other := w.person("李四", "34052419800101001X")
		w.refused(w.AddIdentifier(w.ctx, registrar, other.ID, form.Identifiers[0]), identity.ErrNumberTaken)
		w.must(w.EndIdentifier(w.ctx, registrar, again.ID, form.Identifiers[0]))
		w.must(w.AddIdentifier(w.ctx, registrar, other.ID, form.Identifiers[0]))
		w.refused(w.EndIdentifier(w.ctx, registrar, again.ID, form.Identifiers[0]), identity.ErrUnknown)
	})
}

func TestOnlyOfficersChange(t *testing.T) {
	each(t, func(w *world) {
		p := w.person("张三", "110101199003070011")
		e := w.entity("公司", companyCode, p.ID)
		self := actor.Actor{Subject: p.ID, Capacity: actor.Person}
		selfOfficer := actor.Actor{Subject: p.ID, Capacity: actor.Official, Roles: []actor.Role{actor.RoleRegistrar, actor.RoleSuperAdmin}}
		evidence := identity.Evidence{Method: identity.ByCounter, Source: "me"}
		for who, a := range map[string]actor.Actor{"citizen": citizen, "self": self, "nobody": {}, "officer about itself": selfOfficer} {
			calls := map[string]error{
				"evidence":  w.AddEvidence(w.ctx, a, p.ID, evidence),
				"number":    w.AddIdentifier(w.ctx, a, p.ID, identity.Identifier{Type: identity.Passport, Number: "E12345678"}),
				"contact":   w.SetContact(w.ctx, a, p.ID, "王五", ""),
				"freeze":    w.Freeze(w.ctx, a, p.ID, ""),
				"close":     w.Close(w.ctx, a, p.ID, ""),
				"legal rep": w.SetLegalRep(w.ctx, a, e.ID, p.ID, "register"),
			}
			if who != "officer about itself" {
				_, calls["register"] = w.RegisterPerson(w.ctx, a, identity.PersonForm{Name: "x", Phone: "13800000011"})
				_, calls["appoint"] = w.Appoint(w.ctx, a, identity.Appointment{Person: p.ID, Organisation: e.ID, Title: "x"})
				_, calls["by number"] = w.ByNumber(w.ctx, a, resident("110101199003070011"))
				_, calls["search"] = w.Search(w.ctx, a, identity.Query{})
			}
			for what, err := range calls {
				if k := fault.KindOf(err); k != fault.Denied && k != fault.Unauthenticated {
					t.Errorf("%s by %s: %v", what, who, err)
				}
			}
		}
		if s, _ := w.Standing(w.ctx, p.ID); s.Level != 0 || s.Name != "张三" {
			t.Errorf("changed after all: %+v", s)
		}
	})
}

func TestWhoReadsWhom(t *testing.T) {
	each(t, func(w *world) {
		p := w.person("张三", "110101199003070011")
		e := w.entity("公司", companyCode, p.ID)
		for who, c := range map[string]struct {
			a  actor.Actor
			id string
			ok bool
		}{
			"self":                {actor.Actor{Subject: p.ID, Capacity: actor.Person}, p.ID, true},
			"for the entity":      {actor.Actor{Subject: "x", Capacity: actor.Entity, For: e.ID}, e.ID, true},
			"another":             {citizen, p.ID, false},
			"nobody":              {actor.Actor{Subject: p.ID}, p.ID, false},
			"officer":             {registrar, p.ID, true},
			"client with same id": {actor.Actor{Subject: p.ID, Capacity: actor.Client}, p.ID, false},
		} {
			_, err := w.Get(w.ctx, c.a, c.id)
			if (err == nil) != c.ok {
				t.Errorf("%s: %v", who, err)
			}
		}
		if _, err := w.EvidenceOf(w.ctx, citizen, e.ID); !errors.Is(err, identity.ErrNotYours) {
			t.Error(err)
		}
		if list, err := w.EvidenceOf(w.ctx, registrar, e.ID); err != nil || len(list) != 1 || list[0].By != "system:test" {
			t.Errorf("%+v, %v", list, err)
		}
	})
}

func TestLevelIsTheBestUnexpiredEvidence(t *testing.T) {
	each(t, func(w *world) {
		p := w.person("张三", "110101199003070011", identity.Evidence{Method: identity.ByPhone, Source: "sms"})
		level := func(want actor.Level) {
			t.Helper()
			if s, err := w.Standing(w.ctx, p.ID); err != nil || s.Level != want {
				t.Errorf("level %d, %v, want %d", s.Level, err, want)
			}
		}
		level(1)
		w.must(w.AddEvidence(w.ctx, registrar, p.ID, identity.Evidence{Method: identity.ByFace, Source: "face", Expires: w.now.Add(time.Hour)}))
		w.must(w.AddEvidence(w.ctx, registrar, p.ID, identity.Evidence{Method: identity.ByMatch, Source: "population"}))
		level(3)
		w.now = w.now.Add(time.Hour)
		level(2)
	})
}

func TestStates(t *testing.T) {
	each(t, func(w *world) {
		p := w.person("张三", "110101199003070011")
		office := w.entity("某局", officeCode, "")
		post, err := w.Appoint(w.ctx, registrar, identity.Appointment{Person: p.ID, Organisation: office.ID, Title: "科员"})
		w.must(err)
		standing := func(id string) error { _, err := w.Standing(w.ctx, id); return err }
		w.must(standing(post.ID))

		w.must(w.Freeze(w.ctx, registrar, p.ID, "case-1"))
		w.refused(standing(p.ID), identity.ErrFrozen)
		w.refused(standing(post.ID), identity.ErrFrozen)
		_, err = w.Capacities(w.ctx, p.ID)
		w.refused(err, identity.ErrFrozen)
		w.refused(w.Freeze(w.ctx, registrar, p.ID, ""), identity.ErrState)
		w.must(w.Resume(w.ctx, registrar, p.ID, ""))
		w.must(standing(post.ID))

		w.must(w.Freeze(w.ctx, registrar, office.ID, ""))
		w.refused(standing(post.ID), identity.ErrFrozen)
		if all, err := w.Capacities(w.ctx, p.ID); err != nil || len(all) != 1 {
			t.Errorf("a frozen organisation is no capacity: %+v, %v", all, err)
		}
		w.must(w.Close(w.ctx, registrar, office.ID, ""))
		w.refused(standing(post.ID), identity.ErrNoPost)
		w.refused(standing(office.ID), identity.ErrClosed)
		for _, err := range []error{
			w.Resume(w.ctx, registrar, office.ID, ""), w.SetContact(w.ctx, registrar, office.ID, "新名", ""),
			w.AddEvidence(w.ctx, registrar, office.ID, identity.Evidence{Method: identity.ByCounter, Source: "x"}),
		} {
			w.refused(err, identity.ErrClosed)
		}
		w.refused(standing("nobody"), identity.ErrUnknown)

		kinds := map[string]int{}
		for {
			job, err := w.db.ClaimJob(w.ctx)
			w.must(err)
			if job == nil {
				break
			}
			kinds[job.Kind]++
			w.must(w.db.FinishJob(w.ctx, job))
		}
		if kinds[identity.JobChanged] != 4 { // freeze, freeze, close, post ended
			t.Errorf("jobs %v", kinds)
		}
	})
}

func TestCapacitiesAndActing(t *testing.T) {
	each(t, func(w *world) {
		p := w.person("张三", "110101199003070011", identity.Evidence{Method: identity.ByFace, Source: "x"})
		company := w.entity("公司", companyCode, p.ID)
		office := w.entity("某局", officeCode, "")
		_, err := w.Appoint(w.ctx, registrar, identity.Appointment{Person: p.ID, Organisation: company.ID, Title: "经理"})
		w.refused(err, identity.ErrPost)
		_, err = w.Appoint(w.ctx, registrar, identity.Appointment{Person: office.ID, Organisation: office.ID, Title: "科员"})
		w.refused(err, identity.ErrPost)
		post, err := w.Appoint(w.ctx, super, identity.Appointment{
			Person: p.ID, Organisation: office.ID, Title: "科员", Roles: []actor.Role{actor.RoleSealOfficer},
		})
		w.must(err)

		all, err := w.Capacities(w.ctx, p.ID)
		w.must(err)
		want := []identity.Capacity{
			{Kind: identity.Person, Name: "张三"},
			{Kind: identity.Entity, For: company.ID, Name: "公司", USCC: companyCode, Relation: identity.LegalRep, Since: w.now},
			{
				Kind: identity.Official, For: office.ID, Name: "某局", USCC: officeCode, PostID: post.ID, Post: "科员",
				Roles: []actor.Role{actor.RoleSealOfficer}, Since: w.now,
			},
		}
		if fmt.Sprint(all) != fmt.Sprint(want) {
			t.Errorf("got  %v\nwant %v", all, want)
		}
		h, err := w.Holder(w.ctx, post.ID)
		w.must(err)
		if h.Kind != identity.Official || h.Person != p.ID || h.Name != "张三" || h.OrgUSCC != officeCode || h.Level != 3 || h.Number.Reveal() != "110101199003070011" {
			t.Errorf("holder %+v", h)
		}

		if in, err := w.HolderIn(w.ctx, p.ID, office.ID); err != nil || in != h {
			t.Errorf("holder in the office %+v, %v", in, err)
		}
		_, err = w.HolderIn(w.ctx, p.ID, company.ID)
		w.refused(err, identity.ErrNoPost)
		if in, err := w.HolderIn(w.ctx, company.ID, ""); err != nil || in.Kind != identity.Entity || in.NumberType != identity.CreditCode {
			t.Errorf("holder %+v, %v", in, err)
		}

		me := actor.Actor{Subject: p.ID, Capacity: actor.Person, Session: "s", AuthLevel: 2}
		acting, err := w.Act(w.ctx, me, all[2])
		if err != nil || !acting.Is(actor.RoleSealOfficer) || acting.For != office.ID || acting.Session != "s" || acting.Capacity != actor.Official {
			t.Errorf("acting %+v, %v", acting, err)
		}
		// Roles come from the post, whatever the caller claims.
		forged := all[1]
		forged.Roles = []actor.Role{actor.RoleSuperAdmin}
		if acting, err = w.Act(w.ctx, me, forged); err != nil || len(acting.Roles) != 0 {
			t.Errorf("acting %+v, %v", acting, err)
		}
		if acting, err = w.Act(w.ctx, acting, all[0]); err != nil || acting.For != "" || acting.Capacity != actor.Person {
			t.Errorf("back to oneself: %+v, %v", acting, err)
		}
		_, err = w.Act(w.ctx, actor.Actor{Subject: p.ID, Capacity: actor.Client}, all[2])
		w.refused(err, identity.ErrCapacity)

		w.must(w.EndPost(w.ctx, registrar, post.ID))
		w.refused(w.EndPost(w.ctx, registrar, post.ID), identity.ErrNoPost)
		_, err = w.Act(w.ctx, me, all[2])
		w.refused(err, identity.ErrCapacity)
		other := w.person("李四", "34052419800101001X")
		w.must(w.SetLegalRep(w.ctx, registrar, company.ID, other.ID, "register"))
		_, err = w.Act(w.ctx, me, all[1])
		w.refused(err, identity.ErrCapacity)
	})
}

func TestRolesAreSeparated(t *testing.T) {
	each(t, func(w *world) {
		p := w.person("张三", "110101199003070011")
		a := w.entity("甲局", officeCode, "")
		b := w.entity("乙局", "11220000013544541J", "")
		appoint := func(by actor.Actor, org string, roles ...actor.Role) (identity.Post, error) {
			return w.Appoint(w.ctx, by, identity.Appointment{Person: p.ID, Organisation: org, Title: "管理员", Roles: roles})
		}
		_, err := appoint(registrar, a.ID, actor.RoleApprover)
		w.refused(err, actor.ErrRole)
		_, err = appoint(super, a.ID, actor.RoleSuperAdmin, actor.RoleAuditAdmin)
		w.refused(err, identity.ErrRoles)
		_, err = appoint(super, a.ID, "king")
		w.refused(err, identity.ErrRoles)
		_, err = appoint(actor.Actor{Subject: p.ID, Capacity: actor.Official, Roles: super.Roles}, a.ID, actor.RoleApprover)
		w.refused(err, identity.ErrRoles)

		first, err := appoint(super, a.ID, actor.RoleAuditAdmin)
		w.must(err)
		_, err = appoint(super, b.ID, actor.RoleSuperAdmin)
		w.refused(err, identity.ErrRoles)
		second, err := appoint(super, b.ID)
		w.must(err)
		w.refused(w.SetRoles(w.ctx, super, second.ID, []actor.Role{actor.RoleBusinessAdmin}), identity.ErrRoles)
		w.refused(w.SetRoles(w.ctx, registrar, second.ID, nil), actor.ErrRole)
		w.now = w.now.Add(time.Minute)
		w.must(w.SetRoles(w.ctx, super, first.ID, nil))
		ways, err := w.Capacities(w.ctx, p.ID)
		w.must(err)
		since := map[string]time.Time{}
		for _, way := range ways {
			since[way.PostID] = way.Since
		}
		if !since[first.ID].Equal(w.now) || !since[second.ID].Equal(second.Since) {
			t.Errorf("since when the posts carry their roles: %+v", ways)
		}

		// Two administrators at once give the two roles: one of them loses.
		var wg sync.WaitGroup
		errs := make([]error, 8)
		for i := range errs {
			wg.Go(func() {
				if i%2 == 0 {
					errs[i] = w.SetRoles(w.ctx, super, first.ID, []actor.Role{actor.RoleAuditAdmin})
				} else {
					errs[i] = w.SetRoles(w.ctx, super, second.ID, []actor.Role{actor.RoleSuperAdmin})
				}
			})
		}
		wg.Wait()
		all, err := w.Capacities(w.ctx, p.ID)
		w.must(err)
		var held []actor.Role
		for _, c := range all {
			held = append(held, c.Roles...)
		}
		if len(held) != 1 {
			t.Errorf("held %v, refusals %v", held, errs)
		}
	})
}

func TestSearch(t *testing.T) {
	each(t, func(w *world) {
		var made []string
		for i := range 25 {
			s := w.person(fmt.Sprintf("张%02d", i), residentID(fmt.Sprintf("110101199003%02d001", i+1)))
			made = append(made, s.ID)
			w.now = w.now.Add(time.Duration(i%2) * time.Second) // pairs share their time
		}
		rare, err := w.RegisterPerson(w.ctx, system, identity.PersonForm{Name: "100%_张", Phone: "13800000011"})
		w.must(err)
		company := w.entity("张家公司", companyCode, "")

		var seen []string
		for q := (identity.Query{Kind: identity.Person, Limit: 10}); ; {
			page, err := w.Search(w.ctx, registrar, q)
			w.must(err)
			for _, s := range page.Subjects {
				seen = append(seen, s.ID)
			}
			if q.Page = page.Next; q.Page == "" {
				break
			}
		}
		slices.Sort(seen)
		all := append(slices.Clone(made), rare.ID)
		slices.Sort(all)
		if !slices.Equal(seen, all) {
			t.Errorf("pages showed %d of %d, or one twice", len(seen), len(all))
		}
		for text, want := range map[string]int{
			"张0": 10, "张": 20, "%": 0, "_": 0, "100%": 1, "138 0000 0011": 1, companyCode: 1, residentID("11010119900301001"): 1,
			"13900000011": 0, "34052419800101001X": 0, "' OR 1=1": 0,
		} {
			page, err := w.Search(w.ctx, registrar, identity.Query{Text: text})
			if err != nil || len(page.Subjects) != want {
				t.Errorf("%q: %d, %v", text, len(page.Subjects), err)
			}
		}
		page, err := w.Search(w.ctx, registrar, identity.Query{Text: "张", Kind: identity.Entity})
		if err != nil || len(page.Subjects) != 1 || page.Subjects[0].ID != company.ID || page.Subjects[0].USCC() != companyCode {
			t.Errorf("%+v, %v", page, err)
		}
		for _, bad := range []identity.Query{{Page: "x"}, {Page: "MS4"}, {Limit: -1}, {Limit: 1000}} {
			if _, err := w.Search(w.ctx, registrar, bad); fault.KindOf(err) != fault.Invalid {
				t.Errorf("%+v: %v", bad, err)
			}
		}
	})
}

func TestContactChanges(t *testing.T) {
	each(t, func(w *world) {
		p := w.person("张三", "110101199003070011")
		w.must(w.SetContact(w.ctx, registrar, p.ID, "张三丰", "13800000011"))
		got, err := w.Get(w.ctx, system, p.ID)
		if err != nil || got.Name != "张三丰" || got.Phone.Reveal() != "+8613800000011" {
			t.Errorf("%+v, %v", got, err)
		}
		page, err := w.Search(w.ctx, registrar, identity.Query{Text: "张三丰"})
		if err != nil || len(page.Subjects) != 1 {
			t.Errorf("%+v, %v", page, err)
		}
		w.must(w.SetContact(w.ctx, registrar, p.ID, "张三丰", ""))
		if page, err = w.Search(w.ctx, registrar, identity.Query{Text: "13800000011"}); err != nil || len(page.Subjects) != 0 {
			t.Errorf("an old phone still finds: %+v, %v", page, err)
		}
	})
}

func TestWhereMailGoes(t *testing.T) {
	each(t, func(w *world) {
		p := w.person("张三", "110101199003070011")
		w.must(w.SetEmail(w.ctx, registrar, p.ID, " zhang.san@example.com "))
		got, err := w.Get(w.ctx, system, p.ID)
		if err != nil || got.Email.Reveal() != "zhang.san@example.com" || got.Email.String() != "z***@example.com" {
			t.Errorf("%v, %v", got.Email, err)
		}
		if name, email, err := w.Contact(w.ctx, p.ID); err != nil || name != "张三" || email != got.Email {
			t.Errorf("%q, %v, %v", name, email, err)
		}
		for _, bad := range []string{"a", "a@b", "a@b.c\r\nBcc: x@y.z", "x <a@b.c>", "张三@example.com", "a@b.c, d@e.f", `"a b"@c.d`} {
			if err := w.SetEmail(w.ctx, registrar, p.ID, bad); !errors.Is(err, identity.ErrEmail) {
				t.Errorf("%q: %v", bad, err)
			}
		}
		if err := w.SetEmail(w.ctx, actor.Actor{Subject: p.ID, Capacity: actor.Person}, p.ID, "a@b.cn"); err == nil {
			t.Error("a person without a role set it")
		}
		w.must(w.SetEmail(w.ctx, registrar, p.ID, ""))
		if _, email, err := w.Contact(w.ctx, p.ID); err != nil || email != "" {
			t.Errorf("%v, %v", email, err)
		}
		w.must(w.Freeze(w.ctx, registrar, p.ID, "x"))
		if _, _, err := w.Contact(w.ctx, p.ID); !errors.Is(err, identity.ErrFrozen) {
			t.Errorf("mail to a frozen subject: %v", err)
		}
	})
}
