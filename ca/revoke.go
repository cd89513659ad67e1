package ca

import (
	"context"
	"errors"
	"slices"
	"time"

	"hufu/certs"
	"hufu/internal/actor"
)

// Ending is what is asked for when a certificate is to be revoked.
type Ending struct {
	Serial  []byte
	Reason  certs.Reason
	Invalid time.Time // since when the key is known or suspected to be lost; zero when not told
	Pair    bool      // the other certificate of the same application too
	// Obtained takes along, for key compromise, what was obtained with the lost key: certificates that it authorised by CMP, EST or
	// as a renewal, and those that they authorised. Without it they are named in Ended.Also. May be asked for later, again.
	Obtained bool
	DryRun   bool // tell what would happen, change nothing

	// Certificate, DER or PEM, is what the serial belongs to where the record may have lost it. Officers may give it; one that
	// is in the record is revoked as without.
	Certificate []byte

	lost *lostCertificate // that, checked
}

// Ended is what a revocation did, or would do.
type Ended struct {
	Revoked []Revocation // now in force: the one asked for first, then others of the same key
	Also    []Related    // what an officer should look at, and nothing was done to
	More    bool         // more was obtained with the key than was looked at here; ask again when these are revoked
	Second  bool         // of a dry run: more than one officer may revoke alone
}

// Revoke ends a certificate as End does, without asking for more.
func (a *Authority) Revoke(ctx context.Context, by actor.Actor, serial []byte, reason certs.Reason, invalid time.Time) error {
	_, err := a.End(ctx, by, Ending{Serial: serial, Reason: reason, Invalid: invalid})
	return err
}

// errDry gives a transaction up that only tried.
var errDry = errors.New("nothing is to be changed")

// End revokes a certificate. The holder may, who represents the entity that holds it, and an officer; an authority's
// certificate is a super administrator's to revoke. A suspended certificate becomes revoked and keeps its date. Of a revoked one
// only the reason can change, and only to key compromise; else a second revocation is ErrRevoked. An ended one can be
// revoked for a lost key alone. A serial that is reserved is voided by officers: what may have been signed under it never
// counts.
//
// Key compromise also blocks the key for ever and revokes every other certificate of that key, and tells what was obtained with
// it. More than an officer may revoke alone within an hour is ErrSecondOfficer: see ProposeMass. The new list follows by a
// durable job; OCSP knows at once.
func (a *Authority) End(ctx context.Context, by actor.Actor, e Ending) (Ended, error) {
	if err := by.Known(); err != nil {
		return Ended{}, err
	}
	if err := e.check(a.Now()); err != nil {
		return Ended{}, err
	}
	if err := a.standing(ctx, by); err != nil {
		return Ended{}, err
	}
	if len(e.Certificate) > 0 {
		var err error
		if e.lost, err = a.signedByUs(e); err != nil {
			return Ended{}, err
		}
	}
	var out Ended
	second := false
	err := a.Store.Update(ctx, func(w W) error {
		out = Ended{}
		if err := a.end(w, by, e, &out); err != nil {
			return err
		}
		err := a.takeAlone(w, by, len(out.Revoked), enders)
		if e.DryRun {
			second, err = tried(err)
		}
		return err
	})
	if isDry(err) {
		out.Second = second
		return out, nil
	}
	if err != nil {
		return Ended{}, err
	}
	a.statusesChanged(out)
	return out, nil
}

// check refuses a reason that is none to revoke for, or not for what is asked along, and an invalidity date in the future.
func (e Ending) check(now time.Time) error {
	if !e.Reason.Valid() || e.Reason == certs.ReasonRemoveFromCRL || e.Reason == certs.ReasonCertificateHold {
		return ErrReason.With("reason %d", e.Reason)
	}
	if e.Obtained && !lost(e.Reason) {
		return ErrObtained.With("reason %s", e.Reason)
	}
	if e.Invalid.After(now) {
		return ErrReason.With("invalidity date %s is in the future", e.Invalid.Format(time.RFC3339))
	}
	return nil
}

func isDry(err error) bool { return errors.Is(err, errDry) }

func (a *Authority) statusesChanged(o Ended) {
	for _, r := range o.Revoked {
		a.statusChanged(r.Issuer, r.Serial)
	}
}

func (a *Authority) end(w W, by actor.Actor, e Ending, out *Ended) error {
	c, err := w.CertificateBySerial(e.Serial)
	if isUnknown(err) {
		var voided bool
		if voided, err = a.endReserved(w, by, e, out); voided || err != nil && !(isUnknown(err) && e.lost != nil) {
			return err
		}
		if err != nil {
			c, err = a.adopt(w, by, e.lost)
		} else {
			c, err = w.CertificateBySerial(e.Serial) // it may have been issued meanwhile
		}
	}
	if err != nil {
		return err
	}
	if err := a.mayEnd(by, c, enders...); err != nil {
		return err
	}
	ending := ending{a: a, w: w, by: by, Ending: e, now: a.Now().UTC()}
	return ending.certificate(c, out)
}

// endReserved voids a serial that is reserved; false when it is not, any more.
func (a *Authority) endReserved(w W, by actor.Actor, e Ending, out *Ended) (bool, error) {
	s, err := w.Reservation(e.Serial)
	if err != nil {
		if isUnknown(err) && by.Require(enders...) == nil && a.voided(w, e.Serial) {
			return false, ErrRevoked.With("serial %x", e.Serial)
		}
		return false, err
	}
	if by.Require(enders...) != nil {
		return false, ErrUnknown.With("%s may not void serial %x", by, e.Serial)
	}
	r, done, err := a.voidReserved(w, by, s, e.Reason)
	if done {
		out.Revoked = append(out.Revoked, r)
	}
	return done, err
}

// ending is a revocation under way in a transaction.
type ending struct {
	Ending
	a   *Authority
	w   W
	by  actor.Actor
	now time.Time
}

// lost tells that the reason says something about the key.
func (e ending) lost() bool { return lost(e.Reason) }

func lost(r certs.Reason) bool {
	return r == certs.ReasonKeyCompromise || r == certs.ReasonCACompromise
}

func (e ending) certificate(c Record, out *Ended) error {
	if !c.NotAfter.After(e.now) && !e.lost() {
		return ErrEnded.With("certificate %x ended %s", c.Serial, c.NotAfter.Format(time.RFC3339))
	}
	r, err := e.revoke(c)
	if err == nil {
		out.Revoked = append(out.Revoked, r)
	} else if !errors.Is(err, ErrRevoked) || !e.Obtained || !e.lost() { // what was obtained may be asked for later
		return err
	}
	if e.lost() {
		if err := e.keys([][]byte{c.SPKI}, out); err != nil {
			return err
		}
		if err := e.obtained(c, out); err != nil {
			return err
		}
	}
	return e.related(c, out)
}

func (e ending) revoke(c Record) (Revocation, error) {
	r := Revocation{Serial: c.Serial, Issuer: c.Issuer, Shard: c.Shard, At: e.now, Reason: e.Reason, Invalid: e.Invalid, NotAfter: c.NotAfter}
	return e.a.revoke(e.w, e.by, ActRevoke, r)
}

// all revokes certificates that are neither ended nor revoked for this reason.
func (e ending) all(certificates []Record, out *Ended) error {
	for _, c := range certificates {
		if !c.NotAfter.After(e.now) || out.has(c.Serial) {
			continue
		}
		r, err := e.revoke(c)
		if errors.Is(err, ErrRevoked) {
			continue
		}
		if err != nil {
			return err
		}
		out.Revoked = append(out.Revoked, r)
	}
	return nil
}

// has tells whether a serial is among the revoked ones.
func (o *Ended) has(serial []byte) bool {
	return slices.ContainsFunc(o.Revoked, func(r Revocation) bool { return slices.Equal(r.Serial, serial) })
}

// related deals with the pair and names what has to do with a revoked certificate.
func (e ending) related(c Record, out *Ended) error {
	others, err := relatives(e.w, c)
	if err != nil {
		return err
	}
	for _, o := range others {
		if out.has(o.record.Serial) || out.named(o.record.Serial) {
			continue
		}
		if o.why != RelatedPair || !e.Pair {
			out.Also = append(out.Also, Related{Serial: o.record.Serial, Profile: o.record.Profile, Why: o.why})
			continue
		}
		r, err := e.revoke(o.record)
		if errors.Is(err, ErrRevoked) {
			continue
		}
		if err != nil {
			return err
		}
		out.Revoked = append(out.Revoked, r)
		if e.lost() {
			if err := e.keys([][]byte{o.record.SPKI}, out); err != nil {
				return err
			}
		}
	}
	return nil
}
