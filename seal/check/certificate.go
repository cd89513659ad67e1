package check

import (
	"crypto/ecdsa"
	"slices"
	"time"

	"hufu/certs"
	"hufu/certs/bundle"
	"hufu/internal/gm"
)

// Purposes of authorities by what is checked.
var (
	signerPurposes = []bundle.Purpose{bundle.SealSigner}
	makerPurposes  = []bundle.Purpose{bundle.SealMaker}
	personPurposes = []bundle.Purpose{bundle.SealSigner, bundle.Person, bundle.Organisation, bundle.Official}
	stampPurposes  = []bundle.Purpose{bundle.TimeStamp}
)

// question is a certificate to be judged at a time.
type question struct {
	cert     *certs.Certificate
	at       time.Time
	proven   bool
	purposes []bundle.Purpose
	purpose  certs.Purpose
	more     []*certs.Certificate // intermediates that came along
}

// verdict is the path report with what this package adds.
type verdict struct {
	*certs.Validation
	revocation certs.Step
	produced   time.Time // of the status of the certificate itself
}

// authorities gives roots and intermediates for some purposes.
func (o *Options) authorities(ps []bundle.Purpose) (roots, intermediates []*certs.Certificate) {
	roots = slices.Clone(o.Anchors)
	if o.Bundle == nil {
		return roots, nil
	}
	add := func(list *[]*certs.Certificate, more []*certs.Certificate) {
		for _, c := range more {
			if !slices.ContainsFunc(*list, func(x *certs.Certificate) bool { return string(x.Raw) == string(c.Raw) }) {
				*list = append(*list, c)
			}
		}
	}
	for _, p := range ps {
		add(&roots, o.Bundle.Roots(p))
		add(&intermediates, o.Bundle.Intermediates(p))
	}
	return roots, intermediates
}

// validate judges a certificate: path and constraints at its time, revocation by the CRLs of the bundle as of now.
func (o *Options) validate(q question) verdict {
	roots, intermediates := o.authorities(q.purposes)
	var v verdict
	produced := map[*certs.Certificate]time.Time{}
	var lists []*certs.CRL
	if o.Bundle != nil {
		lists = o.Bundle.RevocationLists()
	}
	var terms []certs.Terms
	if o.Bundle != nil {
		terms = o.Bundle.Terms(o.At, q.purposes...)
	}
	source := certs.RevocationFromCRLs(lists, o.At)
	v.Validation = certs.Validate(q.cert, certs.Options{
		Roots: roots, Intermediates: append(intermediates, q.more...), At: q.at, Purpose: q.purpose, TimeProven: q.proven, Terms: terms,
		Revocation: func(c, issuer *certs.Certificate) certs.RevocationStatus {
			s := source(c, issuer)
			produced[c] = s.Produced
			return s
		},
	})
	v.revocation = v.Step(certs.StepRevocation)
	if len(v.Path) < 2 && v.revocation.Outcome == certs.NotApplicable {
		// Trusted by itself: its status is still a question, and nobody answers it.
		v.revocation = certs.Step{Name: certs.StepRevocation, Outcome: certs.Indeterminate, Code: "revocation.no-source"}
	}
	v.produced = produced[v.revocation.Certificate]
	if v.produced.IsZero() {
		v.produced = produced[q.cert]
	}
	return v
}

// pathSteps writes the path report into a step, but for the leaf's own validity and revocation, which have words of their own.
func (r *record) pathSteps(n StepName, v verdict) {
	evidence := ""
	if v.Trusted {
		evidence = v.Path[len(v.Path)-1].Subject.String()
	}
	r.pass(n, "%s", evidence)
	for _, s := range v.Steps {
		if s.Name == certs.StepRevocation || s.Name == certs.StepValidity && s.Index == 0 {
			continue
		}
		switch s.Outcome {
		case certs.Failed:
			r.fail(n, s.Code, s.Evidence)
		case certs.Indeterminate:
			r.doubt(n, s.Code, s.Evidence)
		}
	}
}

func (r *record) revocationStep(n StepName, v verdict) {
	s := v.revocation
	r.age(n, v.produced)
	switch s.Outcome {
	case certs.Failed:
		r.fail(n, s.Code, s.Evidence, stamp(s.RevokedAt))
	case certs.Indeterminate:
		r.doubt(n, s.Code, s.Evidence, stamp(s.RevokedAt))
	default:
		r.pass(n, "%s", s.Evidence)
	}
}

// certificate judges the signer's certificate at the time of signing. It runs after the time was settled.
func (r *record) certificate(c *certs.Certificate, purposes []bundle.Purpose, more []*certs.Certificate) {
	r.certificateRemarks(c)
	at := r.used
	if at.IsZero() {
		at = r.o.At
	}
	v := r.o.validate(question{cert: c, at: at, proven: r.proven, purposes: purposes, purpose: certs.PurposeSeal, more: more})
	r.pathSteps(StepSignerCertificate, v)
	r.window(StepSignerCertificate, c.NotBefore, c.NotAfter, [4]string{"certificate.not-yet", "certificate.expired", "certificate.ended-since", "certificate.no-time"})
	r.revocationStep(StepSignerRevocation, v)
	if v.revocation.Code == "revocation.later" && v.revocation.Outcome == certs.Indeterminate {
		r.ended = true
	}
}

// window holds the time of signing against a validity: a time outside is FAILED; one that has ended since is
// INDETERMINATE when nothing proves the time. Codes: not yet, expired, ended since, no time.
func (r *record) window(n StepName, from, to time.Time, codes [4]string) {
	wrong := false
	for _, t := range []time.Time{r.claimed, r.used} {
		switch {
		case t.IsZero() || wrong:
		case t.Before(from):
			r.fail(n, codes[0], "", stamp(from), stamp(t))
			wrong = true
		case t.Truncate(time.Second).After(to):
			r.fail(n, codes[1], "", stamp(to), stamp(t))
			wrong = true
		}
	}
	r.outside = r.outside || wrong
	switch {
	case wrong:
	case r.used.IsZero():
		if r.o.At.Before(from) || r.o.At.After(to) {
			r.doubt(n, codes[3], "")
		}
	case !r.proven && r.o.At.Truncate(time.Second).After(to):
		r.doubt(n, codes[2], "", stamp(to))
		r.ended = true
	}
	r.pass(n, "%s – %s", stamp(from), stamp(to))
}

func (r *record) certificateRemarks(c *certs.Certificate) {
	for _, s := range c.NonStandard {
		r.remark("remark.certificate", s)
	}
}

// sm2Key gives the key of c when it is an SM2 key.
func sm2Key(c *certs.Certificate) (*ecdsa.PublicKey, bool) {
	pub, ok := c.PublicKey.(*ecdsa.PublicKey)
	return pub, ok && gm.IsSM2(pub)
}

// parseCertificate reads a certificate of others, or says in step n that it cannot be read.
func (r *record) parseCertificate(n StepName, der []byte) *certs.Certificate {
	c, err := certs.ParseLenient(der)
	if err != nil {
		r.fail(n, "parse.certificate", "", err.Error())
		return nil
	}
	return c
}
