package seal

import (
	"context"
	"fmt"
	"time"

	"hufu/certs"
	"hufu/internal/actor"
	"hufu/internal/fault"
	"hufu/seal/ses"
)

// Making is what the owner brings when a seal is made: how the key is to be controlled, and the consent to the one signature
// that the certificate needs. A PIN serves as both.
type Making struct {
	Owner   Enrolment
	Consent Consent
}

// consent is what opens the key for the certificate request.
func (m Making) consent() Consent {
	c := m.Consent
	if len(c.PIN) == 0 && c.Challenge == "" {
		c.PIN = m.Owner.PIN
	}
	if len(c.Half) == 0 && c.Challenge == "" {
		c.Half = m.Owner.Half
	}
	c.Kind = KindRequest
	return c
}

// Make finishes an approved seal: key, certificate, picture, and the maker's signature over them. Whoever may stamp for the
// owner does it and brings the owner's PIN: from its first moment on the key is under the owner's sole control. It may be
// called again after a failure or a crash and goes on where it stopped, with the same PIN; for an active seal it does nothing.
func (s *Service) Make(ctx context.Context, by actor.Actor, code string, m Making) (Seal, error) {
	seal, err := s.ownersSeal(ctx, by, code)
	if err != nil || seal.State == Active {
		return seal, err
	}
	if seal.State != Approved {
		return seal, ErrState.With("seal %s is %s", code, seal.State)
	}
	for _, do := range []making{s.makeKey, s.makeCertificate, s.makeSeal} {
		if err := s.step(ctx, by, &seal, m, do); err != nil {
			return seal, err
		}
	}
	err = s.Store.Update(ctx, func(w W) error { return s.move(w, by, code, Active, "", "seal.make", Approved) })
	if err != nil {
		return seal, err
	}
	return s.seal(ctx, code)
}

type making = func(context.Context, actor.Actor, Seal, Making) (Made, error)

// step does one step of making and keeps what it made. The seal then is as it stands in the store: another may have been faster.
func (s *Service) step(ctx context.Context, by actor.Actor, seal *Seal, m Making, do making) error {
	made, err := do(ctx, by, *seal, m)
	if err != nil {
		return failedMaking(seal.Code, err)
	}
	if err := s.Store.Update(ctx, func(w W) error { return w.SetMade(seal.Code, made) }); err != nil {
		return fmt.Errorf("keep step of seal %s: %w", seal.Code, err)
	}
	*seal, err = s.seal(ctx, seal.Code)
	return err
}

// failedMaking hands on what whoever makes the seal can act on, such as a wrong PIN; all else may be tried again.
func failedMaking(code string, err error) error {
	switch fault.KindOf(err) {
	case fault.Internal, fault.NotFound, fault.Unavailable:
		return ErrMake.With("make seal %s: %w", code, err)
	default:
		return fmt.Errorf("make seal %s: %w", code, err)
	}
}

func (s *Service) makeKey(ctx context.Context, _ actor.Actor, seal Seal, m Making) (Made, error) {
	if seal.KeyID != "" {
		return Made{}, nil
	}
	id, _, err := s.Keys.Generate(ctx, "seal-"+seal.Code, m.Owner)
	return Made{KeyID: id}, err
}

// makeCertificate has the key certified. A key without an owner is of the time before there was sole control: a half-made seal
// that an update found; its owner adopts it now.
func (s *Service) makeCertificate(ctx context.Context, by actor.Actor, seal Seal, m Making) (Made, error) {
	if len(seal.Cert) > 0 {
		return Made{}, nil
	}
	held, err := s.Keys.Held(ctx, seal.KeyID)
	if err == nil && held.Method == "" {
		err = s.Keys.Adopt(ctx, by, seal.KeyID, m.Owner)
	}
	if err != nil {
		return Made{}, err
	}
	key, err := s.Keys.Signer(ctx, seal.KeyID, by, m.consent())
	if err != nil {
		return Made{}, err
	}
	cert, err := s.Certifier.Certify(ctx, by, seal.Owner, seal.Code, key)
	return Made{Cert: cert}, err
}

// makeSeal draws the picture and has the maker sign the seal. Its window lies within the certificate's.
func (s *Service) makeSeal(ctx context.Context, _ actor.Actor, seal Seal, _ Making) (Made, error) {
	if len(seal.ESL) > 0 {
		return Made{}, nil
	}
	drawing, err := s.draw(seal)
	if err != nil {
		return Made{}, err
	}
	png, err := drawing.PNG(600)
	if err != nil {
		return Made{}, err
	}
	signer, err := certs.Parse(seal.Cert)
	if err != nil {
		return Made{}, err
	}
	maker, key, err := s.Maker.Maker(ctx)
	if err != nil {
		return Made{}, err
	}
	now := s.Now().UTC().Truncate(time.Second)
	from, until := latest(now, signer.NotBefore), earliest(seal.ValidUntil, signer.NotAfter)
	pending, err := ses.NewSeal(ses.SealSpec{
		VendorID: s.VendorID, ESID: seal.Code, Type: seal.Type, Name: seal.Name, Certs: [][]byte{seal.Cert},
		Created: now, ValidStart: from, ValidEnd: until,
		Picture: ses.Picture{Type: "PNG", Data: png, Width: int(drawing.Diameter()), Height: int(drawing.Diameter())},
	})
	if err != nil {
		return Made{}, err
	}
	_, sig, err := certs.Sign(key, pending.SignedBytes())
	if err != nil {
		return Made{}, err
	}
	esl, err := pending.Finish(maker.Raw, sig)
	return Made{ESL: esl, SVG: drawing.SVG(), PNG: png, ValidFrom: from, ValidUntil: until}, err
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func earliest(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
