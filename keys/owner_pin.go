package keys

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"

	"hufu/internal/actor"
	"hufu/internal/gm"
)

// PINCost is what one try of a PIN costs: argon2id over Memory KiB, in Passes, with Lanes.
type PINCost struct {
	Memory, Passes uint32
	Lanes          uint8
}

// DefaultPINCost takes about a fifth of a second and 64 MiB.
var DefaultPINCost = PINCost{Memory: 64 << 10, Passes: 3, Lanes: 2}

// check bounds what a row of the database may ask of us.
func (c PINCost) check() error {
	if c.Memory < 8 || c.Memory > 256<<10 || c.Passes < 1 || c.Passes > 16 || c.Lanes < 1 || c.Lanes > 8 {
		return ErrDamaged.With("cost of a PIN: %+v", c)
	}
	return nil
}

// A PIN may be wrong freeTries times; then each further try waits, a minute first, twice as long each time, at most a day.
const (
	freeTries = 5
	firstLock = time.Minute
	maxLock   = 24 * time.Hour
	saltSize  = 16
	halfSize  = 32
)

// lockAfter is how long the n-th try in a row locks the PIN if it is wrong.
func lockAfter(n int) time.Duration {
	if n < freeTries {
		return 0
	}
	return min(firstLock<<min(n-freeTries, 20), maxLock)
}

// CheckPIN refuses a PIN that is too short, too long or among the first that anybody tries.
func CheckPIN(pin []byte) error {
	n := utf8.RuneCount(pin)
	switch {
	case !utf8.Valid(pin) || n < 8 || n > 64:
		return ErrPINForm.With("%d characters", n)
	case slices.ContainsFunc(bytes.Runes(pin), func(r rune) bool { return r < ' ' || r == 0x7f }):
		return ErrPINForm.With("a control character")
	case trivial(bytes.Runes(pin)):
		return ErrPINForm.With("a trivial sequence")
	}
	return nil
}

// commonPINs are beginnings of what is tried first; sequences and repetitions are recognised without them.
var commonPINs = []string{"password", "qwerty", "asdfgh", "zxcvbn", "1q2w3e", "1qaz2wsx", "a1b2c3", "admin", "iloveyou", "woaini", "11223344", "5201314"}

func trivial(pin []rune) bool {
	distinct := slices.Compact(slices.Sorted(slices.Values(pin)))
	if len(distinct) < 4 {
		return true
	}
	steps := 0 // of one up or down, or none
	for i := 1; i < len(pin); i++ {
		if d := pin[i] - pin[i-1]; d >= -1 && d <= 1 {
			steps++
		}
	}
	if steps*4 >= (len(pin)-1)*3 {
		return true
	}
	text := strings.ToLower(string(pin))
	if _, err := time.Parse("20060102", text); err == nil { // a day of birth
		return true
	}
	for n := 1; n <= len(pin)/2; n++ { // one piece over and over
		if len(pin)%n == 0 && text == strings.Repeat(string([]rune(text)[:n]), len(pin)/n) {
			return true
		}
	}
	return slices.ContainsFunc(commonPINs, func(c string) bool { return strings.HasPrefix(text, c) && len(text)-len(c) < 5 })
}

// stretch makes a key of a PIN, never more at once than there are places: each takes memory and a CPU.
func (k *Keys) stretch(ctx context.Context, pin []byte, o Owner) ([]byte, error) {
	if err := o.Cost.check(); err != nil {
		return nil, err
	}
	select {
	case k.stretching <- struct{}{}:
		defer func() { <-k.stretching }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	return argon2.IDKey(pin, o.Salt, o.Cost.Passes, o.Cost.Memory, o.Cost.Lanes, gm.KeySize), nil
}

// sealPIN seals a half under a PIN and then under the master. A copy of the database alone allows no guessing.
func (m *Many) sealPIN(ctx context.Context, o *Owner, pin, half []byte) error {
	if err := CheckPIN(pin); err != nil {
		return err
	}
	o.Method, o.Master, o.Cost, o.Salt = MethodPIN, m.master, m.keys.pinCost, make([]byte, saltSize)
	if _, err := rand.Read(o.Salt); err != nil {
		return err
	}
	key, err := m.keys.stretch(ctx, pin, *o)
	if err != nil {
		return err
	}
	defer clear(key)
	sealed, err := gm.Seal(key, half, o.aad())
	if err != nil {
		return err
	}
	if o.MasterVersion, o.Sealed, err = m.keys.wrap(ctx, m.master, sealed, o.aad()); err != nil {
		return err
	}
	back, err := m.keys.Unwrap(ctx, o.Master, o.Sealed, o.aad())
	if err == nil && !bytes.Equal(back, sealed) {
		err = ErrDamaged.With("the half of key %s came back as another one", o.Key)
	}
	return err
}

// compare opens the half with a PIN, or is ErrPIN. The device comes first: whoever it keeps waiting has not made a try.
func (m *Many) compare(ctx context.Context, o Owner, pin []byte) ([]byte, error) {
	sealed, err := m.keys.Unwrap(ctx, o.Master, o.Sealed, o.aad())
	if err != nil {
		return nil, err
	}
	key, err := m.keys.stretch(ctx, pin, o)
	if err != nil {
		return nil, err
	}
	defer clear(key)
	half, err := gm.Open(key, sealed, o.aad())
	if err != nil {
		return nil, ErrPIN.With("key %s, try %d", o.Key, o.Tries+1)
	}
	return half, nil
}

// tryPIN returns the owner's half for the right PIN. Each try is counted before it is made, so that racing tries do not go
// uncounted; the wrong ones stand in the record. One that could not be made, since the device failed or the caller gave up,
// is taken back: nobody learnt anything by it.
func (m *Many) tryPIN(ctx context.Context, by actor.Actor, o Owner, pin []byte) ([]byte, error) {
	if o.Method != MethodPIN {
		return nil, ErrActivation.With("key %s has no PIN but %s", o.Key, o.Method)
	}
	o, err := m.countTry(ctx, o)
	if err != nil {
		return nil, err
	}
	half, err := m.compare(ctx, o, pin)
	switch {
	case errors.Is(err, ErrPIN):
		return nil, errors.Join(err, m.recordWrong(ctx, by, o))
	case err != nil:
		return nil, errors.Join(err, m.keys.store.Update(context.WithoutCancel(ctx), func(w W) error { return w.ReturnTry(o) }))
	}
	return half, m.keys.store.Update(ctx, func(w W) error { return w.ClearTries(o.Key) })
}

// countTry returns the owner's row as it was when the try was counted.
func (m *Many) countTry(ctx context.Context, o Owner) (Owner, error) {
	for range 10 {
		now := m.keys.time()
		if o.LockedUntil.After(now) {
			return o, ErrLocked.With("key %s until %s after %d tries", o.Key, o.LockedUntil.Format(time.RFC3339), o.Tries)
		}
		locked := time.Time{}
		if d := lockAfter(o.Tries + 1); d > 0 {
			locked = now.Add(d)
		}
		var counted bool
		var newer Owner
		err := m.keys.store.Update(ctx, func(w W) (err error) {
			if counted, err = w.CountTry(o, now, locked); err != nil || counted {
				return err
			}
			newer, err = w.Owner(o.Key)
			return err
		})
		if err != nil || counted {
			return o, err
		}
		o = newer
	}
	return o, ErrBusy.With("PIN of key %s", o.Key)
}

func (m *Many) recordWrong(ctx context.Context, by actor.Actor, o Owner) error {
	return m.keys.store.Update(context.WithoutCancel(ctx), func(w W) error {
		return w.Record(m.entry(by, "key.refuse", o.Key, map[string]string{"method": o.Method}))
	})
}
