package login

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/argon2"
	"golang.org/x/text/unicode/norm"

	"hufu/internal/gm"
)

// Cost is what a password hash costs: argon2id over Memory KiB, Time passes, Threads lanes.
type Cost struct {
	Memory  uint32
	Time    uint32
	Threads uint8
}

// DefaultCost is 19 MiB, two passes, one lane (OWASP).
var DefaultCost = Cost{Memory: 19 << 10, Time: 2, Threads: 1}

const (
	saltSize = 16
	hashSize = 32
)

// hasher makes and compares password hashes, never more at once than there are slots: each takes Memory and a CPU.
//
// What is stored is HMAC-SM3 under a pepper key, which the database does not hold, over the account's id and the argon2id
// output: a stolen table cannot be guessed at, and a hash moved to another account does not open it.
type hasher struct {
	cost    Cost
	peppers atomic.Pointer[[][]byte] // the first makes, all compare
	slots   chan struct{}
	waiting atomic.Int64
	queue   int64         // how many may wait for a slot
	wait    time.Duration // how long each may
	derive  func(password, salt []byte, c Cost) []byte
}

func newHasher(c Cost, peppers [][]byte, parallel int) (*hasher, error) {
	if c == (Cost{}) {
		c = DefaultCost
	}
	if c.Memory < 8*uint32(c.Threads) || c.Time < 1 || c.Threads < 1 || c.Memory > 1<<20 || c.Time > 100 {
		return nil, fmt.Errorf("login: argon2id parameters %+v out of range", c)
	}
	h := &hasher{
		cost: c, slots: make(chan struct{}, parallel), queue: int64(64 * parallel), wait: 5 * time.Second,
		derive: func(password, salt []byte, c Cost) []byte {
			return argon2.IDKey(password, salt, c.Time, c.Memory, c.Threads, hashSize)
		},
	}
	return h, h.use(peppers)
}

// use sets the pepper keys.
func (h *hasher) use(peppers [][]byte) error {
	if len(peppers) == 0 {
		return errors.New("login: no pepper key")
	}
	for _, p := range peppers {
		if len(p) < 16 {
			return errors.New("login: pepper key shorter than 16 octets")
		}
	}
	h.peppers.Store(&peppers)
	return nil
}

// run derives under a slot. ErrBusy: no slot came free in time, or too many wait.
func (h *hasher) run(ctx context.Context, password string, salt []byte, c Cost) ([]byte, error) {
	defer h.waiting.Add(-1)
	if h.waiting.Add(1) > h.queue {
		return nil, ErrBusy.With("%d password hashes wait", h.queue)
	}
	late := time.NewTimer(h.wait)
	defer late.Stop()
	select {
	case h.slots <- struct{}{}:
	case <-late.C:
		return nil, ErrBusy.With("no slot for a password hash within %s", h.wait)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-h.slots }()
	return h.derive([]byte(norm.NFC.String(password)), salt, c), nil
}

// hash returns the PHC string of a password for an account.
func (h *hasher) hash(ctx context.Context, account, password string) (string, error) {
	salt := make([]byte, saltSize)
	rand.Read(salt)
	key, err := h.run(ctx, password, salt, h.cost)
	if err != nil {
		return "", err
	}
	pepper := (*h.peppers.Load())[0]
	p := phc{Cost: h.cost, keyID: pepperID(pepper), salt: salt, tag: seal(pepper, account, key)}
	return p.String(), nil
}

// compare reports whether the password is the account's, and whether its hash should be made anew with today's
// parameters. It derives exactly once, whatever the answer.
func (h *hasher) compare(ctx context.Context, account, password, stored string) (ok, stale bool, err error) {
	p, err := parsePHC(stored)
	if err != nil {
		return false, false, fmt.Errorf("password of account %s: %w", account, err)
	}
	key, err := h.run(ctx, password, p.salt, p.Cost)
	if err != nil {
		return false, false, err
	}
	for i, pepper := range *h.peppers.Load() {
		if pepperID(pepper) == p.keyID {
			ok = subtle.ConstantTimeCompare(seal(pepper, account, key), p.tag) == 1
			return ok, i > 0 || p.Cost != h.cost, nil
		}
	}
	return false, false, fmt.Errorf("password of account %s: its pepper key %s is not configured", account, p.keyID)
}

func seal(pepper []byte, account string, key []byte) []byte {
	tag := gm.HMAC(pepper, []byte("hufu login password\x00"), []byte(account), []byte{0}, key)
	return tag[:]
}

// pepperID names a pepper key in the PHC string without telling anything of it.
func pepperID(pepper []byte) string {
	id := gm.HMAC(pepper, []byte("hufu login pepper id"))
	return hex.EncodeToString(id[:4])
}

// phc is a password hash in the PHC string format, $argon2id$v=19$m=…,t=…,p=…,keyid=…$salt$tag.
type phc struct {
	Cost
	keyID     string
	salt, tag []byte
}

var b64 = base64.RawStdEncoding.Strict()

func (p phc) String() string {
	return fmt.Sprintf("$argon2id$v=19$m=%d,t=%d,p=%d,keyid=%s$%s$%s",
		p.Memory, p.Time, p.Threads, p.keyID, b64.EncodeToString(p.salt), b64.EncodeToString(p.tag))
}

var errPHC = errors.New("not a PHC string of argon2id")

// parsePHC reads what String wrote, and nothing else; parameters stay within what newHasher allows.
func parsePHC(s string) (phc, error) {
	var p phc
	parts := strings.Split(s, "$")
	if len(s) > 300 || len(parts) != 6 {
		return p, errPHC
	}
	_, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d,keyid=%8s", &p.Memory, &p.Time, &p.Threads, &p.keyID)
	if err != nil {
		return p, errPHC
	}
	var saltErr, tagErr error
	p.salt, saltErr = b64.DecodeString(parts[4])
	p.tag, tagErr = b64.DecodeString(parts[5])
	inRange := p.Threads >= 1 && p.Time >= 1 && p.Time <= 100 && p.Memory >= 8*uint32(p.Threads) && p.Memory <= 1<<20
	if saltErr != nil || tagErr != nil || len(p.salt) != saltSize || len(p.tag) != hashSize || !inRange || p.String() != s {
		return phc{}, errPHC
	}
	return p, nil
}
