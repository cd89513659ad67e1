package ca_test

import (
	"context"
	"encoding/hex"
	"fmt"
	"slices"
	"testing"
	"time"

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

// obtain enrols with the certificate of a serial, "" for none, and returns the serial of what comes of it.
func (w *world) obtain(with string) string {
	w.t.Helper()
	_, csr := newCSR(w.t)
	q := enrolRequest(csr, "")
	q.Authorised = with
	app, err := w.Enrol(w.t.Context(), system, q)
	w.must(err)
	return app.Certificates[0]
}

// What was obtained with a lost key is looked up by generations, not one by one: the transaction that revokes holds locks meanwhile.
func TestWhatWasObtainedIsLookedUpTogether(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		under := map[string]string{}
		got := func(with string) string {
			serial := w.obtain(with)
			under[serial] = with
			return serial
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

// manyMore is a record in which a lost key got many certificates before those that are really there.
type manyMore struct {
	ca.Store
	n        int
	revoked  bool
	template ca.Found
}

func (m *manyMore) Update(ctx context.Context, f func(ca.W) error) error {
	return m.Store.Update(ctx, func(w ca.W) error { return f(manyW{w, m}) })
}

type manyW struct {
	ca.W
	of *manyMore
}

const inventedSerial = 0x7e

func (w manyW) ObtainedWith(serials []string, limit int) ([]ca.Obtained, error) {
	all, err := w.W.ObtainedWith(serials, limit)
	for i := range w.of.n {
		all = slices.Insert(all, i, ca.Obtained{Serial: fmt.Sprintf("%02x%030x", inventedSerial, i), Under: serials[0]})
	}
	return all[:min(limit, len(all))], err
}

func (w manyW) Standing(serials [][]byte) ([]ca.Found, error) {
	var invented []ca.Found
	var real [][]byte
	for _, s := range serials {
		if s[0] != inventedSerial {
			real = append(real, s)
			continue
		}
		f := w.of.template
		f.Serial, f.IssuedAt = s, time.Time{}
		if w.of.revoked {
			f.Status = &ca.Revocation{Serial: s, Reason: certs.ReasonKeyCompromise}
		}
		invented = append(invented, f)
	}
	found, err := w.W.Standing(real)
	return append(found, invented...), err
}

// A thief gets as many as issuing allows. One transaction deals with a thousand and says that there are more; asked again, the next
// one goes on behind those.
func TestWhatWasObtainedBeyondAThousandIsReached(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		stolen := w.obtain("")
		last := must(hex.DecodeString(w.obtain(stolen)))
		many := &manyMore{Store: w.store, n: 1500}
		w.must(w.store.View(t.Context(), func(r ca.R) error {
			found, err := r.Standing([][]byte{last})
			many.template = found[0]
			return err
		}))
		c := w.Config
		c.Store = many
		a, err := ca.New(t.Context(), c)
		w.must(err)
		e := ca.Ending{Serial: must(hex.DecodeString(stolen)), Reason: certs.ReasonKeyCompromise, DryRun: true}
		out, err := a.End(t.Context(), officer, e)
		if err != nil || len(out.Also) != 1000 || !out.More {
			t.Errorf("%d named, more %t, %v", len(out.Also), out.More, err)
		}
		many.revoked, e.DryRun, e.Obtained = true, false, true
		out, err = a.End(t.Context(), officer, e)
		if err != nil || len(out.Revoked) != 2 || out.More {
			t.Errorf("asked again: %d revoked, more %t, %v", len(out.Revoked), out.More, err)
		}
		if s := w.status(last); s == nil || s.Reason != certs.ReasonKeyCompromise {
			t.Errorf("the last is %+v", s)
		}
	})
}
