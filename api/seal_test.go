package api_test

import (
	"bytes"
	"encoding/xml"
	"image/png"
	"net/http"
	"os"
	"strings"
	"testing"
)

type sealed struct {
	Code, State, Owner string
	Key                struct {
		Method, Kept string
		LockedUntil  string `json:"locked_until"`
	}
}

// sealPIN is the owner's.
const sealPIN = "dragon-7-boat-9"

// madeSeal has the bureau's seal made.
func (w *world) madeSeal() {
	w.Helper()
	w.post("/api/v1/seals", "clerk", object{"code": sealCode, "style": "bureau"}).ok()
	w.post("/api/v1/seals/"+sealCode+"/decision", "chief", object{"approve": true}).ok()
	w.post("/api/v1/seals/"+sealCode+"/make", "clerk", object{"pin": sealPIN}).ok()
}

func (w *world) blank() []byte {
	w.Helper()
	data, err := os.ReadFile("../seal/ofd/testdata/hello-unsigned.ofd")
	w.must(err)
	return data
}

func stampOrder(doc []byte) object {
	return object{"document": doc, "purpose": "测试", "pin": sealPIN, "positions": []object{{"page": 1, "x": 100.0, "y": 200.0, "width": 42.0, "height": 42.0}}}
}

func TestASealFromApplicationToRevocation(t *testing.T) {
	each(t, nil, func(w *world) {
		var s sealed
		answer := w.post("/api/v1/seals", "clerk", object{"code": sealCode, "style": "bureau"})
		answer.into(&s)
		if answer.status != http.StatusCreated || s.State != "applied" || s.Owner != w.ids["bureau"] {
			t.Fatalf("%d %+v", answer.status, s)
		}
		w.post("/api/v1/seals", "clerk", object{"code": sealCode, "style": "bureau"}).refused(409, "seal.state")
		path := "/api/v1/seals/" + sealCode
		w.get(path+"/picture.svg", "clerk").refused(409, "seal.state")
		w.post(path+"/make", "clerk", object{"pin": sealPIN}).refused(409, "seal.state")
		w.post(path+"/decision", "clerk", object{"approve": true}).refused(403, "actor.same")
		w.post(path+"/decision", "wang", object{"approve": true}).refused(403, "actor.role")
		w.post(path+"/decision", "chief", object{"approve": true}).ok()
		w.post(path+"/make", "clerk", nil).refused(400, "api.unreadable")
		w.post(path+"/make", "clerk", object{"pin": "12345678"}).refused(422, "keys.pin-form")
		w.post(path+"/make", "company", object{"pin": sealPIN}).refused(403, "seal.not-owner")
		w.post(path+"/make", "super", object{"pin": sealPIN}).refused(403, "seal.not-owner")
		w.post(path+"/make", "clerk", object{"pin": sealPIN}).into(&s)
		if s.State != "active" || s.Key.Method != "pin" || s.Key.Kept != "wrapped" {
			t.Fatalf("%+v", s)
		}
		w.sealFiles(path)
		w.post(path+"/freeze", "clerk", object{}).refused(422, "api.fields")
		w.post(path+"/freeze", "clerk", object{"reason": "遗失"}).ok()
		w.post(path+"/stamps", "clerk", stampOrder(w.blank())).refused(403, "seal.not-active")
		w.post(path+"/resume", "clerk", nil).ok()
		w.post(path+"/revoke", "company", object{"reason": "x"}).refused(404, "seal.unknown")
		w.post(path+"/revoke", "clerk", object{"reason": "机构撤销"}).ok()
		w.get(path, "clerk").into(&s)
		if s.State != "revoked" {
			t.Errorf("%+v", s)
		}
		w.get(path, "company").refused(404, "seal.unknown")
		w.get(path, "").refused(401, "api.no-token")
	})
}

func (w *world) sealFiles(path string) {
	svg := w.get(path+"/picture.svg", "clerk")
	if svg.header.Get("Content-Type") != "image/svg+xml" || xml.Unmarshal(svg.body, new(struct{ XMLName xml.Name })) != nil {
		w.Errorf("SVG: %v %.80s", svg.header, svg.body)
	}
	if !strings.Contains(svg.header.Get("Content-Security-Policy"), "sandbox") || svg.header.Get("X-Content-Type-Options") != "nosniff" {
		w.Errorf("an SVG without a policy: %v", svg.header)
	}
	picture := w.get(path+"/picture.png", "clerk")
	if _, err := png.Decode(bytes.NewReader(picture.body)); err != nil || picture.header.Get("Content-Type") != "image/png" {
		w.Errorf("PNG: %v %v", err, picture.header)
	}
	esl := w.get(path+"/seal.esl", "clerk")
	if len(esl.body) == 0 || esl.body[0] != 0x30 || !strings.Contains(esl.header.Get("Content-Disposition"), "seal-"+sealCode+".esl") {
		w.Errorf("ESL: %d octets, %v", len(esl.body), esl.header)
	}
	var page struct{ Items []sealed }
	w.get("/api/v1/seals?state=active", "clerk").into(&page)
	if len(page.Items) != 1 {
		w.Errorf("%+v", page)
	}
}

func TestStampingADocument(t *testing.T) {
	each(t, nil, func(w *world) {
		w.madeSeal()
		path := "/api/v1/seals/" + sealCode
		var out struct {
			Document   []byte
			Use, Entry string
		}
		w.post(path+"/stamps", "clerk", stampOrder(w.blank())).into(&out)
		if !bytes.HasPrefix(out.Document, []byte("PK")) || out.Use == "" {
			t.Fatalf("%+v", out)
		}
		raw := w.post(path+"/stamps", "clerk", stampOrder(out.Document), "Accept", "application/ofd")
		if raw.header.Get("Content-Type") != "application/ofd" || !bytes.HasPrefix(raw.body, []byte("PK")) {
			t.Errorf("%v %.40q", raw.header, raw.body)
		}
		var report struct {
			Result     string
			Signatures []struct{ Result string }
		}
		w.call("POST", "/api/v1/verifications?name=a.ofd", "", raw.body, "Content-Type", "application/octet-stream").into(&report)
		if report.Result != "PASSED" || len(report.Signatures) != 2 {
			t.Errorf("%+v", report)
		}
		var uses struct {
			Items []struct{ State, Purpose string }
		}
		w.get(path+"/uses", "clerk").into(&uses)
		if len(uses.Items) != 2 || uses.Items[0].State != "done" {
			t.Errorf("%+v", uses)
		}
		w.sequenced()
		var proof struct{ Proof string }
		w.get("/api/v1/audit/entries/"+out.Entry+"/proof", "").into(&proof)
		var proofs struct{ Proofs []string }
		w.get(path+"/proof", "clerk").into(&proofs)
		if len(proofs.Proofs) < 3 {
			t.Errorf("%d proofs", len(proofs.Proofs))
		}
		w.get(path+"/proof", "company").refused(404, "seal.unknown")
		w.post(path+"/stamps", "company", stampOrder(w.blank())).refused(403, "seal.not-owner")
		w.post(path+"/stamps", "clerk", stampOrder([]byte("no OFD"))).refused(422, "ofd.not-ofd")
		w.post(path+"/stamps", "clerk", object{"document": "%%%", "purpose": "x", "positions": []object{}}).refused(422, "api.fields")
	})
}

func TestSealStylesArePublic(t *testing.T) {
	each(t, nil, func(w *world) {
		var page struct {
			Items []struct {
				ID       string
				Diameter float64
			}
		}
		w.get("/api/v1/seal-styles", "").into(&page)
		if len(page.Items) < 3 || page.Items[0].Diameter < 20 {
			t.Errorf("%+v", page)
		}
		w.post("/api/v1/seals", "clerk", object{"code": sealCode, "style": "nothing"}).refused(422, "seal.bad-style")
	})
}
