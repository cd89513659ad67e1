package ca

import (
	"context"
	"crypto"
	"encoding/hex"
	"errors"
	"fmt"
	"sync/atomic"

	"hufu/audit"
	"hufu/certs"
	"hufu/internal/actor"
	"hufu/internal/gm"
)

// reserved is a prepared certificate whose serial and bytes are stored. Only reserve makes one; it signs once.
type reserved struct {
	prepared
	spent atomic.Bool
}

// signed is a certificate whose signature was verified and whose bytes were compared. Only sign makes one.
type signed struct {
	*reserved
	der  []byte
	cert *certs.Certificate
}

// reserve stores what will be signed, before it is signed (commit 1), for what no application is made for.
func (a *Authority) reserve(ctx context.Context, by actor.Actor, all []*prepared, application string) ([]*reserved, error) {
	err := a.Store.Update(ctx, func(w W) error {
		under, err := a.upward(w, a.issuer(all[0].issuer))
		if err != nil {
			return err
		}
		return a.reserveIn(w, by, all, place{application, under})
	})
	if err != nil {
		return nil, fmt.Errorf("reserve serial: %w", err)
	}
	return hold(all), nil
}

func hold(all []*prepared) []*reserved {
	out := make([]*reserved, len(all))
	for i, p := range all {
		out[i] = &reserved{prepared: *p}
	}
	return out
}

// place is what serials are reserved for, and under whom.
type place struct {
	application string
	under       []Named
}

// reserveIn claims keys and reserves serials in the caller's transaction.
func (a *Authority) reserveIn(w W, by actor.Actor, all []*prepared, at place) error {
	now := a.Now()
	for _, p := range all {
		if err := claimKey(w, p); err != nil {
			return err
		}
		if err := claimName(w, p); err != nil {
			return err
		}
		hash := gm.SM3(p.tbs)
		r := Reservation{
			Serial: p.serial, Issuer: p.issuer, Application: at.application, Profile: p.profile.Name,
			TBS: p.tbs, TBSHash: hash[:], Shard: p.shard, At: now, Under: at.under,
		}
		if p.application != "" {
			r.Use = p.profile.use()
		}
		if err := w.Reserve(r); err != nil {
			return err
		}
		if err := w.Record(audit.Entry{
			At: now, Actor: by, Action: "certificate.reserve", Object: audit.Object{Kind: "certificate", ID: hex.EncodeToString(p.serial)},
			Public: map[string]string{"issuer": p.issuer, "profile": p.profile.Name, "tbs_sm3": hex.EncodeToString(hash[:])},
		}); err != nil {
			return err
		}
	}
	return nil
}

// claimKey binds the key to the holder and the profile's use, in the transaction that reserves the serial.
func claimKey(w W, p *prepared) error {
	return w.ClaimKey(p.key[:], KeyOwner{Holder: p.holder.ID, Use: p.profile.use()})
}

var errSpent = errors.New("a reservation is signed at most once")

// sign signs the reserved bytes, once, verifies the signature with the issuer's certificate and compares what came out
// with what was reserved.
func (r *reserved) sign(key crypto.Signer) (*signed, error) {
	if r.spent.Swap(true) {
		return nil, errSpent
	}
	if r.chain != nil && !certs.SameKey(key.Public(), r.chain.PublicKey) {
		return nil, ErrIssuer.With("the key of %q is not the one in its certificate", r.issuer)
	}
	cert, err := certs.SignTBS(key, r.tbs)
	if err != nil {
		return nil, ErrIssuer.With("sign certificate: %w", err)
	}
	return &signed{r, cert.Raw, cert}, nil
}

// finish stores a signed certificate in the caller's transaction (commit 2), unless its reservation was voided.
func (a *Authority) finish(w W, by actor.Actor, s *signed) error {
	now := a.Now()
	if err := w.AddCertificate(Record{
		Serial: s.serial, Issuer: s.issuer, Application: s.application, Profile: s.profile.Name, Holder: s.holder.ID, SPKI: s.key[:],
		NotBefore: s.cert.NotBefore, NotAfter: s.cert.NotAfter, DER: s.der, Shard: s.shard, IssuedAt: now,
	}); err != nil {
		return err
	}
	fingerprint := s.cert.Fingerprint()
	return w.Record(audit.Entry{
		At: now, Actor: by, Action: "certificate.issue", Object: audit.Object{Kind: "certificate", ID: hex.EncodeToString(s.serial)},
		Public: map[string]string{"issuer": s.issuer, "profile": s.profile.Name, "application": s.application, "certificate_sm3": hex.EncodeToString(fingerprint[:])},
	})
}

// Issue makes the certificates of an approved application: the holder's, and the encryption certificate where the profile
// has a pair, both in one commit. Asked again for an issued application it returns the same certificates. Whoever may
// look at the application may ask.
func (a *Authority) Issue(ctx context.Context, by actor.Actor, id string) (Application, error) {
	return a.issueUnder(ctx, by, id, "")
}

// issueUnder issues under a given authority, "" for the youngest that the profile names. Who asks while another call
// issues for the application waits for what that comes to.
func (a *Authority) issueUnder(ctx context.Context, by actor.Actor, id, authority string) (Application, error) {
	for range maxWaits {
		mine, err := a.flow.claim(ctx, id)
		if err != nil {
			return Application{}, err
		}
		if mine {
			defer a.flow.release(id)
			return a.issueClaimed(ctx, by, id, authority)
		}
	}
	return Application{}, ErrState.With("application %s is being issued by others, without end", id)
}

// issueClaimed is issueUnder for whoever is the only one here that issues for the application.
func (a *Authority) issueClaimed(ctx context.Context, by actor.Actor, id, authority string) (Application, error) {
	app, err := a.Application(ctx, by, id)
	if err != nil || app.State == Issued || app.State == Delivered {
		return app, err
	}
	if app.State != Approved {
		return app, ErrState.With("application %s is %s", id, app.State)
	}
	i := &issuance{by: by, app: app}
	if err := a.issueOnce(ctx, i, authority); err != nil {
		return i.app, fmt.Errorf("issue application %s: %w", id, err)
	}
	return i.app, nil
}

// maxWaits bounds how many other calls for one application somebody waits for.
const maxWaits = 8

// issueOnce is issueUnder for an application that is approved and nobody else's here. Its key may have been blocked since it was
// made: under its SM3 the reservation finds that, under its SHA-256 this look.
func (a *Authority) issueOnce(ctx context.Context, i *issuance, authority string) error {
	request, err := certs.ParseRequest(i.app.Request)
	if err != nil {
		return ErrRequest.With("%w", err)
	}
	if err := a.Store.Look(ctx, func(r R) error { return keyNotBlocked(r, request.RawSPKI) }); err != nil {
		return err
	}
	if name := externalName(a.profileVersion(i.app.Profile, i.app.ProfileVersion)); name != "" {
		return a.issueByExternal(ctx, i, name)
	}
	p, err := a.flow.enter()
	if err != nil {
		return err
	}
	defer p.leave()
	drafts, envelope, err := a.drafts(ctx, i.by, i.app)
	if err != nil {
		return err
	}
	i.envelope = envelope
	parent, _ := a.newestIssuer(drafts[0].profile.Issuer)
	if authority != "" {
		parent = a.issuer(authority)
	}
	if parent == nil {
		return ErrIssuer.With("issuer %q does not exist", drafts[0].profile.Issuer)
	}
	for _, d := range drafts {
		ready, err := a.prepare(d, parent)
		if err != nil {
			return err
		}
		i.ready = append(i.ready, ready)
	}
	if err := a.replaces(ctx, i.app, i.ready[0]); err != nil {
		return err
	}
	i.parent = parent
	return a.carryOut(ctx, p, i)
}
