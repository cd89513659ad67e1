package oidc

import (
	"context"
)

// flight is one request on its way through fosite: what was read, and the writes that wait for their commit. A flight
// that is held commits only when its owner says so, after everything is signed.
type flight struct {
	clients map[string]ClientRecord
	tokens  map[string]found
	writes  []func(W) error
	held    bool
}

type found struct {
	token  Token
	grant  Grant
	client ClientRecord
}

// token returns what was read of a token; of no flight, nothing.
func (f *flight) token(hash []byte) (found, bool) {
	if f == nil {
		return found{}, false
	}
	hit, ok := f.tokens[string(hash)]
	return hit, ok
}

func (f *flight) keep(hash []byte, hit found) {
	if f != nil {
		f.tokens[string(hash)], f.clients[hit.client.ID] = hit, hit.client
	}
}

type flightKey struct{}

// withFlight starts a flight; the returned context is passed to fosite.
func withFlight(ctx context.Context) (context.Context, *flight) {
	f := &flight{clients: map[string]ClientRecord{}, tokens: map[string]found{}}
	return context.WithValue(ctx, flightKey{}, f), f
}

func flightOf(ctx context.Context) *flight {
	f, _ := ctx.Value(flightKey{}).(*flight)
	return f
}

// write runs now, or joins the writes of the flight that is under way.
func (s *storage) write(ctx context.Context, w func(W) error) error {
	if f := flightOf(ctx); f != nil && f.writes != nil {
		f.writes = append(f.writes, w)
		return nil
	}
	return s.p.store.Update(ctx, w)
}

// commit runs the writes of a held flight in one transaction.
func (p *Provider) commit(ctx context.Context, f *flight) error {
	writes := f.writes
	f.writes, f.held = nil, false
	return p.store.Update(ctx, func(w W) error {
		for _, write := range writes {
			if err := write(w); err != nil {
				return err
			}
		}
		return nil
	})
}

// BeginTX begins to collect writes.
func (s *storage) BeginTX(ctx context.Context) (context.Context, error) {
	f := flightOf(ctx)
	if f == nil {
		ctx, f = withFlight(ctx)
	}
	if f.writes == nil {
		f.writes = []func(W) error{}
	}
	return ctx, nil
}

// Commit stores what was collected, unless the flight is held.
func (s *storage) Commit(ctx context.Context) error {
	if f := flightOf(ctx); f != nil && !f.held {
		return s.p.commit(ctx, f)
	}
	return nil
}

// Rollback drops what was collected.
func (s *storage) Rollback(ctx context.Context) error {
	if f := flightOf(ctx); f != nil {
		f.writes = nil
	}
	return nil
}

// client returns an enabled client, once from the store for each flight.
func (p *Provider) client(ctx context.Context, id string) (ClientRecord, error) {
	f := flightOf(ctx)
	if f != nil {
		if c, ok := f.clients[id]; ok {
			return c, nil
		}
	}
	var c ClientRecord
	err := p.store.View(ctx, func(r R) (err error) {
		c, err = r.Client(id)
		return err
	})
	if err == nil && c.Disabled {
		err = ErrNotFound.With("client %q is disabled", id)
	}
	if err != nil {
		return ClientRecord{}, err
	}
	if f != nil {
		f.clients[id] = c
	}
	return c, nil
}
