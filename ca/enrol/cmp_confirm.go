package enrol

import (
	"context"
	"slices"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"hufu/ca"
	"hufu/certs"
	"hufu/certs/cmp"
	"hufu/internal/actor"
)

// handleConfirm takes certConf: accepted, the transaction is done; rejected, the certificates are revoked at once, by a durable
// job. An empty list rejects too (RFC 4210, section 5.3.18).
func (s *Service) handleConfirm(x *exchange) (reply, error) {
	t, err := x.follows()
	if err != nil {
		return reply{}, err
	}
	if t.State != Unconfirmed || !s.Now().Before(t.Due) {
		return reply{}, errConfirmed.With("transaction %s is %s until %s", t.ID, t.State, t.Due)
	}
	after := t
	after.State = Rejected
	if list := x.message.Body.Confirm; len(list) > 0 {
		cert, err := issuedIn(t)
		if err != nil {
			return reply{}, err
		}
		if len(list) != 1 || list[0].ID != t.RequestID || !list[0].Names(cert) {
			return reply{}, errCertID.With("confirmation in transaction %s", t.ID)
		}
		if list[0].Accepted() {
			after.State = Done
		}
	}
	return reply{from: Unconfirmed, after: &after, body: cmp.Body{Kind: cmp.PKIConf}}, nil
}

// issuedIn returns the certificate that a transaction's last answer granted.
func issuedIn(t Transaction) (*certs.Certificate, error) {
	m, err := cmp.Parse(t.Answer)
	if err != nil {
		return nil, err
	}
	cert, _, err := m.Granted()
	return cert, err
}

// handleRevocation takes rr: one certificate a message, the one that signed (RFC 9483, section 4.2), one that it replaced, or one
// of those that a registration client may revoke (section 5.3.2). It must be signed.
func (s *Service) handleRevocation(ctx context.Context, x *exchange) (reply, error) {
	list := x.message.Body.Revocations
	switch {
	case x.known != nil:
		return reply{}, ErrTransaction.With("transaction %s is %s", x.id, x.known.State)
	case x.who.secret != nil:
		return reply{}, ErrRights.With("a revocation must be signed with a certificate")
	case len(list) != 1 || list[0].Template.Serial == nil:
		return reply{}, ErrMessage.With("%d revocations in one message, or one without a serial number", len(list))
	}
	named, err := s.CA.Issued(ctx, system(), list[0].Template.Serial)
	if err != nil {
		return reply{}, err
	}
	cert, err := certs.Parse(named.DER)
	if err != nil {
		return reply{}, err
	}
	if list[0].Template.Issuer.Raw != nil && !list[0].Template.Issuer.Equal(cert.Issuer) {
		return reply{}, errCertID.With("certificate %x is of another issuer", named.Serial)
	}
	reason, invalid, err := entryOf(list[0].Extensions)
	if err != nil {
		return reply{}, err
	}
	by, err := s.ender(ctx, x.who, named, reason)
	if err != nil {
		return reply{}, err
	}
	if err := s.change(ctx, by, named.Serial, reason, invalid); err != nil {
		return reply{}, err
	}
	return reply{body: cmp.Body{Kind: cmp.RP, Revoked: []cmp.StatusInfo{{Status: cmp.Accepted}}}}, s.remember(ctx, x, by)
}

// ender is as whom a certificate is revoked: its key's holder ends the certificate that signed, and the one issued with it. What a
// device holds of its holder's says nothing of the others: those end by their own keys, or by the holder in person. After a key update
// the old key is often gone, so the certificate that replaced one may revoke it, which RFC 9483 leaves to other means; not suspend
// or resume it. A registration client with the right ends those of its profiles; to lift a hold is an officer's.
func (s *Service) ender(ctx context.Context, p principal, named ca.Record, reason certs.Reason) (actor.Actor, error) {
	if slices.Equal(named.Serial, p.shown.Serial) || named.Application != "" && named.Application == p.shown.Application {
		return p.shown.KeyHolder(), nil
	}
	if reason != certs.ReasonCertificateHold && reason != certs.ReasonRemoveFromCRL {
		replaced, err := s.CA.Replaced(ctx, system(), p.shown.Record, named)
		if err != nil {
			return actor.Actor{}, err
		}
		if replaced {
			return p.shown.KeyHolder(), nil
		}
	}
	if c := p.client; c == nil || !c.Revokes || !slices.Contains(c.Profiles, named.Profile) || reason == certs.ReasonRemoveFromCRL {
		return actor.Actor{}, ErrRights.With("%s may not change the status of %x", p.whom, named.Serial)
	}
	by := p.registrar()
	by.Roles = []actor.Role{actor.RoleApprover} // to revoke, and nothing else is done as this actor
	return by, nil
}

// change revokes, suspends (certificateHold) or resumes (removeFromCRL), as the reason says (RFC 9483, section 4.2).
func (s *Service) change(ctx context.Context, by actor.Actor, serial []byte, reason certs.Reason, invalid time.Time) error {
	switch reason {
	case certs.ReasonCertificateHold:
		return s.CA.Suspend(ctx, by, serial, time.Time{})
	case certs.ReasonRemoveFromCRL:
		return s.CA.Resume(ctx, by, serial)
	default:
		return s.CA.Revoke(ctx, by, serial, reason, invalid)
	}
}

// remember notes a transaction that is over with one message, so that its identifier is not used again.
func (s *Service) remember(ctx context.Context, x *exchange, by actor.Actor) error {
	now := s.Now().UTC()
	at := x.remembered()
	if at.Before(now) {
		at = now
	}
	return s.Store.Update(ctx, func(w W) error {
		_, err := w.AddTransaction(Transaction{ID: x.id, State: Done, By: by, Request: x.digest, Reply: int(cmp.RP), At: at, Due: now})
		return err
	})
}

// entryOf reads reason and invalidity date from the extensions of a CRL entry.
func entryOf(list []certs.Extension) (reason certs.Reason, invalid time.Time, err error) {
	for _, e := range list {
		s := cryptobyte.String(e.Value)
		switch e.ID {
		case certs.OIDReasonCode:
			var n int
			if !s.ReadASN1Enum(&n) || !s.Empty() {
				return 0, invalid, ErrMessage.With("reason of the revocation")
			}
			reason = certs.Reason(n)
		case certs.OIDInvalidityDate:
			var ok bool
			if invalid, ok = certs.ReadGeneralizedTime(&s); !ok || !s.Empty() {
				return 0, invalid, ErrMessage.With("invalidity date")
			}
		default:
			if e.Critical {
				return 0, invalid, ErrMessage.With("critical extension %s", e.ID)
			}
		}
	}
	return reason, invalid, nil
}

// maxQuestions bounds a message of questions, each once: an answer is much longer than its question.
const maxQuestions = 16

// handleGeneral answers questions: the authorities' certificates. What we do not know comes back without a value.
func (s *Service) handleGeneral(x *exchange) (reply, error) {
	var answers []cmp.Info
	if n := len(x.message.Body.General); n > maxQuestions {
		return reply{}, ErrMessage.With("%d questions in one message", n)
	}
	for _, q := range x.message.Body.General {
		if slices.ContainsFunc(answers, func(a cmp.Info) bool { return a.Type == q.Type }) {
			return reply{}, ErrMessage.With("question %s twice", q.Type)
		}
		answer := cmp.Info{Type: q.Type}
		if q.Type == cmp.OIDCACerts {
			var err error
			if answer.Value, err = s.authorities(); err != nil {
				return reply{}, err
			}
		}
		answers = append(answers, answer)
	}
	return reply{body: cmp.Body{Kind: cmp.GenP, General: answers}}, nil
}

// authorities is a SEQUENCE OF all certificates of the authorities, roots first.
func (s *Service) authorities() ([]byte, error) {
	names, all := s.CA.Issuers()
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		for _, name := range names {
			b.AddBytes(all[name].Raw)
		}
	})
	return b.Bytes()
}
