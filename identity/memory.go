package identity

import (
	"context"
	"sync"
	"time"
)

// memory is what one request has looked up: log-in, session and domain each ask who the same person is, within
// milliseconds.
type memory struct {
	mu      sync.Mutex
	holders map[string]remembered
}

type remembered struct {
	Holder
	at time.Time
}

// memoryLife bounds how old an answer from memory may be, which may rest on what was read ahead shortly before (store.Ahead).
const memoryLife = time.Second / 2

type memoryKey struct{}

// Remember returns a context for one request, under which the same question about the same holder is put to the database
// once: asked again within half a second, Holder and Standing answer as before. A change made under the context is seen at
// once; one made elsewhere by the next request.
func Remember(ctx context.Context) context.Context {
	return context.WithValue(ctx, memoryKey{}, &memory{holders: map[string]remembered{}})
}

func memoryOf(ctx context.Context) *memory {
	m, _ := ctx.Value(memoryKey{}).(*memory)
	return m
}

func (m *memory) holder(id string, now time.Time) (Holder, bool) {
	if m == nil {
		return Holder{}, false
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	seen, ok := m.holders[id]
	age := now.Sub(seen.at)
	return seen.Holder, ok && age >= 0 && age < memoryLife
}

func (m *memory) keep(h Holder, now time.Time) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.holders[h.ID] = remembered{h, now}
}

func (m *memory) forget() {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	clear(m.holders)
}

// forgetful is a store that ends the memory of a request that changes something.
type forgetful struct{ Store }

func (s forgetful) Update(ctx context.Context, f func(W) error) error {
	defer memoryOf(ctx).forget()
	return s.Store.Update(ctx, f)
}
