package api_test

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"testing"
)

// The life of a certificate by the API: searched, suspended, resumed, replaced, revoked, its key blocked.
func TestTheLifeOfACertificateByTheAPI(t *testing.T) {
	each(t, nil, func(w *world) {
		app := w.applied()
		w.post("/api/v1/applications/"+app.ID+"/decision", "chief", object{"approve": true}).ok()
		w.post("/api/v1/applications/"+app.ID+"/issue", "wang", nil).ok()
		w.get("/api/v1/applications/"+app.ID, "wang").into(&app)
		serial := app.Certificates[0]
		path := "/api/v1/certificates/" + serial
		state := func() string {
			w.Helper()
			var out struct {
				State string `json:"state"`
			}
			w.call("GET", path, "wang", nil, "Accept", "application/json").into(&out)
			return out.State
		}
		w.post(path+"/suspension", "", object{}).refused(401, "api.no-token")
		w.post(path+"/suspension", "wang", object{"until": "2001-01-01T00:00:00Z"}).refused(422, "ca.hold")
		w.post(path+"/suspension", "wang", object{}).ok()
		if got := state(); got != "held" {
			t.Errorf("suspended: %s", got)
		}
		w.post(path+"/resumption", "wang", nil).refused(403, "ca.may-not-resume")
		w.post(path+"/resumption", "chief", nil).ok()
		w.post(path+"/resumption", "chief", nil).refused(409, "ca.not-held")
		var found struct {
			Items []struct{ Serial, State string }
		}
		w.get("/api/v1/certificates?state=valid&serial="+serial, "wang").into(&found)
		if len(found.Items) != 1 || found.Items[0].Serial != serial || found.Items[0].State != "valid" {
			t.Errorf("found %+v", found)
		}
		w.get("/api/v1/certificates?after=1.zz", "wang").refused(422, "api.page")
		w.post(path+"/renewal", "wang", object{}).refused(409, "ca.too-early")
		w.post(path+"/rekey", "wang", object{"csr": w.newCSR()}).ok()
		w.post(path+"/rekey", "wang", object{"csr": w.newCSR()}).refused(409, "ca.replaced")

		var challenge struct{ Text []byte }
		w.get(path+"/challenge", "").into(&challenge)
		if len(challenge.Text) == 0 {
			t.Error("no challenge")
		}
		w.post(path+"/key-compromise", "", object{"signature": base64.StdEncoding.EncodeToString([]byte("no"))}).refused(403, "ca.possession")

		var revoked struct {
			Revoked, Also []struct{ Serial, Why string }
		}
		w.post(path+"/revocation", "wang", object{"reason": "keyCompromise", "dry_run": true}).into(&revoked)
		if len(revoked.Revoked) != 1 || len(revoked.Also) != 1 || revoked.Also[0].Why != "pair" || state() != "valid" {
			t.Errorf("dry run: %+v, %s", revoked, state())
		}
		w.post(path+"/revocation", "chief", object{"reason": "superseded", "certificate": "x"}).refused(422, "ca.not-issued")
		w.post(path+"/revocation", "wang", object{"reason": "superseded", "pair": true}).into(&revoked)
		if len(revoked.Revoked) != 2 {
			t.Errorf("pair: %+v", revoked)
		}
		w.post("/api/v1/blocked-keys", "wang", object{"note": "x", "keys": []object{{"hash": hex.EncodeToString(make([]byte, 32)), "algorithm": "sha256"}}}).refused(403, "actor.role")
		w.post("/api/v1/blocked-keys", "chief", object{"note": "x", "keys": []object{{"hash": hex.EncodeToString(make([]byte, 32)), "algorithm": "sha256"}}}).ok()
		var blocked struct{ Items []json.RawMessage }
		w.get("/api/v1/blocked-keys", "chief").into(&blocked)
		if len(blocked.Items) != 1 {
			t.Errorf("%d blocked keys", len(blocked.Items))
		}
	})
}

// Mass revocations by the API: one officer proposes, another decides. Whoever has no duties does neither.
func TestAMassRevocationByTheAPI(t *testing.T) {
	each(t, nil, func(w *world) {
		app := w.applied()
		w.post("/api/v1/applications/"+app.ID+"/decision", "chief", object{"approve": true}).ok()
		w.post("/api/v1/applications/"+app.ID+"/issue", "wang", nil).ok()
		w.get("/api/v1/applications/"+app.ID, "wang").into(&app)
		const path = "/api/v1/mass-revocations"
		ask := object{"serials": app.Certificates[:1], "revocation_reason": "superseded", "reason": "机构撤销"}
		w.post(path, "wang", ask).refused(403, "actor.role")
		w.get(path, "wang").refused(403, "actor.role")
		w.post(path, "chief", object{"serials": []string{"zz"}, "revocation_reason": "superseded", "reason": "x"}).refused(422, "ca.mass")
		w.post(path, "chief", object{"serials": app.Certificates[:1], "reason": "x"}).refused(422, "api.revocation-reason")
		var made struct {
			ID    string
			Count int
		}
		w.post(path, "chief", ask).into(&made)
		if made.Count != 1 {
			t.Errorf("%+v", made)
		}
		w.post(path+"/"+made.ID+"/decision", "chief", object{"approve": true}).refused(403, "actor.same")
		var done struct {
			State string
			Ended struct {
				Revoked []struct{ Serial, Reason string }
			}
		}
		w.post(path+"/"+made.ID+"/decision", "business", object{"approve": true}).into(&done)
		if done.State != "in-force" || len(done.Ended.Revoked) != 1 || done.Ended.Revoked[0].Serial != app.Certificates[0] {
			t.Errorf("%+v", done)
		}
		var all struct{ Items []json.RawMessage }
		w.get(path, "auditor").into(&all)
		if len(all.Items) != 1 {
			t.Errorf("%d mass revocations", len(all.Items))
		}
	})
}
