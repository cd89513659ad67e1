package hsm

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"hufu/internal/fault"
)

// Member is one device of a Group or a Join, with the name that errors, health and references carry.
type Member struct {
	Name   string
	Device Device
}

// MemberHealth is what is known of one member. Err is nil when it can work now.
type MemberHealth struct {
	Name    string
	Err     error
	Differs []string // labels that this member lacks or under which it shows another key than the others; a Join has none
}

// Membership is what Group and Join tell besides: how each of their devices is. A device that stands alone has none.
type Membership interface {
	// Members asks every member at once and waits no longer than ctx.
	Members(ctx context.Context) []MemberHealth
}

// Group is several devices that hold the same keys, used as one. Work goes to the first member that is not known to
// fail; what a member cannot do for reasons of its own (fault.Unavailable) is tried at the next one. A member that
// failed rests for a growing time. It is asked again by Health, or when all others fail too.
type Group struct {
	members []*member

	mu     sync.RWMutex
	closed bool
}

// member is a device with what the group learnt of it.
type member struct {
	Member

	mu    sync.Mutex
	rest  time.Duration // how long it rests after the next failure
	until time.Time     // it rests until then
}

const (
	firstRest = 250 * time.Millisecond
	longRest  = 30 * time.Second
	// oneAttempt is the most that a member gets while another one could still answer within the caller's time.
	oneAttempt = 3 * time.Second
	// replication is how long Generate waits for a new key to show on the other members.
	replication = 2 * time.Second
)

// NewGroup makes one device of members that hold the same keys. The order is that of preference.
func NewGroup(members []Member) (*Group, error) {
	if err := checkMembers(members); err != nil {
		return nil, err
	}
	g := new(Group)
	for _, m := range members {
		g.members = append(g.members, &member{Member: m})
	}
	return g, nil
}

func checkMembers(members []Member) error {
	if len(members) == 0 {
		return ErrNoStore.With("no device")
	}
	names := map[string]bool{}
	for _, m := range members {
		if m.Name == "" || m.Device == nil || names[m.Name] {
			return ErrMechanism.With("device %q is nameless, empty or named twice", m.Name)
		}
		names[m.Name] = true
	}
	return nil
}

// begin refuses when the group is closed or the caller has given up.
func (g *Group) begin(ctx context.Context) error {
	g.mu.RLock()
	defer g.mu.RUnlock()
	if g.closed {
		return ErrClosed.With("group of %d devices", len(g.members))
	}
	if err := ctx.Err(); err != nil {
		return ErrUnavailable.With("group of %d devices: %w", len(g.members), err)
	}
	return nil
}

// order returns the members that do not rest, in order, and after them the resting ones.
func (g *Group) order() []*member {
	now := time.Now()
	var ready, resting []*member
	for _, m := range g.members {
		if m.resting(now) {
			resting = append(resting, m)
		} else {
			ready = append(ready, m)
		}
	}
	return append(ready, resting...)
}

func (m *member) resting(now time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return now.Before(m.until)
}

// failed lets a member rest, each time twice as long.
func (m *member) failed() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.rest = min(max(2*m.rest, firstRest), longRest)
	m.until = time.Now().Add(m.rest)
}

func (m *member) worked() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.rest, m.until = 0, time.Time{}
}

// each tries f at one member after another until one succeeds or refuses for reasons that are not its own. A member that
// does not know the key is passed over too: its copy may be late. f ends with the context that it gets.
func each[T any](ctx context.Context, g *Group, f func(ctx context.Context, d Device) (T, error)) (T, error) {
	var none T
	if err := g.begin(ctx); err != nil {
		return none, err
	}
	var unknown, failure error
	members := g.order()
	for i, m := range members {
		result, err := attempt(ctx, m, len(members)-i-1, f)
		switch {
		case err == nil:
			m.worked()
			return result, nil
		case ctx.Err() != nil:
			return none, err
		case errors.Is(err, ErrNotFound):
			m.worked()
			unknown = cmpError(unknown, err)
		case fault.KindOf(err) == fault.Unavailable || fault.KindOf(err) == fault.Internal:
			m.failed()
			failure = cmpError(failure, fmt.Errorf("device %s: %w", m.Name, err))
		default:
			m.worked()
			return none, err
		}
	}
	return none, cmpError(failure, unknown) // while a member fails, nobody can say that there is no such key
}

// cmpError returns the first error that is one.
func cmpError(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

// attempt runs f at one member. While others wait behind it, it may take half of the caller's time, so that a device that
// hangs does not use up the time in which the next one would answer.
func attempt[T any](ctx context.Context, m *member, behind int, f func(ctx context.Context, d Device) (T, error)) (T, error) {
	if behind == 0 {
		return f(ctx, m.Device)
	}
	limit := oneAttempt
	if deadline, ok := ctx.Deadline(); ok {
		limit = min(limit, time.Until(deadline)/2)
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return f(ctx, m.Device)
}

// Keys lists what the first member that works holds.
func (g *Group) Keys(ctx context.Context) ([]Info, error) {
	return each(ctx, g, func(ctx context.Context, d Device) ([]Info, error) { return d.Keys(ctx) })
}

// Signer returns a signer that chooses a member anew for each signature.
func (g *Group) Signer(ctx context.Context, label string) (crypto.Signer, error) {
	public, err := each(ctx, g, func(ctx context.Context, d Device) (crypto.PublicKey, error) {
		s, err := d.Signer(ctx, label)
		if err != nil {
			return nil, err
		}
		return s.Public(), nil
	})
	if err != nil {
		return nil, err
	}
	return &groupSigner{ctx, g, label, public}, nil
}

// groupSigner hands everything to a member's signer, which checks the input and verifies the signature.
type groupSigner struct {
	ctx    context.Context
	group  *Group
	label  string
	public crypto.PublicKey
}

func (s *groupSigner) Public() crypto.PublicKey { return s.public }

// VerifiesSignatures is of gm.Verifying.
func (*groupSigner) VerifiesSignatures() {}

func (s *groupSigner) Sign(_ io.Reader, input []byte, opts crypto.SignerOpts) ([]byte, error) {
	return s.use(func(signer crypto.Signer) ([]byte, error) { return signer.Sign(nil, input, opts) })
}

// SignMessage hashes and signs msg (crypto.MessageSigner).
func (s *groupSigner) SignMessage(_ io.Reader, msg []byte, opts crypto.SignerOpts) ([]byte, error) {
	return s.use(func(signer crypto.Signer) ([]byte, error) { return crypto.SignMessage(signer, nil, msg, opts) })
}

func (s *groupSigner) use(sign func(crypto.Signer) ([]byte, error)) ([]byte, error) {
	return each(s.ctx, s.group, func(ctx context.Context, d Device) ([]byte, error) {
		signer, err := d.Signer(ctx, s.label)
		if err != nil {
			return nil, err
		}
		if !samePublic(signer.Public(), s.public) {
			return nil, ErrNotFound.With("key %q: another key has its label now", s.label)
		}
		return sign(signer)
	})
}

// Decrypter returns a decrypter that chooses a member anew for each ciphertext.
func (g *Group) Decrypter(ctx context.Context, label string) (crypto.Decrypter, error) {
	public, err := each(ctx, g, func(ctx context.Context, d Device) (crypto.PublicKey, error) {
		k, err := d.Decrypter(ctx, label)
		if err != nil {
			return nil, err
		}
		return k.Public(), nil
	})
	if err != nil {
		return nil, err
	}
	open := func(ctx context.Context, ciphertext []byte) ([]byte, error) {
		return each(ctx, g, func(ctx context.Context, d Device) ([]byte, error) {
			k, err := d.Decrypter(ctx, label)
			if err != nil {
				return nil, err
			}
			if !samePublic(k.Public(), public) {
				return nil, ErrNotFound.With("key %q: another key has its label now", label)
			}
			return k.Decrypt(nil, ciphertext, nil)
		})
	}
	return NewDecrypter(ctx, label, public, open), nil
}

// Wrap encrypts at the first member that works.
func (g *Group) Wrap(ctx context.Context, label string, data, aad []byte) ([]byte, error) {
	return each(ctx, g, func(ctx context.Context, d Device) ([]byte, error) { return d.Wrap(ctx, label, data, aad) })
}

// Unwrap is the inverse of Wrap, at any member.
func (g *Group) Unwrap(ctx context.Context, label string, wrapped, aad []byte) ([]byte, error) {
	return each(ctx, g, func(ctx context.Context, d Device) ([]byte, error) { return d.Unwrap(ctx, label, wrapped, aad) })
}

// MAC works at the first member that does.
func (g *Group) MAC(ctx context.Context, label string, data []byte) ([]byte, error) {
	return each(ctx, g, func(ctx context.Context, d Device) ([]byte, error) { return d.MAC(ctx, label, data) })
}

// insideKey is what GenerateInside returns.
type insideKey struct {
	wrapped []byte
	public  *ecdsa.PublicKey
}

// GenerateInside makes the key in the first member that works; every member opens it.
func (g *Group) GenerateInside(ctx context.Context, master string, aad []byte) (wrapped []byte, public *ecdsa.PublicKey, err error) {
	k, err := each(ctx, g, func(ctx context.Context, d Device) (insideKey, error) {
		in, ok := d.(Inside)
		if !ok {
			return insideKey{}, ErrMechanism.With("key %q: the device opens no keys within", master)
		}
		wrapped, public, err := in.GenerateInside(ctx, master, aad)
		return insideKey{wrapped, public}, err
	})
	return k.wrapped, k.public, err
}

// SignInside opens a wrapped key within the first member that works.
func (g *Group) SignInside(ctx context.Context, master string, wrapped, aad []byte, public *ecdsa.PublicKey, e []byte) ([]byte, error) {
	return each(ctx, g, func(ctx context.Context, d Device) ([]byte, error) {
		in, ok := d.(Inside)
		if !ok {
			return nil, ErrMechanism.With("key %q: the device opens no keys within", master)
		}
		return in.SignInside(ctx, master, wrapped, aad, public, e)
	})
}

var (
	_ Device     = (*Group)(nil)
	_ Inside     = (*Group)(nil)
	_ Membership = (*Group)(nil)
)
