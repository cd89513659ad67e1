package ca

import (
	"bytes"
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

// reserve stores what will be signed, before it is signed (commit 1).
func (a *Authority) reserve(ctx context.Context, by actor.Actor, all []*prepared, application string) ([]*reserved, error) {
	now := a.Now()
	err := a.Store.Update(ctx, func(w W) error {
		if err := a.inForce(w, a.issuer(all[0].issuer)); err != nil { // a pair has one issuer
			return err
		}
		for _, p := range all {
			if err := claimKey(w, p); err != nil {
				return err
			}
			hash := gm.SM3(p.tbs)
			if err := w.Reserve(Reservation{
				Serial: p.serial, Issuer: p.issuer, Application: application, Profile: p.profile.Name,
				TBS: p.tbs, TBSHash: hash[:], Shard: p.shard, At: now,
			}); err != nil {
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
	})
	if err != nil {
		return nil, fmt.Errorf("reserve serial: %w", err)
	}
	out := make([]*reserved, len(all))
	for i, p := range all {
		out[i] = &reserved{prepared: *p}
	}
	return out, nil
}

// claimKey binds the key to the holder and the profile's use, in the transaction that reserves the serial.
func claimKey(w W, p *prepared) error {
	spki, err := certs.MarshalPublicKey(p.public)
	if err != nil {
		return err
	}
	hash := gm.SM3(spki)
	free, err := w.ClaimKey(hash[:], KeyOwner{Holder: p.holder.ID, Use: p.profile.use()})
	if err == nil && !free {
		err = ErrKeyUsed.With("key %x for holder %s as %s", hash, p.holder.ID, p.profile.use())
	}
	return err
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
	_, sig, err := certs.Sign(key, r.tbs)
	if err != nil {
		return nil, ErrIssuer.With("sign certificate: %w", err)
	}
	der, err := certs.Assemble(r.tbs, sig)
	if err != nil {
		return nil, err
	}
	cert, err := certs.Parse(der)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(cert.RawTBS, r.tbs) {
		return nil, errors.New("the certificate is not what was reserved")
	}
	if err := cert.CheckSignatureKey(key.Public()); err != nil {
		return nil, err
	}
	return &signed{r, der, cert}, nil
}

// finish stores a signed certificate in the caller's transaction (commit 2).
func (a *Authority) finish(w W, by actor.Actor, s *signed) error {
	done, err := w.FinishReservation(s.issuer, s.serial)
	if err != nil {
		return err
	}
	if !done {
		return ErrState.With("reservation %x was voided meanwhile", s.serial)
	}
	spki := gm.SM3(s.cert.RawSPKI)
	now := a.Now()
	if err := w.AddCertificate(Record{
		Serial: s.serial, Issuer: s.issuer, Application: s.application, Profile: s.profile.Name, Holder: s.holder.ID, SPKI: spki[:],
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

// issueUnder issues under a given authority, "" for the youngest that the profile names.
func (a *Authority) issueUnder(ctx context.Context, by actor.Actor, id, authority string) (Application, error) {
	app, err := a.Application(ctx, by, id)
	if err != nil || app.State == Issued || app.State == Delivered {
		return app, err
	}
	if app.State != Approved {
		return app, ErrState.With("application %s is %s", id, app.State)
	}
	drafts, envelope, err := a.drafts(ctx, by, app)
	if err != nil {
		return app, fmt.Errorf("issue application %s: %w", id, err)
	}
	parent, _ := a.newestIssuer(drafts[0].profile.Issuer)
	if authority != "" {
		parent = a.issuer(authority)
	}
	if parent == nil {
		return app, ErrIssuer.With("issuer %q does not exist", drafts[0].profile.Issuer)
	}
	key, err := a.key(ctx, parent)
	if err != nil {
		return app, err
	}
	var ready []*prepared
	for _, d := range drafts {
		p, err := a.prepare(d, parent)
		if err != nil {
			return app, fmt.Errorf("issue application %s: %w", id, err)
		}
		ready = append(ready, p)
	}
	if err := a.replaces(ctx, app, ready[0]); err != nil {
		return app, fmt.Errorf("issue application %s: %w", id, err)
	}
	held, err := a.reserve(ctx, by, ready, id)
	if err != nil {
		return app, err
	}
	certificates := make([]*signed, len(held))
	for i, r := range held {
		if certificates[i], err = r.sign(key); err != nil {
			return app, fmt.Errorf("issue application %s: %w", id, err)
		}
	}
	err = a.Store.Update(ctx, func(w W) error {
		var serials []string
		for _, s := range certificates {
			if err := a.finish(w, by, s); err != nil {
				return err
			}
			serials = append(serials, hex.EncodeToString(s.serial))
		}
		done, err := w.SetIssued(id, serials, envelope)
		if err == nil && !done {
			err = ErrState.With("application %s was issued by another call meanwhile", id)
		}
		if err == nil {
			err = a.issued(w, app)
		}
		app.State, app.Certificates, app.Envelope = Issued, serials, envelope
		if err != nil {
			return err
		}
		return a.tellCentre(w, certificates)
	})
	if err != nil {
		return Application{}, fmt.Errorf("issue application %s: %w", id, err)
	}
	return app, nil
}
