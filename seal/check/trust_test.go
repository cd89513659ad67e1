package check

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"hufu/audit/tree"
	"hufu/certs"
	"hufu/certs/bundle"
	"hufu/internal/gm"
	"hufu/licence/card"
	"hufu/seal/ofd"
	"hufu/seal/ses"
)

func TestWhatIsNotKnownIsNeverPassed(t *testing.T) {
	w := newWorld(t)
	good := w.sealed(unsealed(t), how{})
	for name, tc := range map[string]struct {
		bundle func(*bundle.Bundle)
		opt    func(*Options)
		result Result
		wants  []want
	}{
		"no bundle": {opt: func(o *Options) { o.Bundle = nil }, result: Indeterminate, wants: []want{
			{StepSignerCertificate, Indeterminate, "path.no-root"},
			{StepSignerRevocation, Indeterminate, ""},
			{StepSealStatus, Indeterminate, "seal.status-unknown"},
			{StepLicenceStatus, Indeterminate, "licence.unknown"},
			{StepSealMaker, Indeterminate, "path.no-root"},
			{StepSignature, Passed, ""},
		}},
		"root for another purpose": {
			bundle: func(b *bundle.Bundle) { b.Authorities[0].Purposes = []bundle.Purpose{bundle.SealMaker} }, result: Indeterminate,
			wants: []want{{StepSignerCertificate, Indeterminate, "path.no-root"}, {StepSealMaker, Passed, ""}},
		},
		"no CRL":           {bundle: func(b *bundle.Bundle) { b.CRLs = nil }, result: Indeterminate, wants: []want{{StepSignerRevocation, Indeterminate, "revocation.no-crl"}}},
		"no seal entry":    {bundle: func(b *bundle.Bundle) { b.Seals = nil }, result: Indeterminate, wants: []want{{StepSealStatus, Indeterminate, "seal.status-unknown"}}},
		"no licence entry": {bundle: func(b *bundle.Bundle) { b.Licences = nil }, result: Indeterminate, wants: []want{{StepLicenceStatus, Indeterminate, "licence.unknown"}}},
		"bundle out of date": {
			opt: func(o *Options) { o.At = clock.AddDate(0, 0, 8) }, result: Indeterminate,
			wants: []want{{StepSealStatus, Indeterminate, "bundle.stale"}, {StepLicenceStatus, Indeterminate, "bundle.stale"}, {StepSignerRevocation, Indeterminate, "revocation.stale"}},
		},
		"CRL out of date":  {opt: func(o *Options) { o.At = clock.AddDate(0, 0, 2) }, result: Indeterminate, wants: []want{{StepSignerRevocation, Indeterminate, "revocation.stale"}, {StepSealStatus, Passed, ""}}},
		"distrusted":       {bundle: func(b *bundle.Bundle) { b.Authorities[0].DistrustAfter = signedAt.AddDate(-2, 0, 0) }, result: Indeterminate, wants: []want{{StepSignerCertificate, Indeterminate, "trust.distrusted"}}},
		"distrusted since": {bundle: func(b *bundle.Bundle) { b.Authorities[0].DistrustAfter = signedAt }, result: Indeterminate, wants: []want{{StepSignerCertificate, Indeterminate, "trust.unproven"}}},
		"distrusted later": {bundle: func(b *bundle.Bundle) { b.Authorities[0].DistrustAfter = clock.AddDate(1, 0, 0) }, result: Passed},
		"seal revoked before": {
			bundle: func(b *bundle.Bundle) { b.Seals[0].State, b.Seals[0].Since = bundle.Revoked, signedAt.Add(-time.Hour) }, result: Failed,
			wants: []want{{StepSealStatus, Failed, "seal.revoked"}},
		},
		"seal frozen since": {
			bundle: func(b *bundle.Bundle) { b.Seals[0].State, b.Seals[0].Since = bundle.Suspended, signedAt.Add(time.Hour) }, result: Indeterminate,
			wants: []want{{StepSealStatus, Indeterminate, "seal.status-since"}, {StepSigningTime, Indeterminate, "time.claimed-only"}},
		},
		"licence revoked": {
			bundle: func(b *bundle.Bundle) {
				b.Licences[0].State, b.Licences[0].Since = bundle.Revoked, clock.AddDate(0, 0, -1)
			}, result: Failed,
			wants: []want{{StepLicenceStatus, Failed, "licence.revoked"}, {StepSignature, Passed, ""}},
		},
		"licence expired":      {opt: func(o *Options) { o.At = time.Date(2031, 3, 1, 0, 0, 0, 0, time.UTC) }, result: Failed, wants: []want{{StepLicenceStatus, Failed, "licence.expired"}}},
		"before it was signed": {opt: func(o *Options) { o.At = signedAt.Add(-time.Hour) }, result: Indeterminate, wants: []want{{StepSigningTime, Indeterminate, "time.future"}}},
	} {
		t.Run(name, func(t *testing.T) {
			w.change = tc.bundle
			defer func() { w.change = nil }()
			o := w.options()
			if tc.opt != nil {
				tc.opt(&o)
			}
			r := run(t, good, o)
			if r.Result != tc.result {
				t.Errorf("%s %v", r.Result, r.Reasons)
			}
			expect(t, r.Signatures[0], tc.wants...)
		})
	}
}

func TestTimeDecidesWhatEndedSince(t *testing.T) {
	w := newWorld(t)
	ends := signedAt.AddDate(0, 1, 0)
	w.signer = issue(t, &w.root, "短期", func(tm *certs.Template) { tm.NotAfter = ends })
	w.spec.Certs, w.spec.ValidEnd = [][]byte{w.signer.cert.Raw}, ends
	w.remake()
	// A CRL made while the certificate was still valid keeps its word.
	w.crlThis, w.crlNext = ends.Add(-time.Hour), clock.AddDate(1, 0, 0)
	for name, tc := range map[string]struct {
		how    how
		result Result
		source string
		wants  []want
	}{
		"claimed only": {how{}, Indeterminate, SourceClaimed, []want{{StepSignerCertificate, Indeterminate, "certificate.ended-since"}, {StepSealValidity, Indeterminate, "seal.ended-since"}, {StepSigningTime, Indeterminate, "time.claimed-only"}}},
		"time-stamp":   {how{stamp: signedAt.Add(time.Minute)}, Passed, SourceTimeStamp, []want{{StepTimeStamp, Passed, ""}, {StepSigningTime, Passed, ""}}},
		"log":          {how{log: signedAt.Add(time.Minute)}, Passed, SourceLog, []want{{StepLogProof, Passed, ""}}},
		"both":         {how{stamp: signedAt.Add(time.Minute), log: signedAt.Add(time.Hour)}, Passed, SourceTimeStamp, nil},
		"stamped after the end": {how{stamp: ends.Add(time.Hour)}, Failed, SourceTimeStamp, []want{
			{StepTimeStamp, Passed, ""}, {StepSignerCertificate, Failed, "certificate.expired"}, {StepSealValidity, Failed, "seal.expired"},
		}},
		"claims a time after the stamp": {how{at: signedAt.Add(time.Hour), stamp: signedAt}, Failed, SourceTimeStamp, []want{{StepSigningTime, Failed, "time.order"}}},
		"claims a time outside":         {how{at: ends.Add(time.Hour)}, Failed, SourceClaimed, []want{{StepSignerCertificate, Failed, "certificate.expired"}, {StepSigningTime, Failed, "time.outside"}}},
		"claims a time before":          {how{at: signedAt.AddDate(-2, 0, 0)}, Failed, SourceClaimed, []want{{StepSignerCertificate, Failed, "certificate.not-yet"}, {StepSealValidity, Failed, "seal.not-yet"}}},
	} {
		t.Run(name, func(t *testing.T) {
			r := run(t, w.sealed(unsealed(t), tc.how), w.options())
			s := r.Signatures[0]
			if r.Result != tc.result || s.Time.Source != tc.source {
				t.Errorf("%s by %s: %v", r.Result, s.Time.Source, r.Reasons)
			}
			expect(t, s, tc.wants...)
		})
	}
}

func TestRevocationAgainstTheTimeOfSigning(t *testing.T) {
	w := newWorld(t)
	for name, tc := range map[string]struct {
		at     time.Time
		how    how
		result Result
		code   string
	}{
		"before the claimed time":   {signedAt.Add(-time.Hour), how{}, Failed, "revocation.revoked"},
		"after the claimed time":    {signedAt.Add(time.Hour), how{}, Indeterminate, "revocation.later"},
		"after the proven time":     {signedAt.Add(time.Hour), how{stamp: signedAt.Add(time.Minute)}, Passed, ""},
		"before the proven time":    {signedAt.Add(time.Second), how{stamp: signedAt.Add(time.Minute)}, Failed, "revocation.revoked"},
		"after the time of the log": {signedAt.Add(time.Hour), how{log: signedAt.Add(time.Minute)}, Passed, ""},
	} {
		t.Run(name, func(t *testing.T) {
			w.revoked = []certs.CRLEntry{{Serial: w.signer.cert.Serial, RevokedAt: tc.at, Reason: certs.ReasonKeyCompromise}}
			r := run(t, w.sealed(unsealed(t), tc.how), w.options())
			if r.Result != tc.result {
				t.Errorf("%s %v", r.Result, r.Reasons)
			}
			expect(t, r.Signatures[0], want{StepSignerRevocation, tc.result, tc.code})
		})
	}
	w.revoked = []certs.CRLEntry{{Serial: w.maker.cert.Serial, RevokedAt: w.spec.Created.Add(-time.Hour), Reason: certs.ReasonKeyCompromise}}
	r := run(t, w.sealed(unsealed(t), how{}), w.options())
	expect(t, r.Signatures[0], want{StepSealMaker, Failed, "revocation.revoked"}, want{StepSignerRevocation, Passed, ""})
}

func TestFalseTimes(t *testing.T) {
	w := newWorld(t)
	other := newWorld(t)
	good := w.sealed(unsealed(t), how{})
	value := func(token func([]byte) []byte) func([]byte) []byte {
		return func(v []byte) []byte {
			s, err := ses.ParseSignature(v)
			if err != nil {
				t.Fatal(err)
			}
			out, err := ses.SignatureWithTimeStamp(v, token(s.SigValue))
			if err != nil {
				t.Fatal(err)
			}
			return out
		}
	}
	flip := func(b []byte) []byte {
		b = slices.Clone(b)
		b[len(b)-3] ^= 1
		return b
	}
	for name, tc := range map[string]struct {
		token  func([]byte) []byte
		result Result
		code   string
	}{
		"junk":              {func([]byte) []byte { return []byte{1, 2, 3} }, Failed, "timestamp.not-a-token"},
		"of something else": {func([]byte) []byte { return w.token([]byte("x"), signedAt) }, Failed, "timestamp.wrong"},
		"changed":           {func(b []byte) []byte { return flip(w.token(b, signedAt)) }, Failed, ""},
		"by a stranger":     {func(b []byte) []byte { return other.token(b, signedAt) }, Indeterminate, "timestamp.unknown"},
		"from the future":   {func(b []byte) []byte { return w.token(b, clock.Add(time.Hour)) }, Indeterminate, "time.future"},
	} {
		r := run(t, w.sealed(unsealed(t), how{value: value(tc.token)}), w.options())
		expect(t, r.Signatures[0], want{StepTimeStamp, tc.result, tc.code})
		if r.Signatures[0].Time.Source != SourceClaimed || r.Result != tc.result {
			t.Errorf("%s: time by %s, %s", name, r.Signatures[0].Time.Source, r.Result)
		}
	}
	s, err := ses.ParseSignature(get(t, good, valFile))
	if err != nil {
		t.Fatal(err)
	}
	const proof = "Doc_0/Signs/Sign_0/" + ofd.LogProofName
	for name, tc := range map[string]struct {
		text   []byte
		result Result
		code   string
	}{
		"junk":                 {[]byte("x"), Failed, "log.malformed"},
		"of another signature": {w.proof([]byte("x"), signedAt), Failed, "log.other"},
		"of another log's key": {other.proof(s.SigValue, signedAt), Failed, "log.wrong"},
		"future":               {w.proof(s.SigValue, clock.Add(time.Hour)), Indeterminate, "time.future"},
		"index moved":          {bytes.Replace(w.proof(s.SigValue, signedAt), []byte("index 1"), []byte("index 0"), 1), Failed, "log.wrong"},
	} {
		r := run(t, replace(t, good, proof, tc.text), w.options())
		expect(t, r.Signatures[0], want{StepLogProof, tc.result, tc.code}, want{StepCoverage, Passed, ""})
		if r.Signatures[0].Time.Source != SourceClaimed {
			t.Errorf("%s: time by %s", name, r.Signatures[0].Time.Source)
		}
	}
	sound := replace(t, good, proof, w.proof(s.SigValue, signedAt))
	for name, tc := range map[string]struct {
		change func(*bundle.Bundle)
		result Result
		code   string
	}{
		"log not in the bundle": {func(b *bundle.Bundle) { b.Logs = nil }, Indeterminate, "log.unknown"},
		"too few witnesses":     {func(b *bundle.Bundle) { b.Logs[0].Witnesses, b.Logs[0].Quorum = []string{witness(t)}, 1 }, Indeterminate, "log.quorum"},
		"a forked log":          {func(b *bundle.Bundle) { b.Logs[0].Checkpoints = []string{fork(t, w)} }, Failed, "log.forked"},
	} {
		w.change = tc.change
		r := run(t, sound, w.options())
		expect(t, r.Signatures[0], want{StepLogProof, tc.result, tc.code})
		if r.Result == Passed {
			t.Error(name, r.Result)
		}
	}
}

func witness(t *testing.T) string {
	t.Helper()
	p := issue(t, nil, "witness", nil)
	k, err := tree.NewKey("witness", tree.Witness, p.key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return k.String()
}

// fork is another tree of the same size under the same key.
func fork(t *testing.T, w *world) string {
	t.Helper()
	signed, err := tree.Sign(tree.Checkpoint{Origin: w.log.Name(), Head: tree.Head{Size: 3, Root: tree.LeafHash([]byte("z"))}}, w.log, w.logKey.key)
	if err != nil {
		t.Fatal(err)
	}
	return string(signed)
}

func TestForgedSeals(t *testing.T) {
	w := newWorld(t)
	evil := newWorld(t)
	evil.spec.ESID, evil.spec.Certs = w.spec.ESID, [][]byte{w.signer.cert.Raw}
	for name, tc := range map[string]struct {
		make   func() []byte
		result Result
		wants  []want
	}{
		"made by a stranger": {func() []byte {
			evil.remake()
			x := *w
			x.seal = evil.seal
			return x.sealed(unsealed(t), how{})
		}, Indeterminate, []want{{StepSealSignature, Passed, ""}, {StepSealMaker, Indeterminate, "path.no-root"}}},
		"signer is a stranger": {func() []byte { return w.sealed(unsealed(t), how{signer: &evil.signer}) }, Failed, []want{{StepSignerInSeal, Failed, "seal.signer-not-listed"}, {StepSignature, Passed, ""}}},
		"signed with another key": {func() []byte {
			return w.sealed(unsealed(t), how{signer: &party{w.signer.cert, evil.signer.key}})
		}, Failed, []want{{StepSignature, Failed, "signature.wrong"}}},
		"maker's certificate exchanged": {func() []byte {
			x := *w
			x.maker = party{w.maker.cert, evil.maker.key}
			x.remake()
			return x.sealed(unsealed(t), how{})
		}, Failed, []want{{StepSealSignature, Failed, "seal.maker-signature"}}},
		"digest of something else": {func() []byte {
			return replace(t, w.sealed(unsealed(t), how{}), valFile, swapHash(t, w, [32]byte{1}, "/"+sigFile))
		}, Failed, []want{{StepDataHash, Failed, "datahash.mismatch"}, {StepSignature, Passed, ""}}},
		"about another file": {func() []byte {
			f := w.sealed(unsealed(t), how{})
			return replace(t, f, valFile, swapHash(t, w, gm.SM3(get(t, f, sigFile)), "/Doc_0/Signs/Sign_9/Signature.xml"))
		}, Failed, []want{{StepDataHash, Failed, "datahash.property"}}},
		"Z-prefixed digest": {func() []byte {
			f := w.sealed(unsealed(t), how{})
			pub, _ := sm2Key(w.signer.cert)
			e, err := gm.E(pub, gm.DefaultID, get(t, f, sigFile))
			if err != nil {
				t.Fatal(err)
			}
			return replace(t, f, valFile, swapHash(t, w, e, "/"+sigFile))
		}, Failed, []want{{StepDataHash, Failed, "datahash.z-prefixed"}}},
		"nothing is listed": {func() []byte {
			return w.sealed(unsealed(t), how{edit: func(x string) string {
				a, b := strings.Index(x, "<ofd:Reference "), strings.Index(x, "</ofd:References>")
				return x[:a] + x[b:]
			}})
		}, Indeterminate, []want{{StepDigests, Indeterminate, "digest.none"}, {StepCoverage, Indeterminate, "coverage.drawn"}}},
		"another digest algorithm": {func() []byte {
			return w.sealed(unsealed(t), how{edit: func(x string) string { return strings.Replace(x, `"1.2.156.10197.1.401"`, `"MD5"`, 1) }})
		}, Indeterminate, []want{{StepDigests, Indeterminate, "digest.method"}}},
		"a certificate that may not sign": {func() []byte {
			x := *w
			x.signer = issue(t, &w.root, "加密", func(tm *certs.Template) { tm.KeyUsage = certs.UsageKeyEncipherment })
			x.spec.Certs = [][]byte{x.signer.cert.Raw}
			x.remake()
			return x.sealed(unsealed(t), how{})
		}, Failed, []want{{StepSignerCertificate, Failed, "usage.key"}}},
	} {
		t.Run(name, func(t *testing.T) {
			r := run(t, tc.make(), w.options())
			if r.Result != tc.result {
				t.Errorf("%s %v", r.Result, r.Reasons)
			}
			expect(t, r.Signatures[0], tc.wants...)
		})
	}
}

// swapHash signs a TBS over a hash of the attacker's choosing.
func swapHash(t *testing.T, w *world, hash [32]byte, info string) []byte {
	t.Helper()
	q, err := ses.NewSignature(ses.SignatureSpec{Seal: w.seal, Time: signedAt, DataHash: hash, PropertyInfo: info})
	if err != nil {
		t.Fatal(err)
	}
	v, err := q.Finish(w.signer.cert.Raw, sign(t, w.signer.key, q.SignedBytes()))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestFormsThatAreReadWithARemark(t *testing.T) {
	w := newWorld(t)
	for name, tc := range map[string]struct {
		how    how
		remark string
	}{
		"SM3 by name":   {how{edit: func(x string) string { return strings.Replace(x, `"1.2.156.10197.1.401"`, `"SM3"`, 1) }}, "non-standard name of the digest algorithm"},
		"no method":     {how{edit: func(x string) string { return strings.Replace(x, ` CheckMethod="1.2.156.10197.1.401"`, ``, 1) }}, "no digest algorithm is given"},
		"raw signature": {how{value: func(v []byte) []byte { return rawValue(t, w, v) }}, "64 raw octets"},
	} {
		r := run(t, w.sealed(unsealed(t), tc.how), w.options())
		if r.Result != Passed || !strings.Contains(strings.Join(r.Signatures[0].NonStandard, "\n"), tc.remark) {
			t.Errorf("%s: %s %v %v", name, r.Result, r.Reasons, r.Signatures[0].NonStandard)
		}
	}
}

// rawValue puts r‖s in place of the DER of the signer's signature.
func rawValue(t *testing.T, w *world, v []byte) []byte {
	t.Helper()
	s, err := ses.ParseSignature(v)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := gm.RawSignature(s.Signature)
	if err != nil {
		t.Fatal(err)
	}
	cut := bytes.LastIndex(v, s.Signature) - 3 // BIT STRING header
	body := append(slices.Clone(v[4:cut]), append([]byte{0x03, 65, 0}, raw...)...)
	return append([]byte{0x30, 0x82, byte(len(body) >> 8), byte(len(body))}, body...)
}

func TestSignaturesOfTypeSign(t *testing.T) {
	w := newWorld(t)
	file := unsealed(t)
	inside := func(xml []byte) *certs.SignedDataTemplate { return &certs.SignedDataTemplate{Content: xml} }
	digest := func(xml []byte) *certs.SignedDataTemplate {
		sum := gm.SM3(xml)
		return &certs.SignedDataTemplate{Content: sum[:]}
	}
	for name, tc := range map[string]struct {
		form   func([]byte) *certs.SignedDataTemplate
		result Result
	}{
		"detached": {func(x []byte) *certs.SignedDataTemplate { return &certs.SignedDataTemplate{Content: x, Detached: true} }, Passed},
		"with attributes": {func(x []byte) *certs.SignedDataTemplate {
			return &certs.SignedDataTemplate{Content: x, Detached: true, SigningTime: signedAt}
		}, Passed},
		"PKCS#7 types": {func(x []byte) *certs.SignedDataTemplate {
			return &certs.SignedDataTemplate{Content: x, Detached: true, RFCTypes: true}
		}, Passed},
		"digest inside":        {digest, Passed},
		"content inside":       {inside, Passed},
		"digest, detached":     {func(x []byte) *certs.SignedDataTemplate { d := digest(x); d.Detached = true; return d }, Passed},
		"other content inside": {func([]byte) *certs.SignedDataTemplate { return inside([]byte("other")) }, Failed},
		"other content detached": {func([]byte) *certs.SignedDataTemplate {
			return &certs.SignedDataTemplate{Content: []byte("other"), Detached: true}
		}, Failed},
		"no certificate": {func(x []byte) *certs.SignedDataTemplate {
			return &certs.SignedDataTemplate{Content: x, Detached: true, OmitCertificates: true}
		}, Passed},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := ofd.Open(file)
			if err != nil {
				t.Fatal(err)
			}
			p, err := c.Prepare(ofd.Request{Type: ofd.TypeSign, Provider: "Hufu", Time: signedAt})
			if err != nil {
				t.Fatal(err)
			}
			form := tc.form(p.SignatureXML())
			form.Certificate = w.signer.cert
			value, err := certs.BuildSignedData(*form, w.signer.key)
			if err != nil {
				t.Fatal(err)
			}
			out, err := p.Finish(value)
			if err != nil {
				t.Fatal(err)
			}
			r := run(t, out, w.options()) // the bundle knows the signer's certificate
			s := r.Signatures[0]
			if r.Result != tc.result || s.Format != "cms" || s.Type != "Sign" {
				t.Errorf("%s %s: %v", r.Result, s.Format, r.Reasons)
			}
			if tc.result == Failed {
				expect(t, s, want{StepDataHash, Failed, "datahash.content"})
			}
			if name == "no certificate" {
				w.change = func(b *bundle.Bundle) { b.Signers = nil }
				defer func() { w.change = nil }()
				r = run(t, out, w.options())
				expect(t, r.Signatures[0], want{StepSignature, Indeterminate, "signer.unknown"})
				if r.Result != Indeterminate {
					t.Error(r.Result)
				}
			}
		})
	}
}

func TestDetachedSignatures(t *testing.T) {
	w := newWorld(t)
	content := []byte("the text that was signed")
	cms, err := certs.BuildSignedData(certs.SignedDataTemplate{Content: content, Detached: true, Certificate: w.signer.cert, SigningTime: signedAt}, w.signer.key)
	if err != nil {
		t.Fatal(err)
	}
	bare := sign(t, w.signer.key, content)
	sealed := swapHash(t, w, gm.SM3(content), "/x")
	for name, tc := range map[string]struct {
		file   []byte
		format string
	}{"cms": {cms, "cms"}, "bare": {bare, "bare"}, "seal": {sealed, "v4"}} {
		for content, result := range map[string]Result{string(content): Passed, "another": Failed, "": Indeterminate} {
			o := w.options()
			o.Signers = []*certs.Certificate{w.signer.cert}
			if content != "" {
				o.Content = []byte(content)
			}
			r := run(t, tc.file, o)
			got := r.Result
			if name == "bare" && got == Indeterminate && content != "" && hasReason(r.Reasons, "time.none") {
				got = Passed // a bare signature has no time at all: never more than this
			}
			if r.Kind != KindDetached || r.Signatures[0].Format != tc.format || got != result {
				t.Errorf("%s over %q: %s %s %v", name, content, r.Kind, r.Result, r.Reasons)
			}
		}
	}
}

func TestQRTexts(t *testing.T) {
	w := newWorld(t)
	shown := card.Shown{
		Identifier: licenceID, Title: "营业执照", Issued: clock.Add(-time.Minute), Expires: clock.Add(time.Hour),
		Fields: []card.ShownField{{Label: "名称", Value: "杭州甲有限公司"}},
	}
	text, err := card.MakeQR(shown, w.signer.cert.Raw, w.signer.key)
	if err != nil {
		t.Fatal(err)
	}
	o := w.options()
	r := run(t, []byte(text+"\n"), o)
	if r.Result != Passed || r.Kind != KindQR || r.Signatures[0].Format != "cose" || r.Licence.Identifier != licenceID {
		t.Fatalf("%s %s %v", r.Result, r.Kind, r.Reasons)
	}
	late := o
	late.At = clock.Add(2 * time.Hour)
	r = run(t, []byte(text), late)
	expect(t, r.Signatures[0], want{StepSigningTime, Failed, "qr.expired"}, want{StepSignature, Passed, ""})
	forged, err := card.MakeQR(shown, w.signer.cert.Raw, w.maker.key)
	if err != nil {
		t.Fatal(err)
	}
	r = run(t, []byte(forged), o)
	expect(t, r.Signatures[0], want{StepSignature, Failed, "signature.wrong"})
	w.change = func(b *bundle.Bundle) { b.Signers = nil }
	r = run(t, []byte(text), w.options())
	expect(t, r.Signatures[0], want{StepSignature, Indeterminate, "signer.unknown"})
	w.change = func(b *bundle.Bundle) {
		b.Licences[0].State, b.Licences[0].ReplacedBy = bundle.Replaced, "x"
	}
	r = run(t, []byte(text), w.options())
	expect(t, r.Signatures[0], want{StepLicenceStatus, Failed, "licence.replaced"})
	if r = run(t, []byte(text[:40]), o); r.Result != Failed || !hasReason(r.Reasons, "parse.qr") {
		t.Errorf("%s %v", r.Result, r.Reasons)
	}
}

func TestLicenceDataAgainstThePage(t *testing.T) {
	w := newWorld(t)
	for name, tc := range map[string]struct {
		file   []byte
		result Result
		wants  []want
	}{
		"the issuer sealed another text": {editFile(t, unsealed(t), pageFile, "杭州甲", "杭州乙"), Failed, []want{{StepLicenceData, Failed, "licence.field"}, {StepDigests, Passed, ""}}},
		"object taken away":              {editFile(t, unsealed(t), "Doc_0/Tags/CustomTag_0.xml", `PageRef="2">5<`, `PageRef="2">99<`), Failed, []want{{StepLicenceData, Failed, "licence.field-missing"}}},
		"a field of nobody":              {editFile(t, unsealed(t), "Doc_0/Tags/CustomTag_0.xml", `</licence>`, `<field name="x"/></licence>`), Failed, []want{{StepLicenceData, Failed, "licence.field-unknown"}}},
		"unbound":                        {editFile(t, unsealed(t), "Doc_0/Tags/CustomTag_0.xml", `"urn:hufu:licence:1"`, `"urn:x"`), Indeterminate, []want{{StepLicenceData, Indeterminate, "licence.unbound"}}},
		"data unreadable":                {editFile(t, unsealed(t), "Doc_0/Attachs/licence.json", `{`, `[`), Failed, []want{{StepLicenceData, Failed, "licence.data"}}},
		"identifier wrong":               {editFile(t, unsealed(t), "Doc_0/Attachs/licence.json", `016.001.9`, `016.001.8`), Failed, []want{{StepLicenceIdentifier, Failed, "licence.identifier"}, {StepLicenceData, Passed, ""}}},
		"two attachments":                {replace(t, unsealed(t), "Doc_0/licence.json", []byte("{}")), Failed, []want{{StepLicenceData, Failed, "licence.twice"}}},
	} {
		t.Run(name, func(t *testing.T) {
			r := run(t, w.sealed(tc.file, how{}), w.options())
			if r.Result != tc.result {
				t.Errorf("%s %v", r.Result, r.Reasons)
			}
			expect(t, r.Signatures[0], tc.wants...)
		})
	}
}

func TestForeignTextCannotRuleTheTerminal(t *testing.T) {
	w := newWorld(t)
	w.spec.Name = "章\x1b[2J\u202e"
	w.remake()
	r := run(t, w.sealed(unsealed(t), how{}), w.options())
	raw, err := r.JSON()
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(r.Signatures[0].Seal.Name, "\x1b") || bytes.Contains(raw, []byte("\u202e")) {
		t.Errorf("%q", r.Signatures[0].Seal.Name)
	}
}

func FuzzCheck(f *testing.F) {
	for _, n := range []string{"sealed-v4-expired.ofd", "signed-bare.ofd", "seal-v1.esl", "seal-v5-dummy-timestamp.esl"} {
		f.Add(sample(f, n))
	}
	w := newWorld(f)
	o := w.options()
	f.Add(w.sealed(unsealed(f), how{stamp: signedAt, log: signedAt}))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := Check(b, o)
		if err != nil {
			return
		}
		for _, s := range r.Signatures {
			if len(s.Steps) != len(stepOrder) {
				t.Fatal("a step is left out")
			}
		}
		if _, err := r.JSON(); err != nil {
			t.Fatal(err)
		}
	})
}
