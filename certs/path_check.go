package certs

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// judge makes every step on a path that ends in a root.
func (s *search) judge(path []*Certificate) *Validation {
	v := &Validation{Path: path, Trusted: true}
	root := path[len(path)-1]
	v.add(Step{Name: StepPath, Outcome: Passed, Index: -1, Evidence: fmt.Sprintf("%d certificates, trusted root %s", len(path), describe(root))})
	s.chain(v)
	return v
}

// chain makes the steps that need no root: they are made on a chain without one too.
func (s *search) chain(v *Validation) {
	path, o := v.Path, s.options
	for i := range len(path) - 1 {
		v.add(signatureStep(i, path[i], path[i+1], s.links[link{path[i], path[i+1]}]))
	}
	for i, c := range path {
		v.add(validityStep(i, c, o.At))
	}
	for i := range path {
		v.add(constraintsStep(path, i, v.Trusted))
	}
	v.add(nameSteps(path, o.Terms)...)
	v.add(trustSteps(path, o)...)
	policy, policies := policyStep(v, o)
	v.Policies = policies
	v.add(policy)
	v.add(usageSteps(path, o.Purpose, v.Trusted)...)
	s.revocation(v)
}

func validityStep(i int, c *Certificate, at time.Time) Step {
	step := Step{
		Name: StepValidity, Outcome: Passed, Index: i, Certificate: c,
		Evidence: fmt.Sprintf("%s to %s, at %s", c.NotBefore.Format(time.RFC3339), c.NotAfter.Format(time.RFC3339), at.UTC().Format(time.RFC3339)),
	}
	switch {
	case at.Before(c.NotBefore):
		step.Outcome, step.Code = Failed, "validity.not-yet"
	case at.Truncate(time.Second).After(c.NotAfter): // the last second belongs to the validity
		step.Outcome, step.Code = Failed, "validity.ended"
	}
	return step
}

// constraintsStep checks what makes certificate i fit for its place.
func constraintsStep(path []*Certificate, i int, trusted bool) Step {
	c := path[i]
	step := Step{Name: StepConstraints, Outcome: Passed, Index: i, Certificate: c, Evidence: describe(c)}
	fail := func(code, format string, args ...any) Step {
		step.Outcome, step.Code, step.Evidence = Failed, code, describe(c)+": "+fmt.Sprintf(format, args...)
		return step
	}
	if len(c.UnknownCritical) > 0 {
		return fail("constraints.unknown-critical", "critical extensions %v", c.UnknownCritical)
	}
	if i == 0 {
		return step
	}
	anchor := trusted && i == len(path)-1
	if !c.IsCA && !(anchor && c.Version < 3) { // an anchor of version 1 has no extensions to say it with
		return fail("constraints.not-ca", "issued a certificate and is no CA")
	}
	if !c.Has(UsageCertSign) {
		return fail("constraints.no-cert-sign", "key usage does not allow to sign certificates")
	}
	below := 0
	for _, ca := range path[1:i] {
		if !ca.SelfIssued() {
			below++
		}
	}
	if c.MaxPathLen >= 0 && below > c.MaxPathLen {
		return fail("constraints.path-length", "allows %d CAs below, there are %d", c.MaxPathLen, below)
	}
	return step
}

func usageSteps(path []*Certificate, p Purpose, trusted bool) []Step {
	leaf := leafUsage(path[0], p)
	steps := []Step{leaf}
	if p.ExtKeyUsage == "" {
		return steps
	}
	for i, c := range path[1:] {
		if anchor := trusted && i == len(path)-2; anchor || len(c.ExtKeyUsage) == 0 {
			continue
		}
		if !slices.Contains(c.ExtKeyUsage, p.ExtKeyUsage) && !slices.Contains(c.ExtKeyUsage, OIDAnyExtKeyUsage) {
			steps = append(steps, Step{
				Name: StepUsage, Outcome: Failed, Code: "usage.ca-extended", Index: i + 1, Certificate: c,
				Evidence: fmt.Sprintf("%s: extended key usage %v, purpose %s", describe(c), c.ExtKeyUsage, p.Name),
			})
		}
	}
	return steps
}

func leafUsage(c *Certificate, p Purpose) Step {
	step := Step{Name: StepUsage, Outcome: Passed, Index: 0, Certificate: c, Evidence: fmt.Sprintf("%s, purpose %s", describe(c), p.Name)}
	fail := func(code string) Step {
		step.Outcome, step.Code = Failed, code
		return step
	}
	if p.CA && !c.IsCA {
		return fail("usage.not-ca")
	}
	if p.KeyUsage != 0 && c.HasKeyUsage && c.KeyUsage&p.KeyUsage == 0 {
		return fail("usage.key")
	}
	if p.ExtKeyUsage == "" || len(c.ExtKeyUsage) == 0 && !p.RequireExt {
		return step
	}
	named := slices.Contains(c.ExtKeyUsage, p.ExtKeyUsage)
	if !named && (p.RequireExt || !slices.Contains(c.ExtKeyUsage, OIDAnyExtKeyUsage)) {
		return fail("usage.extended")
	}
	if p.OnlyExt {
		critical := slices.ContainsFunc(c.Extensions, func(e Extension) bool { return e.ID == OIDExtKeyUsage && e.Critical })
		if len(c.ExtKeyUsage) != 1 || !critical {
			return fail("usage.not-alone")
		}
	}
	return step
}

// revocation asks for the status of each certificate that has its issuer in the path.
func (s *search) revocation(v *Validation) {
	path, o := v.Path, s.options
	if o.Revocation == nil {
		v.add(Step{Name: StepRevocation, Outcome: NotApplicable, Code: "revocation.not-asked", Index: -1})
		return
	}
	for i, c := range path {
		step := Step{Name: StepRevocation, Outcome: Indeterminate, Code: "revocation.no-issuer", Index: i, Certificate: c}
		switch {
		case v.Trusted && i == len(path)-1:
			continue
		case c.OCSPNoCheck && i == 0:
			step.Outcome, step.Code, step.Evidence = NotApplicable, "revocation.no-check", "OCSP responder certificate with no-check"
		case i < len(path)-1:
			step = o.revocationStep(step, s.ask(link{c, path[i+1]}))
		}
		v.add(step)
	}
}

func (s *search) ask(l link) RevocationStatus {
	status, known := s.status[l]
	if !known {
		status = s.options.Revocation(l.child, l.parent)
		s.status[l] = status
	}
	return status
}

func (o *Options) revocationStep(step Step, status RevocationStatus) Step {
	step.Evidence, step.Reason, step.RevokedAt, step.Code = status.Evidence, status.Reason, status.RevokedAt, status.Code
	if !status.Produced.IsZero() {
		step.Age = max(0, o.At.Sub(status.Produced))
	}
	switch status.State {
	case RevocationGood:
		step.Outcome, step.Code = Passed, ""
	case RevocationRevoked:
		step.Outcome, step.Code = o.revoked(status)
	default:
		step.Outcome = Indeterminate
		if step.Code == "" {
			step.Code = "revocation.unknown"
		}
	}
	return step
}

// revoked weighs a revocation against the time of the validation.
func (o *Options) revoked(status RevocationStatus) (Outcome, string) {
	from := status.RevokedAt
	if !status.InvalidSince.IsZero() && status.InvalidSince.Before(from) {
		from = status.InvalidSince
	}
	switch {
	case !from.After(o.At):
		if status.Reason == ReasonCertificateHold {
			return Failed, "revocation.on-hold"
		}
		return Failed, "revocation.revoked"
	case o.TimeProven:
		return Passed, "revocation.later"
	}
	return Indeterminate, "revocation.later"
}

// RevocationFromCRLs answers from CRLs that were verified nowhere yet: of those that are signed by the issuer's key, cover the
// certificate and are current at the time, the newest counts; of those that are not current, a revocation counts too.
// A delta CRL is not an answer by itself and is passed over.
func RevocationFromCRLs(crls []*CRL, at time.Time) Revocation {
	checked := make(map[*CRL]error)
	return func(c, issuer *Certificate) RevocationStatus {
		answer := RevocationStatus{Code: "revocation.no-crl", Evidence: "no CRL of " + c.Issuer.String()}
		for _, list := range crls {
			if list == nil || list.BaseNumber != nil || !list.Covers(c) {
				continue
			}
			err, known := checked[list]
			if !known {
				err = list.CheckSignature(issuer)
				checked[list] = err
			}
			if errors.Is(err, ErrWrongIssuer) { // another key of the same name: it says nothing of this certificate
				continue
			}
			if err != nil {
				if answer.State == RevocationUnknown && answer.Produced.IsZero() {
					answer.Code, answer.Evidence = "revocation.crl-signature", err.Error()
				}
				continue
			}
			if one := list.status(c, at); betterStatus(one, answer) {
				answer = one
			}
		}
		return answer
	}
}

func betterStatus(a, b RevocationStatus) bool {
	known := func(s RevocationStatus) bool { return s.State != RevocationUnknown }
	if known(a) != known(b) {
		return known(a)
	}
	return a.Produced.After(b.Produced)
}

func (list *CRL) status(c *Certificate, at time.Time) RevocationStatus {
	answer := RevocationStatus{
		State: RevocationGood, Produced: list.ThisUpdate,
		Evidence: fmt.Sprintf("CRL %s of %s, %s", list.Number, list.Issuer, list.ThisUpdate.Format(time.RFC3339)),
	}
	stale := list.ThisUpdate.Before(at) && list.Current(at) != nil
	entry, found := list.Find(c.Serial)
	switch {
	case found && stale && entry.Reason == ReasonCertificateHold: // it may have been released since
		answer.State, answer.Code = RevocationUnknown, "revocation.stale"
	case found:
		answer.State, answer.Reason = RevocationRevoked, entry.Reason
		answer.RevokedAt, answer.InvalidSince = entry.RevokedAt, entry.InvalidityDate
	case list.ThisUpdate.After(c.NotAfter): // lists drop certificates that have ended
		answer.State, answer.Code = RevocationUnknown, "revocation.after-end"
	case stale:
		answer.State, answer.Code = RevocationUnknown, "revocation.stale"
	}
	return answer
}
