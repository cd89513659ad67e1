package kmc

import (
	"context"
	"crypto/ecdsa"
	"crypto/rand"
	"encoding/hex"

	"hufu/certs"
	"hufu/internal/actor"
	"hufu/internal/gm"
)

// Service is the centre as an authority uses it: a Desk in the same process, or a client of ca/kmc/remote.
type Service interface {
	KeyService
	RecoveryService
}

// KeyService hands keys out and tells of them; see the methods of Desk.
type KeyService interface {
	Provide(ctx context.Context, by actor.Actor, o Order) (Answer, error)
	Certified(ctx context.Context, by actor.Actor, c Certification) error
	History(ctx context.Context, by actor.Actor, subject string) ([]Entry, error)
	Pool(ctx context.Context, by actor.Actor) (PoolStatus, error)
}

// RecoveryService recovers keys; see the methods of Desk.
type RecoveryService interface {
	Request(ctx context.Context, by actor.Actor, a Ask) (Recovery, error)
	Recovery(ctx context.Context, by actor.Actor, id string) (Recovery, error)
	Recoveries(ctx context.Context, by actor.Actor, f RecoveryFilter) ([]Recovery, error)
	Decide(ctx context.Context, by actor.Actor, id string, v Verdict) (Recovery, error)
	Cancel(ctx context.Context, by actor.Actor, id string) (Recovery, error)
	Take(ctx context.Context, by actor.Actor, id, receipt string, standing Standing) (Recovery, error)
}

var _ Service = (*Desk)(nil)

// Facts is what an authority knows of people and keys, and the centre does not.
type Facts interface {
	// SigningKey refuses a key that is not the holder's own signing key under a certificate in force.
	SigningKey(ctx context.Context, holder string, key *ecdsa.PublicKey) error
	// Standing tells whether whoever approved still may, and has been allowed to without a break since then.
	Standing(ctx context.Context, a Approval) (bool, error)
	// Officers counts the persons who hold the role of recovery officer.
	Officers(ctx context.Context) (int, error)
	// Represents tells whether a person may act for a holder other than in office.
	Represents(ctx context.Context, person, holder string) (bool, error)
}

// Front is the authority's side of the counter: it adds its Facts to what people ask of the centre.
type Front struct {
	KeyService
	recoveries RecoveryService
	facts      Facts
}

// NewFront returns the authority's side of a service.
func NewFront(s Service, f Facts) *Front { return &Front{s, s, f} }

// Print is how a public point is shown: its SM3, hexadecimal.
func Print(point []byte) string {
	print := gm.SM3(point)
	return hex.EncodeToString(print[:])
}

// Recipient returns the point of a certificate's SM2 key, for Ask.
func Recipient(c *certs.Certificate) ([]byte, error) {
	key, ok := c.PublicKey.(*ecdsa.PublicKey)
	if !ok || !gm.IsSM2(key) {
		return nil, ErrRecipient.With("certificate %x", c.Serial)
	}
	return gm.Point(key), nil
}

// Request is Desk.Request; a recovery for the holder goes to a certified signing key of that holder and to no other.
func (f *Front) Request(ctx context.Context, by actor.Actor, a Ask) (Recovery, error) {
	if err := mayAsk(by, a); err != nil {
		return Recovery{}, err
	}
	if a.Key == "" {
		a.Key = rand.Text() // the call to the centre may be repeated
	}
	if a.Kind == ForHolder {
		key, err := gm.PublicKey(a.Recipient)
		if err != nil {
			return Recovery{}, ErrAsk.With("recipient: %w", err)
		}
		if err := f.facts.SigningKey(ctx, a.Subject, key); err != nil {
			return Recovery{}, err
		}
	}
	return f.recoveries.Request(ctx, by, a)
}

// Recovery is Desk.Recovery.
func (f *Front) Recovery(ctx context.Context, by actor.Actor, id string) (Recovery, error) {
	return f.recoveries.Recovery(ctx, by, id)
}

// Recoveries is Desk.Recoveries.
func (f *Front) Recoveries(ctx context.Context, by actor.Actor, q RecoveryFilter) ([]Recovery, error) {
	return f.recoveries.Recoveries(ctx, by, q)
}

// Decide is Desk.Decide. Nobody decides on the keys of an entity that he or she represents when not in office.
func (f *Front) Decide(ctx context.Context, by actor.Actor, id string, approve bool, reason string) (Recovery, error) {
	r, err := f.recoveries.Recovery(ctx, by, id)
	if err != nil {
		return Recovery{}, err
	}
	if by.Subject != "" {
		own, err := f.facts.Represents(ctx, by.Subject, r.Subject)
		if err != nil {
			return Recovery{}, err
		}
		if own {
			return Recovery{}, actor.ErrSameActor.With("%s would decide on the keys of %s, which is %s's own", by, r.Subject, by)
		}
	}
	n, err := f.facts.Officers(ctx)
	if err != nil {
		return Recovery{}, err
	}
	return f.recoveries.Decide(ctx, by, id, Verdict{Approve: approve, Reason: reason, Officers: n})
}

// Cancel is Desk.Cancel.
func (f *Front) Cancel(ctx context.Context, by actor.Actor, id string) (Recovery, error) {
	return f.recoveries.Cancel(ctx, by, id)
}

// Take is Desk.Take, with everyone who approved looked up once more; and so is the key that receives, which may have been
// lost or revoked in the meantime.
func (f *Front) Take(ctx context.Context, by actor.Actor, id, receipt string) (Recovery, error) {
	r, err := f.recoveries.Recovery(ctx, by, id)
	if err != nil {
		return Recovery{}, err
	}
	if r.Kind == ForHolder && r.State == Approved {
		key, err := gm.PublicKey(r.Recipient)
		if err != nil {
			return Recovery{}, err
		}
		if err := f.facts.SigningKey(ctx, r.Subject, key); err != nil {
			return Recovery{}, err
		}
	}
	standing := Standing{}
	for _, a := range r.Approvals {
		if standing[a.Officer.Subject], err = f.facts.Standing(ctx, a); err != nil {
			return Recovery{}, err
		}
	}
	return f.recoveries.Take(ctx, by, id, receipt, standing)
}
