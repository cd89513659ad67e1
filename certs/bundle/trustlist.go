package bundle

import (
	"bytes"
	"crypto"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"hufu/certs"
	"hufu/internal/gm"
)

// TrustListVersion is the only form of a trust list so far.
const TrustListVersion = 1

// Limits of a trust list.
const (
	MaxTrustListSize = 16 << 20
	maxEntries       = 1024
	maxEntryCerts    = 32
	maxSources       = 16
)

// ErrExpired: a newer list should be there.
var ErrExpired = errors.New("trust list is past its end")

// TrustList names other CAs whose certificates are accepted (CA 互认), each with its terms. It is canonical JSON (RFC 8785)
// in a GB/T 35275 SignedData, as a bundle is, and verified in the same way.
type TrustList struct {
	Version    int          `json:"version"`
	ID         string       `json:"id"`                 // of the series; sequence numbers count within it
	Sequence   uint64       `json:"sequence"`           // from 1, rises with each list
	Previous   string       `json:"previous,omitempty"` // SM3 of the list before, lower-case hex
	IssuedAt   time.Time    `json:"issuedAt"`
	NextUpdate time.Time    `json:"nextUpdate"`
	Issuer     string       `json:"issuer"` // for people
	Entries    []TrustEntry `json:"entries,omitempty"`
}

// TrustEntry is another CA: its certificates, its terms and where the status of its certificates is found.
type TrustEntry struct {
	ID           string             `json:"id"`   // a-z, 0-9 and '-'
	Name         string             `json:"name"` // for people
	Certificates []TrustCertificate `json:"certificates"`
	Terms
	CRLs []string `json:"crls,omitempty"` // addresses of its complete lists, http
	OCSP []string `json:"ocsp,omitempty"` // addresses of its OCSP responders, http
	Note string   `json:"note,omitempty"` // for people
}

// TrustCertificate is a certificate of a listed CA. A root is trusted by itself; it need not be self-signed. Others are
// trusted under a root only.
type TrustCertificate struct {
	DER  []byte `json:"der"`
	Root bool   `json:"root,omitempty"`
}

// BuildTrustList signs a list with the key of cert. Times are cut to seconds and entries sorted; l itself stays as it is.
func BuildTrustList(l TrustList, signer crypto.Signer, cert *certs.Certificate) ([]byte, error) {
	l.Version, l.IssuedAt, l.NextUpdate = TrustListVersion, cut(l.IssuedAt), cut(l.NextUpdate)
	l.Entries = slices.Clone(l.Entries)
	for i := range l.Entries {
		l.Entries[i].Terms = l.Entries[i].normal()
	}
	slices.SortFunc(l.Entries, func(a, b TrustEntry) int { return strings.Compare(a.ID, b.ID) })
	if err := l.check(); err != nil {
		return nil, fmt.Errorf("build trust list: %w", err)
	}
	text, err := l.marshal()
	if err != nil {
		return nil, fmt.Errorf("build trust list: %w", err)
	}
	data, err := certs.BuildSignedData(certs.SignedDataTemplate{Content: text, Certificate: cert}, signer)
	if err != nil {
		return nil, fmt.Errorf("build trust list: %w", err)
	}
	if len(data) > MaxTrustListSize {
		return nil, fmt.Errorf("build trust list: %d octets: %w", len(data), ErrForm)
	}
	return data, nil
}

func (l TrustList) marshal() ([]byte, error) {
	text, err := json.Marshal(l)
	if err != nil {
		return nil, err
	}
	return Canonical(text)
}

// ParseTrustList verifies the signature of a list, that its signer is the pinned one, and reads it. With an error other
// than ErrForm the Info is there when the signature itself holds. Whether the list has ended is CheckTime's question.
func ParseTrustList(data []byte, pin Pin) (*TrustList, *Info, error) {
	text, info, err := open(data, pin, MaxTrustListSize)
	if err != nil {
		return nil, info, err
	}
	l := new(TrustList)
	if err := json.Unmarshal(text, l); err != nil {
		return nil, info, fmt.Errorf("%w: %w", ErrForm, err)
	}
	again, err := l.marshal()
	if err != nil || !bytes.Equal(again, text) {
		return nil, info, ErrForm
	}
	return l, info, l.check()
}

// CheckSequence refuses a list that is older than the newest one seen of the same series. The same one again is good.
func (l *TrustList) CheckSequence(last uint64) error {
	if l.Sequence < last {
		return fmt.Errorf("sequence %d after %d: %w", l.Sequence, last, ErrRollback)
	}
	return nil
}

// CheckTime refuses a list that has ended, and one from the future.
func (l *TrustList) CheckTime(at time.Time) error {
	if at.After(l.NextUpdate) || at.Add(time.Hour).Before(l.IssuedAt) {
		return fmt.Errorf("from %s to %s, at %s: %w", l.IssuedAt, l.NextUpdate, at.UTC(), ErrExpired)
	}
	return nil
}

// Entry returns an entry.
func (l *TrustList) Entry(id string) (TrustEntry, bool) {
	i := slices.IndexFunc(l.Entries, func(e TrustEntry) bool { return e.ID == id })
	if i < 0 {
		return TrustEntry{}, false
	}
	return l.Entries[i], true
}

func (l *TrustList) check() error {
	switch {
	case l.Version != TrustListVersion:
		return wrong("version %d", l.Version)
	case !label(l.ID) || !label(l.Issuer):
		return wrong("id and issuer must be words of at most %d octets", maxText)
	case l.Sequence == 0 || l.Sequence > maxSequence:
		return wrong("sequence %d", l.Sequence)
	case !wholeUTC(l.IssuedAt) || !wholeUTC(l.NextUpdate) || !l.IssuedAt.Before(l.NextUpdate):
		return wrong("issuedAt and nextUpdate")
	case l.Previous != "" && !digest(l.Previous):
		return wrong("previous")
	case len(l.Entries) > maxEntries:
		return wrong("%d entries", len(l.Entries))
	}
	seen := map[string]string{}
	for i, e := range l.Entries {
		if i > 0 && l.Entries[i-1].ID >= e.ID {
			return wrong("entry %q: sorted by id and each once", e.ID)
		}
		if err := e.Check(); err != nil {
			return err
		}
		for _, c := range e.Certificates {
			if other, twice := seen[string(c.DER)]; twice {
				return wrong("entry %q: a certificate stands in entry %q too", e.ID, other)
			}
			seen[string(c.DER)] = e.ID
		}
	}
	return nil
}

// Check tells whether an entry can stand in a list.
func (e TrustEntry) Check() error {
	word := func(c rune) bool { return (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' }
	switch {
	case e.ID == "" || len(e.ID) > 64 || strings.ContainsFunc(e.ID, word):
		return wrong("entry %q: an id has 1 to 64 of a-z, 0-9 and '-'", e.ID)
	case !label(e.Name) || e.Note != "" && !label(e.Note):
		return wrong("entry %s: name or note", e.ID)
	case len(e.Certificates) == 0 || len(e.Certificates) > maxEntryCerts:
		return wrong("entry %s: %d certificates", e.ID, len(e.Certificates))
	case len(e.CRLs) > maxSources || len(e.OCSP) > maxSources:
		return wrong("entry %s: too many addresses", e.ID)
	}
	roots := 0
	for _, c := range e.Certificates {
		cert, err := certs.ParseLenient(c.DER)
		if err != nil {
			return wrong("entry %s: certificate: %v", e.ID, err)
		}
		if !cert.IsCA {
			return wrong("entry %s: %s is no CA certificate", e.ID, cert.Subject)
		}
		if c.Root {
			roots++
		}
	}
	if roots == 0 {
		return wrong("entry %s: no certificate is marked as root", e.ID)
	}
	for _, address := range slices.Concat(e.CRLs, e.OCSP) {
		u, err := url.Parse(address)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || len(address) > maxText {
			return wrong("entry %s: address %q", e.ID, address)
		}
	}
	if err := e.Terms.check(); err != nil {
		return fmt.Errorf("entry %s: %w", e.ID, err)
	}
	return nil
}

// Authorities are the entry's certificates as they stand in a bundle.
func (e TrustEntry) Authorities() (all []Authority) {
	for _, c := range e.Certificates {
		all = append(all, Authority{Certificate: c.DER, Root: c.Root, Entry: e.ID, Terms: e.Terms})
	}
	return all
}

// Digest is the SM3 of an entry's canonical JSON, lower-case hex: what a review is about.
func (e TrustEntry) Digest() (string, error) {
	text, err := json.Marshal(e)
	if err != nil {
		return "", err
	}
	if text, err = Canonical(text); err != nil {
		return "", err
	}
	sum := gm.SM3(text)
	return hex.EncodeToString(sum[:]), nil
}
