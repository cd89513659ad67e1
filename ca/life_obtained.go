package ca

import (
	"context"
	"encoding/hex"
	"errors"
	"slices"
)

// RelatedObtained is why a certificate is named that was asked for with a lost key.
const RelatedObtained = "obtained"

// maxObtained bounds how many certificates are looked at that were obtained with one lost key, in a transaction.
const maxObtained = 1000

// obtained follows what was asked for with a lost key: the certificates that it authorised, under whatever certificate of that key,
// and those that their keys authorised. Each that is in force is revoked where that was asked for and is the actor's to do, and its
// key with it: that key is in hands that nobody knows. Else it is named.
func (e ending) obtained(first Record, out *Ended) error {
	keys, seen := [][]byte{first.SPKI}, map[string]bool{}
	for len(keys) > 0 {
		certificates, err := e.w.CertificatesOfKey(keys[0], maxOfKey)
		if err != nil {
			return err
		}
		keys = keys[1:]
		for _, c := range certificates {
			found, err := e.obtainedWith(c, seen, out)
			if err != nil {
				return err
			}
			keys = append(keys, found...)
		}
	}
	return nil
}

// obtainedWith deals with what one certificate authorised and returns the keys of what it found.
func (e ending) obtainedWith(under Record, seen map[string]bool, out *Ended) (keys [][]byte, err error) {
	room := maxObtained - len(seen)
	serials, err := e.w.ObtainedWith(hex.EncodeToString(under.Serial), room+1)
	if err != nil {
		return nil, err
	}
	for _, serial := range serials {
		if seen[serial] {
			continue
		}
		if len(seen) >= maxObtained {
			out.More = true
			return keys, nil
		}
		seen[serial] = true
		number, err := parseSerial(serial)
		if err != nil {
			return nil, err
		}
		c, err := e.w.CertificateBySerial(number)
		if err != nil {
			return nil, err
		}
		if err := e.take(c, under, out); err != nil {
			return nil, err
		}
		if !slices.ContainsFunc(keys, func(k []byte) bool { return slices.Equal(k, c.SPKI) }) && !slices.Equal(c.SPKI, under.SPKI) {
			keys = append(keys, c.SPKI)
		}
	}
	return keys, nil
}

// take revokes an obtained certificate, or names it.
func (e ending) take(c, under Record, out *Ended) error {
	if !c.NotAfter.After(e.now) || out.has(c.Serial) {
		return nil
	}
	status, err := e.w.Revocation(c.Issuer, c.Serial)
	if err != nil && !isUnknown(err) {
		return err
	}
	if err == nil && !status.Held() && lost(status.Reason) {
		return nil
	}
	if !e.Obtained || e.a.mayEnd(e.by, c, enders...) != nil {
		if !out.named(c.Serial) && (err != nil || status.Held()) {
			out.Also = append(out.Also, Related{c.Serial, c.Profile, RelatedObtained, under.Serial})
		}
		return nil
	}
	r, err := e.revoke(c)
	if errors.Is(err, ErrRevoked) {
		return nil
	}
	if err != nil {
		return err
	}
	out.Revoked = append(out.Revoked, r)
	return e.key(c, out)
}

// named tells whether a serial is among those that were left alone.
func (o *Ended) named(serial []byte) bool {
	return slices.ContainsFunc(o.Also, func(r Related) bool { return slices.Equal(r.Serial, serial) })
}

// authorised refuses an application that rests on a certificate which is not in force any more: whoever stole it may have asked
// before it was revoked. Where an officer has looked, a suspended one does.
func (a *Authority) authorised(ctx context.Context, app Application) error {
	if app.Authorised == "" || app.Authorised == app.Replaces {
		return nil
	}
	serial, err := parseSerial(app.Authorised)
	if err != nil {
		return err
	}
	var status *Revocation
	err = a.Store.View(ctx, func(r R) error {
		c, err := r.CertificateBySerial(serial)
		if err != nil {
			return err
		}
		found, err := r.Revocation(c.Issuer, c.Serial)
		if isUnknown(err) {
			return nil
		}
		status = &found
		return err
	})
	if err == nil && status != nil && (len(app.Checkers) == 0 || !status.Held()) {
		err = ErrRevoked.With("certificate %s, with which application %s was made, is not in force any more", app.Authorised, app.ID)
	}
	return err
}

// vouched locks the key of the certificate that authorised an application, in the transaction that issues, unless the key is lost: a
// revocation that comes later finds what was issued (obtained), one that came before is found here.
func (a *Authority) vouched(w W, app Application) error {
	if app.Authorised == "" {
		return nil
	}
	serial, err := parseSerial(app.Authorised)
	if err != nil {
		return err
	}
	c, err := w.CertificateBySerial(serial)
	if err != nil {
		return err
	}
	k, err := w.Key(c.SPKI, nil)
	if err != nil {
		return err
	}
	if k.Owner == nil || !k.Owner.Blocked.IsZero() {
		return ErrRevoked.With("the key of certificate %s, with which application %s was made, is lost", app.Authorised, app.ID)
	}
	return w.ClaimKey(c.SPKI, *k.Owner)
}
