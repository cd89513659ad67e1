package ca

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"hufu/certs/bundle"
	"hufu/internal/actor"
)

// JobTrust is the kind of the durable job that follows a change of what is trusted or of our authorities: missing lists are
// built, and the bundle says it.
const JobTrust = "ca.trust"

// trustListID begins the name of our series (ownSeries), and trustListLife is from issuedAt to nextUpdate.
const (
	trustListID   = "hufu-trust"
	trustListLife = 30 * 24 * time.Hour
)

// TrustChange puts an entry into the list, in the place of the one of the same id, or removes one.
type TrustChange struct {
	Put    *bundle.TrustEntry `json:"put,omitempty"`
	Remove string             `json:"remove,omitempty"` // id
	Was    string             `json:"was"`              // digest of the entry when this was proposed; "": there was none
}

func (c TrustChange) id() string {
	if c.Put != nil {
		return c.Put.ID
	}
	return c.Remove
}

// trustContent is the content of a motion about the trust list.
type trustContent struct {
	Changes  []TrustChange `json:"changes"`
	Source   string        `json:"source,omitempty"`   // series of the foreign list
	Sequence uint64        `json:"sequence,omitempty"` // of the foreign list, or of our version that comes back
	Signer   []byte        `json:"signer,omitempty"`   // of the foreign list: SubjectPublicKeyInfo
	Pinned   *uint64       `json:"pinned,omitempty"`   // sequence that the series was pinned at before; nil: the series is new
	Left     []string      `json:"left,omitempty"`     // entries of the foreign list that are our own authorities
}

// TrustProposal is a motion about the trust list with its content read.
type TrustProposal struct {
	Motion
	Changes  []TrustChange
	Source   string
	Sequence uint64
	Signer   []byte   // of a foreign list: SubjectPublicKeyInfo
	New      bool     // the series was not known: publishing pins its signer
	Left     []string // entries of a foreign list that were left out, because they are our own authorities
}

// Fingerprint is the SM3 of a foreign list's signer, hexadecimal; "" where there is none.
func (p TrustProposal) Fingerprint() string {
	if len(p.Signer) == 0 {
		return ""
	}
	return hexSM3(p.Signer)
}

func (m Motion) trust() (TrustProposal, error) {
	var c trustContent
	if err := json.Unmarshal(m.Content, &c); err != nil {
		return TrustProposal{}, fmt.Errorf("motion %s: %w", m.ID, err)
	}
	return TrustProposal{m, c.Changes, c.Source, c.Sequence, c.Signer, c.Source != "" && c.Pinned == nil, c.Left}, nil
}

// TrustList returns a version of the list, 0 for the newest. Where none was ever published it is ErrUnknown.
func (a *Authority) TrustList(ctx context.Context, sequence uint64) (l StoredTrustList, list *bundle.TrustList, err error) {
	err = a.Store.View(ctx, func(r R) error {
		l, err = r.TrustList(sequence)
		return err
	})
	if err != nil {
		return l, nil, err
	}
	// It was verified when it was made, and whoever can write our store could also write the key's certificate.
	list, _, err = bundle.ParseTrustList(l.Data, bundle.Pin{})
	if err != nil {
		return l, nil, fmt.Errorf("trust list %d: %w", l.Sequence, err)
	}
	return l, list, nil
}

// TrustVersions lists the versions of the list, newest first, at most 100. They are public.
func (a *Authority) TrustVersions(ctx context.Context) (all []StoredTrustList, err error) {
	err = a.Store.View(ctx, func(r R) error {
		all, err = r.TrustLists(100)
		return err
	})
	return all, err
}

// current returns the list in force; an empty one when none was ever published. The store is asked each time, so that every
// node follows at once; the list itself is read when it is another than the last one.
func (a *Authority) current(ctx context.Context) (*bundle.TrustList, StoredTrustList, error) {
	var newest []StoredTrustList
	if err := a.Store.View(ctx, func(r R) (err error) {
		newest, err = r.TrustLists(1)
		return err
	}); err != nil {
		return nil, StoredTrustList{}, err
	}
	if len(newest) == 0 {
		return &bundle.TrustList{}, StoredTrustList{}, nil
	}
	a.seen.mu.Lock()
	list, kept := a.seen.trust, a.seen.kept
	a.seen.mu.Unlock()
	if list != nil && kept.Sequence == newest[0].Sequence && kept.Digest == newest[0].Digest {
		return list, kept, nil
	}
	kept, list, err := a.TrustList(ctx, newest[0].Sequence)
	if err != nil {
		return nil, kept, err
	}
	a.seen.mu.Lock()
	defer a.seen.mu.Unlock()
	a.seen.trust, a.seen.kept = list, kept
	return list, kept, nil
}

// ProposeTrust proposes changes of the list. A business administrator proposes; another one decides.
func (a *Authority) ProposeTrust(ctx context.Context, by actor.Actor, changes []TrustChange, reason string) (TrustProposal, error) {
	return a.proposeTrust(ctx, by, trustContent{Changes: changes}, reason)
}

func (a *Authority) proposeTrust(ctx context.Context, by actor.Actor, c trustContent, reason string) (TrustProposal, error) {
	if err := by.Require(actor.RoleBusinessAdmin); err != nil {
		return TrustProposal{}, err
	}
	if strings.TrimSpace(reason) == "" {
		return TrustProposal{}, ErrMotionReason
	}
	now, _, err := a.current(ctx)
	if err != nil {
		return TrustProposal{}, err
	}
	if c.Changes, err = measured(now, c.Changes); err != nil {
		return TrustProposal{}, err
	}
	for _, change := range c.Changes {
		if change.Put != nil && a.ownEntry(*change.Put) {
			return TrustProposal{}, ErrTrustOwn.With("entry %q", change.Put.ID)
		}
	}
	var ids []string
	for _, change := range c.Changes {
		ids = append(ids, change.id())
	}
	m, err := a.newMotion(by, MotionTrust, ids[0], reason, c)
	if err != nil {
		return TrustProposal{}, err
	}
	if err := a.add(ctx, by, m, map[string]string{"entries": strings.Join(ids, " "), "content_sm3": hexSM3(m.Content)}); err != nil {
		return TrustProposal{}, err
	}
	return m.trust()
}

// measured checks changes, writes down what each entry is now, and leaves out what changes nothing.
func measured(now *bundle.TrustList, changes []TrustChange) (out []TrustChange, err error) {
	seen := map[string]bool{}
	for _, c := range changes {
		if (c.Put == nil) == (c.Remove == "") || seen[c.id()] {
			return nil, ErrTrustEntry.With("a change puts an entry or removes one, each entry once: %q", c.id())
		}
		seen[c.id()] = true
		if c.Was, err = digestOf(now, c.id()); err != nil {
			return nil, err
		}
		if c.Put == nil && c.Was == "" {
			return nil, ErrTrustNoEntry.With("entry %q is to be removed", c.Remove)
		}
		if c.Put != nil {
			if err := c.Put.Check(); err != nil {
				return nil, ErrTrustEntry.With("%w", err)
			}
			next, err := c.Put.Digest()
			if err != nil {
				return nil, err
			}
			if next == c.Was {
				continue
			}
		}
		out = append(out, c)
	}
	if len(out) == 0 {
		return nil, ErrTrustSame
	}
	_, err = applied(now, out)
	return out, err
}

// digestOf is the digest of an entry, "" when it is not there.
func digestOf(l *bundle.TrustList, id string) (string, error) {
	e, ok := l.Entry(id)
	if !ok {
		return "", nil
	}
	return e.Digest()
}

// applied returns the entries after changes; ErrTrustChanged when an entry is not what it was when they were proposed.
func applied(now *bundle.TrustList, changes []TrustChange) ([]bundle.TrustEntry, error) {
	entries := slices.Clone(now.Entries)
	for _, c := range changes {
		is, err := digestOf(now, c.id())
		if err != nil {
			return nil, err
		}
		if is != c.Was {
			return nil, ErrTrustChanged.With("entry %q", c.id())
		}
		entries = slices.DeleteFunc(entries, func(e bundle.TrustEntry) bool { return e.ID == c.id() })
		if c.Put != nil {
			entries = append(entries, *c.Put)
		}
	}
	owner := map[string]string{}
	for _, e := range entries {
		for _, cert := range e.Certificates {
			if other, twice := owner[string(cert.DER)]; twice {
				return nil, ErrTrustEntry.With("a certificate of entry %q stands in entry %q", e.ID, other)
			}
			owner[string(cert.DER)] = e.ID
		}
	}
	return entries, nil
}

// TrustProposals lists motions about the trust list, newest first; state "" for all.
func (a *Authority) TrustProposals(ctx context.Context, by actor.Actor, state MotionState) (out []TrustProposal, err error) {
	all, err := a.motions(ctx, by, MotionTrust, state)
	for _, m := range all {
		p, err := m.trust()
		if err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, err
}

// DecideTrust approves or rejects changes of the list. The checker is a business administrator and not the maker.
func (a *Authority) DecideTrust(ctx context.Context, by actor.Actor, id string, approve bool, reason string) (TrustProposal, error) {
	if err := by.Require(actor.RoleBusinessAdmin); err != nil {
		return TrustProposal{}, err
	}
	m, err := a.motion(ctx, MotionTrust, id)
	if err != nil {
		return TrustProposal{}, err
	}
	if m.State != MotionProposed {
		return TrustProposal{}, ErrMotion.With("motion %s is %s", id, m.State)
	}
	if err := m.checked(by); err != nil {
		return TrustProposal{}, err
	}
	m.State, m.Checkers = MotionApproved, append(m.Checkers, by.Subject)
	act := "approve"
	if !approve {
		if strings.TrimSpace(reason) == "" || len([]rune(reason)) > maxReason {
			return TrustProposal{}, ErrMotionReason
		}
		m.State, m.Reason, act = MotionRejected, m.Reason+"\n"+strings.TrimSpace(reason), "reject"
	}
	err = a.Store.Update(ctx, func(w W) error { return a.change(w, by, m, act, map[string]string{"content_sm3": hexSM3(m.Content)}) })
	if err != nil {
		return TrustProposal{}, err
	}
	m.Revision++
	return m.trust()
}
