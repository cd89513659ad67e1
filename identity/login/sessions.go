package login

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"time"

	"hufu/audit"
	"hufu/internal/actor"
	"hufu/internal/fault"
	"hufu/internal/gm"
)

func hashSecret(raw []byte) []byte {
	h := gm.SM3(raw)
	return h[:]
}

func parseSecret(secret string) ([]byte, bool) {
	if len(secret) != base64.RawURLEncoding.EncodedLen(secretSize) { // the decoder would skip line ends
		return nil, false
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(secret)
	return raw, err == nil && len(raw) == secretSize
}

// touchEvery is how exactly the last use of a session is kept.
const touchEvery = time.Minute

// Session returns the living session of a secret and notes its use. ErrNoSession: malformed, unknown, ended, idled out,
// expired, or the person may not act.
func (s *Service) Session(ctx context.Context, secret string) (Session, error) {
	raw, ok := parseSecret(secret)
	if !ok {
		return Session{}, ErrNoSession.With("malformed secret")
	}
	session, err := s.alive(ctx, func(r R) (Session, error) { return r.SessionByHash(hashSecret(raw)) })
	if err != nil {
		return Session{}, err
	}
	if now := s.now(); now.Sub(session.Seen) >= touchEvery {
		if err := s.store.Update(ctx, func(w W) error { return w.TouchSession(session.ID, now) }); err != nil {
			return Session{}, err
		}
		session.Seen, session.IdleExpires = now, s.idleLimit(session, now)
	}
	return session, nil
}

// Alive reports whether the session with this id (not the secret) lives, without noting a use.
func (s *Service) Alive(ctx context.Context, id string) (bool, error) {
	_, err := s.alive(ctx, func(r R) (Session, error) { return r.SessionByID(id) })
	if errors.Is(err, ErrNoSession) {
		return false, nil
	}
	return err == nil, err
}

func (s *Service) alive(ctx context.Context, find func(R) (Session, error)) (Session, error) {
	var session Session
	err := s.store.View(ctx, func(r R) (err error) {
		session, err = find(r)
		return err
	})
	if err != nil {
		return Session{}, err
	}
	now := s.now()
	session.IdleExpires = s.idleLimit(session, session.Seen)
	switch {
	case !session.Ended.IsZero():
		return Session{}, ErrNoSession.With("session %s ended at %s", session.ID, session.Ended.Format(time.RFC3339))
	case !now.Before(session.Expires):
		return Session{}, ErrNoSession.With("session %s expired", session.ID)
	case !now.Before(session.IdleExpires):
		return Session{}, ErrNoSession.With("session %s idled out", session.ID)
	}
	standing, err := s.subjects.Standing(ctx, session.Subject)
	if fault.KindOf(err) == fault.Denied || fault.KindOf(err) == fault.NotFound {
		return Session{}, ErrNoSession.With("session %s: %w", session.ID, err)
	}
	session.Name, session.IdentityLevel = standing.Name, standing.Level
	return session, err
}

func (s *Service) idleLimit(session Session, seen time.Time) time.Time {
	limit := seen.Add(s.idle)
	if limit.After(session.Expires) {
		return session.Expires
	}
	return limit
}

// mayManage lets persons manage their own sessions from our own pages, and administrators and the system all.
func mayManage(a actor.Actor, subject string) error {
	if err := a.Known(); err != nil {
		return err
	}
	own := a.Capacity != actor.Client && a.Client == "" && a.Subject == subject
	if !own && a.Require(actor.RoleSuperAdmin, actor.RoleBusinessAdmin) != nil {
		return ErrNotYours.With("%s manages sessions of %s", a, subject)
	}
	return nil
}

// List returns the living sessions of a person, newest first, to the person, an administrator or the system.
func (s *Service) List(ctx context.Context, a actor.Actor, subject string) ([]Session, error) {
	if err := mayManage(a, subject); err != nil {
		return nil, err
	}
	now := s.now()
	var living []Session
	err := s.store.View(ctx, func(r R) error {
		all, err := r.SessionsOf(subject, now)
		living = nil
		for _, session := range all {
			session.IdleExpires = s.idleLimit(session, session.Seen)
			if now.Before(session.IdleExpires) {
				living = append(living, session)
			}
		}
		return err
	})
	return living, err
}

// End ends a session at once. One that has ended already stays as it is, without an error.
func (s *Service) End(ctx context.Context, a actor.Actor, id string) error {
	if err := a.Known(); err != nil {
		return err
	}
	now := s.now()
	return s.store.Update(ctx, func(w W) error {
		session, err := w.SessionByID(id)
		if err != nil {
			return err
		}
		if err := mayManage(a, session.Subject); err != nil {
			return err
		}
		return endOne(w, a, session, "ended", now)
	})
}

// EndAll ends the sessions of a person but the one with the id except (may be empty), and returns how many.
func (s *Service) EndAll(ctx context.Context, a actor.Actor, subject, except string) (int, error) {
	if err := mayManage(a, subject); err != nil {
		return 0, err
	}
	n, now := 0, s.now()
	err := s.store.Update(ctx, func(w W) (err error) {
		n, err = endAll(w, a, subject, except, now)
		return err
	})
	return n, err
}

func endAll(w W, a actor.Actor, subject, except string, now time.Time) (int, error) {
	all, err := w.SessionsOf(subject, now)
	if err != nil {
		return 0, err
	}
	n := 0
	for _, session := range all {
		if session.ID == except {
			continue
		}
		if err := endOne(w, a, session, "ended", now); err != nil {
			return 0, err
		}
		n++
	}
	return n, nil
}

// endOne ends a session with its record and the job that ends what hangs on it, unless it had ended before.
func endOne(w W, a actor.Actor, session Session, reason string, now time.Time) error {
	did, err := w.EndSession(session.ID, now)
	if err != nil || !did {
		return err
	}
	payload, err := json.Marshal(Ended{Session: session.ID, Subject: session.Subject})
	if err != nil {
		return err
	}
	if err := w.Enqueue(JobEnded, session.ID, payload, now); err != nil {
		return err
	}
	return w.Record(audit.Entry{
		At: now, Actor: a, Action: "session.end", Object: audit.Object{Kind: "session", ID: session.ID},
		Public: map[string]string{"reason": reason},
	})
}
