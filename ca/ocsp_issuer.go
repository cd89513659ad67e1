package ca

import (
	"context"
	"time"

	"hufu/certs"
	"hufu/internal/actor"
)

// openService is a delegate's key kept for a while, so that an answer does not cost a look-up of the key.
type openService struct {
	Service
	since time.Time
}

// serviceKept is how long that is: how long a delegate's key may go on after it was replaced.
const serviceKept = 20 * time.Second

// ocspService returns the delegate that an issuer certified.
func (a *Authority) ocspService(ctx context.Context, issuer string) (Service, error) {
	r := a.ocsp
	r.mu.Lock()
	known, ok := r.services[issuer]
	r.mu.Unlock()
	if ok && time.Since(known.since) < serviceKept && known.Certificate.NotAfter.After(a.Now()) {
		return known.Service, nil
	}
	since := time.Now()
	s, err := a.serviceUnder(context.WithoutCancel(ctx), actor.ForSystem("ocsp"), "ocsp", issuer) // the signer outlives the request
	if err != nil {
		return Service{}, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.services[issuer] = openService{s, since}
	return s, nil
}

func (r *responder) forgetService(issuer string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.services, issuer)
}

// nameIndex finds issuers by the hashes of their name and key.
type nameIndex struct {
	under string // the profile whose generations are in it
	names map[string]string
}

// issuerOf finds the issuer that the responder may answer for, by name and key hash: any generation of the one that
// certifies the responder. Both must fit: two CAs may share a name.
func (a *Authority) issuerOf(id certs.CertID) string {
	profile := a.profile(statusProfile)
	if profile == nil {
		return ""
	}
	under := profile.Issuer
	index := a.ocsp.names.Load()
	if index == nil || index.under != under {
		index = &nameIndex{under: under, names: map[string]string{}}
		for n := 1; ; n++ {
			i := a.issuer(generation(under, n))
			if i == nil {
				break
			}
			for _, hash := range []certs.OID{certs.OIDSM3, certs.OIDSHA256, certs.OIDSHA1} {
				if own, err := certs.NewCertID(hash, i.cert, []byte{1}); err == nil {
					index.names[issuerKey(own)] = i.Name
				}
			}
		}
		a.ocsp.names.Store(index)
	}
	return index.names[issuerKey(id)]
}

func issuerKey(id certs.CertID) string {
	return string(id.Hash) + string(id.NameHash) + string(id.KeyHash)
}
