package keys

import (
	"context"
	"crypto"
	"runtime"
	"slices"
	"sync"
	"time"

	"hufu/internal/actor"
)

// freshFor is how long a node may go on using the version of a key that it knows, after another node rotated the key.
// A retired version is kept at least overlap, so that nobody is left with a destroyed key.
const (
	freshFor = 5 * time.Second
	overlap  = time.Minute
)

// Config of New.
type Config struct {
	Store  Store
	Device Device
	Now    func() time.Time // time.Now when nil
	PIN    PINCost          // DefaultPINCost when zero; tests take less

	MasterAlgorithm string // of master keys made from now on: SM4 when empty, or AES256
}

// Keys is the service. It is safe for concurrent use.
type Keys struct {
	store  Store
	device Device
	now    func() time.Time

	masterAlgorithm string

	pinCost    PINCost
	stretching chan struct{} // places for PINs being tried
	uses       useQueue
	covers     covers

	making sync.Mutex // one key is made at a time on this node

	mu      sync.Mutex
	current map[string]known
}

type known struct {
	version Version
	at      time.Time
}

// New returns the service.
func New(c Config) (*Keys, error) {
	if c.Store == nil || c.Device == nil {
		return nil, errConfig.With("keys: Store and Device must be given")
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.MasterAlgorithm == "" {
		c.MasterAlgorithm = SM4
	}
	if err := checkPurpose(Master, c.MasterAlgorithm); err != nil {
		return nil, err
	}
	if c.PIN == (PINCost{}) {
		c.PIN = DefaultPINCost
	}
	if err := c.PIN.check(); err != nil {
		return nil, err
	}
	return &Keys{
		store: c.Store, device: c.Device, now: c.Now, current: map[string]known{},
		masterAlgorithm: c.MasterAlgorithm, pinCost: c.PIN, stretching: make(chan struct{}, runtime.GOMAXPROCS(0)),
	}, nil
}

func (k *Keys) time() time.Time { return k.now().UTC().Truncate(time.Microsecond) }

// Signer returns the signer of a key's active version. It works until ctx ends, with the version that was active when it
// was asked for: ask again for each piece of work, and rotation is followed.
func (k *Keys) Signer(ctx context.Context, label string) (crypto.Signer, error) {
	v, err := k.active(ctx, label)
	if err != nil {
		return nil, err
	}
	return k.signer(ctx, v)
}

// SignerAt returns the signer of a given version, active or retired: what a retired authority key still has to sign.
func (k *Keys) SignerAt(ctx context.Context, label string, number uint32) (crypto.Signer, error) {
	v, err := k.version(ctx, label, number)
	if err != nil {
		return nil, err
	}
	return k.signer(ctx, v)
}

// Decrypter returns the decrypter of a version, active or retired; number 0 is the active one.
func (k *Keys) Decrypter(ctx context.Context, label string, number uint32) (crypto.Decrypter, error) {
	v, err := k.version(ctx, label, number)
	if err != nil {
		return nil, err
	}
	d, err := k.device.Decrypter(ctx, v.Reference)
	if err != nil {
		return nil, err
	}
	return d, v.is(d.Public())
}

func (k *Keys) signer(ctx context.Context, v Version) (crypto.Signer, error) {
	s, err := k.device.Signer(ctx, v.Reference)
	if err != nil {
		return nil, err
	}
	if err := v.is(s.Public()); err != nil {
		return nil, err
	}
	return s, nil
}

// is refuses a public key that is not the one recorded when the version was made: the device holds another key in its place.
func (v Version) is(pub crypto.PublicKey) error {
	got, err := encodePublic(pub)
	if err != nil || !slices.Equal(got, v.Public) {
		return ErrMoved.With("key %s at %s", v, v.Reference)
	}
	return nil
}

// Versions returns all versions of a key, oldest first. Public halves are nobody's secret, so no actor is asked for.
func (k *Keys) Versions(ctx context.Context, label string) (all []Version, err error) {
	err = k.store.View(ctx, func(r R) (err error) {
		all, err = r.Versions(label)
		return err
	})
	return all, err
}

// List returns the versions of all device keys, for administrators.
func (k *Keys) List(ctx context.Context, who actor.Actor) ([]Version, error) {
	if err := who.Require(actor.RoleSuperAdmin, actor.RoleBusinessAdmin, actor.RoleAuditAdmin); err != nil {
		return nil, err
	}
	return k.Versions(ctx, "")
}

// ListData returns the versions of all data keys, without their octets, for administrators.
func (k *Keys) ListData(ctx context.Context, who actor.Actor) (all []DataVersion, err error) {
	if err := who.Require(actor.RoleSuperAdmin, actor.RoleBusinessAdmin, actor.RoleAuditAdmin); err != nil {
		return nil, err
	}
	err = k.store.View(ctx, func(r R) (err error) {
		all, err = r.DataVersions("")
		return err
	})
	for i := range all {
		all[i].Wrapped = nil
	}
	return all, err
}

// Public returns a version with its public half, the one at work for number 0. For administrators.
func (k *Keys) Public(ctx context.Context, who actor.Actor, label string, number uint32) (Version, error) {
	if err := who.Require(actor.RoleSuperAdmin, actor.RoleBusinessAdmin, actor.RoleAuditAdmin); err != nil {
		return Version{}, err
	}
	all, err := k.Versions(ctx, label)
	if err != nil {
		return Version{}, err
	}
	for _, v := range all {
		if v.Label == label && (v.Number == number || number == 0 && v.State == Active) {
			return v, nil
		}
	}
	return Version{}, ErrUnknown.With("version %d of key %q", number, label)
}

// active returns the active version, as known at most freshFor ago.
func (k *Keys) active(ctx context.Context, label string) (Version, error) {
	now := k.now()
	k.mu.Lock()
	c, ok := k.current[label]
	k.mu.Unlock()
	if ok && now.Sub(c.at) < freshFor && !now.Before(c.at) {
		return c.version, nil
	}
	all, err := k.Versions(ctx, label)
	if err != nil {
		return Version{}, err
	}
	v, ok := inState(all, Active)
	if !ok {
		k.forget(label)
		return Version{}, ErrUnknown.With("active version of key %q", label)
	}
	k.remember(v, now)
	return v, nil
}

// version returns a version that still works; number 0 is the active one.
func (k *Keys) version(ctx context.Context, label string, number uint32) (Version, error) {
	if number == 0 {
		return k.active(ctx, label)
	}
	all, err := k.Versions(ctx, label)
	if err != nil {
		return Version{}, err
	}
	i := slices.IndexFunc(all, func(v Version) bool { return v.Number == number })
	if i < 0 || (all[i].State != Active && all[i].State != Retired) {
		return Version{}, ErrUnknown.With("version %d of key %q", number, label)
	}
	return all[i], nil
}

func (k *Keys) remember(v Version, at time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.current[v.Label] = known{v, at}
}

func (k *Keys) forget(label string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.current, label)
}

func inState(all []Version, s State) (Version, bool) {
	for _, v := range all {
		if v.State == s {
			return v, true
		}
	}
	return Version{}, false
}
