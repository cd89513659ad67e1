package licence

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
	"unicode/utf8"

	"hufu/internal/actor"
	"hufu/internal/gm"
	"hufu/licence/card"
	"hufu/seal"
	"hufu/seal/ofd"
)

// Order asks for a licence. The issuer is the organisation that the actor acts for.
type Order struct {
	Type   string            // code
	Holder string            // subject id
	Data   map[string]string // by name of field
	Seal   string            // code; empty: the first active seal of the organisation
	Key    string            // idempotency key, at most 64 characters; "" = none
	// Consent is the will of the seal's owner; left empty, a standing activation for the type must cover the stamp.
	Consent seal.Consent
}

// Changes are the next version of a licence.
type Changes struct {
	Data    map[string]string
	Key     string // as in Order
	Consent seal.Consent
}

// JobProof is the kind of the durable job that fetches the log's proof for a licence: key its identifier, payload the id
// of the audit entry. Whoever handles it calls AttachProof.
const JobProof = "licence.proof"

// reserved is a prepared licence whose identifier and digest are stored. Only reserve makes one; it is sealed once.
type reserved struct{ *prepared }

// sealed is a licence that the issuer's seal was put on. Only stamp makes one.
type sealed struct {
	reserved
	document []byte
	stamp    Stamp
}

// Draft shows what Issue would make, as SVG without a seal; nothing is stored.
func (s *Service) Draft(ctx context.Context, by actor.Actor, o Order) ([]byte, error) {
	p, err := s.prepare(ctx, by, o, "", nil)
	if err != nil {
		return nil, err
	}
	return Preview(p.document)
}

// Issue makes a licence and returns it with its sealed document stored. The same key and order give the same licence.
func (s *Service) Issue(ctx context.Context, by actor.Actor, o Order) (Licence, error) {
	return s.issue(ctx, by, o, nil)
}

// Change makes the next version of an active licence, one that ran out included, with other data; at the same moment the
// version before is superseded.
func (s *Service) Change(ctx context.Context, by actor.Actor, id string, c Changes) (Licence, error) {
	old, err := s.licence(ctx, id)
	if err != nil {
		return Licence{}, err
	}
	if !issues(by, &old) {
		return Licence{}, ErrUnknown.With("%s may not change licence %s", by, id)
	}
	return s.issue(ctx, by, Order{Type: old.Type, Holder: old.Holder, Data: c.Data, Key: c.Key, Consent: c.Consent}, &old)
}

func (s *Service) issue(ctx context.Context, by actor.Actor, o Order, old *Licence) (Licence, error) {
	if err := inOffice(by); err != nil {
		return Licence{}, err
	}
	if before, found, err := s.before(ctx, by, o, old); found || err != nil {
		return before, err
	}
	if old != nil && old.State != Active { // a suspended one is resumed first: a change must not lift a suspension
		return Licence{}, ErrState.With("licence %s is %s", old.ID, old.State)
	}
	held, err := s.reserve(ctx, by, o, old)
	if err != nil {
		return Licence{}, err
	}
	done, err := s.stamp(ctx, by, held, o.Consent)
	if err == nil {
		err = s.finish(ctx, by, done)
	}
	if err != nil {
		return Licence{}, errors.Join(fmt.Errorf("issue licence %s: %w", held.licence.ID, err), s.void(ctx, by, &held.licence))
	}
	return s.licence(ctx, held.licence.ID)
}

// before finds what was made under the same key.
func (s *Service) before(ctx context.Context, by actor.Actor, o Order, old *Licence) (l Licence, found bool, err error) {
	if o.Key == "" {
		return l, false, nil
	}
	if utf8.RuneCountInString(o.Key) > 64 {
		return l, false, ErrKey.With("a key of %d octets", len(o.Key))
	}
	err = s.Store.View(ctx, func(r R) error {
		l, err = r.ByKey(by.String(), o.Key)
		return err
	})
	if errors.Is(err, ErrUnknown) {
		return Licence{}, false, nil
	}
	switch {
	case err != nil:
		return Licence{}, false, err
	case !s.same(&l, by, o, old):
		return Licence{}, false, ErrKey.With("key %q of %s belongs to licence %s", o.Key, by, l.ID)
	case l.State == Drafted:
		return Licence{}, false, ErrBusy.With("licence %s is drafted", l.ID)
	}
	return l, true, nil
}

// same tells whether a licence was ordered by an equal order.
func (s *Service) same(l *Licence, by actor.Actor, o Order, old *Licence) bool {
	if l.Type != o.Type || l.Holder != o.Holder || l.Issuer != by.For || o.Seal != "" && o.Seal != l.Seal {
		return false
	}
	if old == nil && l.Replaces != "" || old != nil && l.Replaces != old.ID {
		return false
	}
	t := s.Catalogue[l.Type]
	return t != nil && !slices.ContainsFunc(l.Data.Fields, func(f card.Field) bool {
		of, ok := t.Field(f.Name)
		return ok && of.Source == FromData && f.Value != o.Data[f.Name]
	})
}

// tries bounds how often an identifier is drawn anew because another order took it.
const tries = 5

// reserve prepares the licence and stores the intent (commit 1).
func (s *Service) reserve(ctx context.Context, by actor.Actor, o Order, old *Licence) (reserved, error) {
	for range tries {
		replaces, base, err := s.next(ctx, old)
		if err != nil {
			return reserved{}, err
		}
		p, err := s.prepare(ctx, by, o, replaces, base)
		if err != nil {
			return reserved{}, err
		}
		free := false
		err = s.Store.Update(ctx, func(w W) error {
			if free, err = w.AddDraft(p.licence); err != nil || !free {
				return err
			}
			return w.Record(s.entry(by, "licence.draft", &p.licence, map[string]string{
				"type": p.licence.Type, "draft_sm3": hex.EncodeToString(p.licence.Draft), "replaces": p.licence.Replaces,
			}))
		})
		if err != nil {
			return reserved{}, fmt.Errorf("reserve licence: %w", err)
		}
		if free {
			return reserved{p}, nil
		}
	}
	return reserved{}, ErrBusy.With("%d identifiers of type %s were taken", tries, o.Type)
}

// next is the identifier of the version after old; nothing when there is no old.
func (s *Service) next(ctx context.Context, old *Licence) (replaces string, id *card.Identifier, err error) {
	if old == nil {
		return "", nil, nil
	}
	base, err := card.ParseIdentifier(old.ID)
	if err != nil {
		return "", nil, err
	}
	err = s.Store.View(ctx, func(r R) error {
		last, err := r.LastVersion(Series(old.ID))
		base.Version = last + 1
		return err
	})
	return old.ID, &base, err
}

// stamp has the document sealed. The seal service checks afresh that the actor may use the seal, and that its owner consents.
func (s *Service) stamp(ctx context.Context, by actor.Actor, r reserved, c seal.Consent) (sealed, error) {
	out, err := s.Seals.Stamp(ctx, by, seal.Order{
		Seal: r.licence.Seal, Document: r.document, Stamps: []ofd.Stamp{{Page: 1, Boundary: r.place}}, Purpose: "签发证照 " + r.licence.ID,
		Kind: seal.KindLicence(r.licence.Type), Consent: c,
	})
	if err != nil {
		return sealed{}, err
	}
	digest := gm.SM3(out.Document)
	return sealed{r, out.Document, Stamp{Use: out.Use, Entry: out.Entry, Path: out.Proof, Digest: digest[:]}}, nil
}

// finish stores a sealed licence as active, with its record and what follows (commit 2).
func (s *Service) finish(ctx context.Context, by actor.Actor, d sealed) error {
	l, now := &d.licence, s.Now().UTC()
	return s.Store.Update(ctx, func(w W) error {
		done, err := w.Finish(l.ID, d.stamp, d.document, now)
		if err == nil && !done {
			err = ErrState.With("draft of licence %s was voided meanwhile", l.ID)
		}
		if err != nil {
			return err
		}
		public := map[string]string{
			"type": l.Type, "document_sm3": hex.EncodeToString(d.stamp.Digest), "seal": l.Seal, "seal_use": d.stamp.Use, "replaces": l.Replaces,
		}
		if l.Replaces != "" {
			if done, err = w.Supersede(l.Replaces, l.ID, now); err == nil && !done {
				err = ErrState.With("licence %s ended meanwhile", l.Replaces)
			}
			if err != nil {
				return err
			}
		}
		maps.DeleteFunc(public, func(_, v string) bool { return v == "" })
		if err := w.Record(about(s.entry(by, "licence.issue", l, public), l, map[string]string{"holder": l.HolderName})); err != nil {
			return err
		}
		return w.Enqueue(JobProof, l.ID, []byte(d.stamp.Entry), now)
	})
}

// void gives a draft up, if it still is one.
func (s *Service) void(ctx context.Context, by actor.Actor, l *Licence) error {
	return s.Store.Update(context.WithoutCancel(ctx), func(w W) error {
		done, err := w.Move(l.ID, Void, "", s.Now().UTC(), Drafted)
		if err != nil || !done {
			return err
		}
		return w.Record(s.entry(by, "licence.void", l, nil))
	})
}

// draftLife is how long issuing may take before Recover counts the draft as dead.
const draftLife = 10 * time.Minute

// Recover voids drafts that a crash left: if they were sealed at all, the document never went out, and its identifier is
// told as withdrawn. At the start (all = true) it takes every one. It returns how many it voided.
func (s *Service) Recover(ctx context.Context, all bool) (voided int, err error) {
	before := s.Now().Add(-draftLife)
	if all {
		before = s.Now().Add(time.Second)
	}
	for {
		var stale []Licence
		if err := s.Store.View(ctx, func(r R) (err error) {
			stale, err = r.Drafts(before, 100)
			return err
		}); err != nil {
			return voided, fmt.Errorf("find unfinished licences: %w", err)
		}
		for i := range stale {
			if err := s.void(ctx, actor.ForSystem("recover-licences"), &stale[i]); err != nil {
				return voided, fmt.Errorf("void licence %s: %w", stale[i].ID, err)
			}
			voided++
		}
		if len(stale) < 100 {
			return voided, nil
		}
	}
}
