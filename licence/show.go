package licence

import (
	"context"
	"slices"
	"time"
	"unicode/utf8"

	"hufu/internal/actor"
	"hufu/licence/card"
)

// Showing says what a holder shows, to whom and how long.
type Showing struct {
	Fields   []string      // names; empty: those that the type names
	Audience string        // who it is shown to, at most 60 characters; empty: anyone
	Life     time.Duration // at most 24 hours; 0: ten minutes
}

// Show (亮证) makes a QR text of a licence in force, signed for checking without a network. Only the holder may, and it is
// recorded.
func (s *Service) Show(ctx context.Context, by actor.Actor, id string, w Showing) (string, error) {
	l, err := s.Get(ctx, by, id)
	if err != nil {
		return "", err
	}
	if !holds(by, &l) {
		return "", ErrNotHolder.With("%s with licence %s", by, id)
	}
	if l.State != Active {
		return "", ErrState.With("licence %s is %s", id, l.State)
	}
	if s.QR == nil {
		return "", ErrShow.With("no signer of QR texts is configured")
	}
	shown, err := s.shown(&l, w)
	if err != nil {
		return "", err
	}
	cert, key, err := s.QR.QRSigner(ctx)
	if err != nil {
		return "", err
	}
	text, err := card.MakeQR(shown, cert, key)
	if err != nil {
		return "", err
	}
	err = s.Store.Update(ctx, func(tx W) error {
		e := s.entry(by, "licence.show", &l, nil)
		if w.Audience != "" {
			e = about(e, &l, map[string]string{"audience": w.Audience})
		}
		return tx.Record(e)
	})
	if err != nil {
		return "", err
	}
	return text, nil
}

func (s *Service) shown(l *Licence, w Showing) (card.Shown, error) {
	if w.Life == 0 {
		w.Life = 10 * time.Minute
	}
	if t := s.Catalogue[l.Type]; len(w.Fields) == 0 && t != nil {
		w.Fields = t.Show
	}
	now := s.Now().UTC().Truncate(time.Second)
	out := card.Shown{Identifier: l.ID, Title: l.Title, Issued: now, Expires: now.Add(w.Life.Truncate(time.Second)), Audience: w.Audience}
	if w.Life < time.Second || w.Life > 24*time.Hour || len(w.Fields) == 0 || utf8.RuneCountInString(w.Audience) > 60 || !utf8.ValidString(w.Audience) {
		return out, ErrShow.With("%d fields for %s", len(w.Fields), w.Life)
	}
	for _, name := range w.Fields {
		i := slices.IndexFunc(l.Data.Fields, func(f card.Field) bool { return f.Name == name })
		if i < 0 {
			return out, ErrShow.With("no field %q", name)
		}
		f := l.Data.Fields[i]
		out.Fields = append(out.Fields, card.ShownField{Label: f.Label, Value: f.Printed()})
	}
	return out, nil
}
