package check

import (
	"encoding/hex"
	"strings"
	"time"

	"hufu/certs"
	"hufu/certs/bundle"
	"hufu/internal/gm"
	"hufu/seal/ses"
)

const (
	oidSM2WithSM3      = "1.2.156.10197.1.501"
	oidSM2WithSM3Wrong = "1.2.156.10197.501" // in circulation; read, never written
	oidSM2             = "1.2.156.10197.1.301"
	oidSM2Sign         = "1.2.156.10197.1.301.1"
)

// algorithm tells whether an OID of a seal structure means SM2 with SM3; other spellings than the standard's are remarked.
func (r *record) algorithm(oid string) bool {
	switch oid {
	case oidSM2WithSM3:
		return true
	case oidSM2WithSM3Wrong, oidSM2, oidSM2Sign:
		r.remark("remark.algorithm-oid", oid)
		return true
	}
	return false
}

// verify checks an SM2 signature in step n.
func (r *record) verify(n StepName, c *certs.Certificate, oid string, message, sig []byte, wrong string) {
	pub, ok := sm2Key(c)
	if !ok || !r.algorithm(oid) {
		r.doubt(n, "signature.algorithm", "", oid)
		return
	}
	if !gm.Verify(pub, message, sig) {
		r.fail(n, wrong, c.Subject.String())
		return
	}
	r.pass(n, "%s", c.Subject)
}

// seal makes the steps of the seal itself. bare: the seal is checked for new use, now.
func (r *record) seal(s *ses.Seal, bare bool) {
	r.out.Seal = &Seal{
		ESID: clean(s.ESID), Name: clean(s.Name), Version: s.Version.String(), ValidStart: s.ValidStart, ValidEnd: s.ValidEnd,
		Picture: Picture{clean(s.Picture.Type), s.Picture.Width, s.Picture.Height},
	}
	r.notes(s.NonStandard)
	r.sealMaker(s)
	if bare {
		r.sealForUse(s)
	} else {
		r.window(StepSealValidity, s.ValidStart, s.ValidEnd, [4]string{"seal.not-yet", "seal.expired", "seal.ended-since", "seal.no-time"})
	}
	r.sealStatus(s, bare)
}

func (r *record) sealMaker(s *ses.Seal) {
	maker := r.parseCertificate(StepSealMaker, s.MakerCert)
	if maker == nil {
		r.doubt(StepSealSignature, "not-possible", "")
		return
	}
	r.verify(StepSealSignature, maker, s.SigAlg, s.SignedBytes(), s.Signature, "seal.maker-signature")
	r.certificateRemarks(maker)
	v := r.o.validate(question{cert: maker, at: s.Created, purposes: makerPurposes, purpose: certs.PurposeSeal})
	r.pathSteps(StepSealMaker, v)
	switch {
	case s.Created.Before(maker.NotBefore):
		r.fail(StepSealMaker, "maker.not-yet", "", stamp(maker.NotBefore), stamp(s.Created))
	case s.Created.Truncate(time.Second).After(maker.NotAfter):
		r.fail(StepSealMaker, "maker.expired", "", stamp(maker.NotAfter), stamp(s.Created))
	}
	if r.proven && v.revocation.Code == "revocation.later" && v.revocation.RevokedAt.After(r.used) {
		v.revocation.Outcome = certs.Passed // the seal was in use, at a proven time, before its maker was revoked
	}
	r.revocationStep(StepSealMaker, v)
	r.pass(StepSealMaker, "%s, %s – %s", maker.Subject, stamp(maker.NotBefore), stamp(maker.NotAfter))
}

// sealForUse judges a bare seal: may it be used now?
func (r *record) sealForUse(s *ses.Seal) {
	r.pass(StepSealValidity, "%s – %s", stamp(s.ValidStart), stamp(s.ValidEnd))
	switch at := r.o.At; {
	case at.Before(s.ValidStart):
		r.fail(StepSealValidity, "seal.not-yet-now", "", stamp(s.ValidStart))
	case at.Truncate(time.Second).After(s.ValidEnd):
		r.fail(StepSealValidity, "seal.expired-now", "", stamp(s.ValidEnd))
	}
	if len(s.Certs) == 0 {
		return // a list of digests names nobody whose validity could be looked at
	}
	for _, der := range s.Certs {
		c, err := certs.ParseLenient(der)
		if err == nil && !r.o.At.Before(c.NotBefore) && !r.o.At.After(c.NotAfter) {
			r.pass(StepSignerInSeal, "%s, – %s", c.Subject, stamp(c.NotAfter))
			return
		}
	}
	r.fail(StepSignerInSeal, "seal.no-usable-signer", "")
}

// sealStatus asks the bundle for the state of the seal.
func (r *record) sealStatus(s *ses.Seal, bare bool) {
	const n = StepSealStatus
	b := r.o.Bundle
	if b == nil {
		r.doubt(n, "seal.status-unknown", r.o.text("bundle.missing"))
		return
	}
	r.age(n, b.IssuedAt)
	e, known := b.Seal(s.ESID)
	switch at := r.used; {
	case b.Stale(r.o.At):
		r.doubt(n, "bundle.stale", bundleName(b), stamp(b.NextUpdate))
	case !known:
		r.doubt(n, "seal.status-unknown", bundleName(b))
	case e.State == bundle.Active:
		r.pass(n, "%s: %s", bundleName(b), e.State)
	case e.State == bundle.Expired && !bare:
		r.pass(n, "%s: %s %s", bundleName(b), e.State, stamp(e.Since)) // the window says the same, with its own words
	case bare || at.IsZero() || !at.Before(e.Since):
		r.fail(n, "seal."+string(stateWord(e.State)), bundleName(b), stamp(e.Since))
	case r.proven:
		r.pass(n, "%s: %s %s", bundleName(b), e.State, stamp(e.Since))
	default:
		r.doubt(n, "seal.status-since", bundleName(b), r.o.text("state."+string(e.State)), stamp(e.Since))
		r.ended = true
	}
}

// stateWord maps the states of seals to those that have words of failure.
func stateWord(s bundle.State) bundle.State {
	if s == bundle.Expired {
		return bundle.Revoked
	}
	return s
}

func bundleName(b *bundle.Bundle) string { return b.ID }

// notes turns the codes of package ses into remarks.
func (r *record) notes(codes []string) {
	for _, c := range codes {
		if _, ok := words["remark."+c]; ok {
			r.remark("remark." + c)
		} else {
			r.remark("remark.ses", c)
		}
	}
}

// listed checks that the signer stands in the seal's list.
func (r *record) listed(s *ses.Seal, cert []byte) {
	if !s.Lists(cert, listDigest) {
		r.fail(StepSignerInSeal, "seal.signer-not-listed", "")
		return
	}
	r.pass(StepSignerInSeal, "%s", r.o.text("evidence.entries", len(s.Certs)+len(s.Digests)))
	if string(cert) == string(s.MakerCert) {
		r.remark("remark.signer-is-maker")
	}
}

// listDigest knows SM3 by its name and OIDs.
func listDigest(kind string, cert []byte) []byte {
	switch strings.TrimSpace(kind) {
	case "1.2.156.10197.1.401", "1.2.156.10197.1.401.1", "SM3", "sm3":
		sum := gm.SM3(cert)
		return sum[:]
	}
	return nil
}

// clean keeps foreign text printable: control characters would rule the terminal that shows it.
func clean(s string) string {
	return strings.Map(func(c rune) rune {
		if c < 0x20 || c >= 0x7f && c < 0xa0 || c == 0x202e || c == 0x202d || c >= 0x2066 && c <= 0x2069 {
			return '\ufffd'
		}
		return c
	}, s)
}

func hexSum(b []byte) string {
	sum := gm.SM3(b)
	return hex.EncodeToString(sum[:])
}
