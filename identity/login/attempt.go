package login

import (
	"context"
	"crypto/rand"
	"errors"
	"strings"
	"time"

	"hufu/audit"
	"hufu/internal/actor"
	"hufu/internal/fault"
)

// unknownAccount stands for every account that does not exist, in the record and in the comparison.
const unknownAccount = "unknown"

// methodPassword is the amr value of a password (RFC 8176).
const methodPassword = "pwd"

// strength is the AuthLevel of a log-in by these methods: 2 for a single secret behind growing delays, 3 for two
// different ones, 4 for a key in hardware.
func strength(amr []string) actor.Level {
	level := actor.Level(0)
	for _, m := range amr {
		switch m {
		case "hwk", "sc":
			return 4
		case methodPassword, "otp", "sms", "face":
			level = min(level+1, 2)
		}
	}
	if level == 0 {
		return 0
	}
	return level + 1
}

// try is an attempt that was counted.
type try struct {
	Attempt
	buckets buckets
	account Account // the dummy for an unknown one
	known   bool
}

// Login opens a session for the right password and returns it with its secret, which is stored nowhere: put it into a
// cookie. ErrWrong for a wrong password, an unknown account and a malformed name alike; *Wait (ErrTooOften) before the
// delay is over; ErrBusy; or what Standing says about a person who may not act.
func (s *Service) Login(ctx context.Context, at Attempt) (Session, string, error) {
	t, err := s.admit(ctx, at)
	if err != nil {
		return Session{}, "", err
	}
	ok, stale, err := s.compare(ctx, t)
	if err != nil {
		return Session{}, "", err
	}
	if !ok {
		return Session{}, "", s.refuse(ctx, t, "wrong", ErrWrong.With("log-in to account %s", t.account.ID))
	}
	standing, err := s.subjects.Standing(ctx, t.account.Subject)
	if fault.KindOf(err) == fault.Internal && err != nil {
		return Session{}, "", err
	}
	if err != nil {
		return Session{}, "", s.refuse(ctx, t, "standing", err)
	}
	better := ""
	if stale {
		if better, err = s.hasher.hash(ctx, t.account.ID, at.Password); err != nil {
			return Session{}, "", err
		}
	}
	session, secret, err := s.finish(ctx, t, better)
	if errors.Is(err, ErrChanged) { // the password was changed while the old one was compared
		err = ErrWrong.With("log-in to account %s: %w", t.account.ID, err)
	}
	if err != nil {
		return Session{}, "", err
	}
	session.Name, session.IdentityLevel = standing.Name, standing.Level
	return session, secret, nil
}

// admit counts the attempt and finds the account in one transaction, committed before anything is compared.
func (s *Service) admit(ctx context.Context, at Attempt) (try, error) {
	now := s.now()
	t := try{Attempt: at}
	name, err := cleanAccount(at.Account)
	if err != nil {
		name = "" // no account has this name
	}
	err = s.store.Update(ctx, func(w W) error {
		var err error
		if t.buckets, err = bucketsOf(w, name, at.RemoteIP); err != nil {
			return err
		}
		if err := t.buckets.count(w, now); err != nil {
			return err
		}
		t.account, err = w.AccountByName(name)
		t.known = err == nil
		if errors.Is(err, ErrNoAccount) {
			t.account, err = Account{ID: unknownAccount, Subject: unknownAccount, Password: s.dummy}, nil
		}
		return err
	})
	return t, err
}

// compare derives once whether the account is known or not. A try that could not be compared is given back.
func (s *Service) compare(ctx context.Context, t try) (ok, stale bool, err error) {
	password := t.Password
	if len(password) > 4*maxPassword {
		password = "" // no password is so long, and hashing it would be work for nothing
	}
	ok, stale, err = s.hasher.compare(ctx, t.account.ID, password, t.account.Password)
	if errors.Is(err, ErrBusy) {
		back := s.store.Update(ctx, func(w W) error {
			return errors.Join(w.TakeBack(t.buckets.address), w.TakeBack(t.buckets.account))
		})
		return false, false, errors.Join(err, back)
	}
	return ok && t.known, stale, err
}

// refuse records a refusal, of unknown accounts too and in the same way, and returns why.
func (s *Service) refuse(ctx context.Context, t try, reason string, why error) error {
	err := s.store.Update(ctx, func(w W) error {
		return w.Record(audit.Entry{
			At: s.now(), Action: "session.refuse", Object: audit.Object{Kind: "account", ID: t.account.ID},
			Public:  map[string]string{"reason": reason, "method": methodPassword},
			Subject: t.account.Subject, Personal: t.where(),
		})
	})
	if err != nil {
		return err
	}
	return why
}

func (t try) where() map[string]string {
	return map[string]string{"address": clip(t.RemoteIP, 64), "agent": clip(t.UserAgent, 300)}
}

// clip makes text from outside fit to be kept: valid, printable, not overlong.
func clip(s string, most int) string {
	if len(s) > most {
		s = s[:most]
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, ""))
}

// finish makes the session, unless the password changed meanwhile, and forgives the tries.
func (s *Service) finish(ctx context.Context, t try, better string) (Session, string, error) {
	now := s.now()
	amr := []string{methodPassword}
	session := Session{
		ID: rand.Text(), Subject: t.account.Subject, AuthTime: now, AMR: amr, AuthLevel: strength(amr),
		MustChange: t.account.MustChange, Created: now, Seen: now, Expires: now.Add(s.absolute), IdleExpires: now.Add(s.idle),
		RemoteIP: t.where()["address"], UserAgent: t.where()["agent"],
	}
	secret, hash := newSecret()
	err := s.store.Update(ctx, func(w W) error {
		if err := w.HoldPassword(t.account.ID, t.account.Password); err != nil {
			return err
		}
		if better != "" {
			if err := w.ReplacePassword(t.account.ID, t.account.Password, better, t.account.MustChange, t.account.Changed); err != nil {
				return err
			}
		}
		if err := t.forgive(w, now); err != nil {
			return err
		}
		if err := s.replace(w, t.Replaces, now); err != nil {
			return err
		}
		if err := w.AddSession(session, hash); err != nil {
			return err
		}
		return w.Record(audit.Entry{
			At: now, Actor: session.Actor(), Action: "session.open", Object: audit.Object{Kind: "session", ID: session.ID},
			Public:  map[string]string{"account": t.account.ID, "method": methodPassword},
			Subject: t.account.Subject, Personal: t.where(),
		})
	})
	return session, secret, err
}

// forgive forgets the account's tries; of the address only this one, else an attacker's own account would wash it clean.
func (t try) forgive(w W, now time.Time) error {
	if err := w.TakeBack(t.buckets.address); err != nil {
		return err
	}
	if err := w.Forgive(t.buckets.account); err != nil {
		return err
	}
	return w.MeetPlace(t.buckets.place, now)
}

// replace ends the session that the browser had before, if it had one.
func (s *Service) replace(w W, secret string, now time.Time) error {
	raw, ok := parseSecret(secret)
	if !ok {
		return nil
	}
	before, err := w.SessionByHash(hashSecret(raw))
	if errors.Is(err, ErrNoSession) {
		return nil
	}
	if err != nil {
		return err
	}
	return endOne(w, before.Actor(), before, "replaced", now)
}
