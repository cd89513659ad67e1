package api_test

import (
	"net/http"
	"strings"
	"testing"

	"hufu/certs"
)

type application struct {
	ID, State, Holder string
	Certificates      []string
	Maker             struct{ Subject, Capacity string }
	Checkers          []struct{ Subject string }
}

// applied applies as the citizen.
func (w *world) applied() application {
	w.Helper()
	var app application
	w.post("/api/v1/applications", "wang", object{"profile": "person-sign", "csr": w.newCSR()}).into(&app)
	return app
}

func TestACertificateFromRequestToRevocation(t *testing.T) {
	each(t, nil, func(w *world) {
		answer := w.post("/api/v1/applications", "wang", object{"profile": "person-sign", "csr": w.newCSR()})
		var app application
		answer.into(&app)
		if answer.status != http.StatusCreated || app.State != "submitted" || app.Holder != w.ids["wang"] || app.Maker.Capacity != "person" {
			t.Fatalf("applied: %d %s", answer.status, answer.body)
		}
		path := "/api/v1/applications/" + app.ID
		w.post(path+"/issue", "wang", nil).refused(409, "ca.state")
		w.post(path+"/decision", "wang", object{"approve": true}).refused(403, "actor.role")
		w.post(path+"/decision", "chief", object{"approve": true}).into(&app)
		if app.State != "approved" || len(app.Checkers) != 1 || app.Checkers[0].Subject != w.ids["chief"] {
			t.Errorf("approved: %+v", app)
		}
		w.post(path+"/decision", "chief", object{"approve": true}).refused(409, "ca.state")
		var out struct {
			Application  application
			Certificates []struct{ Serial, PEM string }
			Chain        string
			Envelope     []byte
		}
		w.post(path+"/issue", "wang", nil).into(&out)
		if out.Application.State != "issued" || len(out.Certificates) != 2 || len(out.Envelope) == 0 {
			t.Fatalf("issued: %+v", out)
		}
		again := out
		w.post(path+"/issue", "wang", nil).into(&again)
		if again.Certificates[0].Serial != out.Certificates[0].Serial {
			t.Error("asked again, another certificate was issued")
		}
		w.checkCertificate(out.Certificates[0].Serial, out.Chain)
		w.revoke(out.Certificates[0].Serial)
	})
}

// checkCertificate gets a certificate in its three forms.
func (w *world) checkCertificate(serial, issuers string) {
	path := "/api/v1/certificates/" + serial
	w.get(path, "").refused(404, "ca.unknown") // it holds the identity number
	w.get(path, "forged").refused(401, "oidc.token")
	chain := w.get(path, "wang")
	all, err := certs.ParseAnyPEM(chain.body)
	if err != nil || len(all) != 3 || chain.header.Get("Content-Type") != "application/pem-certificate-chain" || !strings.HasSuffix(string(chain.body), issuers) {
		w.Errorf("chain: %v, %d certificates, %v", err, len(all), chain.header)
	}
	if err := all[0].CheckSignature(all[1]); err != nil {
		w.Error(err)
	}
	w.get("/api/v1/certificates/"+all[1].SerialHex(), "").ok() // an authority's is for everybody
	der := w.call("GET", path, "wang", nil, "Accept", "application/pkix-cert")
	if _, err := certs.Parse(der.body); err != nil || der.header.Get("Content-Type") != "application/pkix-cert" {
		w.Errorf("DER: %v %v", err, der.header)
	}
	var view struct{ Serial, Subject, Chain string }
	w.call("GET", path, "wang", nil, "Accept", "application/json").into(&view)
	if view.Serial != serial || view.Subject == "" || view.Chain != issuers {
		w.Errorf("JSON: %+v", view)
	}
	w.get("/api/v1/certificates/00ff", "").refused(404, "ca.unknown")
	if p := w.get("/api/v1/certificates/xyz", "").refused(422, "api.fields"); p.Errors[0].Location != "path.serial" {
		w.Errorf("%+v", p)
	}
}

func (w *world) revoke(serial string) {
	path := "/api/v1/certificates/" + serial
	w.post(path+"/revocation", "company", object{"reason": "superseded"}).ok() // the same person, in another capacity
	w.post(path+"/revocation", "wang", object{"reason": "superseded"}).refused(409, "ca.revoked")
	w.post(path+"/revocation", "wang", object{"reason": "boredom"}).refused(422, "api.fields")
	var mine struct {
		Items []struct {
			Serial, Profile string
			Revocation      *struct{ Reason string }
		}
	}
	w.get("/api/v1/certificates", "wang").into(&mine)
	if len(mine.Items) != 2 {
		w.Fatalf("own certificates: %+v", mine)
	}
	for _, item := range mine.Items {
		if (item.Revocation != nil) != (item.Serial == serial) {
			w.Errorf("%+v", item)
		}
	}
	w.sequenced()
	var proofs struct{ Proofs []string }
	w.get(path+"/proof", "").into(&proofs)
	if len(proofs.Proofs) != 3 || !strings.HasPrefix(proofs.Proofs[0], "c2sp.org/tlog-proof@v1") { // reserved, issued, revoked
		w.Errorf("%d proofs: %.60q", len(proofs.Proofs), proofs.Proofs)
	}
	w.get("/api/v1/certificates/00ff/proof", "").refused(404, "audit.unknown")
}

func TestTheMakerDoesNotApprove(t *testing.T) {
	each(t, nil, func(w *world) {
		both := w.tokens["chief"]
		both.Roles = append(both.Roles, w.tokens["clerk"].Roles...)
		w.tokens["both"] = both
		var app application
		w.post("/api/v1/applications", "both", object{"profile": "person-sign", "holder": w.ids["wang"], "csr": w.newCSR()}).into(&app)
		path := "/api/v1/applications/" + app.ID + "/decision"
		w.post(path, "both", object{"approve": true}).refused(403, "actor.same")
		w.post(path, "chief", object{"approve": true}).refused(403, "actor.same") // the same person by another token
		app = w.applied()
		path = "/api/v1/applications/" + app.ID + "/decision"
		w.post(path, "chief", object{"approve": false}).refused(422, "ca.reason")
		w.post(path, "chief", object{"approve": false, "reason": "材料不全"}).into(&app)
		if app.State != "rejected" {
			t.Errorf("%+v", app)
		}
	})
}

func TestOneKeyOneApplication(t *testing.T) {
	each(t, nil, func(w *world) {
		order := object{"profile": "person-sign", "csr": w.newCSR()}
		var first, second application
		w.post("/api/v1/applications", "wang", order, "Idempotency-Key", "k1").into(&first)
		w.post("/api/v1/applications", "wang", order, "Idempotency-Key", "k1").into(&second)
		if first.ID == "" || first.ID != second.ID {
			t.Errorf("two applications under one key: %s %s", first.ID, second.ID)
		}
		w.post("/api/v1/applications", "wang", object{"profile": "person-sign", "csr": w.newCSR()}, "Idempotency-Key", "k1").
			refused(409, "api.idempotency-key")
		var other application
		w.post("/api/v1/applications", "clerk", object{"profile": "person-sign", "holder": w.ids["wang"], "csr": w.newCSR()}, "Idempotency-Key", "k1").into(&other)
		if other.ID == first.ID {
			t.Error("the key of one maker finds what another one sent")
		}
	})
}

func TestApplicationsAreForTheirPeople(t *testing.T) {
	each(t, nil, func(w *world) {
		app := w.applied()
		w.get("/api/v1/applications/"+app.ID, "clerk").ok()
		w.get("/api/v1/applications/"+app.ID, "auditor").refused(404, "ca.unknown")
		w.get("/api/v1/applications", "wang").refused(403, "actor.role")
		w.post("/api/v1/applications", "company", object{"profile": "person-sign", "holder": w.ids["chief"], "csr": w.newCSR()}).refused(403, "ca.not-holder")
		w.post("/api/v1/applications", "wang", object{"profile": "root", "csr": w.newCSR()}).refused(403, "ca.not-holder")
		w.post("/api/v1/applications", "wang", object{"profile": "nothing", "csr": w.newCSR()}).refused(422, "ca.unknown-profile")
		w.post("/api/v1/applications", "wang", object{"profile": "person-sign", "csr": "-----BEGIN nonsense"}).refused(422, "ca.request")
		w.applied()
		var page struct {
			Items []application
			Next  string
		}
		w.get("/api/v1/applications?limit=1&state=submitted", "clerk").into(&page)
		if len(page.Items) != 1 || page.Items[0].ID == app.ID || page.Next == "" {
			t.Fatalf("first page: %+v", page)
		}
		w.get("/api/v1/applications?limit=1&state=submitted&after="+page.Next, "clerk").into(&page)
		if len(page.Items) != 1 || page.Items[0].ID != app.ID {
			t.Errorf("second page: %+v", page)
		}
		w.get("/api/v1/applications?after=x", "clerk").refused(422, "api.page")
		w.get("/api/v1/applications?limit=1000", "clerk").refused(422, "api.fields")
	})
}

func TestProfilesArePublic(t *testing.T) {
	each(t, nil, func(w *world) {
		var page struct {
			Items []struct {
				Name  string
				Title struct{ ZH, EN string }
				Apply []string
			}
		}
		w.get("/api/v1/profiles", "").into(&page)
		names := map[string]bool{}
		for _, p := range page.Items {
			names[p.Name] = p.Title.ZH != "" && p.Title.EN != "" && len(p.Apply) > 0
		}
		if !names["person-sign"] || !names["entity-sign"] || !names["official-sign"] || names["root"] || names["person-enc"] {
			t.Errorf("%v", names)
		}
	})
}
