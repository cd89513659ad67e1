package ca

import (
	"encoding/hex"
	"fmt"
	"strings"

	"hufu/certs"
)

// above begins the Parent of an authority that another's authority certified; the SM3 of its certificate follows.
const aboveMark = "superior:"

// superior is an opened certificate above one of ours.
type superior struct {
	Superior
	cert *certs.Certificate
}

// parentOf is the Parent of an issuer that a superior certified.
func parentOf(c *certs.Certificate) string {
	sum := c.Fingerprint()
	return aboveMark + hex.EncodeToString(sum[:])
}

// Subordinate tells whether an authority of others certified this one.
func (i Issuer) Subordinate() bool { return strings.HasPrefix(i.Parent, aboveMark) }

func openSuperiors(stored []Superior) (all []superior, err error) {
	for _, s := range stored {
		cert, err := certs.ParseLenient(s.Certificate)
		if err != nil {
			return nil, fmt.Errorf("superior: %w", err)
		}
		all = append(all, superior{s, cert})
	}
	return all, nil
}

// superiors lists what stands above our authorities.
func (a *Authority) superiors() []superior {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return a.above
}

// subordinated lists our authorities that others certified.
func (a *Authority) subordinated() (all []*certs.Certificate) {
	a.mu.RLock()
	defer a.mu.RUnlock()
	for _, i := range a.issuers {
		if i.Subordinate() {
			all = append(all, i.cert)
		}
	}
	return all
}

func certificatesOf(all []superior) (out []*certs.Certificate) {
	for _, s := range all {
		out = append(out, s.cert)
	}
	return out
}

// chainAbove lists the certificates above one of ours, the foreign root last.
func (a *Authority) chainAbove(c *certs.Certificate) (chain []*certs.Certificate) {
	all := a.superiors()
	for range all {
		next := -1
		for i, s := range all {
			if s.cert.Subject.Equal(c.Issuer) && c.CheckSignature(s.cert) == nil {
				next = i
				break
			}
		}
		if next < 0 || len(chain) > 0 && chain[len(chain)-1] == all[next].cert {
			break
		}
		c = all[next].cert
		chain = append(chain, c)
		if all[next].Root {
			break
		}
	}
	return chain
}

// Subordinated lists the names of the authorities that others certified.
func (a *Authority) Subordinated() (names []string) {
	all, _ := a.Issuers()
	for _, name := range all {
		if i := a.issuer(name); i != nil && i.Subordinate() {
			names = append(names, name)
		}
	}
	return names
}
