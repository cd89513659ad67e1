package ca_test

import (
	"context"
	"encoding/hex"
	"testing"

	"hufu/ca"
	"hufu/certs"
)

// lookedUp counts the look-ups of certificates in transactions.
type lookedUp struct {
	ca.Store
	n int
}

func (l *lookedUp) Update(ctx context.Context, f func(ca.W) error) error {
	return l.Store.Update(ctx, func(w ca.W) error { return f(countedW{w, l}) })
}

type countedW struct {
	ca.W
	of *lookedUp
}

func (w countedW) CertificateBySerial(serial []byte) (ca.Record, error) {
	w.of.n++
	return w.W.CertificateBySerial(serial)
}

func (w countedW) Revocation(issuer string, serial []byte) (ca.Revocation, error) {
	w.of.n++
	return w.W.Revocation(issuer, serial)
}

func (w countedW) CertificatesOfKeys(keys [][]byte, limit int) ([]ca.Record, error) {
	w.of.n++
	return w.W.CertificatesOfKeys(keys, limit)
}

func (w countedW) ObtainedWith(serials []string, limit int) ([]ca.Obtained, error) {
	w.of.n++
	return w.W.ObtainedWith(serials, limit)
}

func (w countedW) Standing(serials [][]byte) ([]ca.Found, error) {
	w.of.n++
	return w.W.Standing(serials)
}

// What was obtained with a lost key is looked up by generations, not one by one: the transaction that revokes holds locks meanwhile.
func TestWhatWasObtainedIsLookedUpTogether(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		under := map[string]string{}
		got := func(with string) string {
			_, csr := newCSR(t)
			q := enrolRequest(csr, "")
			q.Authorised = with
			app, err := w.Enrol(t.Context(), system, q)
			w.must(err)
			under[app.Certificates[0]] = with
			return app.Certificates[0]
		}
		stolen := got("")
		const children = 12
		var all []string
		for range children {
			all = append(all, got(stolen))
		}
		for _, child := range all[:children/2] {
			all = append(all, got(child))
		}
		counted := &lookedUp{Store: w.store}
		c := w.Config
		c.Store = counted
		a, err := ca.New(t.Context(), c)
		w.must(err)
		serial := must(hex.DecodeString(stolen))
		e := ca.Ending{Serial: serial, Reason: certs.ReasonKeyCompromise, DryRun: true}
		counted.n = 0
		out, err := a.End(t.Context(), officer, e)
		if err != nil || len(out.Also) != len(all) || out.More {
			t.Fatalf("%d named of %d, %v", len(out.Also), len(all), err)
		}
		if counted.n > children {
			t.Errorf("%d look-ups for %d certificates in two generations", counted.n, len(all))
		}
		for _, r := range out.Also {
			if hex.EncodeToString(r.Under) != under[hex.EncodeToString(r.Serial)] {
				t.Errorf("%x under %x", r.Serial, r.Under)
			}
		}
		e.DryRun, e.Obtained = false, true
		counted.n = 0
		out, err = a.End(t.Context(), officer, e)
		if err != nil || len(out.Revoked) != 1+len(all) || len(out.Also) != 0 {
			t.Fatalf("%d revoked of %d, %v", len(out.Revoked), len(all), err)
		}
		if counted.n > len(all)+2*children { // one for each revocation
			t.Errorf("%d look-ups to revoke %d certificates in two generations", counted.n, len(all))
		}
		for _, serial := range all {
			if s := w.course(serial).Status; s == nil || s.Reason != certs.ReasonKeyCompromise {
				t.Errorf("%s: %+v", serial, s)
			}
		}
	})
}
