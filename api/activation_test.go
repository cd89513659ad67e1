package api_test

import (
	"crypto/ecdsa"
	"net/http"
	"strings"
	"testing"
	"time"

	"hufu/internal/gm"
)

type activation struct {
	ID, State string
	Kinds     []string
	Count     int
	Left      int
	By        struct{ Subject, Capacity string }
}

func bounds(count int, kinds ...string) object {
	return object{"kinds": kinds, "count": count, "until": time.Now().Add(time.Hour), "pin": sealPIN}
}

// bare is a stamp without a word of the owner.
func (w *world) bare() object {
	o := stampOrder(w.blank())
	delete(o, "pin")
	return o
}

func TestActivationsFromMakingToWithdrawal(t *testing.T) {
	each(t, nil, func(w *world) {
		w.madeSeal()
		path := "/api/v1/seals/" + sealCode
		w.post(path+"/stamps", "clerk", w.bare()).refused(403, "keys.activation")
		var a activation
		answer := w.post(path+"/activations", "clerk", bounds(2, "document"))
		answer.into(&a)
		if answer.status != http.StatusCreated || a.State != "active" || a.Left != 2 || a.By.Subject != w.ids["clerk"] {
			t.Errorf("%d %+v", answer.status, a)
		}
		w.post(path+"/stamps", "clerk", w.bare()).ok()
		var list struct{ Items []activation }
		w.get(path+"/activations", "chief").into(&list)
		if len(list.Items) != 1 || list.Items[0].Left != 1 || list.Items[0].ID != a.ID {
			t.Errorf("%+v", list)
		}
		unpaid := w.businessLicence()
		delete(unpaid, "pin")
		w.post("/api/v1/licences", "clerk", unpaid).refused(403, "keys.activation")
		w.post(path+"/activations", "clerk", bounds(5, "licence/"+business)).ok()
		w.post("/api/v1/licences", "clerk", unpaid).ok()
		w.call("DELETE", path+"/activations/"+a.ID, "chief", nil).ok()
		w.call("DELETE", path+"/activations/"+a.ID, "chief", nil).refused(404, "seal.no-activation")
		w.post(path+"/stamps", "clerk", w.bare()).refused(403, "keys.activation")
		w.call("PUT", path+"/pin", "clerk", object{"old": sealPIN, "new": "12345678"}).refused(422, "keys.pin-form")
		w.call("PUT", path+"/pin", "clerk", object{"new": "tiger-tally-21"}).refused(409, "keys.state")
		w.call("PUT", path+"/pin", "clerk", object{"old": sealPIN, "new": "tiger-tally-21"}).ok()
		w.get(path+"/activations", "clerk").into(&list)
		for _, one := range list.Items {
			if one.State != "withdrawn" || one.Left != 0 {
				t.Errorf("after a new PIN: %+v", one)
			}
		}
		w.post(path+"/stamps", "clerk", stampOrder(w.blank())).refused(403, "keys.pin")
	})
}

// TestPowerOverThePlatformIsNoPowerOverASeal has those try who administer the platform, with the PIN in their hands.
func TestPowerOverThePlatformIsNoPowerOverASeal(t *testing.T) {
	each(t, nil, func(w *world) {
		w.madeSeal()
		path := "/api/v1/seals/" + sealCode
		var a activation
		w.post(path+"/activations", "clerk", bounds(9, "document")).into(&a)
		for _, who := range []string{"super", "business", "auditor", "company"} {
			w.post(path+"/stamps", who, w.bare()).refused(403, "seal.not-owner")
			w.post(path+"/stamps", who, stampOrder(w.blank())).refused(403, "seal.not-owner")
			w.post(path+"/activations", who, bounds(1, "document")).refused(403, "seal.not-owner")
			w.post(path+"/challenges", who, object{"for": "activation", "kinds": []string{"document"}, "count": 1, "until": time.Now().Add(time.Hour)}).refused(403, "seal.not-owner")
			w.call("PUT", path+"/pin", who, object{"old": sealPIN, "new": "tiger-tally-21"}).refused(403, "seal.not-owner")
			if answer := w.call("DELETE", path+"/activations/"+a.ID, who, nil); answer.status < 400 {
				t.Errorf("%s withdrew an activation", who)
			}
		}
		w.get(path+"/activations", "wang").refused(404, "seal.unknown")
		w.get(path+"/activations", "").refused(401, "api.no-token")
		w.post(path+"/freeze", "clerk", object{"reason": "核查"}).ok()
		w.post(path+"/stamps", "clerk", w.bare()).refused(403, "seal.not-active")
		w.post(path+"/activations", "clerk", bounds(1, "document")).refused(403, "seal.not-active")
		w.post(path+"/resume", "clerk", nil).ok()
		w.post(path+"/stamps", "clerk", w.bare()).refused(403, "keys.activation")
	})
}

func TestAPINIsNeverRepeatedAndItsTriesAreCounted(t *testing.T) {
	each(t, nil, func(w *world) {
		w.madeSeal()
		path := "/api/v1/seals/" + sealCode
		const guess = "guessing-4-fun"
		order := w.bare()
		order["pin"] = guess
		bodies := ""
		for range 5 {
			answer := w.post(path+"/stamps", "clerk", order)
			answer.refused(403, "keys.pin")
			bodies += string(answer.body)
		}
		locked := w.post(path+"/stamps", "clerk", stampOrder(w.blank()))
		locked.refused(429, "keys.locked")
		var s sealed
		w.get(path, "clerk").into(&s)
		if s.Key.LockedUntil == "" || s.Key.Method != "pin" {
			t.Errorf("%+v", s.Key)
		}
		order["pin"] = []string{guess}
		answer := w.post(path+"/stamps", "clerk", order)
		answer.refused(422, "api.fields")
		bodies += string(answer.body)
		// an address is logged on the way, so that a PIN in it is refused
		w.post(path+"/stamps?pin="+guess, "clerk", w.bare()).refused(422, "api.fields")
		w.post("/api/v1/licences", "clerk", object{"type": business, "holder": w.ids["company"], "pin": guess, "data": object{}})
		for what, text := range map[string]string{"an answer": bodies + string(locked.body), "the log": w.log.String()} {
			for _, secret := range []string{guess, sealPIN} {
				if strings.Contains(strings.ReplaceAll(text, "?pin="+guess, ""), secret) {
					t.Errorf("%s repeats a PIN", what)
				}
			}
		}
	})
}

// TestAnOwnersKeyAnswersChallenges drives the routes for owners with an SM2 pair, as their device does.
func TestAnOwnersKeyAnswersChallenges(t *testing.T) {
	each(t, nil, func(w *world) {
		sign, encrypt := must(gm.GenerateKey()), must(gm.GenerateKey())
		pair := object{
			"for": "make", "sign_key": gm.Point(sign.Public().(*ecdsa.PublicKey)), "encrypt_key": gm.Point(encrypt.Public().(*ecdsa.PublicKey)),
		}
		answer := func(question, into object) (at string) {
			var c struct {
				ID, Statement, At string
				Sealed            []byte
			}
			w.post("/api/v1/seals/"+sealCode+"/challenges", "clerk", question).into(&c)
			into["challenge"], into["half"] = c.ID, must(encrypt.Decrypt(nil, c.Sealed, nil))
			into["signature"] = must(gm.SignMessage(sign, []byte(c.Statement)))
			return c.At
		}
		w.post("/api/v1/seals", "clerk", object{"code": sealCode, "style": "bureau"}).ok()
		w.post("/api/v1/seals/"+sealCode+"/decision", "chief", object{"approve": true}).ok()
		path, making := "/api/v1/seals/"+sealCode, object{}
		answer(pair, making)
		var s sealed
		w.post(path+"/make", "clerk", making).into(&s)
		if s.State != "active" || s.Key.Method != "sm2" {
			t.Fatalf("%+v", s)
		}
		question := w.bare()
		question["for"] = "stamp"
		order := w.bare()
		order["at"] = answer(question, order)
		w.post(path+"/stamps", "clerk", order).ok()
		w.post(path+"/stamps", "clerk", order).refused(403, "keys.challenge")
		w.post(path+"/stamps", "clerk", stampOrder(w.blank())).refused(403, "keys.activation") // it has no PIN
		until := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
		standing := object{"kinds": []string{"document"}, "count": 1, "until": until}
		answer(object{"for": "activation", "kinds": []string{"document"}, "count": 1, "until": until}, standing)
		w.post(path+"/activations", "clerk", standing).ok()
		w.post(path+"/stamps", "clerk", w.bare()).ok()
		w.post(path+"/challenges", "clerk", object{"for": "nothing"}).refused(422, "api.fields")
	})
}
