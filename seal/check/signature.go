package check

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"hufu/certs"
	"hufu/internal/gm"
	"hufu/seal/ofd"
	"hufu/seal/ses"
)

// signature makes every step for one signature of a document.
func (d *document) signature(s ofd.Signature) *record {
	r := newRecord(d.o, clean(s.ID), string(s.Type))
	r.out.Orphan = s.Orphan
	if s.Err != nil {
		r.fail(StepParse, "parse.signature-xml", "", clean(s.Err.Error()))
		for _, n := range []StepName{StepDigests, StepCoverage, StepDataHash, StepSignature} {
			r.doubt(n, "not-possible", "")
		}
		d.licence.write(r)
		return r
	}
	for _, x := range s.Remarks {
		r.out.NonStandard = append(r.out.NonStandard, d.o.text("remark."+x.Code, clean(x.Part)))
	}
	for _, st := range s.Stamps {
		if st.Page > 0 && !slices.Contains(r.out.Pages, st.Page) {
			r.out.Pages = append(r.out.Pages, st.Page)
		}
	}
	d.digests(r, s)
	d.covers(r, s)
	d.value(r, s)
	r.signingTime()
	d.licence.write(r)
	return r
}

// value dispatches on what the signature value is.
func (d *document) value(r *record, s ofd.Signature) {
	kind := ses.KindOf(s.Value)
	if s.Value != nil && (kind == ses.KindSES) != (s.Type == ofd.TypeSeal) && kind != ses.KindUnknown {
		r.remark("remark.type-and-value", string(s.Type))
	}
	switch {
	case s.Value == nil:
		r.fail(StepParse, "parse.value-missing", "", clean(s.ValuePath))
		r.unreadable()
	case kind == ses.KindSES:
		d.sesValue(r, s)
	case kind == ses.KindCMS:
		r.out.Format = "cms"
		r.claim(xmlTime(s.Time))
		r.cms(s.Value, s.Raw, true, s.LogProof)
	case kind == ses.KindBare:
		r.out.Format = "bare"
		r.remark("remark.bare")
		r.claim(xmlTime(s.Time))
		r.bare(s.Value, s.Raw, s.LogProof)
	default:
		r.fail(StepParse, "parse.value", "", clean(s.ValuePath))
		r.unreadable()
	}
}

// unreadable marks the steps that a broken signature value leaves without an answer.
func (r *record) unreadable() {
	for _, n := range []StepName{StepDataHash, StepSignature, StepSignerCertificate, StepSignerRevocation} {
		r.doubt(n, "not-possible", "")
	}
	if r.out.Type == string(ofd.TypeSeal) {
		for _, n := range []StepName{StepSealSignature, StepSealMaker, StepSignerInSeal, StepSealValidity, StepSealStatus} {
			r.doubt(n, "not-possible", "")
		}
	}
}

// digests compares every listed file with its digest.
func (d *document) digests(r *record, s ofd.Signature) {
	const n = StepDigests
	if len(s.References) == 0 {
		r.doubt(n, "digest.none", "")
		return
	}
	known, standard := ofd.CheckMethodKnown(s.CheckMethod)
	switch {
	case s.CheckMethod == "":
		r.remark("remark.check-method-absent")
	case !known:
		r.doubt(n, "digest.method", "", clean(s.CheckMethod))
		return
	case !standard:
		r.remark("remark.check-method-form", clean(s.CheckMethod))
	}
	var bad, lists, missing []string
	for _, it := range d.c.Coverage(d.m, d.all, s) {
		switch {
		case it.State == ofd.ListedBad && slices.Contains(d.all.Lists, it.Path):
			lists = append(lists, it.Path)
		case it.State == ofd.ListedBad:
			bad = append(bad, d.place(it))
		case it.State == ofd.ListedMissing:
			missing = append(missing, d.place(it))
		}
	}
	r.pass(n, "SM3, %s", d.o.text("evidence.files", len(s.References)))
	if len(bad) > 0 {
		r.fail(n, "digest.mismatch", "", join(bad))
	}
	if len(lists) > 0 {
		r.fail(n, "digest.list-changed", "", join(lists))
	}
	if len(missing) > 0 {
		r.fail(n, "digest.missing", "", join(missing))
	}
}

// place names a file, with its page when it belongs to one.
func (d *document) place(it ofd.Item) string {
	if it.Page > 0 {
		return d.o.text("page", it.Page, clean(it.Path))
	}
	return clean(it.Path)
}

// covers says whether the signature protects everything that the document uses.
func (d *document) covers(r *record, s ofd.Signature) {
	const n = StepCoverage
	var drawn, meta, orphan []string
	for _, it := range d.c.Coverage(d.m, d.all, s) {
		switch {
		case it.State == ofd.UnlistedReachable && it.Reach == ofd.Drawn:
			drawn = append(drawn, d.place(it))
		case it.State == ofd.UnlistedReachable:
			meta = append(meta, d.place(it))
		case it.State == ofd.UnlistedOrphan:
			orphan = append(orphan, it.Path)
		}
	}
	gap := r.doubt
	if d.o.Strict {
		gap = r.fail
	}
	if len(drawn) > 0 {
		gap(n, "coverage.drawn", "", join(drawn))
	}
	if len(meta) > 0 && d.o.Strict {
		r.fail(n, "coverage.metadata", "", join(meta))
	} else if len(meta) > 0 {
		r.say(n, Passed, "coverage.metadata", "", d.o.text("coverage.metadata", join(meta)))
	}
	if len(orphan) > 0 {
		r.say(n, Passed, "coverage.orphan", "", d.o.text("coverage.orphan", join(orphan)))
	}
	if len(d.unread) > 0 {
		r.doubt(n, "coverage.unreadable", "", join(d.unread))
	}
	r.pass(n, "%s", d.o.text("evidence.files", len(d.c.Names())))
}

// sesValue checks a seal signature.
func (d *document) sesValue(r *record, s ofd.Signature) {
	sig, err := ses.ParseSignature(s.Value)
	if err != nil {
		r.fail(StepParse, "parse.value", "", clean(err.Error()))
		r.unreadable()
		return
	}
	r.pass(StepParse, "%s", clean(s.Path))
	if sig.PropertyInfo != "/"+s.Path {
		r.propertyInfo(sig.PropertyInfo, s.Path)
	}
	r.sesSignature(sig, s.Raw, s.Path, s.LogProof)
	if s.SealPath == "" {
		return
	}
	if !bytes.Equal(s.Seal, sig.Seal.Raw) {
		r.fail(StepSealSignature, "seal.differs", "", clean(s.SealPath))
	}
}

// propertyInfo must name the file that was hashed; another writing of the same path is the same path.
func (r *record) propertyInfo(said, path string) {
	folded := strings.TrimPrefix(strings.ReplaceAll(said, `\`, "/"), "./")
	if strings.EqualFold(strings.TrimPrefix(folded, "/"), path) {
		return
	}
	r.fail(StepDataHash, "datahash.property", "", clean(said), clean(path))
}

// sesSignature makes the steps of an SES_Signature over content.
func (r *record) sesSignature(sig *ses.Signature, content []byte, name string, proof []byte) {
	r.out.Format = sig.Version.String()
	r.notes(sig.NonStandard)
	r.claim(sig.Time)
	signer := r.parseCertificate(StepSignerCertificate, sig.Cert)
	r.dataHash(sig, content, name, signer)
	if signer == nil {
		r.doubt(StepSignature, "not-possible", "")
		r.doubt(StepSignerRevocation, "not-possible", "")
	} else {
		r.out.Signer = signerOf(signer)
		r.verify(StepSignature, signer, sig.SigAlg, sig.SignedBytes(), sig.Signature, "signature.wrong")
	}
	r.sesTimes(sig, proof)
	if signer != nil {
		r.certificate(signer, signerPurposes, nil)
	}
	r.listed(sig.Seal, sig.Cert)
	r.seal(sig.Seal, false)
}

// sesTimes settles the time of signing before anything is judged by it. Only what hangs on a sound signature proves a time.
func (r *record) sesTimes(sig *ses.Signature, proof []byte) {
	sound := r.result(StepSignature) == Passed
	if sig.TimeStamp != nil {
		r.timeStamp(sig.TimeStamp, sig.SigValue, sound)
	}
	if sig.TimeToken != nil { // v1: a token in place of the time; it stamps what was signed
		r.timeStamp(sig.TimeToken, sig.DataHash, false)
	}
	if sig.Seal.TimeStamp != nil {
		r.timeStamp(sig.Seal.TimeStamp, sig.Seal.SigValue, false)
	}
	r.logProof(proof, sig.SigValue)
}

func (r *record) dataHash(sig *ses.Signature, content []byte, name string, signer *certs.Certificate) {
	const n = StepDataHash
	if content == nil {
		r.doubt(n, "datahash.no-content", "")
		return
	}
	sum := gm.SM3(content)
	switch {
	case bytes.Equal(sum[:], sig.DataHash):
		r.pass(n, "SM3 %x", sum[:8])
	case signer != nil && zPrefixed(signer, content, sig.DataHash):
		r.fail(n, "datahash.z-prefixed", "", clean(name))
	case name == "":
		r.fail(n, "datahash.content", "")
	default:
		r.fail(n, "datahash.mismatch", "", clean(name))
	}
}

// digestWithZ gives SM3(Z ‖ message) under the certificate's SM2 key.
func digestWithZ(c *certs.Certificate, message []byte) ([]byte, bool) {
	pub, ok := sm2Key(c)
	if !ok {
		return nil, false
	}
	e, err := gm.E(pub, gm.DefaultID, message)
	return e[:], err == nil
}

// bare checks an SM2 signature that comes alone: without the certificate from outside nothing can be said.
func (r *record) bare(sig, content, proof []byte) {
	r.pass(StepParse, "%s", r.o.text("evidence.octets", len(sig)))
	if content == nil {
		r.doubt(StepDataHash, "datahash.no-content", "")
		r.doubt(StepSignature, "datahash.no-content", "")
		r.doubt(StepSignerCertificate, "signer.unknown", "")
		r.doubt(StepSignerRevocation, "signer.unknown", "")
		return
	}
	for _, c := range r.outsideSigners() {
		pub, ok := sm2Key(c)
		if !ok || !gm.Verify(pub, content, sig) {
			continue
		}
		r.out.Signer = signerOf(c)
		r.pass(StepDataHash, "%s", r.o.text("evidence.octets", len(content)))
		r.pass(StepSignature, "%s", c.Subject)
		r.logProof(proof, sig)
		r.certificate(c, personPurposes, nil)
		return
	}
	if len(r.o.Signers) > 0 { // the verifier named who it should be
		r.fail(StepSignature, "signature.wrong", fmt.Sprintf("%d", len(r.o.Signers)))
		r.fail(StepDataHash, "signature.wrong", "")
	} else {
		r.doubt(StepSignature, "signer.unknown", "")
		r.doubt(StepDataHash, "signer.unknown", "")
	}
	r.doubt(StepSignerCertificate, "signer.unknown", "")
	r.doubt(StepSignerRevocation, "signer.unknown", "")
}
