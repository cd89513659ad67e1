package ca

import (
	"context"
	"crypto"
	"fmt"
	"time"

	"hufu/certs"
	"hufu/internal/actor"
)

// Service is a part of the system that signs under a certificate of its own: OCSP, time-stamps, seal making, the bundle.
type Service struct {
	Certificate *certs.Certificate
	Signer      crypto.Signer
}

// renewBefore is how long before its end a service's certificate is replaced.
const renewBefore = 30 * 24 * time.Hour

// Service returns the key and the certificate of the service whose profile and key label are both called profile, making
// either when it is missing and a new certificate when the old one nears its end. Only the system or a super administrator may.
func (a *Authority) Service(ctx context.Context, by actor.Actor, profile string) (Service, error) {
	return a.serviceUnder(ctx, by, profile, "")
}

// serviceUnder returns a service whose certificate a given authority signed; "" leaves that open, and a new certificate
// comes from the youngest.
func (a *Authority) serviceUnder(ctx context.Context, by actor.Actor, profile, authority string) (Service, error) {
	if err := by.Require(actor.RoleSuperAdmin); err != nil {
		return Service{}, err
	}
	p := a.profile(profile)
	if p == nil || p.Holder != HolderService {
		return Service{}, ErrProfile.With("profile %q is no service's", profile)
	}
	a.serviceMu.Lock()
	defer a.serviceMu.Unlock()
	known := profile + "@" + authority
	if cert := a.services[known]; cert != nil && cert.NotAfter.After(a.Now().Add(renewBefore)) && a.stillServes(cert) {
		signer, err := a.Keys.Signer(ctx, profile) // anew each time: a signer lives as long as its context
		if err == nil && certs.SameKey(signer.Public(), cert.PublicKey) {
			return Service{cert, signer}, nil
		}
	}
	s, err := a.openService(ctx, by, p, authority)
	if err != nil {
		return Service{}, fmt.Errorf("service %q: %w", profile, err)
	}
	a.services[known] = s.Certificate
	return s, nil
}

// stillServes tells that no revocation of a service's certificate was heard of since it was looked up; on other nodes than the one
// that revoked, within a second.
func (a *Authority) stillServes(c *certs.Certificate) bool {
	_, ok := a.serving.Load(string(c.Serial))
	return ok
}

func (a *Authority) openService(ctx context.Context, by actor.Actor, p *Profile, authority string) (Service, error) {
	signer, err := a.Keys.Ensure(ctx, by, p.Name, p.Keys[0], p.Name)
	if err != nil {
		return Service{}, err
	}
	current, err := a.newest(ctx, p, authority, signer.Public())
	if err == nil && current == nil {
		current, err = a.certify(ctx, by, p, authority, signer)
		if err == nil {
			a.serving.Store(string(current.Serial), true)
		}
	}
	return Service{current, signer}, err
}

// newest returns the service's newest certificate, by the authority unless that is "", for this very key,
// unless it ends soon or is revoked.
func (a *Authority) newest(ctx context.Context, p *Profile, authority string, key crypto.PublicKey) (found *certs.Certificate, err error) {
	err = a.Store.View(ctx, func(r R) error {
		records, err := r.Certificates(CertificateFilter{Holder: serviceHolder(p), Profile: p.Name, Limit: 10})
		if err != nil {
			return err
		}
		for _, c := range records {
			if c.NotAfter.Before(a.Now().Add(renewBefore)) || authority != "" && c.Issuer != authority {
				continue
			}
			a.serving.Store(string(c.Serial), true) // before the look: a revocation that comes after takes it away
			if _, err := r.Revocation(c.Issuer, c.Serial); err == nil {
				a.serving.Delete(string(c.Serial))
				continue
			}
			cert, err := certs.Parse(c.DER)
			if err != nil {
				return err
			}
			if certs.SameKey(cert.PublicKey, key) {
				found = cert
				return nil
			}
		}
		return nil
	})
	return found, err
}

// serviceHolder is the holder of certificates of a service's profile.
func serviceHolder(p *Profile) string { return "service:" + p.Name }

func (a *Authority) certify(ctx context.Context, by actor.Actor, p *Profile, authority string, key crypto.Signer) (*certs.Certificate, error) {
	csr, err := certs.NewRequest(key, certs.NewName(certs.Attribute{Type: certs.OIDCommonName, Value: p.Name}), certs.RequestOptions{})
	if err != nil {
		return nil, err
	}
	app, err := a.Apply(ctx, by, Request{Profile: p.Name, Holder: serviceHolder(p), Facts: map[string]string{"name": p.Title.ZH}, CSR: csr})
	if err != nil {
		return nil, err
	}
	if app, err = a.issueUnder(ctx, by, app.ID, authority); err != nil {
		return nil, err
	}
	chain, err := a.Chain(ctx, by, app.Certificates[0])
	if err != nil {
		return nil, err
	}
	return chain[0], nil
}
