package api_test

import (
	"testing"

	"hufu/ca"
	"hufu/certs"
)

func TestAnExternalAuthorityIsEnteredByOneAndPutInForceByAnother(t *testing.T) {
	each(t, nil, func(w *world) {
		const path = "/api/v1/external-authorities"
		second := w.tokens["super"]
		second.Subject = "another"
		w.tokens["second"] = second
		for _, who := range []string{"wang", "clerk", "chief", "business", "auditor"} {
			w.post(path+"/requests", who, object{"name": "province"}).refused(403, "actor.role")
		}
		w.post(path+"/requests", "", object{"name": "province"}).refused(401, "api.no-token")
		w.post(path+"/requests", "super", object{"name": "No Name"}).refused(422, "ca.external-entry")
		var made struct{ Request string }
		w.post(path+"/requests", "super", object{"name": "province"}).into(&made)
		der := must(certs.DecodePEM([]byte(made.Request), "CERTIFICATE REQUEST"))
		own, issuer := w.externalOf(der)

		in := object{"name": "province", "url": "https://ca.example/cmp", "dialect": "hufu", "certificate": issuer, "own": own, "reason": "agreement"}
		for _, who := range []string{"wang", "clerk", "business"} {
			w.post(path, who, in).refused(403, "actor.role")
		}
		w.post(path, "super", object{"name": "province", "url": "https://ca.example/cmp", "certificate": issuer, "own": issuer, "reason": "x"}).refused(422, "ca.external-entry")
		w.post(path, "super", object{"name": "province", "url": "https://ca.example/cmp", "certificate": "x", "own": own, "reason": "x"}).refused(422, "api.pem")
		var entry struct{ ID, State, Name, Dialect string }
		w.post(path, "super", in).into(&entry)
		if entry.State != "proposed" || entry.Name != "province" || entry.Dialect != "hufu" {
			t.Errorf("%+v", entry)
		}
		decision := path + "/" + entry.ID + "/decision"
		w.post(decision, "super", object{"approve": true}).refused(403, "actor.same")
		w.post(decision, "business", object{"approve": true}).refused(403, "actor.role")
		w.post(decision, "second", object{"approve": true}).ok()
		w.post(decision, "second", object{"approve": true}).refused(409, "ca.motion")

		var all struct{ Items []struct{ ID, State string } }
		w.get(path, "auditor").into(&all)
		if len(all.Items) != 1 || all.Items[0].State != "in-force" {
			t.Errorf("%+v", all)
		}
		w.get(path, "clerk").refused(403, "actor.role")
		w.get(path+"/orders?state=refused", "business").into(&all)
		if len(all.Items) != 0 {
			t.Errorf("%+v", all)
		}
		w.get(path+"/orders", "wang").refused(403, "actor.role")
	})
}

// externalOf has a request certified as an external authority would; it returns certificate and issuer as PEM.
func (w *world) externalOf(request []byte) (own, issuer string) {
	w.Helper()
	ctx := w.Context()
	app := must(w.ca.Apply(ctx, w.tokens["clerk"], ca.Request{Profile: "entity-sign", Holder: w.ids["company"], CSR: request}))
	if app.State == ca.Submitted {
		app = must(w.ca.Decide(ctx, w.tokens["chief"], app.ID, true, ""))
	}
	app = must(w.ca.Issue(ctx, system, app.ID))
	chain := must(w.ca.Chain(ctx, system, app.Certificates[0]))
	return string(chain[0].PEM()), string(chain[1].PEM())
}
