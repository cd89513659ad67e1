package api_test

import (
	"bytes"
	"encoding/json"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"
)

func (w *world) businessLicence() object {
	return object{"type": business, "holder": w.ids["company"], "pin": sealPIN, "data": object{
		"kind": "有限责任公司", "legal_representative": "王小雅", "capital": "壹仟万元整", "established": "2026-09-01", "term": "长期",
		"address": "示例市望江路 88 号", "scope": "软件开发。",
	}}
}

type issuedLicence struct {
	ID, State, Holder, Entry string
	Version                  int
	Fields                   []struct{ Name, Text string }
}

func TestALicenceFromOrderToRevocation(t *testing.T) {
	each(t, nil, func(w *world) {
		w.madeSeal()
		draft := w.post("/api/v1/licences/draft", "clerk", w.businessLicence())
		if draft.header.Get("Content-Type") != "image/svg+xml" || !bytes.Contains(draft.body, []byte("<svg")) {
			t.Fatalf("draft: %d %.100s", draft.status, draft.body)
		}
		var l, again issuedLicence
		answer := w.post("/api/v1/licences", "clerk", w.businessLicence(), "Idempotency-Key", "k1")
		answer.into(&l)
		if answer.status != http.StatusCreated || l.State != "active" || l.Holder != w.ids["company"] || len(l.Fields) == 0 {
			t.Fatalf("%d %+v", answer.status, l)
		}
		w.post("/api/v1/licences", "clerk", w.businessLicence(), "Idempotency-Key", "k1").into(&again)
		if again.ID != l.ID {
			t.Error("two licences under one key")
		}
		other := w.businessLicence()
		other["holder"] = w.ids["bureau"]
		w.post("/api/v1/licences", "clerk", other, "Idempotency-Key", "k1").refused(409, "licence.key-reused")
		w.licenceFiles("/api/v1/licences/" + l.ID)
		w.licenceLife(l.ID)
	})
}

func (w *world) licenceFiles(path string) {
	doc := w.get(path+"/document", "company")
	if doc.header.Get("Content-Type") != "application/ofd" || !strings.Contains(doc.header.Get("Content-Disposition"), ".ofd") {
		w.Errorf("%v", doc.header)
	}
	if r := w.verified(doc.body); r.Result != "PASSED" || r.Kind != "ofd" || r.Licence == nil {
		w.Errorf("%+v", r)
	}
	forged := bytes.Clone(doc.body)
	forged[len(forged)/2] ^= 1
	if r := w.verified(forged); r.Result != "FAILED" {
		w.Errorf("a forged file: %+v", r)
	}
	svg := w.get(path+"/preview.svg", "company")
	if svg.header.Get("Content-Type") != "image/svg+xml" || !bytes.Contains(svg.body, []byte("<svg")) {
		w.Errorf("preview: %v", svg.header)
	}
	var qr struct{ Text string }
	w.post(path+"/qr", "company", nil).into(&qr)
	if !strings.HasPrefix(qr.Text, "CL1:") {
		w.Errorf("QR text %.20q", qr.Text)
	}
	w.post(path+"/qr", "company", object{"fields": []string{"name"}, "seconds": 60}).into(&qr)
	if r := w.verified([]byte(qr.Text)); r.Result != "PASSED" || r.Kind != "qr" {
		w.Errorf("QR text: %+v", r)
	}
	w.post(path+"/qr", "clerk", nil).refused(403, "licence.not-holder")
	w.get(path+"/document", "wang").refused(404, "licence.unknown")
}

func (w *world) licenceLife(id string) {
	path := "/api/v1/licences/" + id
	w.sequenced()
	var proof struct{ Proof string }
	w.get(path+"/proof", "company").into(&proof)
	if !strings.HasPrefix(proof.Proof, "c2sp.org/tlog-proof@v1") {
		w.Errorf("%.40q", proof.Proof)
	}
	var page struct{ Items []issuedLicence }
	w.get("/api/v1/licences", "company").into(&page)
	if len(page.Items) != 1 || page.Items[0].ID != id {
		w.Errorf("own licences: %+v", page)
	}
	w.post("/api/v1/licences/search", "clerk", object{"text": id}).into(&page)
	if len(page.Items) != 1 {
		w.Errorf("search: %+v", page)
	}
	w.post("/api/v1/licences/search", "company", object{}).refused(403, "licence.not-issuer")
	w.post(path+"/suspend", "company", object{"reason": "x"}).refused(403, "licence.not-issuer")
	w.post(path+"/suspend", "clerk", object{"reason": "检查"}).ok()
	w.post(path+"/resume", "clerk", object{"reason": "检查结束"}).ok()
	data := w.businessLicence()["data"].(object)
	data["capital"] = "贰仟万元整"
	var next issuedLicence
	w.post(path+"/versions", "clerk", object{"data": data, "pin": sealPIN}, "Idempotency-Key", "v2").into(&next)
	if next.Version != 2 || next.ID == id {
		w.Errorf("next version: %+v", next)
	}
	var old issuedLicence
	w.get(path, "company").into(&old)
	if old.State != "superseded" {
		w.Errorf("old version: %+v", old)
	}
	w.post("/api/v1/licences/"+next.ID+"/revoke", "clerk", object{"reason": "处罚"}).ok()
	w.post("/api/v1/licences/"+next.ID+"/resume", "clerk", object{"reason": "x"}).refused(409, "licence.state")
}

func TestTheCatalogueIsPublic(t *testing.T) {
	each(t, nil, func(w *world) {
		var page struct {
			Items []struct {
				Code   string
				Fields []struct{ Name, Source string }
			}
		}
		w.get("/api/v1/licence-types", "").into(&page)
		if len(page.Items) < 2 || len(page.Items[0].Fields) == 0 {
			t.Errorf("%+v", page)
		}
	})
}

type report struct {
	File, Kind, Result string
	Licence            *struct{ Identifier string }
}

func (w *world) verified(file []byte) (r report) {
	w.Helper()
	w.call("POST", "/api/v1/verifications", "", file, "Content-Type", "application/octet-stream").into(&r)
	return r
}

func TestVerificationTakesFormsAndFiles(t *testing.T) {
	each(t, nil, func(w *world) {
		var form bytes.Buffer
		m := multipart.NewWriter(&form)
		part, err := m.CreateFormFile("file", "证照.ofd")
		w.must(err)
		_, err = part.Write(w.blank())
		w.must(err)
		w.must(m.Close())
		var r report
		answer := w.call("POST", "/api/v1/verifications", "", form.Bytes(), "Content-Type", m.FormDataContentType())
		answer.into(&r)
		if r.File != "证照.ofd" || r.Result != "INDETERMINATE" {
			t.Errorf("%s", answer.body)
		}
		var whole map[string]json.RawMessage
		answer.into(&whole)
		for _, name := range []string{"file", "kind", "result", "reasons", "bundle", "coverage", "signatures"} {
			if whole[name] == nil {
				t.Errorf("the report has no %q", name)
			}
		}
		w.post("/api/v1/verifications", "", object{"name": "b.ofd", "file": w.blank()}).into(&r)
		if r.File != "b.ofd" {
			t.Errorf("%+v", r)
		}
		w.post("/api/v1/verifications", "", `{"file": 7}`).refused(400, "api.unreadable")
		w.call("POST", "/api/v1/verifications", "", "nonsense", "Content-Type", "text/plain").refused(422, "check.unknown-kind")
		w.call("POST", "/api/v1/verifications", "", "x", "Content-Type", "image/gif").refused(415, "api.media-type")
		w.call("POST", "/api/v1/verifications", "", "x", "Content-Type", "multipart/form-data; boundary=b").refused(400, "api.unreadable")
		w.call("POST", "/api/v1/verifications", "", []byte{}, "Content-Type", "application/octet-stream").refused(400, "api.unreadable")
	})
}
