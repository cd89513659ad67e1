package seal

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"errors"
	"fmt"
	"io"
	"time"

	"hufu/certs"
	"hufu/internal/actor"
	"hufu/internal/gm"
)

// An owner with an SM2 pair instead of a PIN consents by answering a challenge over the very hash that will be signed. What
// is to be signed is therefore made twice, before the challenge and after the answer; both times it is the same octets.

// ChallengeStamp asks for the consent to stamp a document. Stamp is then called with the same order, the time returned as
// At, and the answer as consent.
func (s *Service) ChallengeStamp(ctx context.Context, by actor.Actor, o Order) (c Challenge, at time.Time, err error) {
	if err := checkReason(o.Purpose); err != nil {
		return c, at, err
	}
	seal, err := s.usable(ctx, by, o.Seal)
	if err != nil {
		return c, at, err
	}
	at = s.Now().UTC().Truncate(time.Second)
	p, err := s.prepare(seal, o, at)
	if err != nil {
		return c, at, err
	}
	tbs, err := toSign(seal, p, at)
	if err != nil {
		return c, at, err
	}
	cert, err := certs.Parse(seal.Cert)
	if err != nil {
		return c, at, err
	}
	pub, ok := cert.PublicKey.(*ecdsa.PublicKey)
	if !ok {
		return c, at, fmt.Errorf("seal %s has a key of type %T", seal.Code, cert.PublicKey)
	}
	e, err := gm.E(pub, gm.DefaultID, tbs.SignedBytes())
	if err != nil {
		return c, at, err
	}
	c, err = s.Keys.Challenge(ctx, seal.KeyID, e[:], o.consent().Kind)
	return c, at, err
}

// ChallengeActivation asks for the consent to a standing activation; Activate is then called with the same bounds.
func (s *Service) ChallengeActivation(ctx context.Context, by actor.Actor, code string, b Bounds) (Challenge, error) {
	seal, err := s.usable(ctx, by, code)
	if err == nil {
		err = checkKinds(b.Kinds)
	}
	if err != nil {
		return Challenge{}, err
	}
	return s.Keys.ChallengeStanding(ctx, seal.KeyID, b)
}

// ChallengeMaking asks for the consent to the one signature in the making of a seal. The first call makes the key, for
// the owner's pair; Make is then called with the answer.
func (s *Service) ChallengeMaking(ctx context.Context, by actor.Actor, code string, owner Enrolment) (Challenge, error) {
	seal, err := s.ownersSeal(ctx, by, code)
	if err != nil {
		return Challenge{}, err
	}
	if seal.State != Approved || len(seal.Cert) > 0 {
		return Challenge{}, ErrState.With("seal %s is %s", code, seal.State)
	}
	if err := s.step(ctx, by, &seal, Making{Owner: owner}, s.makeKey); err != nil {
		return Challenge{}, err
	}
	pub, err := s.Keys.Public(ctx, seal.KeyID)
	if err != nil {
		return Challenge{}, err
	}
	point, ok := pub.(*ecdsa.PublicKey)
	if !ok {
		return Challenge{}, fmt.Errorf("seal %s has a key of type %T", code, pub)
	}
	asked := &probe{pub: point}
	if _, err := s.Certifier.Certify(ctx, by, seal.Owner, code, asked); !errors.Is(err, errProbe) {
		return Challenge{}, ErrMake.With("what the request of seal %s is: %w", code, err)
	}
	return s.Keys.Challenge(ctx, seal.KeyID, asked.e, KindRequest)
}

// probe is a signer that signs nothing and keeps what it was to sign.
type probe struct {
	pub *ecdsa.PublicKey
	e   []byte
}

var errProbe = errors.New("only asked what is to be signed")

func (p *probe) Public() crypto.PublicKey { return p.pub }

func (p *probe) Sign(_ io.Reader, input []byte, opts crypto.SignerOpts) ([]byte, error) {
	if opts == gm.Digest {
		p.e = input
		return nil, errProbe
	}
	e, err := gm.E(p.pub, gm.DefaultID, input)
	if err != nil {
		return nil, err
	}
	p.e = e[:]
	return nil, errProbe
}
