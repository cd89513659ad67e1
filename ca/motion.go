package ca

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"hufu/audit"
	"hufu/internal/actor"
	"hufu/internal/fault"
	"hufu/internal/gm"
)

// The refusals of motions.
var (
	ErrMotion = fault.New(fault.Conflict, "ca.motion",
		"This was decided or changed meanwhile. Look at it again.", "该事项已被处理或已变更，请刷新后查看。")
	ErrMotionReason = fault.New(fault.Invalid, "ca.motion-reason",
		"Give a reason of at most 500 characters; it is kept.", "请填写理由（不超过 500 字），理由将被保留。")
)

const maxReason = 500

// newMotion makes what an administrator proposes.
func (a *Authority) newMotion(by actor.Actor, kind MotionKind, subject, reason string, content any) (Motion, error) {
	text, err := json.Marshal(content)
	if err != nil {
		return Motion{}, fmt.Errorf("motion about %q: %w", subject, err)
	}
	reason = strings.TrimSpace(reason)
	if len([]rune(reason)) > maxReason {
		return Motion{}, ErrMotionReason.With("%d octets", len(reason))
	}
	now := a.Now().UTC()
	return Motion{
		ID: rand.Text(), Kind: kind, Subject: subject, State: MotionProposed, Revision: 1, Maker: by.Subject, Reason: reason, Content: text, At: now, Changed: now,
	}, nil
}

// motion returns one of a kind.
func (a *Authority) motion(ctx context.Context, kind MotionKind, id string) (m Motion, err error) {
	err = a.Store.View(ctx, func(r R) error {
		m, err = r.Motion(id)
		return err
	})
	if err == nil && m.Kind != kind {
		err = ErrUnknown.With("motion %s is about %s, not %s", id, m.Kind, kind)
	}
	return m, err
}

// motions lists those of a kind to administrators.
func (a *Authority) motions(ctx context.Context, by actor.Actor, kind MotionKind, state MotionState) (all []Motion, err error) {
	if err := by.Require(actor.RoleBusinessAdmin, actor.RoleSuperAdmin, actor.RoleAuditAdmin); err != nil {
		return nil, err
	}
	err = a.Store.View(ctx, func(r R) error {
		all, err = r.Motions(kind, state, "", 100)
		return err
	})
	return all, err
}

// checked refuses whoever made the motion or has agreed to it already.
func (m Motion) checked(by actor.Actor) error {
	if err := actor.Checker(actor.Actor{Subject: m.Maker}, by); err != nil {
		return err
	}
	if slices.Contains(m.Checkers, by.Subject) {
		return actor.ErrSameActor.With("%s has agreed already", by)
	}
	return nil
}

// add keeps a new motion with its record.
func (a *Authority) add(ctx context.Context, by actor.Actor, m Motion, public map[string]string) error {
	return a.Store.Update(ctx, func(w W) error {
		if err := w.AddMotion(m); err != nil {
			return err
		}
		return w.Record(m.entry(by, "propose", public))
	})
}

// change writes a motion in the caller's transaction; ErrMotion when another was faster.
func (a *Authority) change(w W, by actor.Actor, m Motion, act string, public map[string]string) error {
	m.Revision++
	m.Changed = a.Now().UTC()
	done, err := w.ChangeMotion(m)
	if err == nil && !done {
		err = ErrMotion.With("motion %s is not at revision %d any more", m.ID, m.Revision-1)
	}
	if err != nil {
		return err
	}
	return w.Record(m.entry(by, act, public))
}

func (m Motion) entry(by actor.Actor, act string, public map[string]string) audit.Entry {
	facts := map[string]string{}
	if m.Kind != MotionCross { // there it is a name in other people's words
		facts["about"] = m.Subject
	}
	for k, v := range public {
		facts[k] = v
	}
	return audit.Entry{At: m.Changed, Actor: by, Action: string(m.Kind) + "." + act, Object: audit.Object{Kind: string(m.Kind), ID: m.ID}, Public: facts}
}

// hexSM3 is how the record names content.
func hexSM3(content []byte) string {
	sum := gm.SM3(content)
	return hex.EncodeToString(sum[:])
}
