package ca

import (
	"encoding/hex"
	"strconv"
	"time"

	"hufu/audit"
	"hufu/certs"
	"hufu/internal/actor"
)

// revoke puts a revocation in force, or changes the one that is, records it and lets the lists follow.
func (a *Authority) revoke(w W, by actor.Actor, act StatusAct, r Revocation) (Revocation, error) {
	now := r.At
	r, err := putRevocation(w, r)
	if err != nil {
		return r, err
	}
	return r, a.noteStatus(w, by, act, r, now)
}

// putRevocation writes a revocation. Another call may be at the same serial, so what is there is looked at anew each time
// that it has changed underneath.
func putRevocation(w W, r Revocation) (Revocation, error) {
	for range 4 {
		before, err := w.Revocation(r.Issuer, r.Serial)
		if err != nil && !isUnknown(err) {
			return r, err
		}
		after, put := r, func() (bool, error) { return w.AddRevocation(r) }
		if err == nil {
			if after, err = before.becomes(r); err != nil {
				return r, err
			}
			put = func() (bool, error) { return w.ReplaceRevocation(before, after) }
		}
		if done, err := put(); err != nil || done {
			return after, err
		}
	}
	return r, ErrState.With("the status of %x changes too often", r.Serial)
}

// becomes tells what a status that is in force becomes by a later revocation. A hold keeps its date: the certificate was not good
// since then (X.509, 8.5.2.3). A revocation only ever becomes worse: its reason may change to key compromise.
func (r Revocation) becomes(next Revocation) (Revocation, error) {
	switch {
	case r.Held():
		next.At = r.At
		return next, nil
	case next.Reason == certs.ReasonKeyCompromise && r.Reason != certs.ReasonKeyCompromise && r.Reason != certs.ReasonCACompromise:
		after := r
		after.Reason = next.Reason
		if !next.Invalid.IsZero() && (r.Invalid.IsZero() || next.Invalid.Before(r.Invalid)) {
			after.Invalid = next.Invalid
		}
		return after, nil
	default:
		return r, ErrRevoked.With("certificate %x", r.Serial)
	}
}

// noteStatus records a change of status, in its transaction: for those who follow, for the log, for the lists.
func (a *Authority) noteStatus(w W, by actor.Actor, act StatusAct, r Revocation, now time.Time) error {
	if err := w.AddStatusEvent(r.event(act, now)); err != nil {
		return err
	}
	action := map[StatusAct]string{ActSuspend: "certificate.suspend", ActResume: "certificate.resume"}[act]
	if action == "" {
		action = "certificate.revoke"
	}
	if err := w.Record(audit.Entry{
		At: now, Actor: by, Action: action, Object: audit.Object{Kind: "certificate", ID: hex.EncodeToString(r.Serial)},
		Public: map[string]string{"issuer": r.Issuer, "reason": strconv.Itoa(int(r.Reason))},
	}); err != nil {
		return err
	}
	return enqueueList(w, r, now)
}
