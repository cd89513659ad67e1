package kmc

import (
	"context"
	"time"

	"hufu/internal/actor"
)

// Entry is a line of a holder's key history. It is an alias of a plain struct.
type Entry = struct {
	Key         string    `json:"key"`
	Serials     []string  `json:"serials"` // of its certificates, hexadecimal, the newest last
	Authority   string    `json:"authority,omitempty"`
	Profile     string    `json:"profile,omitempty"`
	Public      []byte    `json:"public"` // 04 ‖ x ‖ y
	NotAfter    time.Time `json:"not_after,omitzero"`
	At          time.Time `json:"at"`
	Recoverable bool      `json:"recoverable"` // in escrow
}

// historyLimit bounds a history: a person has one key each year or three.
const historyLimit = 640

// History lists all encryption keys that a holder ever got, newest first: for the holder, whoever acts for it, and officers.
func (d *Desk) History(ctx context.Context, by actor.Actor, subject string) ([]Entry, error) {
	if err := by.Known(); err != nil {
		return nil, err
	}
	if subject == "" || by.Subject != subject && by.For != subject &&
		by.Require(actor.RoleRegistrar, actor.RoleApprover, actor.RoleRecoveryOfficer, actor.RoleBusinessAdmin, actor.RoleAuditAdmin) != nil {
		return nil, ErrNotAllowed.With("%s looks at the keys of %q", by, subject)
	}
	var pairs []Pair
	err := d.c.Store.View(ctx, func(r R) (err error) {
		pairs, err = r.Pairs(d.client, subject, historyLimit)
		return err
	})
	out := make([]Entry, 0, len(pairs))
	for _, p := range pairs {
		out = append(out, Entry{
			Key: p.ID, Serials: append([]string{}, p.Serials...), Authority: p.Authority, Profile: p.Profile, Public: p.Public, NotAfter: p.NotAfter, At: p.At,
			Recoverable: len(p.Wrapped) > 0,
		})
	}
	return out, err
}
