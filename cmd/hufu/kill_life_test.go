package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"hufu/certs"
	"hufu/internal/gm"
)

// What happens to certificates and keys after they are issued, under the kills of TestKillAtAnyMoment: revocations, the lists that
// follow from them, and recoveries of encryption keys.

// receipt begins the receipts of what is taken.
const receipt = "receipt-of-the-kill-test-"

// regained is a recovery that was asked for.
type regained struct {
	id       string
	envelope []byte // nil for no answer
}

// keep logs the recovery officers in, makes the pair, and waits until the centre knows its certificate.
func (v *victim) keep() {
	v.t.Helper()
	for i, account := range []string{"linwei", "tangyu"} {
		var err error
		v.keepers[i], err = v.login(v.t.Context(), toolClient, account, samplePassword, "official")
		v.must(err)
	}
	_, serials, err := v.ask(v.t.Context(), "kept", v.csr("kept"))
	v.must(err)
	v.kept = serials
	v.must(await(v.t.Context(), func() (bool, error) {
		var all items[struct{ Serials []string }]
		err := v.call(v.t.Context(), v.citizen.Access, "GET", "/api/v1/encryption-keys", nil, &all)
		return slices.ContainsFunc(all.Items, func(k struct{ Serials []string }) bool { return slices.Contains(k.Serials, serials[1]) }), err
	}))
}

// csr makes a request for a new key.
func (v *victim) csr(name string) string {
	signer, err := gm.GenerateKey()
	if err != nil {
		v.t.Error(err)
		return ""
	}
	csr, err := certs.NewRequest(signer, certs.NewName(certs.Attribute{Type: certs.OIDCommonName, Value: name}), certs.RequestOptions{})
	if err != nil {
		v.t.Error(err)
		return ""
	}
	return string(certs.EncodePEM("CERTIFICATE REQUEST", csr))
}

// withdraw has a pair issued and revokes its signing certificate.
func (v *victim) withdraw(ctx context.Context, key string) {
	_, serials, err := v.ask(ctx, "withdrawn "+key, v.csr(key))
	if err == nil {
		v.note(func() { v.revoked[serials[0]] = "" })
		if err = v.end(ctx, serials[0]); err == nil {
			v.note(func() { v.revoked[serials[0]] = key })
		}
	}
	v.unexpected(err)
}

func (v *victim) end(ctx context.Context, serial string) error {
	return v.call(ctx, v.citizen.Access, "POST", "/api/v1/certificates/"+serial+"/revocation", map[string]any{"reason": "superseded"}, nil)
}

// regain has the kept key recovered.
func (v *victim) regain(ctx context.Context, key string) {
	r := &regained{}
	v.note(func() { v.recoveries[key] = r })
	got, err := v.recoverOnce(ctx, key, receipt+key)
	v.note(func() { *r = got })
	v.unexpected(err)
}

// recoverOnce asks for a recovery, has it approved and takes it; what is done already is passed over.
func (v *victim) recoverOnce(ctx context.Context, key, slip string) (out regained, err error) {
	var r struct{ ID, State string }
	in := map[string]any{"kind": "holder", "reason": "kill test", "serials": v.kept[1:], "recipient": v.kept[0]}
	if err := v.call(ctx, v.citizen.Access, "POST", "/api/v1/recoveries", in, &r, "Idempotency-Key", key); err != nil {
		return out, err
	}
	path := "/api/v1/recoveries/" + r.ID
	for _, who := range v.keepers {
		err := v.call(ctx, who.Access, "POST", path+"/decision", map[string]any{"approve": true}, nil)
		if err != nil && !strings.Contains(err.Error(), "kmc.state") {
			return out, err
		}
	}
	var got struct{ Keys []struct{ Envelope []byte } }
	if err := v.call(ctx, v.citizen.Access, "POST", path+"/take", map[string]any{"receipt": slip}, &got); err != nil {
		return out, err
	}
	if len(got.Keys) != 1 {
		return out, fmt.Errorf("%d keys", len(got.Keys))
	}
	return regained{r.ID, got.Keys[0].Envelope}, nil
}

// checkRevocations: what was answered is revoked, and what was not can be, once.
func (v *victim) checkRevocations() {
	v.t.Helper()
	for serial, key := range v.revoked {
		if key == "seen" {
			continue
		}
		v.patient(func() error {
			err := v.end(v.t.Context(), serial)
			if err == nil && key != "" {
				return fmt.Errorf("the revocation of %s that was answered is undone", serial)
			}
			if err != nil && strings.Contains(err.Error(), "ca.revoked") {
				return nil
			}
			return err
		})
		v.revoked[serial] = "seen"
	}
}

// checkRecoveries: each is completed, gives the same octets to the same receipt and nothing to another one.
func (v *victim) checkRecoveries(round string) {
	v.t.Helper()
	for key, was := range v.recoveries {
		if !strings.HasPrefix(key, round) {
			continue
		}
		for range again(was.envelope != nil) {
			var got regained
			v.patient(func() (err error) {
				got, err = v.recoverOnce(v.t.Context(), key, receipt+key)
				return err
			})
			if was.envelope != nil && (got.id != was.id || !bytes.Equal(got.envelope, was.envelope)) {
				v.t.Errorf("recovery %s is %s now, before %s, or has other keys", key, got.id, was.id)
			}
			*was = got
		}
		v.patient(func() error {
			_, err := v.recoverOnce(v.t.Context(), key, "another-"+receipt)
			if err == nil {
				return errors.New("a key was handed out twice")
			}
			if strings.Contains(err.Error(), "kmc.taken") {
				return nil
			}
			return err
		})
	}
}

// checkLists: every revocation that was answered stands in the list, by OCSP too, and the list is in force.
func (v *victim) checkLists() {
	v.t.Helper()
	der, err := v.get(v.t.Context(), "/pki/ca/issuing.cer")
	v.must(err)
	issuer, err := certs.Parse(der)
	v.must(err)
	for serial := range v.revoked {
		number, err := hex.DecodeString(serial)
		v.must(err)
		if status, err := v.status(issuer, number); err != nil || status != certs.OCSPRevoked {
			v.t.Errorf("certificate %s that was revoked is %v, %v", serial, status, err)
		}
	}
	missing := 0
	for range 40 {
		if missing = v.missing(issuer); missing == 0 {
			return
		}
		time.Sleep(500 * time.Millisecond)
	}
	v.t.Errorf("%d revocations stand in no list", missing)
}

// missing counts the revocations that the newest list does not name.
func (v *victim) missing(issuer *certs.Certificate) (n int) {
	v.t.Helper()
	der, err := v.get(v.t.Context(), "/pki/crl/issuing/0.crl")
	v.must(err)
	list, err := certs.ParseCRL(der)
	v.must(err)
	v.must(errors.Join(list.CheckSignature(issuer), list.Current(time.Now())))
	for serial := range v.revoked {
		number, err := hex.DecodeString(serial)
		v.must(err)
		if _, found := list.Find(number); !found {
			n++
		}
	}
	return n
}
