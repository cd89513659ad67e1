package certs

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
)

type link struct{ child, parent *Certificate }

// search walks the graph of certificates depth first. Each signature is verified once.
type search struct {
	options    *Options
	links      map[link]error
	status     map[link]RevocationStatus
	signatures int
	expansions int
	paths      int
	exhausted  bool

	best    *Validation
	longest []*Certificate
	broken  *brokenLink // the first signature that did not verify on a longest chain
}

type brokenLink struct {
	link
	err error
}

// walk extends path and returns true when the search is over.
func (s *search) walk(path []*Certificate) (done bool) {
	last := path[len(path)-1]
	if s.expansions++; s.expansions > maxExpansions {
		s.exhausted = true
		return true
	}
	if isRoot(s.options.Roots, last) {
		return s.arrive(path)
	}
	if len(path) > len(s.longest) {
		s.longest, s.broken = slices.Clone(path), nil
	}
	if len(path) >= s.options.MaxLength {
		return false
	}
	for _, parent := range s.issuers(path, last) {
		err := s.verify(link{last, parent})
		if s.exhausted {
			return true
		}
		if err != nil {
			if len(path) == len(s.longest) && s.broken == nil {
				s.broken = &brokenLink{link{last, parent}, err}
			}
			continue
		}
		if s.walk(append(path, parent)) {
			return true
		}
	}
	return false
}

// arrive judges a path that ends in a root; the search goes on unless it passed.
func (s *search) arrive(path []*Certificate) bool {
	v := s.judge(slices.Clone(path))
	if s.best == nil || better(v, s.best) {
		s.best = v
	}
	if s.paths++; s.paths >= maxPaths {
		return true
	}
	return v.Outcome == Passed
}

func better(a, b *Validation) bool {
	if rank(a.Outcome) != rank(b.Outcome) {
		return rank(a.Outcome) < rank(b.Outcome)
	}
	return count(a, a.Outcome) < count(b, b.Outcome)
}

func count(v *Validation, o Outcome) (n int) {
	for _, s := range v.Steps {
		if s.Outcome == o {
			n++
		}
	}
	return n
}

// issuers lists who may have issued c: the name fits, key identifiers do not contradict, and it is not yet in the path. Roots
// come first, and those whose key identifier agrees before those without one.
func (s *search) issuers(path []*Certificate, c *Certificate) []*Certificate {
	var sure, maybe []*Certificate
	for _, pool := range [][]*Certificate{s.options.Roots, s.options.Intermediates} {
		for _, p := range pool {
			if p == nil || !p.Subject.Equal(c.Issuer) || inPath(path, p) || contains(sure, p) || contains(maybe, p) {
				continue
			}
			switch {
			case len(c.AuthorityKeyID) == 0 || len(p.SubjectKeyID) == 0:
				maybe = append(maybe, p)
			case bytes.Equal(c.AuthorityKeyID, p.SubjectKeyID):
				sure = append(sure, p)
			}
		}
	}
	return append(sure, maybe...)
}

// inPath tells whether the same certificate, or another one of the same name and key, is in the path already.
func inPath(path []*Certificate, p *Certificate) bool {
	return slices.ContainsFunc(path, func(c *Certificate) bool {
		return bytes.Equal(c.Raw, p.Raw) || bytes.Equal(c.RawSPKI, p.RawSPKI) && c.Subject.Equal(p.Subject)
	})
}

func contains(list []*Certificate, p *Certificate) bool {
	return slices.ContainsFunc(list, func(c *Certificate) bool { return bytes.Equal(c.Raw, p.Raw) })
}

func isRoot(roots []*Certificate, c *Certificate) bool {
	return slices.ContainsFunc(roots, func(r *Certificate) bool { return r != nil && bytes.Equal(r.Raw, c.Raw) })
}

func (s *search) verify(l link) error {
	if err, known := s.links[l]; known {
		return err
	}
	if s.signatures++; s.signatures > maxSignatures {
		s.exhausted = true
		return nil
	}
	err := l.child.CheckSignature(l.parent)
	err = explainID(err, l.parent.PublicKey, l.child.SignatureAlgorithm, l.child.RawTBS, l.child.Signature)
	s.links[l] = err
	return err
}

// partial is the report when no root was reached.
func (s *search) partial() *Validation {
	v := &Validation{Path: s.longest}
	last := s.longest[len(s.longest)-1]
	end := Step{
		Name: StepPath, Outcome: Indeterminate, Code: "path.no-root", Index: len(s.longest) - 1, Certificate: last,
		Evidence: "no trusted certificate of issuer " + last.Issuer.String(),
	}
	switch {
	case s.exhausted:
		end.Code, end.Evidence = "path.budget", "search given up after too many candidates"
	case len(s.longest) >= s.options.MaxLength:
		end.Code, end.Evidence = "path.too-long", fmt.Sprintf("no root within %d certificates", s.options.MaxLength)
	case s.broken != nil:
		end.Code, end.Evidence = "path.broken", "the issuer is known, but its key does not verify the signature"
	case last.SelfIssued():
		end.Code, end.Evidence = "path.self-signed", describe(last)+" is self-signed and not trusted"
	}
	v.add(end)
	s.chain(v)
	if s.broken != nil {
		v.add(signatureStep(len(s.longest)-1, s.broken.child, s.broken.parent, s.broken.err))
	}
	return v
}

func signatureStep(i int, child, parent *Certificate, err error) Step {
	step := Step{
		Name: StepSignature, Outcome: Passed, Index: i, Certificate: child,
		Evidence: fmt.Sprintf("%s with the key of %s", child.SignatureAlgorithm, describe(parent)),
	}
	switch {
	case err == nil:
	case errors.Is(err, ErrWrongID):
		step.Outcome, step.Code = Failed, "signature.wrong-id"
	case errors.Is(err, ErrSignature):
		step.Outcome, step.Code = Failed, "signature.invalid"
	case errors.Is(err, ErrWeak):
		step.Outcome, step.Code, step.Evidence = Indeterminate, "signature.weak", err.Error()
	default:
		step.Outcome, step.Code, step.Evidence = Indeterminate, "signature.unsupported", err.Error()
	}
	return step
}
