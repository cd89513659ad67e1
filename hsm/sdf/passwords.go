package sdf

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strconv"
	"sync"

	"hufu/hsm"
)

// Passwords open private keys. Open takes a copy; Clear what was given.
type Passwords struct {
	All   []byte            // for every index that has none of its own
	Index map[uint32][]byte // by index, for the pairs and the KEK of that number
}

// Format keeps the passwords out of whatever prints them.
func (p Passwords) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "passwords of %d indices", len(p.Index))
}

// Clear overwrites the passwords.
func (p Passwords) Clear() {
	clear(p.All)
	for _, each := range p.Index {
		clear(each)
	}
}

func (p Passwords) clone() Passwords {
	c := Passwords{All: bytes.Clone(p.All), Index: map[uint32][]byte{}}
	for index, each := range p.Index {
		c.Index[index] = bytes.Clone(each)
	}
	return c
}

const maxPasswords = 64 << 10

// ParsePasswords reads a password file: a line alone is the password for all indices; a line "INDEX:PASSWORD" is for one.
// Empty lines do not count. Mistakes are hsm.ErrPassphrase and do not repeat what the file holds.
func ParsePasswords(text []byte) (Passwords, error) {
	p := Passwords{Index: map[uint32][]byte{}}
	lines := bytes.Split(bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n")), []byte("\n"))
	for i, line := range lines {
		if len(line) == 0 {
			continue
		}
		index, own, ok := splitPassword(line)
		switch {
		case !ok && p.All != nil:
			return Passwords{}, hsm.ErrPassphrase.With("password file: line %d is a second password for all indices", i+1)
		case !ok:
			p.All = bytes.Clone(line)
		case len(own) == 0 || p.Index[index] != nil:
			return Passwords{}, hsm.ErrPassphrase.With("password file: line %d is empty or a second one for index %d", i+1, index)
		default:
			p.Index[index] = bytes.Clone(own)
		}
	}
	if p.All == nil && len(p.Index) == 0 {
		return Passwords{}, hsm.ErrPassphrase.With("password file: nothing in it")
	}
	return p, nil
}

// splitPassword takes a line apart whose beginning is a number and a colon.
func splitPassword(line []byte) (index uint32, password []byte, ok bool) {
	number, password, found := bytes.Cut(line, []byte(":"))
	n, err := strconv.ParseUint(string(number), 10, 32)
	return uint32(n), password, found && err == nil
}

// ReadPasswords reads a password file that only its owner can read.
func ReadPasswords(path string) (Passwords, error) {
	file, err := os.Open(path)
	if err != nil {
		return Passwords{}, hsm.ErrPassphrase.With("password file: %w", err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return Passwords{}, hsm.ErrPassphrase.With("password file: %w", err)
	}
	if info.Mode().IsRegular() && info.Mode().Perm()&0o077 != 0 {
		return Passwords{}, hsm.ErrExposed.With("password file %s has mode %o", path, info.Mode().Perm())
	}
	text, err := io.ReadAll(io.LimitReader(file, maxPasswords+1))
	defer clear(text)
	if err != nil || len(text) > maxPasswords {
		return Passwords{}, hsm.ErrPassphrase.With("password file %s of %d octets: %w", path, len(text), err)
	}
	return ParsePasswords(text)
}

// passwords hands out each password until the device refuses it, and never again after that.
type passwords struct {
	mu      sync.Mutex // held while a password is tried for the first time, so that a wrong one is not tried by two at once
	given   Passwords
	refused map[lock]error
	proven  map[lock]bool
	shared  error // why the password for all indices is not tried any more: refused before it ever worked
	works   bool  // the password for all indices has worked
}

// lock is what one password opens: both pairs of an index, or a KEK.
type lock struct {
	kek   bool
	index uint32
}

func newPasswords(given Passwords) *passwords {
	return &passwords{given: given.clone(), refused: map[lock]error{}, proven: map[lock]bool{}}
}

// clear overwrites the passwords.
func (p *passwords) clear() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.given.Clear()
	p.given = Passwords{}
}

// refusal returns a refusal if there was one.
func (p *passwords) refusal() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, err := range p.refused {
		return err
	}
	return nil
}

// unlock tries the password of an index. Where there is none, nothing is asked: the use itself will show whether the device
// wants one.
func (p *passwords) unlock(at lock, try func(password []byte) status) error {
	p.mu.Lock()
	password, own := p.given.Index[at.index]
	if !own {
		password = p.given.All
	}
	switch {
	case p.refused[at] != nil:
		defer p.mu.Unlock()
		return p.refused[at]
	case !own && p.shared != nil:
		defer p.mu.Unlock()
		return p.shared
	case len(password) == 0:
		p.mu.Unlock()
		return nil
	case !p.proven[at]:
		defer p.mu.Unlock()
		return p.judge(at, own, try(password))
	}
	password = bytes.Clone(password)
	p.mu.Unlock()
	defer clear(password)
	code := try(password)
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.judge(at, own, code)
}

// judge notes what a try showed. A failure of the device is no refusal. Neither is one that says nothing plain of the
// password, once the same password has worked: then the session is suspected. Refusals do not wrap the failure, or it
// would be taken for a reason to try again.
func (p *passwords) judge(at lock, own bool, code status) error {
	err := &failure{"SDF_GetPrivateKeyAccessRight", code}
	if at.kek {
		err.call = "SDF_GetKEKAccessRight"
	}
	switch c := code.classify(); {
	case code == ok:
		p.proven[at] = true
		p.works = p.works || !own
		return nil
	case c == classLacks && at.kek:
		return nil // devices before GM/T 0018-2023 ask for nothing
	case c == classDevice || c == classNoKey || c == classLacks || code == badHandle || code == openSession || p.proven[at] && c == classDoubt && code != passwordLock:
		return err
	case code == passwordLock:
		p.refused[at] = hsm.ErrPINLocked.With("SDF: index %d: %v", at.index, err)
	default:
		p.refused[at] = hsm.ErrWrongPIN.With("SDF: index %d: %v", at.index, err)
	}
	if !own && !p.works {
		p.shared = p.refused[at]
	}
	return p.refused[at]
}
