package shares

import (
	"crypto/rand"
	"crypto/subtle"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"hufu/internal/gm"
)

// Size of a secret in octets. It must be uniformly random: the commitments of a Set stand in the open.
const Size = 32

// maxHolders bounds a ceremony to people who fit around a table.
const maxHolders = 16

// Order says what is to be divided among whom.
type Order struct {
	Key       string   // label of the key that the secret guards
	Public    [32]byte // SM3 of that key's SubjectPublicKeyInfo, so that a share names what it is for
	Threshold int      // how many shares give the secret back, from 2
	Holders   []string // names of the custodians; share i+1 goes to holder i
	Made      time.Time
}

// Set is what all shares of one ceremony have in common. All of it is public.
type Set struct {
	Ceremony  string // drawn anew for each Split
	Key       string
	Public    [32]byte
	Made      time.Time // UTC, whole seconds
	Threshold int
	Check     [32]byte // commitment to the secret
	Holders   []Holder // by share number from 1
}

// Holder is a custodian and the commitment to that custodian's share.
type Holder struct {
	Name       string
	Commitment [32]byte
}

// Share is one custodian's part, in clear. Clear it after use.
type Share struct {
	Number int // from 1
	value  [Size]byte
	of     *Set
}

// Clear forgets the share.
func (s *Share) Clear() { clear(s.value[:]) }

// Holder names the custodian.
func (s *Share) Holder() string { return s.of.Holders[s.Number-1].Name }

// Split divides a secret. Each octet is the value at 0 of a random polynomial of degree threshold-1; share n holds the
// values at n. The caller clears the secret and the shares.
func Split(secret []byte, o Order) (*Set, []*Share, error) {
	if len(secret) != Size {
		return nil, nil, ErrPlan.With("a secret of %d octets", len(secret))
	}
	set := o.set()
	if err := set.check(); err != nil {
		return nil, nil, err
	}
	set.Check = set.commit("secret", secret)
	all := make([]*Share, len(o.Holders))
	for i := range all {
		all[i] = &Share{Number: i + 1, of: set}
	}
	coefficients := make([]byte, o.Threshold)
	defer clear(coefficients)
	for octet, value := range secret {
		rand.Read(coefficients) // never fails since Go 1.24
		coefficients[0] = value
		for _, s := range all {
			s.value[octet] = evaluate(coefficients, byte(s.Number))
		}
	}
	for i, s := range all {
		set.Holders[i].Commitment = set.commitShare(s)
	}
	return set, all, nil
}

// Plan refuses an order that cannot be carried out, before there is a secret.
func (o Order) Plan() error { return o.set().check() }

func (o Order) set() *Set {
	set := &Set{
		Ceremony: rand.Text(), Key: o.Key, Public: o.Public, Made: o.Made.UTC().Truncate(time.Second), Threshold: o.Threshold,
	}
	for _, name := range o.Holders {
		set.Holders = append(set.Holders, Holder{Name: name})
	}
	return set
}

// Combine gives the secret back from at least as many shares as the threshold says. It names what is wrong: shares of
// different ceremonies, one given twice, one that was changed, or how many are missing. The caller clears the secret.
func Combine(all ...*Share) ([]byte, error) {
	if len(all) == 0 {
		return nil, ErrMissing.With("no share was given")
	}
	var files []*File
	for _, s := range all {
		files = append(files, &File{Set: s.of, Number: s.Number})
	}
	if err := Enough(files...); err != nil {
		return nil, err
	}
	set := all[0].of
	for _, s := range all {
		if !set.holds(s) {
			return nil, ErrChanged.With("share %d of %s", s.Number, s.Holder())
		}
	}
	return set.interpolate(all[:set.Threshold])
}

// Enough tells before anybody types a passphrase whether these files belong together and suffice.
func Enough(all ...*File) error {
	if len(all) == 0 {
		return ErrMissing.With("no share was given")
	}
	set, digest := all[0].Set, all[0].Set.Digest()
	seen := make([]bool, len(set.Holders)+1)
	for _, f := range all {
		switch {
		case f.Set.Digest() != digest:
			return ErrMixed.With("share of %s is of ceremony %s, that of %s of ceremony %s", f.Holder(), f.Set.Ceremony, all[0].Holder(), set.Ceremony)
		case seen[f.Number]:
			return ErrTwice.With("share %d of %s", f.Number, f.Holder())
		}
		seen[f.Number] = true
	}
	if missing := set.Threshold - len(all); missing > 0 {
		return ErrMissing.With("%d of %d shares, %d more needed, from %s", len(all), set.Threshold, missing, set.absent(seen))
	}
	return nil
}

func (set *Set) interpolate(all []*Share) ([]byte, error) {
	xs := make([]byte, len(all))
	for i, s := range all {
		xs[i] = byte(s.Number)
	}
	secret := make([]byte, Size)
	for i, w := range weights(xs) {
		for octet, y := range all[i].value {
			secret[octet] ^= times(w, y)
		}
	}
	if check := set.commit("secret", secret); subtle.ConstantTimeCompare(check[:], set.Check[:]) != 1 {
		clear(secret)
		return nil, ErrChanged.With("ceremony %s: the shares give another secret", set.Ceremony)
	}
	return secret, nil
}

// absent lists who could still come.
func (set *Set) absent(seen []bool) string {
	var names []string
	for i, h := range set.Holders {
		if !seen[i+1] {
			names = append(names, h.Name)
		}
	}
	return strings.Join(names, ", ")
}

// Digest is the SM3 by which two sets are told apart: of the common lines of their files.
func (set *Set) Digest() [32]byte { return gm.SM3(set.head()) }

// commit binds something random of at least 32 octets without showing it.
func (set *Set) commit(what string, parts ...[]byte) [32]byte {
	head := fmt.Sprintf("hufu share commitment v1\x00%s\x00%s\x00", set.Ceremony, what)
	return gm.SM3(append([][]byte{[]byte(head)}, parts...)...)
}

func (set *Set) commitShare(s *Share) [32]byte {
	return set.commit("share", []byte{byte(s.Number)}, s.value[:])
}

func (set *Set) holds(s *Share) bool {
	got := set.commitShare(s)
	return subtle.ConstantTimeCompare(got[:], set.Holders[s.Number-1].Commitment[:]) == 1
}

// check refuses a set that no ceremony makes.
func (set *Set) check() error {
	n := len(set.Holders)
	if n < 2 || n > maxHolders || set.Threshold < 2 || set.Threshold > n {
		return ErrPlan.With("%d of %d", set.Threshold, n)
	}
	if set.Ceremony == "" || !isWord(set.Ceremony) || !isWord(set.Key) {
		return ErrPlan.With("ceremony %q for key %q", set.Ceremony, set.Key)
	}
	var names []string
	for _, h := range set.Holders {
		if !isHolder(h.Name) || slices.Contains(names, h.Name) {
			return ErrPlan.With("custodian %q", h.Name)
		}
		names = append(names, h.Name)
	}
	return nil
}

func isWord(s string) bool {
	return s != "" && len(s) <= 64 && !strings.ContainsFunc(s, func(r rune) bool {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '.' || r == '-')
	})
}

// isHolder accepts a name as it stands in one line of a file and in a transcript.
func isHolder(name string) bool {
	return name != "" && len(name) <= 128 && utf8.ValidString(name) && strings.TrimSpace(name) == name &&
		!strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) || r == '=' })
}
