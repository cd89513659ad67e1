package ca

import (
	"context"
	"crypto/ecdsa"
	"encoding/hex"
	"errors"
	"fmt"

	"hufu/certs"
	"hufu/internal/actor"
)

// JobSupersede is the kind of the durable job that revokes a replaced certificate when its time of grace is over; its key is
// the serial, hexadecimal.
const JobSupersede = "ca.supersede"

// issued follows an application that is issued now, in the transaction: where the profile says so, the certificate that it
// replaces is revoked after a while.
func (a *Authority) issued(w W, app Application) error {
	p := a.profile(app.Profile)
	if app.Replaces == "" || p == nil || p.Life.SupersedeDays == nil {
		return nil
	}
	return w.Enqueue(JobSupersede, app.Replaces, nil, a.Now().UTC().AddDate(0, 0, *p.Life.SupersedeDays))
}

// Supersede revokes a certificate that was replaced, and its pair, with reason superseded, unless its successor is not in force
// itself: then it stays as it is. Done again it changes nothing.
func (a *Authority) Supersede(ctx context.Context, serial string) error {
	number, err := parseSerial(serial)
	if err != nil {
		return err
	}
	var good bool
	if err := a.Store.View(ctx, func(r R) (err error) {
		good, err = a.succeeded(r, serial)
		return err
	}); err != nil {
		return fmt.Errorf("supersede %s: %w", serial, err)
	}
	if !good {
		return nil
	}
	_, err = a.End(ctx, actor.ForSystem("superseded"), Ending{Serial: number, Reason: certs.ReasonSuperseded, Pair: true})
	if errors.Is(err, ErrRevoked) || errors.Is(err, ErrEnded) {
		return nil
	}
	return err
}

// succeeded tells whether a certificate has a successor in force.
func (a *Authority) succeeded(r R, serial string) (bool, error) {
	next, err := r.Successor(serial)
	if isUnknown(err) || err == nil && len(next.Certificates) == 0 {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	number, err := parseSerial(next.Certificates[0])
	if err != nil {
		return false, err
	}
	c, err := r.CertificateBySerial(number)
	if err != nil {
		return false, err
	}
	_, err = r.Revocation(c.Issuer, c.Serial)
	if isUnknown(err) {
		return true, nil
	}
	return false, err
}

// renewedPair returns the encryption key and its envelope that a renewal goes on with: the signing key is the same, so the old
// envelope can still be opened. ok is false where there is none, and a new key is to be made.
func (a *Authority) renewedPair(ctx context.Context, app Application) (public *ecdsa.PublicKey, envelope []byte, ok bool, err error) {
	if app.Act != ActRenew {
		return nil, nil, false, nil
	}
	number, err := parseSerial(app.Replaces)
	if err != nil {
		return nil, nil, false, err
	}
	var pair Record
	if err := a.Store.View(ctx, func(r R) error {
		pair = Record{}
		c, err := r.CertificateBySerial(number)
		if err != nil {
			return err
		}
		old, err := r.Application(c.Application)
		if err != nil || len(old.Certificates) < 2 {
			return err
		}
		envelope = old.Envelope
		number, err := hex.DecodeString(old.Certificates[1])
		if err == nil {
			pair, err = r.CertificateBySerial(number)
		}
		return err
	}); err != nil || pair.DER == nil {
		return nil, nil, false, err
	}
	cert, err := certs.Parse(pair.DER)
	if err != nil {
		return nil, nil, false, err
	}
	public, ok = cert.PublicKey.(*ecdsa.PublicKey)
	return public, envelope, ok, nil
}
