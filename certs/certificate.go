package certs

import (
	"crypto"
	"encoding/hex"
	"fmt"
	"net/netip"
	"time"

	"hufu/internal/gm"
)

// Limits of what Parse and ParseLenient read.
const (
	MaxCertificateSize = 64 << 10
	maxExtensions      = 64
	maxListEntries     = 256 // of any list in an extension
	maxSerialOctets    = 20
)

// Certificate is an X.509 certificate. Slices point into Raw; nothing may be changed.
type Certificate struct {
	Raw        []byte
	RawTBS     []byte
	RawIssuer  []byte
	RawSubject []byte
	RawSPKI    []byte

	Version int    // 3 for all that we make
	Serial  []byte // content octets of the INTEGER as found: equal serials have equal octets

	Issuer    Name
	Subject   Name
	NotBefore time.Time
	NotAfter  time.Time
	PublicKey crypto.PublicKey // *ecdsa.PublicKey (SM2, P-256, P-384, P-521) or *rsa.PublicKey

	SignatureAlgorithm SignatureAlgorithm // UnknownSignature when we cannot verify it; SignatureOID tells which
	SignatureOID       OID
	Signature          []byte

	HasBasicConstraints bool
	IsCA                bool
	MaxPathLen          int // -1: no limit
	KeyUsage            KeyUsage
	HasKeyUsage         bool
	ExtKeyUsage         []OID
	SubjectKeyID        []byte
	AuthorityKeyID      []byte
	AuthoritySerial     []byte // of the issuer's own certificate; rarely present
	AltNames            GeneralNames
	CRLPoints           []string // URIs of full-name distribution points without reasons or other issuer
	FreshestCRL         []string
	OCSPServers         []string
	IssuerURLs          []string
	Policies            []Policy
	PolicyMappings      []PolicyMapping
	RequireExplicit     int // PolicyConstraints and InhibitAnyPolicy: certificates to skip; -1 when absent
	InhibitMapping      int
	InhibitAnyPolicy    int
	NameConstraints     *NameConstraints
	OCSPNoCheck         bool
	Identity            map[OID]IdentityNumber // GB/T 20518 extensions
	Extensions          []Extension            // all of them, in order

	// UnknownCritical lists critical extensions that this package does not process; validation refuses them.
	UnknownCritical []OID
	// NonStandard names what ParseLenient let pass, in English, for the report; empty after Parse.
	NonStandard []string
}

// Extension is one extension as found.
type Extension struct {
	ID       OID
	Critical bool
	Value    []byte // content of the OCTET STRING
}

// KeyUsage is the set of bits of the key usage extension.
type KeyUsage uint16

// Bit i of the DER BIT STRING is 1<<i here.
const (
	UsageDigitalSignature KeyUsage = 1 << iota
	UsageNonRepudiation
	UsageKeyEncipherment
	UsageDataEncipherment
	UsageKeyAgreement
	UsageCertSign
	UsageCRLSign
	UsageEncipherOnly
	UsageDecipherOnly
)

// GeneralNames are the names of a subject alternative name or a constraint, by form.
type GeneralNames struct {
	DNS       []string
	Email     []string
	URI       []string
	IP        []netip.Addr
	Directory []Name
	Other     []OtherName
}

// Empty tells whether no name is there.
func (g GeneralNames) Empty() bool {
	return len(g.DNS)+len(g.Email)+len(g.URI)+len(g.IP)+len(g.Directory)+len(g.Other) == 0
}

// OtherName is a general name of a form that this package does not interpret; kept as found.
type OtherName struct {
	Tag uint8 // context tag: 0 otherName, 3 x400Address, 5 ediPartyName, 8 registeredID
	Raw []byte
}

// Policy is one certificate policy with the qualifiers that we know.
type Policy struct {
	ID     OID
	CPS    string // URI, "" when absent
	Notice string // explicit text, "" when absent
}

// PolicyMapping says that the issuer holds a policy of its own equal to one of the subject CA.
type PolicyMapping struct{ Issuer, Subject OID }

// NameConstraints are the subtrees in which names below a CA must, and must not, lie.
type NameConstraints struct {
	Permitted Subtrees
	Excluded  Subtrees
}

// Subtrees are bases of constraints, by form.
type Subtrees struct {
	DNS       []string
	Email     []string
	URI       []string
	IP        []netip.Prefix
	Directory []Name
	// Unsupported lists context tags of forms that we cannot check; a critical constraint with one is refused
	// as soon as a name of that form occurs.
	Unsupported []uint8
}

// SerialHex returns the serial number as lower-case hex, as it stands in its INTEGER.
func (c *Certificate) SerialHex() string { return hex.EncodeToString(c.Serial) }

// Fingerprint returns the SM3 digest of the whole certificate.
func (c *Certificate) Fingerprint() [32]byte { return gm.SM3(c.Raw) }

// SelfIssued tells whether subject and issuer are the same name.
func (c *Certificate) SelfIssued() bool { return c.Subject.Equal(c.Issuer) }

// CheckSignature verifies c's signature with the key of parent. It says nothing about names, times or usage.
func (c *Certificate) CheckSignature(parent *Certificate) error {
	return c.CheckSignatureKey(parent.PublicKey)
}

// CheckSignatureKey verifies c's signature with a key.
func (c *Certificate) CheckSignatureKey(pub crypto.PublicKey) error {
	if c.SignatureAlgorithm == UnknownSignature {
		if c.SignatureOID == OIDRSAWithMD5 || c.SignatureOID == OIDRSAWithSHA1 {
			return fmt.Errorf("signature algorithm %s: %w", c.SignatureOID, ErrWeak)
		}
		return fmt.Errorf("signature algorithm %s: %w", c.SignatureOID, ErrUnsupported)
	}
	return CheckSignature(pub, c.SignatureAlgorithm, c.RawTBS, c.Signature)
}

// Has tells whether all given bits are set; a certificate without the extension allows every use (RFC 5280, 4.2.1.3).
func (c *Certificate) Has(usage KeyUsage) bool {
	return !c.HasKeyUsage || c.KeyUsage&usage == usage
}

// Extension returns the value of an extension; ok is false when it is absent.
func (c *Certificate) Extension(id OID) (value []byte, ok bool) {
	for _, e := range c.Extensions {
		if e.ID == id {
			return e.Value, true
		}
	}
	return nil, false
}
