package ca

import (
	"context"
	"errors"
	"slices"

	"hufu/certs"
)

// judged is what the lists of superiors say of an authority of ours, as long as certificate and lists stay the same ones.
type judged struct {
	cert    *certs.Certificate
	lists   []*certs.CRL
	revoked string // subject of the certificate that a list names; "": none
}

// inForceAbove refuses an authority whose certificate, or that of one above it, stands on the revocation list of whoever issued
// it, as that list was fetched last. Where a list could not be fetched readyz and the doctor tell so; what was fetched counts on.
func (a *Authority) inForceAbove(r R, i *issuer) error {
	if !i.Subordinate() {
		return nil
	}
	lists, err := a.listsIn(r)
	if err != nil {
		return err
	}
	a.seen.mu.Lock()
	was, known := a.seen.above[i.Name]
	a.seen.mu.Unlock()
	if !known || was.cert != i.cert || !slices.Equal(was.lists, lists) {
		was = judged{i.cert, lists, revokedIn(lists, append([]*certs.Certificate{i.cert}, a.chainAbove(i.cert)...))}
		a.seen.mu.Lock()
		if a.seen.above == nil {
			a.seen.above = map[string]judged{}
		}
		a.seen.above[i.Name] = was
		a.seen.mu.Unlock()
	}
	if was.revoked != "" {
		return ErrIssuerRevoked.With("authority %q: its superior's list names %s", i.Name, was.revoked)
	}
	return nil
}

// revokedIn looks the certificates of a chain up, each in the lists that the next one signed.
func revokedIn(lists []*certs.CRL, chain []*certs.Certificate) string {
	for n, c := range chain[:len(chain)-1] {
		for _, l := range lists {
			if !l.Covers(c) {
				continue
			}
			if _, found := l.Find(c.Serial); found && l.CheckSignature(chain[n+1]) == nil {
				return c.Subject.String()
			}
		}
	}
	return ""
}

// RevokedAuthorities lists the authorities of ours that would issue, and must not: they are revoked, by us or by a superior, or
// one above them is.
func (a *Authority) RevokedAuthorities(ctx context.Context) (names []string, err error) {
	err = a.Store.View(ctx, func(r R) error {
		names = nil
		for profile := range a.ProfilesInForce() {
			i, _ := a.newestIssuer(profile)
			if i == nil {
				continue
			}
			err := a.inForce(r, i)
			if err != nil && !errors.Is(err, ErrIssuerRevoked) {
				return err
			}
			if err != nil {
				names = append(names, i.Name)
			}
		}
		return nil
	})
	slices.Sort(names)
	return names, err
}
