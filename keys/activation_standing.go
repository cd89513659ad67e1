package keys

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"hufu/internal/actor"
)

// Bounds of a standing activation.
type Bounds = struct {
	Kinds []string // of documents, each named in full
	Count int      // how many signatures
	Until time.Time
}

// What an owner may grant at most.
const (
	maxKinds     = 32
	maxCount     = 1_000_000
	maxStanding  = 92 * 24 * time.Hour
	maxLive      = 16  // standing activations of one key at once
	shownAtMost  = 200 // by Standings
	tidiedAtOnce = 200
)

// normal returns the bounds as they are stored, or refuses them.
func (m *Many) normal(b Bounds) (Bounds, error) {
	b.Until = b.Until.UTC().Truncate(time.Microsecond)
	b.Kinds = slices.Compact(slices.Sorted(slices.Values(b.Kinds)))
	now := m.keys.time()
	if b.Count < 1 || b.Count > maxCount || len(b.Kinds) < 1 || len(b.Kinds) > maxKinds || !b.Until.After(now) || b.Until.After(now.Add(maxStanding)) {
		return b, ErrBounds.With("%d kinds, %d uses, until %s", len(b.Kinds), b.Count, b.Until.Format(time.RFC3339))
	}
	for _, kind := range b.Kinds {
		if err := checkKind(kind); err != nil {
			return b, err
		}
	}
	return b, nil
}

// terms is how bounds stand in a statement that the owner signs.
func terms(b Bounds) string {
	return fmt.Sprintf("kinds: %s\ncount: %d\nuntil: %s\n", strings.Join(b.Kinds, " "), b.Count, b.Until.Format(time.RFC3339Nano))
}

// Stand makes a standing activation: within its bounds the key signs without its owner, until it is used up, withdrawn or over. c is
// the owner's word, in which Kind is not looked at; an owner with an SM2 pair answers a ChallengeStanding.
func (m *Many) Stand(ctx context.Context, by actor.Actor, id string, c Consent, b Bounds) (Standing, error) {
	b, err := m.normal(b)
	if err != nil {
		return Standing{}, err
	}
	w, o, err := m.owned(ctx, by, id)
	if err != nil {
		return Standing{}, err
	}
	key, challenge, err := m.given(ctx, by, w, o, c)
	if err != nil {
		return Standing{}, err
	}
	defer clear(key)
	if challenge != nil && (challenge.Kind != kindStanding || challenge.Terms != terms(b)) {
		return Standing{}, ErrChallenge.With("key %s: the owner consented to something else", id)
	}
	row := StandingRow{Master: m.master, Standing: Standing{
		ID: rand.Text(), Key: id, Kinds: b.Kinds, Count: b.Count, Until: b.Until, State: StandingActive, Made: m.keys.time(),
	}}
	if row.MasterVersion, row.Half, err = m.keys.wrap(ctx, m.master, key, row.aad()); err != nil {
		return Standing{}, err
	}
	asked := manySigner{id: id, held: cover{row: w, owner: o}}
	err = m.keys.store.Update(ctx, func(t W) error {
		if err := asked.unchanged(t); err != nil {
			return err
		}
		if live, err := t.Live(id, row.Made); err != nil || len(live) >= maxLive {
			return errors.Join(err, ErrBounds.With("key %s has %d standing activations", id, len(live)))
		}
		if challenge != nil {
			if err := answer(t, *challenge, row.Made); err != nil {
				return err
			}
		}
		if err := t.InsertStanding(row); err != nil {
			return err
		}
		return t.Record(m.entry(by, "activation.stand", id, map[string]string{
			"standing": row.ID, "method": o.Method, "kinds": strings.Join(b.Kinds, " "), "count": strconv.Itoa(b.Count), "until": b.Until.Format(time.RFC3339),
		}))
	})
	return row.Standing, err
}

// Standings returns the standing activations of a key, the newest first: all that are active, and the newest that ended.
func (m *Many) Standings(ctx context.Context, id string) (all []Standing, err error) {
	if _, err := m.get(ctx, id); err != nil {
		return nil, err
	}
	err = m.keys.store.View(ctx, func(r R) error {
		rows, err := r.Standings(id, shownAtMost)
		all = nil
		for _, s := range rows {
			all = append(all, s.Standing)
		}
		slices.SortStableFunc(all, func(a, b Standing) int { return b.Made.Compare(a.Made) })
		return err
	})
	return all, err
}

// Withdraw ends a standing activation at once, on every node, and erases what it opens the key with. One that has ended already is no error.
func (m *Many) Withdraw(ctx context.Context, by actor.Actor, standing string) error {
	if err := by.Known(); err != nil {
		return err
	}
	var key string
	defer func() { m.keys.covers.drop(key, standing) }()
	return m.keys.store.Update(ctx, func(w W) error {
		s, err := w.Standing(standing)
		if err != nil {
			return err
		}
		key = s.Key
		if key, err := w.Wrapped(s.Key); err != nil || key.Purpose != m.purpose {
			return errors.Join(err, ErrNoStanding.With("standing activation %s of another purpose", standing))
		}
		return s.end(w, m.keys, by, StandingWithdrawn)
	})
}

// end ends an active one and records it, so that a copy of the row that is brought back is refused.
func (s StandingRow) end(w W, k *Keys, by actor.Actor, state StandingState) error {
	at := k.time()
	ok, err := w.EndStanding(s.ID, state, at)
	if err != nil || !ok {
		return err
	}
	if again, err := w.Recorded(s.endID()); err != nil || again { // it was brought back, and has ended once more
		return err
	}
	key, err := w.Wrapped(s.Key)
	if err != nil {
		return err
	}
	e := ofWrapped(key, by, "activation."+state, at)
	e.ID, e.Public["standing"], e.Public["used"] = s.endID(), s.ID, strconv.Itoa(s.Used)
	return w.Record(e)
}

// endAll ends every live standing activation of a key.
func (m *Many) endAll(w W, by actor.Actor, id string) error {
	m.keys.covers.drop(id, "")
	live, err := w.Live(id, time.Time{})
	if err != nil {
		return err
	}
	for _, s := range live {
		if err := s.end(w, m.keys, by, StandingWithdrawn); err != nil {
			return err
		}
	}
	return nil
}

// Tidy erases what standing activations of every purpose held whose time is over, and forgets old challenges. Call it about each minute. A use is
// refused at its time whether or not Tidy ran.
func (m *Many) Tidy(ctx context.Context) error { return m.keys.Tidy(ctx) }

// Tidy is Many.Tidy.
func (k *Keys) Tidy(ctx context.Context) error {
	for {
		n := 0
		err := k.store.Update(ctx, func(w W) error {
			now := k.time()
			over, err := w.Overdue(now, tidiedAtOnce)
			if err != nil {
				return err
			}
			for _, s := range over {
				if err := s.end(w, k, system, StandingExpired); err != nil {
					return err
				}
			}
			dropped, err := w.DropChallenges(now.Add(-time.Hour), tidiedAtOnce)
			n = max(len(over), dropped)
			return err
		})
		if err != nil || n < tidiedAtOnce {
			return err
		}
	}
}
