package bundle

import (
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"hufu/certs"
)

// Limits of a bundle.
const (
	MaxSize        = 96 << 20
	maxSequence    = 1<<53 - 1 // what every JSON reader can hold (RFC 8785, 3.2.2.3)
	maxAuthorities = 4096
	maxCRLs        = 8192
	maxStatuses    = 4 << 20
	maxLogs        = 64
	maxText        = 512
	maxCheckpoint  = 64 << 10
)

// ErrContent: the bundle is readable but says something that no bundle may say.
var ErrContent = errors.New("trust bundle with forbidden content")

func wrong(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrContent, fmt.Sprintf(format, args...))
}

// check holds for every bundle that is built or parsed, and reads its CRLs.
func (b *Bundle) check() error {
	switch {
	case b.Version != Version && b.Version != VersionTerms || b.Version == Version && b.bounded():
		return wrong("version %d", b.Version)
	case !label(b.ID) || !label(b.Issuer) || !label(b.PolicyVersion):
		return wrong("id, issuer and policyVersion must be words of at most %d octets", maxText)
	case b.Sequence == 0 || b.Sequence > maxSequence:
		return wrong("sequence %d", b.Sequence)
	case !wholeUTC(b.IssuedAt) || !wholeUTC(b.NextUpdate) || !b.IssuedAt.Before(b.NextUpdate):
		return wrong("issuedAt and nextUpdate")
	case b.Previous != "" && !digest(b.Previous):
		return wrong("previous")
	case len(b.Authorities) > maxAuthorities || len(b.TimeStampers) > maxAuthorities || len(b.Signers) > maxAuthorities || len(b.CRLs) > maxCRLs ||
		len(b.Seals) > maxStatuses || len(b.Licences) > maxStatuses || len(b.Logs) > maxLogs:
		return wrong("a list is too long")
	}
	if err := b.checkAuthorities(); err != nil {
		return err
	}
	if err := b.readCRLs(); err != nil {
		return err
	}
	if err := checkStatuses("seal", b.Seals, states[:sealStates]); err != nil {
		return err
	}
	if err := checkStatuses("licence", b.Licences, states); err != nil {
		return err
	}
	return b.checkLogs()
}

func (b *Bundle) checkAuthorities() error {
	seen := make(map[string]bool)
	for i, a := range b.Authorities {
		c, err := certs.ParseLenient(a.Certificate)
		if err != nil {
			return wrong("authority %d: %v", i, err)
		}
		switch {
		case seen[string(a.Certificate)]:
			return wrong("authority %s stands twice", c.Subject)
		case !c.IsCA:
			return wrong("authority %s: not a CA certificate", c.Subject)
		case a.Root && !c.SelfIssued():
			return wrong("root %s: issued by another", c.Subject)
		case a.Entry != "" && !label(a.Entry):
			return wrong("authority %s: entry", c.Subject)
		}
		if err := a.check(); err != nil {
			return fmt.Errorf("authority %s: %w", c.Subject, err)
		}
		seen[string(a.Certificate)] = true
	}
	for i, der := range b.TimeStampers {
		if _, err := certs.ParseLenient(der); err != nil {
			return wrong("time-stamp certificate %d: %v", i, err)
		}
	}
	for i, der := range b.Signers {
		if _, err := certs.ParseLenient(der); err != nil {
			return wrong("signer's certificate %d: %v", i, err)
		}
	}
	return nil
}

func (b *Bundle) readCRLs() error {
	b.crls = make([]*certs.CRL, len(b.CRLs))
	for i, der := range b.CRLs {
		list, err := certs.ParseCRL(der)
		if err != nil {
			return wrong("CRL %d: %v", i, err)
		}
		b.crls[i] = list
	}
	return nil
}

func checkStatuses(what string, all []StatusEntry, allowed []State) error {
	for i, e := range all {
		switch {
		case !label(e.ID) || i > 0 && all[i-1].ID >= e.ID:
			return wrong("%s %q: identifiers must be words, sorted and each once", what, e.ID)
		case !slices.Contains(allowed, e.State) || !wholeUTC(e.Since):
			return wrong("%s %q: state %q since %s", what, e.ID, string(e.State), e.Since)
		case len(e.Reason) > maxText || len(e.ReplacedBy) > maxText || e.State == Replaced && e.ReplacedBy == "":
			return wrong("%s %q: reason or replacedBy", what, e.ID)
		}
	}
	return nil
}

func (b *Bundle) checkLogs() error {
	for i, l := range b.Logs {
		if !label(l.Key) || len(l.Witnesses) > maxLogs || !distinct(l.Witnesses) {
			return wrong("log %d: key or witnesses", i)
		}
		if l.Quorum < 0 || l.Quorum > len(l.Witnesses) {
			return wrong("log %d: quorum %d of %d witnesses", i, l.Quorum, len(l.Witnesses))
		}
		for _, c := range l.Checkpoints {
			if len(c) == 0 || len(c) > maxCheckpoint {
				return wrong("log %d: checkpoint of %d octets", i, len(c))
			}
		}
	}
	return nil
}

// distinct refuses a witness that stands twice, since it would count twice for the quorum.
func distinct(keys []string) bool {
	for i, k := range keys {
		if !label(k) || slices.Contains(keys[:i], k) {
			return false
		}
	}
	return true
}

// label tells whether s is a line of text that can be shown: not empty, not long, no control characters.
func label(s string) bool {
	return s != "" && len(s) <= maxText && utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return r < 0x20 || r == 0x7f })
}

func wholeUTC(t time.Time) bool {
	return !t.IsZero() && t.Location() == time.UTC && t.Nanosecond() == 0
}

func digest(s string) bool {
	raw, err := hex.DecodeString(s)
	return err == nil && len(raw) == 32 && strings.ToLower(s) == s
}
