package certs

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
	"math/big"
	"strconv"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// What a caller of the revocation and time-stamp formats can branch on.
var (
	// ErrWrongIssuer: the answer or list is not the named issuer's, or its signer has no right to sign it.
	ErrWrongIssuer = errors.New("not from this issuer, or signer without the right to sign it")
	// ErrStale: the answer or list has ended; ask for a new one.
	ErrStale = errors.New("out of date")
	// ErrNotYet: the answer or list is from the future of the time asked for.
	ErrNotYet = errors.New("not yet valid")
	// ErrEntriesChanged: the spool of a CRL's entries did not give back what it took.
	ErrEntriesChanged = errors.New("the spool gives other entries than it took; make the list again")
)

// Reason is why a certificate was revoked (RFC 5280, 5.3.1).
type Reason int

// The reasons. ReasonUnspecified is never written: its absence says the same.
const (
	ReasonUnspecified          Reason = 0
	ReasonKeyCompromise        Reason = 1
	ReasonCACompromise         Reason = 2
	ReasonAffiliationChanged   Reason = 3
	ReasonSuperseded           Reason = 4
	ReasonCessationOfOperation Reason = 5
	ReasonCertificateHold      Reason = 6
	ReasonRemoveFromCRL        Reason = 8 // in delta CRLs only: the hold is over, or the certificate has ended
	ReasonPrivilegeWithdrawn   Reason = 9
	ReasonAACompromise         Reason = 10
)

var reasonNames = [...]string{
	"unspecified", "keyCompromise", "cACompromise", "affiliationChanged", "superseded", "cessationOfOperation",
	"certificateHold", "", "removeFromCRL", "privilegeWithdrawn", "aACompromise",
}

// Valid tells whether RFC 5280 defines the reason; 7 is not used.
func (r Reason) Valid() bool { return r >= 0 && int(r) < len(reasonNames) && reasonNames[r] != "" }

// String returns the reason as RFC 5280 names it.
func (r Reason) String() string {
	if !r.Valid() {
		return "reason " + strconv.Itoa(int(r))
	}
	return reasonNames[r]
}

// CRLEntry is one revoked certificate.
type CRLEntry struct {
	Serial         []byte // big-endian, as Certificate.Serial
	RevokedAt      time.Time
	Reason         Reason
	InvalidityDate time.Time // since when the key is known or suspected to be lost; zero when not told
}

// IssuingDistributionPoint says for which certificates a CRL speaks (RFC 5280, 5.2.5). It is critical.
type IssuingDistributionPoint struct {
	URIs      []string // the same that stand in the certificates' CRL distribution points
	OnlyUsers bool
	OnlyCAs   bool
	// The CRL covers only some reasons, only attribute certificates, or other issuers' certificates too. Read, never
	// written: such a CRL proves nothing about one of our certificates.
	Partial bool
}

// CRL is a parsed certificate revocation list. It keeps the entries in their DER and walks them on each look-up, so that
// a list of a million entries costs no memory beyond its bytes.
type CRL struct {
	Raw, RawTBS, RawIssuer []byte
	Issuer                 Name
	ThisUpdate, NextUpdate time.Time
	Number                 *big.Int                  // nil when the list has none
	BaseNumber             *big.Int                  // of a delta CRL: the number of the complete list that it amends
	Distribution           *IssuingDistributionPoint // nil: all certificates of the issuer
	AuthorityKeyID         []byte
	FreshestCRL            []string
	SignatureAlgorithm     SignatureAlgorithm
	Signature              []byte
	Count                  int // entries

	entries cryptobyte.String
}

// Entries walks the list in its own order.
func (c *CRL) Entries() iter.Seq[CRLEntry] {
	return func(yield func(CRLEntry) bool) {
		rest := c.entries
		for !rest.Empty() {
			entry, err := readCRLEntry(&rest)
			if err != nil || !yield(entry) {
				return
			}
		}
	}
}

// Find looks a serial number up: big-endian, with or without leading zeros. It compares octets only, so that a look-up in
// a million entries takes some tens of milliseconds; whoever asks often builds an index from Entries.
func (c *CRL) Find(serial []byte) (CRLEntry, bool) {
	want := integerOctets(serial)
	rest := c.entries
	for !rest.Empty() {
		var whole, fields, number cryptobyte.String
		if !rest.ReadASN1Element(&whole, cbasn1.SEQUENCE) {
			return CRLEntry{}, false
		}
		element := whole
		if !whole.ReadASN1(&fields, cbasn1.SEQUENCE) || !fields.ReadASN1(&number, cbasn1.INTEGER) {
			return CRLEntry{}, false
		}
		if bytes.Equal(number, want) || bytes.Equal(number, serial) {
			entry, err := readCRLEntry(&element)
			return entry, err == nil
		}
	}
	return CRLEntry{}, false
}

// CheckSignature verifies that the list is issuer's: name, key identifier, the right to sign CRLs, signature.
func (c *CRL) CheckSignature(issuer *Certificate) error {
	switch {
	case !bytes.Equal(c.RawIssuer, issuer.RawSubject):
		return fmt.Errorf("CRL of %s checked with the certificate of %s: %w", c.Issuer, issuer.Subject, ErrWrongIssuer)
	case len(c.AuthorityKeyID) > 0 && len(issuer.SubjectKeyID) > 0 && !bytes.Equal(c.AuthorityKeyID, issuer.SubjectKeyID):
		return fmt.Errorf("CRL of %s: signed with another key of this issuer: %w", c.Issuer, ErrWrongIssuer)
	case !maySignCRL(issuer):
		return fmt.Errorf("CRL of %s: key usage of the issuer lacks cRLSign: %w", c.Issuer, ErrWrongIssuer)
	}
	if err := CheckSignature(issuer.PublicKey, c.SignatureAlgorithm, c.RawTBS, c.Signature); err != nil {
		return fmt.Errorf("CRL of %s: %w", c.Issuer, err)
	}
	return nil
}

// Current tells whether the list speaks at a time: ErrStale after nextUpdate, ErrNotYet before thisUpdate.
func (c *CRL) Current(at time.Time) error { return current("CRL", c.ThisUpdate, c.NextUpdate, at) }

// Covers tells whether the list speaks for a certificate: the same issuer, and where the list is a shard, one of its
// addresses stands in the certificate. Without that check the list of another shard would pass as "not revoked".
func (c *CRL) Covers(cert *Certificate) bool {
	if !bytes.Equal(c.RawIssuer, cert.RawIssuer) {
		return false
	}
	d := c.Distribution
	if d == nil {
		return true
	}
	if d.Partial || d.OnlyUsers && cert.IsCA || d.OnlyCAs && !cert.IsCA {
		return false
	}
	return len(d.URIs) == 0 || intersects(d.URIs, cert.CRLPoints)
}

// maySignCRL tells whether a certificate is a CA's that may sign revocation lists.
func maySignCRL(c *Certificate) bool { return c.IsCA && c.Has(UsageCRLSign) }

func intersects(a, b []string) bool {
	for _, x := range a {
		for _, y := range b {
			if x == y {
				return true
			}
		}
	}
	return false
}

func current(what string, this, next, at time.Time) error {
	if at.Before(this) {
		return fmt.Errorf("%s of %s, asked for %s: %w", what, this.Format(time.RFC3339), at.UTC().Format(time.RFC3339), ErrNotYet)
	}
	if !next.IsZero() && at.After(next) {
		return fmt.Errorf("%s good until %s, asked for %s: %w", what, next.Format(time.RFC3339), at.UTC().Format(time.RFC3339), ErrStale)
	}
	return nil
}

// integerOctets returns the content octets of a DER INTEGER for a positive big-endian number.
func integerOctets(magnitude []byte) []byte {
	m := bytes.TrimLeft(magnitude, "\x00")
	if len(m) == 0 || m[0]&0x80 != 0 {
		return append([]byte{0}, m...)
	}
	return m
}
