package api_test

import (
	"archive/zip"
	"bytes"
	"net/http"
	"strings"
	"testing"
)

func TestDraftEvidenceDecisionDelivery(t *testing.T) {
	each(t, nil, func(w *world) {
		var app struct {
			application
			Revision int64
			Steps    []struct{ Act, Remark string }
		}
		w.post("/api/v1/applications", "wang", object{"profile": "person-sign", "draft": true}).into(&app)
		path := "/api/v1/applications/" + app.ID
		w.post(path+"/submit", "wang", nil).refused(422, "ca.request")
		w.call("PUT", path, "clerk", object{"profile": "person-sign", "holder": w.ids["wang"], "csr": w.newCSR()}).refused(403, "ca.not-maker")
		w.call("PUT", path, "wang", object{"profile": "person-sign", "csr": w.newCSR()}).ok()

		var doc struct{ ID, SM3, Name string }
		scan := []byte("<script>a scan</script>")
		w.post(path+"/evidence", "wang", object{"kind": "id-card", "name": "身份证.html", "media_type": "text/html", "document": scan}).into(&doc)
		w.post(path+"/evidence", "clerk", object{"kind": "photo", "media_type": "image/png", "sm3": doc.SM3, "size": 23, "remark": "seen at the counter"}).ok()
		w.post(path+"/evidence", "wang", object{"kind": "photo", "media_type": "image/png"}).refused(422, "ca.evidence")
		w.post(path+"/evidence", "company", object{"kind": "photo", "media_type": "image/png", "document": []byte("x")}).ok() // the same person
		w.post(path+"/evidence", "auditor", object{"kind": "photo", "media_type": "image/png", "document": []byte("x")}).refused(404, "ca.unknown")
		got := w.get(path+"/evidence/"+doc.ID, "chief")
		if !bytes.Equal(got.body, scan) || got.header.Get("Content-Type") != "application/octet-stream" || !strings.HasPrefix(got.header.Get("Content-Disposition"), "attachment") {
			t.Errorf("%q %v", got.body, got.header)
		}
		w.get(path+"/evidence/"+doc.ID, "auditor").refused(404, "ca.unknown")
		w.get(path+"/evidence", "business").refused(404, "ca.unknown")

		w.post(path+"/submit", "wang", nil).into(&app)
		w.post(path+"/decision", "chief", object{"approve": false, "send_back": true}).refused(422, "ca.reason")
		w.post(path+"/decision", "chief", object{"approve": false, "send_back": true, "reason": "照片不清"}).into(&app)
		if app.State != "draft" {
			t.Errorf("sent back: %+v", app)
		}
		w.post(path+"/submit", "wang", nil).into(&app)
		w.post(path+"/decision", "chief", object{"approve": true, "revision": app.Revision - 1}).refused(409, "ca.state")
		w.post(path+"/decision", "chief", object{"approve": true, "revision": app.Revision}).into(&app)
		w.post(path+"/withdraw", "wang", object{}).refused(409, "ca.state")
		w.post(path+"/delivery", "wang", nil).refused(409, "ca.state")
		w.post(path+"/issue", "wang", nil).ok()
		w.post(path+"/delivery", "clerk", nil).refused(403, "ca.not-holder")
		var out struct {
			Application  application
			Certificates []struct{ Serial string }
		}
		for range 2 {
			w.post(path+"/delivery", "wang", nil).into(&out)
			if out.Application.State != "delivered" || len(out.Certificates) != 2 {
				t.Errorf("%+v", out)
			}
		}
		var page struct{ Items []application }
		w.get("/api/v1/applications?maker=me&state=delivered&from=2020-01-01T00:00:00Z&to=2100-01-01T00:00:00Z", "wang").into(&page)
		if len(page.Items) != 1 {
			t.Errorf("the own ones: %+v", page)
		}
		other := w.applied()
		w.post("/api/v1/applications/"+other.ID+"/withdraw", "wang", object{"remark": "x"}).into(&app)
		if app.State != "withdrawn" {
			t.Errorf("withdrawn: %+v", app)
		}
	})
}

func TestABatchByAPI(t *testing.T) {
	each(t, nil, func(w *world) {
		cell := func() string { return `"` + w.newCSR() + `"` }
		sent := "holder,csr\n" + w.ids["wang"] + "," + cell() + "\n" + w.ids["wang"] + "," + cell() + "\n=cmd," + cell() + "\n"
		asCSV := []string{"Content-Type", "text/csv"}
		w.post("/api/v1/batches?profile=person-sign", "wang", sent, asCSV...).refused(403, "actor.role")
		w.post("/api/v1/batches", "clerk", "a,b\n1,2\n", asCSV...).refused(422, "ca.batch-header")
		var checked struct {
			Rows, Wrong int
			Errors      []struct {
				Row          int
				Code, ZH, EN string
			}
		}
		w.post("/api/v1/batches/check?profile=person-sign", "clerk", sent, asCSV...).into(&checked)
		if checked.Rows != 3 || checked.Wrong != 1 || checked.Errors[0].Row != 3 || checked.Errors[0].ZH == "" {
			t.Fatalf("%+v", checked)
		}
		var b struct {
			ID, State string
			Total     int
			Progress  struct{ Done, Waiting, Undecided, Failed int }
			Decisions []struct{ ID string }
		}
		add := func() {
			w.post("/api/v1/batches?profile=person-sign&name=x", "clerk", sent, append(asCSV, "Idempotency-Key", "b1")...).into(&b)
		}
		add()
		path, first := "/api/v1/batches/"+b.ID, b.ID
		if add(); b.ID != first || b.Total != 3 {
			t.Errorf("sent again: %+v", b)
		}
		w.post(path+"/decision", "chief", object{"approve": true}).refused(409, "ca.batch-busy")
		w.must(w.ca.WorkBatch(t.Context(), b.ID))
		w.get(path, "clerk").into(&b)
		if b.Progress.Undecided != 2 || b.Progress.Failed != 1 {
			t.Fatalf("%+v", b)
		}
		w.get(path, "wang").refused(404, "ca.unknown")
		w.get(path+"/result.csv", "wang").refused(404, "ca.unknown")
		w.call("PUT", path+"/rows?profile=person-sign", "chief", "row,holder,csr\n3,"+w.ids["wang"]+","+cell(), asCSV...).refused(403, "ca.not-maker")
		w.call("PUT", path+"/rows?profile=person-sign", "clerk", "row,holder,csr\n3,"+w.ids["wang"]+","+cell(), asCSV...).ok()
		w.post(path+"/retry", "clerk", object{}).ok()
		w.must(w.ca.WorkBatch(t.Context(), b.ID))
		w.post(path+"/decision", "clerk", object{"approve": true}).refused(403, "actor.role")
		w.post(path+"/decision", "chief", object{"approve": false, "reason": "x", "rows": []int{2}}).ok()
		w.post(path+"/decision", "chief", object{"approve": true}).ok()
		w.get(path, "clerk").into(&b)
		for _, d := range b.Decisions {
			w.must(w.ca.WorkBatchDecision(t.Context(), d.ID))
		}
		w.must(w.ca.WorkBatch(t.Context(), b.ID))
		w.get(path, "clerk").into(&b)
		if b.Progress.Done != 3 {
			t.Fatalf("%+v", b)
		}
		var rows struct {
			Items []struct {
				Row          int
				State        string
				Certificates []string
			}
			Next string
		}
		w.get(path+"/rows?state=issued&limit=2", "clerk").into(&rows)
		if len(rows.Items) != 2 || len(rows.Items[1].Certificates) != 2 || rows.Next != "3" {
			t.Errorf("%+v", rows)
		}
		result := w.get(path+"/result.csv", "clerk")
		if result.status != http.StatusOK || !bytes.HasPrefix(result.body, []byte("\uFEFFrow,state,")) || bytes.Count(result.body, []byte("\n")) != 4 {
			t.Errorf("%d %q", result.status, result.body)
		}
		packed := w.get(path+"/certificates.zip", "chief").body
		if z, err := zip.NewReader(bytes.NewReader(packed), int64(len(packed))); err != nil || len(z.File) != 7 {
			t.Errorf("%v %v", z, err)
		}
		if n := bytes.Count(w.get(path+"/certificates.pem?after=1", "chief").body, []byte("BEGIN CERT")); n != 2 {
			t.Errorf("%d certificates behind row 1", n)
		}
		w.post(path+"/cancel", "clerk", nil).ok()
		var all struct{ Items []struct{ ID string } }
		if w.get("/api/v1/batches", "clerk").into(&all); len(all.Items) != 1 {
			t.Errorf("%+v", all)
		}
		w.get("/api/v1/batches", "wang").refused(403, "actor.role")
	})
}
