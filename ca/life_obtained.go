package ca

import (
	"bytes"
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"slices"
)

// RelatedObtained is why a certificate is named that was asked for with a lost key.
const RelatedObtained = "obtained"

// maxObtained bounds how many certificates in force are dealt with in a transaction that were obtained with one lost key, and
// maxFollowed how many are looked at: those that were dealt with before are passed through, so that asking again goes on.
const (
	maxObtained = 1000
	maxFollowed = 10 * maxObtained
)

// obtained follows what was asked for with a lost key: the certificates that it authorised, under whatever certificate of that key,
// and those that their keys authorised. Each that is in force is revoked where that was asked for and is the actor's to do, and its
// key with it: that key is in hands that nobody knows. Else it is named. It asks a few questions for each generation, however many
// certificates there are in it.
func (e ending) obtained(first Record, out *Ended) error {
	keys, known := [][]byte{first.SPKI}, &obtainedSoFar{serials: map[string]bool{}, keys: map[string]bool{string(first.SPKI): true}}
	for len(keys) > 0 {
		found, err := e.obtainedWith(keys, known, out)
		if err != nil {
			return err
		}
		keys = nil
		for _, c := range found {
			if !known.keys[string(c.SPKI)] {
				known.keys[string(c.SPKI)] = true
				keys = append(keys, c.SPKI)
			}
		}
		if err := e.takeAll(found, out); err != nil {
			return err
		}
	}
	return nil
}

// obtainedSoFar is what was found in earlier generations.
type obtainedSoFar struct {
	serials, keys map[string]bool
	open          int // certificates to be dealt with
}

// obtained is a certificate with its status and the serial of the one that authorised it.
type obtained struct {
	Found
	under []byte
}

// obtainedWith finds what the certificates of these keys authorised, oldest first, and was not found before.
func (e ending) obtainedWith(keys [][]byte, known *obtainedSoFar, out *Ended) (all []obtained, err error) {
	certificates, err := e.w.CertificatesOfKeys(keys, maxFollowed)
	if err != nil {
		return nil, err
	}
	under := make([]string, len(certificates))
	for i, c := range certificates {
		under[i] = hex.EncodeToString(c.Serial)
	}
	found, err := e.w.ObtainedWith(under, maxFollowed-len(known.serials)+1)
	if err != nil {
		return nil, err
	}
	out.More = out.More || len(certificates) == maxFollowed
	var serials [][]byte
	authorised := map[string][]byte{}
	for _, o := range found {
		if known.serials[o.Serial] {
			continue
		}
		if len(known.serials) >= maxFollowed {
			out.More = true
			break
		}
		known.serials[o.Serial] = true
		serial, err1 := parseSerial(o.Serial)
		by, err2 := parseSerial(o.Under)
		if err := errors.Join(err1, err2); err != nil {
			return nil, err
		}
		serials = append(serials, serial)
		authorised[string(serial)] = by
	}
	standing, err := e.w.Standing(serials)
	if err != nil {
		return nil, err
	}
	if len(standing) != len(serials) {
		return nil, ErrUnknown.With("%d of %d certificates that were obtained with a lost key are not in the record", len(serials)-len(standing), len(serials))
	}
	slices.SortFunc(standing, func(a, b Found) int {
		return cmp.Or(a.IssuedAt.Compare(b.IssuedAt), bytes.Compare(a.Serial, b.Serial))
	})
	for _, f := range standing {
		if e.open(f) {
			if known.open++; known.open > maxObtained {
				out.More = true
				continue
			}
		}
		all = append(all, obtained{f, authorised[string(f.Serial)]})
	}
	return all, nil
}

// open tells that there is something to do about a certificate: it has not ended, and nobody said yet that its key is lost.
func (e ending) open(c Found) bool {
	return c.NotAfter.After(e.now) && (c.Status == nil || c.Status.Held() || !lost(c.Status.Reason))
}

// takeAll revokes obtained certificates, or names them.
func (e ending) takeAll(all []obtained, out *Ended) error {
	var lost [][]byte
	for _, c := range all {
		revoked, err := e.take(c, out)
		if err != nil {
			return err
		}
		if revoked {
			lost = append(lost, c.SPKI)
		}
	}
	if len(lost) == 0 {
		return nil
	}
	return e.keys(lost, out)
}

// take revokes an obtained certificate, or names it.
func (e ending) take(c obtained, out *Ended) (revoked bool, err error) {
	if !e.open(c.Found) || out.has(c.Serial) {
		return false, nil
	}
	if !e.Obtained || e.a.mayEnd(e.by, c.Record, enders...) != nil {
		if inForce := c.Status == nil || c.Status.Held(); inForce && !out.named(c.Serial) {
			out.Also = append(out.Also, Related{c.Serial, c.Profile, RelatedObtained, c.under})
		}
		return false, nil
	}
	r, err := e.revoke(c.Record)
	if errors.Is(err, ErrRevoked) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	out.Revoked = append(out.Revoked, r)
	return true, nil
}

// has tells whether octets are among others.
func has(all [][]byte, one []byte) bool {
	return slices.ContainsFunc(all, func(k []byte) bool { return slices.Equal(k, one) })
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
