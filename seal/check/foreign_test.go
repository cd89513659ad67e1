package check

import (
	"bytes"
	"testing"
	"time"

	"hufu/certs"
	"hufu/certs/bundle"
)

// TestForeignCAOfTheTrustList: a document sealed under a listed CA of others passes for the purpose that the list gives it
// and for no other, and within its terms.
func TestForeignCAOfTheTrustList(t *testing.T) {
	w := newWorld(t)
	foreign := issue(t, nil, "外省根", asCA)
	w.signer = issue(t, &foreign, "外省某局印章", nil)
	w.spec.Certs = [][]byte{w.signer.cert.Raw}
	w.remake()
	var crl bytes.Buffer
	if err := certs.WriteCRL(&crl, certs.CRLTemplate{
		Issuer: foreign.cert, Number: 9, ThisUpdate: w.crlThis, NextUpdate: w.crlNext, Entries: func(func(certs.CRLEntry) bool) {},
	}, foreign.key); err != nil {
		t.Fatal(err)
	}
	stamped := how{stamp: signedAt.Add(time.Minute)}
	issued := w.signer.cert.NotBefore
	for name, tc := range map[string]struct {
		terms  bundle.Terms
		how    how
		result Result
		code   string
	}{
		"for seals":       {bundle.Terms{Purposes: []bundle.Purpose{bundle.SealSigner}, Level: 3}, how{}, Passed, ""},
		"for log-in only": {bundle.Terms{Purposes: []bundle.Purpose{bundle.Login, bundle.Person}}, how{}, Indeterminate, "path.no-root"},
		"for makers only": {bundle.Terms{Purposes: []bundle.Purpose{bundle.SealMaker}}, how{}, Indeterminate, "path.no-root"},
		"distrusted, issued at the very second, time proven": {
			bundle.Terms{Purposes: []bundle.Purpose{bundle.SealSigner}, DistrustAfter: issued}, stamped, Passed, "",
		},
		"distrusted, issued before, time only claimed": {
			bundle.Terms{Purposes: []bundle.Purpose{bundle.SealSigner}, DistrustAfter: issued}, how{}, Indeterminate, "trust.unproven",
		},
		"distrusted, issued a second later": {
			bundle.Terms{Purposes: []bundle.Purpose{bundle.SealSigner}, DistrustAfter: issued.Add(-time.Second)}, stamped, Indeterminate, "trust.distrusted",
		},
		"a policy is required": {
			bundle.Terms{Purposes: []bundle.Purpose{bundle.SealSigner}, Required: []certs.OID{"1.2.156.999.1"}}, how{}, Failed, "policy.required",
		},
		"names elsewhere": {
			bundle.Terms{Purposes: []bundle.Purpose{bundle.SealSigner}, Names: &bundle.Names{Permitted: bundle.NameSet{Directory: [][]string{{"C=FR"}}}}},
			how{},
			Failed, "names.not-permitted",
		},
	} {
		t.Run(name, func(t *testing.T) {
			w.change = func(b *bundle.Bundle) {
				b.Authorities = append(b.Authorities, bundle.Authority{Certificate: foreign.cert.Raw, Root: true, Entry: "wai-sheng", Terms: tc.terms})
				b.CRLs = append(b.CRLs, crl.Bytes())
			}
			r := run(t, w.sealed(unsealed(t), tc.how), w.options())
			if r.Result != tc.result {
				t.Errorf("%s %v", r.Result, r.Reasons)
			}
			if tc.code != "" {
				expect(t, r.Signatures[0], want{StepSignerCertificate, tc.result, tc.code})
			}
		})
	}
}
