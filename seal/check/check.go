package check

import (
	"bytes"
	"encoding/pem"
	"strings"

	"hufu/certs"
	"hufu/seal/ofd"
	"hufu/seal/ses"
)

// Check says what it found in a file. The error is ErrUnknownKind, for a file that is of no kind known here.
func Check(file []byte, o Options) (*Report, error) {
	r := o.report()
	if strings.HasSuffix(strings.ToLower(o.Name), ".ofd") { // what a reader would open as a document is judged as one
		if isZIP(file) {
			return o.document(r, file)
		}
	}
	if o.Reader != nil && len(file) < 64<<10 && o.Reader.IsQR(string(file)) {
		r.Kind = KindQR
		o.qr(r, strings.TrimSpace(string(file)))
		return r, nil
	}
	if o.der(r, file) {
		return r, nil
	}
	if isZIP(file) {
		return o.document(r, file)
	}
	return nil, ErrUnknownKind
}

func isZIP(b []byte) bool {
	return bytes.Contains(b, []byte("PK\x03\x04")) || bytes.HasPrefix(b, []byte("PK\x05\x06"))
}

// der checks a file that is one DER structure (or its PEM); false when it is none of ours.
func (o *Options) der(r *Report, file []byte) bool {
	der := file
	if block, _ := pem.Decode(file); block != nil && (block.Type == "PKCS7" || block.Type == "CMS") {
		der = block.Bytes
	}
	r.Kind = KindDetached
	switch kind := ses.KindOf(der); {
	case kind == ses.KindCMS:
		o.detachedCMS(r, der)
	case kind == ses.KindBare:
		o.detachedBare(r, der)
	case isSignature(der):
		o.detachedSeal(r, der)
	case kind == ses.KindSES || looksLikeSeal(file):
		r.Kind = KindSeal
		o.bareSeal(r, file)
	default:
		return false
	}
	return true
}

// report begins a report with what it relies on.
func (o *Options) report() *Report {
	r := &Report{
		File: o.Name, Reasons: []Reason{}, CheckedAt: o.At.UTC(), NonStandard: []string{}, Signatures: []Signature{},
		Coverage: Coverage{Uncovered: []string{}, Problems: []Reason{}},
	}
	if b := o.Bundle; b != nil {
		r.Bundle = &Bundle{ID: b.ID, Sequence: b.Sequence, IssuedAt: b.IssuedAt, NextUpdate: b.NextUpdate}
		if i := o.BundleInfo; i != nil {
			r.Bundle.Signer, r.Bundle.Key, r.Bundle.Pinned = i.Signer.Subject.String(), i.Fingerprint, i.Pinned
		}
	}
	return r
}

// isSignature tells an SES_Signature from a seal: what is signed in it begins with a version, not with a header.
func isSignature(der []byte) bool {
	if ses.KindOf(der) != ses.KindSES {
		return false
	}
	_, err := ses.ParseSeal(der)
	if err == nil {
		return false
	}
	_, err = ses.ParseSignature(der)
	return err == nil
}

// looksLikeSeal finds the mark of a seal's header near the beginning, also in a file that is cut off.
func looksLikeSeal(b []byte) bool {
	return len(b) > 0 && b[0] == 0x30 && bytes.Contains(b[:min(len(b), 64)], []byte("\x16\x02ES\x02\x01"))
}

// single makes a report of one record.
func (r *Report) single(rec *record) {
	s := rec.finish()
	r.Signatures = append(r.Signatures, s)
	r.Result, r.Reasons = s.Result, s.Reasons
	r.Coverage.Complete = s.Result != Failed
}

// bareSeal checks a seal for new use.
func (o *Options) bareSeal(r *Report, der []byte) {
	s, err := ses.ParseSeal(der)
	if err != nil {
		rec := newRecord(o, "", string(ofd.TypeSeal))
		rec.fail(StepParse, "parse.seal", "", err.Error())
		r.single(rec)
		return
	}
	rec := newRecord(o, clean(s.ESID), string(ofd.TypeSeal))
	rec.pass(StepParse, "%s", o.text("evidence.octets", len(der)))
	rec.out.Format = s.Version.String()
	if c, err := certs.ParseLenient(s.MakerCert); err == nil {
		rec.out.Signer = signerOf(c)
	}
	rec.claim(s.Created)
	rec.seal(s, true)
	if s.TimeStamp != nil {
		rec.timeStamp(s.TimeStamp, s.SigValue, false)
	}
	r.single(rec)
}
