package ca_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"hufu/ca"
	"hufu/certs"
)

// TestASuperiorThatRevokesUsIsObeyed: what its list says of our certificate, or of one above it, stops what we would issue; what
// another says does not.
func TestASuperiorThatRevokesUsIsObeyed(t *testing.T) {
	eachFresh(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		pub := newPublisher(t)
		w.Client = pub.Client()
		root := foreign(t, nil, "国家根", authority(-1))
		middle := foreign(t, &root, "省级 CA", func(tm *certs.Template) {
			authority(1)(tm)
			tm.CRLPoints = []string{pub.URL + "/root.crl"}
		})
		twin := foreign(t, nil, "国家根", authority(-1))
		s, err := w.RequestSubordinate(ctx, super1, "issuing", false)
		if err != nil {
			t.Fatal(err)
		}
		own := answer(t, middle, s.Request, func(tm *certs.Template) { tm.CRLPoints = []string{pub.URL + "/middle.crl"} })
		w.under(ca.SubordinateAnswer{Certificate: own, Chain: [][]byte{root.Raw, middle.Raw}, Fingerprint: fingerprintOf(root.Raw)})
		cert, err := certs.Parse(own)
		if err != nil {
			t.Fatal(err)
		}
		number := uint64(1)
		says := func(what string, by party, revoked, above [][]byte, want error) {
			t.Helper()
			number++
			entries := func(all [][]byte) (out []certs.CRLEntry) {
				for _, serial := range all {
					out = append(out, certs.CRLEntry{Serial: serial, RevokedAt: w.now})
				}
				return out
			}
			pub.set(map[string][]byte{
				"/middle.crl": emptyList(t, middle, number, w.now, entries(revoked)...), "/root.crl": emptyList(t, by, number, w.now, entries(above)...),
			})
			if err := w.FetchStatus(ctx); err != nil {
				t.Fatal(err)
			}
			_, csr := newCSR(t)
			app := w.approved(csr)
			if all, err := w.Ladder(app.Profile); err != nil || len(all) != 3 || !slices.Equal(all[2].Raw, root.Raw) {
				t.Errorf("%d certificates above what is issued: %v", len(all), err)
			}
			_, err := w.Issue(ctx, w.citizen, app.ID)
			if (err != nil) != (want != nil) || !errors.Is(err, want) {
				t.Errorf("%s: %v", what, err)
			}
			names, err := w.RevokedAuthorities(ctx)
			if err != nil || slices.Contains(names, "issuing") != (want != nil) {
				t.Errorf("%s: %v %v", what, names, err)
			}
			w.now = w.now.Add(2 * time.Hour)
		}
		says("before anything happened", root, nil, nil, nil)
		says("a twin of the root names the one above", twin, nil, [][]byte{middle.Serial}, nil)
		says("the one above names another", root, [][]byte{middle.Serial}, nil, nil)
		says("the one above names ours", root, [][]byte{cert.Serial}, nil, ca.ErrIssuerRevoked)
		says("it was a hold", root, nil, nil, nil)
		says("the root names the one above", root, nil, [][]byte{middle.Serial}, ca.ErrIssuerRevoked)
		pub.set(nil)
		if err := w.FetchStatus(ctx); err != nil {
			t.Fatal(err)
		}
		if names, err := w.RevokedAuthorities(ctx); err != nil || len(names) != 1 {
			t.Errorf("the lists cannot be had any more, and we forgot: %v %v", names, err)
		}
	})
}
