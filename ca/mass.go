package ca

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"hufu/certs"
	"hufu/internal/actor"
	"hufu/internal/fault"
	"hufu/internal/limit"
)

// The refusals of mass revocations.
var (
	ErrSecondOfficer = fault.New(fault.Denied, "ca.second-officer",
		"This is more than one officer may revoke and suspend alone within an hour. Let another officer go on, or propose it as a mass revocation, which another one decides.",
		"超出单个人员一小时内可独自吊销和挂起的数量。请由另一名人员继续办理，或提出批量吊销，由另一名人员审核。")
	ErrMass = fault.New(fault.Invalid, "ca.mass",
		"A mass revocation names 1 to 1000 certificates, or as many keys, that are in force here. Divide it, or correct the list.", "批量吊销须指明 1 至 1000 张有效证书或密钥。请拆分或更正清单。")
	ErrMassOld = fault.New(fault.Conflict, "ca.mass-old",
		"This proposal is older than seven days. Propose it anew, so that it is looked at as things are now.", "该提议已超过七天。请按现状重新提出。")
)

const (
	defaultAlone = 100                // certificates an hour
	massLife     = 7 * 24 * time.Hour // of a proposal
	maxMass      = 1000               // certificates or keys in one
)

// bounds fills in what bounds callers.
func (c *Config) bounds() {
	if c.Issuing <= 0 {
		c.Issuing = defaultIssuing
	}
	if c.Alone == 0 {
		c.Alone = defaultAlone
	}
	if c.RemoteIP == nil {
		c.RemoteIP = limit.PeerIP
	}
}

// Mass asks for many certificates to be revoked: those named, or those of keys, which are blocked too.
type Mass struct {
	Serials  [][]byte     `json:"serials,omitempty"`
	Reason   certs.Reason `json:"reason,omitempty"`
	Invalid  time.Time    `json:"invalid,omitzero"`
	Pair     bool         `json:"pair,omitempty"`
	Obtained bool         `json:"obtained,omitempty"` // see Ending
	Keys     []KeyName    `json:"keys,omitempty"`     // revoked for key compromise
	Listed   bool         `json:"listed,omitempty"`   // see Blocking
	Note     string       `json:"note,omitempty"`
}

// MassProposal is a motion about a mass revocation with its content read.
type MassProposal struct {
	Motion
	Mass
	Count int // certificates that it would have revoked when it was proposed
}

type massContent struct {
	Mass
	Count int `json:"count"`
}

func (m Motion) mass() (MassProposal, error) {
	var c massContent
	if err := json.Unmarshal(m.Content, &c); err != nil {
		return MassProposal{}, fmt.Errorf("motion %s: %w", m.ID, err)
	}
	return MassProposal{m, c.Mass, c.Count}, nil
}

// takeAlone takes n acts from what the actor may do within an hour without another one, as an officer in one of the roles or as a
// registration client. It is counted in the transaction that does them, for all nodes. Holders who end what is theirs, and the
// system, have no bound.
func (a *Authority) takeAlone(w W, by actor.Actor, n int, officers []actor.Role) error {
	if a.Alone < 0 || n == 0 || by.Capacity == actor.System || by.Require(officers...) != nil {
		return nil
	}
	if n <= a.Alone {
		cost := time.Duration(float64(n) / float64(a.Alone) * float64(time.Hour))
		if taken, err := w.TakeAlone(by.Subject, a.Now(), cost, time.Hour); err != nil || taken {
			return err
		}
	}
	return ErrSecondOfficer.With("%s, %d certificates, %d an hour", by, n, a.Alone)
}

// tried ends a dry run: it is given up, and second tells whether another officer would be needed.
func tried(refused error) (second bool, err error) {
	if second = errors.Is(refused, ErrSecondOfficer); second || refused == nil {
		return second, errDry
	}
	return false, refused
}

// ProposeMass proposes a mass revocation, for which two officers are needed. Nothing is revoked before DecideMass.
func (a *Authority) ProposeMass(ctx context.Context, by actor.Actor, mass Mass, reason string) (MassProposal, error) {
	if err := by.Require(enders...); err != nil {
		return MassProposal{}, err
	}
	if strings.TrimSpace(reason) == "" {
		return MassProposal{}, ErrMotionReason
	}
	if (len(mass.Serials) == 0) == (len(mass.Keys) == 0) || len(mass.Serials) > maxMass || len(mass.Keys) > maxMass || len(mass.Note) > 600 {
		return MassProposal{}, ErrMass.With("%d certificates, %d keys", len(mass.Serials), len(mass.Keys))
	}
	if err := mass.check(a.Now()); err != nil {
		return MassProposal{}, err
	}
	if err := a.standing(ctx, by); err != nil {
		return MassProposal{}, err
	}
	var ended Ended
	err := a.Store.Update(ctx, func(w W) (err error) {
		if ended, err = a.runMass(w, by, mass); err == nil {
			err = errDry
		}
		return err
	})
	if !isDry(err) {
		return MassProposal{}, err
	}
	if len(ended.Revoked) == 0 {
		return MassProposal{}, ErrMass.With("none of them is in force")
	}
	count := len(ended.Revoked)
	m, err := a.newMotion(by, MotionMass, strconv.Itoa(count), reason, massContent{mass, count})
	if err != nil {
		return MassProposal{}, err
	}
	if err := a.add(ctx, by, m, map[string]string{"certificates": strconv.Itoa(count), "content_sm3": hexSM3(m.Content)}); err != nil {
		return MassProposal{}, err
	}
	return m.mass()
}

// check refuses what could not be revoked for that reason, of any certificate.
func (m Mass) check(now time.Time) error {
	if len(m.Keys) > 0 {
		return nil
	}
	return Ending{Reason: m.Reason, Invalid: m.Invalid, Obtained: m.Obtained}.check(now)
}

// runMass revokes in the caller's transaction. What is revoked or has ended already is passed over.
func (a *Authority) runMass(w W, by actor.Actor, m Mass) (out Ended, err error) {
	if len(m.Keys) > 0 {
		b := Blocking{Keys: m.Keys, Listed: m.Listed, Note: m.Note, Revoke: true}
		names, err := b.names(by, a.Now().UTC())
		if err != nil {
			return out, err
		}
		_, out, err = a.blockAll(w, by, b, names)
		return out, err
	}
	for _, serial := range m.Serials {
		if out.has(serial) {
			continue
		}
		e := Ending{Serial: serial, Reason: m.Reason, Invalid: m.Invalid, Pair: m.Pair, Obtained: m.Obtained}
		if err := a.end(w, by, e, &out); err != nil && !errors.Is(err, ErrRevoked) && !errors.Is(err, ErrEnded) {
			return Ended{}, fmt.Errorf("certificate %x: %w", serial, err)
		}
	}
	return out, nil
}

// MassProposals lists mass revocations to officers, newest first, at most 100; state "" for all.
func (a *Authority) MassProposals(ctx context.Context, by actor.Actor, state MotionState) (out []MassProposal, err error) {
	if err := by.Require(actor.RoleApprover, actor.RoleBusinessAdmin, actor.RoleAuditAdmin); err != nil {
		return nil, err
	}
	var all []Motion
	err = a.Store.View(ctx, func(r R) error {
		all, err = r.Motions(MotionMass, state, "", 100)
		return err
	})
	for _, m := range all {
		p, err := m.mass()
		if err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, err
}

// DecideMass approves a mass revocation, which carries it out at once, or rejects it. The checker may revoke, and is not the maker.
func (a *Authority) DecideMass(ctx context.Context, by actor.Actor, id string, approve bool, reason string) (MassProposal, Ended, error) {
	if err := by.Require(enders...); err != nil {
		return MassProposal{}, Ended{}, err
	}
	if err := a.standing(ctx, by); err != nil {
		return MassProposal{}, Ended{}, err
	}
	m, err := a.motion(ctx, MotionMass, id)
	if err != nil {
		return MassProposal{}, Ended{}, err
	}
	if m.State != MotionProposed {
		return MassProposal{}, Ended{}, ErrMotion.With("motion %s is %s", id, m.State)
	}
	if err := m.checked(by); err != nil {
		return MassProposal{}, Ended{}, err
	}
	m.State, m.Checkers = MotionInForce, append(m.Checkers, by.Subject)
	if !approve {
		if strings.TrimSpace(reason) == "" || len([]rune(reason)) > maxReason {
			return MassProposal{}, Ended{}, ErrMotionReason
		}
		m.State, m.Reason = MotionRejected, m.Reason+"\n"+strings.TrimSpace(reason)
	} else if a.Now().After(m.At.Add(massLife)) {
		return MassProposal{}, Ended{}, ErrMassOld.With("motion %s of %s", id, m.At.Format(time.RFC3339))
	}
	p, err := m.mass()
	if err != nil {
		return MassProposal{}, Ended{}, err
	}
	out, err := a.settleMass(ctx, by, p)
	if err != nil {
		return MassProposal{}, Ended{}, err
	}
	p.Revision++
	return p, out, nil
}

func (a *Authority) settleMass(ctx context.Context, by actor.Actor, p MassProposal) (out Ended, err error) {
	err = a.Store.Update(ctx, func(w W) error {
		out = Ended{}
		act, public := "reject", map[string]string{"content_sm3": hexSM3(p.Content)}
		if p.State == MotionInForce {
			if out, err = a.runMass(w, by, p.Mass); err != nil {
				return err
			}
			act, public["certificates"] = "approve", strconv.Itoa(len(out.Revoked))
		}
		return a.change(w, by, p.Motion, act, public)
	})
	if err == nil {
		a.statusesChanged(out)
	}
	return out, err
}
