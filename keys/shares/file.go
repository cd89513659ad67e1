package shares

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"

	"hufu/internal/gm"
)

// A share file is UTF-8 text in lines that end with LF, in this order and with nothing else:
//
//	hufu key share v1
//	ceremony: WORD                      one for all files of a ceremony
//	key: LABEL                          what the secret guards
//	public: SM3 of its SubjectPublicKeyInfo
//	made: 2026-11-22T08:00:00Z
//	threshold: 2
//	check: commitment to the secret
//	holder 1: COMMITMENT NAME           one line for each custodian
//	share: 1                            which of them this file is for
//	derivation: argon2id PASSES KIB LANES
//	salt: 16 octets
//	sealed: 60 octets                   the share under SM4-GCM (nonce, ciphertext, tag); all lines before are its associated data
//	sum: SM3 of all lines before        finds damage before a passphrase is tried
//
// Octets are lower-case hexadecimal. The lines up to "share" are the same in all files of a ceremony; the SM3 of these is
// Set.Digest.
const (
	title   = "hufu key share v1"
	maxFile = 16 << 10
)

// File is a parsed share file. Its set is what the file says; only Open shows that it is authentic.
type File struct {
	Set    *Set
	Number int
	cost   Cost
	salt   [16]byte
	sealed [12 + Size + 16]byte
}

// Holder names the custodian whose file this is.
func (f *File) Holder() string { return f.Set.Holders[f.Number-1].Name }

// head writes the lines that all files of a ceremony share.
func (set *Set) head() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s\nceremony: %s\nkey: %s\npublic: %x\nmade: %s\nthreshold: %d\ncheck: %x\n",
		title, set.Ceremony, set.Key, set.Public, set.Made.Format(time.RFC3339), set.Threshold, set.Check)
	for i, h := range set.Holders {
		fmt.Fprintf(&b, "holder %d: %x %s\n", i+1, h.Commitment, h.Name)
	}
	return b.Bytes()
}

// aad is all before the sealed line.
func (f *File) aad() []byte {
	return fmt.Appendf(f.Set.head(), "share: %d\nderivation: argon2id %d %d %d\nsalt: %x\n", f.Number, f.cost.Passes, f.cost.Memory, f.cost.Lanes, f.salt)
}

// Bytes writes the file.
func (f *File) Bytes() []byte {
	text := fmt.Appendf(f.aad(), "sealed: %x\n", f.sealed)
	return fmt.Appendf(text, "sum: %x\n", gm.SM3(text))
}

// lines reads lines of the form "key: value" one after another and keeps the first error.
type lines struct {
	rest string
	err  error
}

func (l *lines) value(key string) string {
	line, rest, ok := strings.Cut(l.rest, "\n")
	value, has := strings.CutPrefix(line, key+": ")
	if l.err == nil && (!ok || !has) {
		l.err = ErrForm.With("line %q is missing", key)
	}
	l.rest = rest
	return value
}

func (l *lines) number(key string) int {
	n, err := strconv.Atoi(l.value(key))
	l.note(key, err)
	return n
}

func (l *lines) octets(key string, out []byte) {
	l.note(key, unhex(l.value(key), out))
}

func (l *lines) note(key string, err error) {
	if l.err == nil && err != nil {
		l.err = ErrForm.With("line %q: %w", key, err)
	}
}

func unhex(text string, out []byte) error {
	if len(text) != 2*len(out) {
		return fmt.Errorf("%d digits, want %d", len(text), 2*len(out))
	}
	_, err := hex.Decode(out, []byte(text))
	return err
}

// Parse reads a share file. What it returns has the form that this package writes, octet for octet.
func Parse(text []byte) (*File, error) {
	if len(text) > maxFile {
		return nil, ErrForm.With("a file of %d octets", len(text))
	}
	head, rest, ok := strings.Cut(string(text), "\n")
	if !ok || head != title {
		return nil, ErrForm.With("the first line is not %q", title)
	}
	l := &lines{rest: rest}
	f := &File{Set: &Set{}}
	f.Set.read(l)
	f.Number = l.number("share")
	kdf := l.value("derivation")
	_, err := fmt.Sscanf(kdf, "argon2id %d %d %d", &f.cost.Passes, &f.cost.Memory, &f.cost.Lanes)
	l.note("derivation", err)
	l.octets("salt", f.salt[:])
	l.octets("sealed", f.sealed[:])
	if l.err != nil {
		return nil, l.err
	}
	if !bytes.Equal(f.Bytes(), text) { // also checks the sum
		return nil, ErrForm.With("share file of ceremony %s is not as it was written", f.Set.Ceremony)
	}
	if err := f.Set.check(); err != nil {
		return nil, ErrForm.With("%w", err)
	}
	if f.Number < 1 || f.Number > len(f.Set.Holders) {
		return nil, ErrForm.With("share %d of %d", f.Number, len(f.Set.Holders))
	}
	return f, f.cost.check()
}

func (set *Set) read(l *lines) {
	set.Ceremony, set.Key = l.value("ceremony"), l.value("key")
	l.octets("public", set.Public[:])
	made, err := time.Parse(time.RFC3339, l.value("made"))
	l.note("made", err)
	set.Made = made.UTC()
	set.Threshold = l.number("threshold")
	l.octets("check", set.Check[:])
	for n := 1; n <= maxHolders && strings.HasPrefix(l.rest, "holder "); n++ {
		commitment, name, _ := strings.Cut(l.value("holder "+strconv.Itoa(n)), " ")
		h := Holder{Name: name}
		l.note("holder", unhex(commitment, h.Commitment[:]))
		set.Holders = append(set.Holders, h)
	}
}
