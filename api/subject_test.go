package api_test

import (
	"bytes"
	"testing"
)

type subject struct {
	ID, Kind, Name, State, Phone, USCC string
	Identifiers                        []struct{ Type, Number string }
}

func TestSubjectsAreRegisteredAndFound(t *testing.T) {
	each(t, nil, func(w *world) {
		number := "330100199505050019"[:17] + checkDigit("33010019950505001")
		var s subject
		answer := w.post("/api/v1/persons", "clerk", object{
			"name": "李雷", "phone": "13800000088", "identifiers": []object{{"type": "resident-id", "number": number}},
			"evidence": []object{{"method": "counter", "source": "窗口"}},
		})
		answer.into(&s)
		if s.Kind != "person" || s.State != "active" || bytes.Contains(answer.body, []byte(number)) || bytes.Contains(answer.body, []byte("13800000088")) {
			t.Fatalf("numbers in clear: %s", answer.body)
		}
		w.post("/api/v1/persons", "clerk", object{"name": "韩梅", "identifiers": []object{{"type": "resident-id", "number": number}}}).refused(409, "identity.number-taken")
		w.post("/api/v1/persons", "wang", object{"name": "韩梅", "phone": "13800000089"}).refused(403, "actor.role")
		wrong := w.post("/api/v1/persons", "clerk", object{"name": "韩梅", "identifiers": []object{{"type": "resident-id", "number": "330100199505050010"}}})
		wrong.refused(422, "identity.number")
		if bytes.Contains(wrong.body, []byte("330100199505050010")) {
			t.Error("a refusal repeats the number that was sent")
		}
		var page struct{ Items []subject }
		w.post("/api/v1/subjects/search", "clerk", object{"text": number}).into(&page)
		if len(page.Items) != 1 || page.Items[0].ID != s.ID {
			t.Errorf("%+v", page)
		}
		w.post("/api/v1/subjects/search", "wang", object{"text": "李"}).refused(403, "actor.role")
		w.get("/api/v1/subjects/"+s.ID, "clerk").ok()
		w.get("/api/v1/subjects/"+s.ID, "wang").refused(403, "identity.not-yours")
		w.subjectLife(s.ID)
	})
}

func (w *world) subjectLife(id string) {
	path := "/api/v1/subjects/" + id
	w.post(path+"/evidence", "clerk", object{"method": "face", "source": "窗口"}).ok()
	var evidence struct{ Items []struct{ Method string } }
	w.get(path+"/evidence", "clerk").into(&evidence)
	if len(evidence.Items) != 2 {
		w.Errorf("%+v", evidence)
	}
	w.post(path+"/identifiers", "clerk", object{"type": "passport", "number": "E12345678"}).ok()
	w.post(path+"/identifiers/end", "clerk", object{"type": "passport", "number": "E12345678"}).ok()
	w.call("PUT", path+"/contact", "clerk", object{"name": "李磊", "phone": ""}).ok()
	w.post(path+"/freeze", "clerk", object{"reason": "case-1"}).ok()
	var s subject
	w.get(path, "clerk").into(&s)
	if s.State != "frozen" || s.Name != "李磊" || s.Phone != "" {
		w.Errorf("%+v", s)
	}
	w.post(path+"/resume", "clerk", object{"reason": "case-1"}).ok()
	w.post(path+"/close", "clerk", object{"reason": "case-2"}).ok()
	w.post(path+"/resume", "clerk", object{"reason": "case-3"}).refused(403, "identity.closed")
}

func TestEntitiesPostsAndAccounts(t *testing.T) {
	each(t, nil, func(w *world) {
		w.post("/api/v1/entities", "clerk", object{"name": "x", "uscc": companyUSCC}).refused(409, "identity.number-taken")
		w.call("PUT", "/api/v1/entities/"+w.ids["company"]+"/legal-representative", "clerk", object{"person": w.ids["chief"], "source": "登记"}).ok()
		var me struct {
			Subject, Capacity string
			Roles             []string
			Capacities        []struct{ Kind string }
		}
		w.get("/api/v1/me", "chief").into(&me)
		if me.Subject != w.ids["chief"] || me.Capacity != "official" || len(me.Roles) != 2 || len(me.Capacities) != 3 {
			t.Errorf("%+v", me)
		}
		var post struct {
			ID    string
			Roles []string
		}
		appointment := object{"person": w.ids["wang"], "organization": w.ids["bureau"], "title": "科员"}
		w.post("/api/v1/posts", "clerk", appointment).into(&post)
		w.call("PUT", "/api/v1/posts/"+post.ID+"/roles", "clerk", object{"roles": []string{"approver"}}).refused(403, "actor.role")
		w.call("PUT", "/api/v1/posts/"+post.ID+"/roles", "super", object{"roles": []string{"approver"}}).ok()
		w.call("DELETE", "/api/v1/posts/"+post.ID, "clerk", nil).ok()

		account := object{"subject": w.ids["wang"], "name": "wangxiaoya", "password": password}
		opened := w.post("/api/v1/accounts", "clerk", account)
		opened.ok()
		if bytes.Contains(opened.body, []byte(password)) {
			t.Error("the answer repeats the password")
		}
		w.post("/api/v1/accounts", "clerk", account).refused(409, "login.account-taken")
		w.get("/api/v1/accounts/"+w.ids["wang"], "super").ok()
		w.call("PUT", "/api/v1/accounts/"+w.ids["wang"]+"/password", "clerk", object{"password": password}).refused(403, "actor.role")
		w.call("PUT", "/api/v1/accounts/"+w.ids["wang"]+"/password", "super", object{"password": "another horse 8"}).ok()
		w.get("/api/v1/accounts/"+w.ids["wang"]+"/sessions", "super").ok()
		w.call("DELETE", "/api/v1/accounts/"+w.ids["wang"]+"/sessions", "super", nil).ok()
		w.call("DELETE", "/api/v1/accounts/"+w.ids["wang"]+"/sessions", "chief", nil).refused(403, "login.not-yours")
	})
}

func TestClients(t *testing.T) {
	each(t, nil, func(w *world) {
		app := object{"id": "hall", "name": "办事大厅", "redirect_uris": []string{"https://rp.example/callback"}, "scopes": []string{"openid", "api"}}
		w.post("/api/v1/clients", "clerk", app).refused(403, "actor.role")
		var c struct {
			ID, Secret string
			AuthMethod string `json:"auth_method"`
			Disabled   bool
		}
		w.post("/api/v1/clients", "business", app).into(&c)
		if c.ID != "hall" || len(c.Secret) < 32 || c.AuthMethod != "client_secret_basic" {
			t.Fatalf("%+v", c)
		}
		secret := c.Secret
		w.post("/api/v1/clients", "business", app).refused(409, "oidc.client-taken")
		w.post("/api/v1/clients", "business", object{"name": "x", "redirect_uris": []string{"http://evil.example"}, "scopes": []string{"openid"}}).refused(422, "oidc.client")
		if got := w.get("/api/v1/clients/hall", "business"); bytes.Contains(got.body, []byte(secret)) {
			t.Error("the secret is shown again")
		}
		w.post("/api/v1/clients/hall/secret", "business", nil).into(&c)
		if c.Secret == secret {
			t.Error("the secret did not change")
		}
		delete(app, "id")
		app["name"], app["auth_method"], app["id_token_alg"] = "大厅", "client_secret_basic", "ES256"
		w.call("PUT", "/api/v1/clients/hall", "business", app).ok()
		w.post("/api/v1/clients/hall/disable", "business", nil).ok()
		w.get("/api/v1/clients/hall", "auditor").into(&c)
		if !c.Disabled {
			t.Errorf("%+v", c)
		}
		w.post("/api/v1/clients/hall/enable", "business", nil).ok()
		var page struct{ Items []struct{ ID string } }
		w.get("/api/v1/clients?limit=1", "business").into(&page)
		if len(page.Items) != 1 {
			t.Errorf("%+v", page)
		}
		w.get("/api/v1/me/grants", "wang").ok()
		w.call("DELETE", "/api/v1/me/grants/hall", "wang", nil).ok()
	})
}

func TestTheRecord(t *testing.T) {
	each(t, nil, func(w *world) {
		w.applied()
		var page struct {
			Items []struct {
				ID, Action, Kind, Actor string
				Intact, Opened, Erased  bool
			}
			Next string
		}
		w.get("/api/v1/audit/entries?action=application.submit", "auditor").into(&page)
		if len(page.Items) != 1 || page.Items[0].Actor != "person:"+w.ids["wang"] || !page.Items[0].Intact {
			t.Errorf("%+v", page)
		}
		w.get("/api/v1/audit/entries?limit=2", "auditor").into(&page)
		if len(page.Items) != 2 || page.Next == "" {
			t.Errorf("%+v", page)
		}
		w.get("/api/v1/audit/entries?limit=2&from=2020-01-01T00:00:00Z&after="+page.Next, "auditor").ok()
		w.get("/api/v1/audit/entries", "wang").refused(403, "actor.role")
		w.get("/api/v1/audit/entries?subject="+w.ids["wang"], "wang").ok()
		lacking := w.tokens["auditor"]
		lacking.Scopes = []string{"api"}
		w.tokens["lacking"] = lacking
		w.get("/api/v1/audit/entries", "lacking").refused(403, "actor.role")
		w.post("/api/v1/subjects/"+w.ids["wang"]+"/erasure", "auditor", nil).refused(403, "actor.role")
		w.post("/api/v1/subjects/"+w.ids["wang"]+"/erasure", "super", nil).ok()
		w.get("/api/v1/audit/entries?personal=true&subject="+w.ids["wang"], "auditor").into(&page)
		for _, e := range page.Items {
			if e.Opened {
				t.Errorf("opened after the erasure: %+v", e)
			}
		}
		w.get("/api/v1/audit/entries/nothing/proof", "").refused(404, "audit.unknown")
	})
}
