package ca

import (
	"context"
	"slices"
	"sync"
)

// flow is what all issuances under way have in common: how many they are, the two commits that they share, and which
// applications they serve.
type flow struct {
	places chan struct{}
	first  *group // commit 1: what will be signed
	second *group // commit 2: what was signed

	mu    sync.Mutex
	under map[string]chan struct{} // applications being issued here; closed when that is over
}

// defaultIssuing is how many issuances may be under way at once.
const defaultIssuing = 256

func newFlow(s Store, places int) *flow {
	return &flow{places: make(chan struct{}, places), first: newGroup(s), second: newGroup(s), under: map[string]chan struct{}{}}
}

// passage is one issuance in the flow.
type passage struct {
	*flow
	next *group // where it is expected; nil once it has come there
}

// enter takes a place, or refuses at once: a device or database that is slow must not gather all requests before it.
func (f *flow) enter() (*passage, error) {
	select {
	case f.places <- struct{}{}:
	default:
		return nil, ErrCrowded.With("%d issuances under way", cap(f.places))
	}
	f.first.expect(1)
	return &passage{f, f.first}, nil
}

func (p *passage) leave() {
	if p.next != nil {
		p.next.expect(-1)
	}
	<-p.places
}

// reserve makes commit 1. Whoever gives up before it has begun leaves nothing behind.
func (p *passage) reserve(ctx context.Context, f piece) error {
	p.next = nil
	if err := p.first.do(ctx, false, f); err != nil {
		return err
	}
	p.next = p.second
	p.second.expect(1)
	return nil
}

// finish makes commit 2, also when the caller gives up: what was signed is to be kept.
func (p *passage) finish(ctx context.Context, f piece) error {
	p.next = nil
	return p.second.do(ctx, true, f)
}

// claim makes the caller the only one here who issues for an application; if another does, it waits until that is over and
// returns false.
func (f *flow) claim(ctx context.Context, application string) (bool, error) {
	f.mu.Lock()
	other := f.under[application]
	if other == nil {
		f.under[application] = make(chan struct{})
	}
	f.mu.Unlock()
	if other == nil {
		return true, nil
	}
	select {
	case <-other:
		return false, nil
	case <-ctx.Done():
		return false, ctx.Err()
	}
}

func (f *flow) release(application string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	close(f.under[application])
	delete(f.under, application)
}

// begun tells whether commit 1 of an issuance took place.
func (i *issuance) begun(r R) (bool, error) {
	_, err := r.Reservation(i.ready[0].serial)
	if isUnknown(err) {
		return false, nil
	}
	return err == nil, err
}

// stored tells whether an application is stored as issued with these certificates.
func (app Application) stored(r R) (bool, error) {
	now, err := r.Application(app.ID)
	if isUnknown(err) {
		return false, nil
	}
	return err == nil && slices.Equal(now.Certificates, app.Certificates), err
}
