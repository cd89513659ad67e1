package certs

import (
	"fmt"
	"math/big"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// MaxCRLSize bounds what ParseCRL reads: about five million entries.
const MaxCRLSize = 256 << 20

// maxURIs bounds the addresses in one extension.
const maxURIs = 16

// ParseCRL reads a version 2 CRL strictly; every entry is looked at once. Unknown critical extensions and lists without
// nextUpdate are refused, since nobody could rely on them.
func ParseCRL(der []byte) (*CRL, error) {
	if len(der) > MaxCRLSize {
		return nil, fmt.Errorf("CRL of %d octets: %w", len(der), ErrTooLarge)
	}
	input := cryptobyte.String(der)
	var list, tbs cryptobyte.String
	var outer AlgorithmIdentifier
	c := &CRL{Raw: der}
	if !input.ReadASN1(&list, cbasn1.SEQUENCE) || !list.ReadASN1Element(&tbs, cbasn1.SEQUENCE) ||
		!ReadAlgorithm(&list, &outer) || !list.ReadASN1BitStringAsBytes(&c.Signature) || !list.Empty() {
		return nil, malformed("CRL")
	}
	if !input.Empty() {
		return nil, fmt.Errorf("CRL: %w", ErrTrailing)
	}
	c.RawTBS = tbs
	if err := c.parseTBS(tbs, outer); err != nil {
		return nil, err
	}
	return c, nil
}

func (c *CRL) parseTBS(tbs cryptobyte.String, outer AlgorithmIdentifier) error {
	var fields, name cryptobyte.String
	var inner AlgorithmIdentifier
	var version int64
	var ok bool
	if !tbs.ReadASN1(&fields, cbasn1.SEQUENCE) || !fields.ReadASN1Integer(&version) || !ReadAlgorithm(&fields, &inner) ||
		!fields.ReadASN1Element(&name, cbasn1.SEQUENCE) {
		return malformed("CRL: to-be-signed part")
	}
	if version != 1 {
		return fmt.Errorf("CRL: version %d: %w", version+1, ErrUnsupported)
	}
	if string(inner.Raw) != string(outer.Raw) {
		return malformed("CRL: two signature algorithms")
	}
	if c.SignatureAlgorithm = SignatureAlgorithmByOID(outer.OID); !outer.NullOrAbsent() {
		return malformed("CRL: parameters of the signature algorithm")
	}
	c.RawIssuer = name
	lenient := reader{lenient: true} // the name is for people; comparison is over its octets
	var err error
	if c.Issuer, err = lenient.name(&name, "CRL issuer"); err != nil {
		return err
	}
	if c.ThisUpdate, ok = ReadTime(&fields); !ok {
		return malformed("CRL: thisUpdate")
	}
	if c.NextUpdate, ok = ReadTime(&fields); !ok || !c.ThisUpdate.Before(c.NextUpdate) {
		return malformed("CRL: nextUpdate")
	}
	return c.parseBody(fields)
}

func (c *CRL) parseBody(fields cryptobyte.String) error {
	var extensions cryptobyte.String
	var hasEntries, hasExtensions bool
	if !fields.ReadOptionalASN1(&c.entries, &hasEntries, cbasn1.SEQUENCE) ||
		!fields.ReadOptionalASN1(&extensions, &hasExtensions, cbasn1.Tag(0).Constructed().ContextSpecific()) || !fields.Empty() {
		return malformed("CRL: to-be-signed part")
	}
	for rest := c.entries; !rest.Empty(); c.Count++ {
		if _, err := readCRLEntry(&rest); err != nil {
			return fmt.Errorf("CRL entry %d: %w", c.Count, err)
		}
	}
	if hasEntries && c.Count == 0 {
		return malformed("CRL: an empty list must be absent")
	}
	if !hasExtensions {
		return nil
	}
	all, err := readExtensions(extensions, "CRL")
	if err != nil {
		return err
	}
	for _, e := range all {
		if err := c.extension(e); err != nil {
			return err
		}
	}
	return nil
}

func (c *CRL) extension(e Extension) error {
	value := cryptobyte.String(e.Value)
	var ok bool
	switch e.ID {
	case OIDCRLNumber:
		c.Number = new(big.Int)
		ok = readCRLNumber(&value, c.Number)
	case OIDDeltaCRLIndicator:
		c.BaseNumber = new(big.Int)
		ok = readCRLNumber(&value, c.BaseNumber)
	case OIDAuthorityKeyID:
		c.AuthorityKeyID, ok = readAuthorityKeyID(&value)
	case OIDIssuingDistPoint:
		c.Distribution, ok = readDistribution(&value)
	case OIDFreshestCRL:
		c.FreshestCRL, ok = readFreshest(&value)
	default:
		if e.Critical {
			return fmt.Errorf("CRL: critical extension %s: %w", e.ID, ErrUnsupported)
		}
		return nil
	}
	if !ok || !value.Empty() {
		return malformed("CRL: extension %s", e.ID)
	}
	return nil
}

// readExtensions reads the SEQUENCE OF Extension that is all of s. A repeated identifier is refused.
func readExtensions(s cryptobyte.String, what string) ([]Extension, error) {
	var seq cryptobyte.String
	if !s.ReadASN1(&seq, cbasn1.SEQUENCE) || !s.Empty() || seq.Empty() {
		return nil, malformed("%s: extensions", what)
	}
	var all []Extension
	for !seq.Empty() {
		var fields, value cryptobyte.String
		var e Extension
		if !seq.ReadASN1(&fields, cbasn1.SEQUENCE) || !ReadOID(&fields, &e.ID) {
			return nil, malformed("%s: extension", what)
		}
		if fields.PeekASN1Tag(cbasn1.BOOLEAN) && !fields.ReadASN1Boolean(&e.Critical) ||
			!fields.ReadASN1(&value, cbasn1.OCTET_STRING) || !fields.Empty() {
			return nil, malformed("%s: extension %s", what, e.ID)
		}
		e.Value = value
		for _, other := range all {
			if other.ID == e.ID {
				return nil, malformed("%s: extension %s twice", what, e.ID)
			}
		}
		if all = append(all, e); len(all) > maxExtensions {
			return nil, fmt.Errorf("%s: extensions: %w", what, ErrTooLarge)
		}
	}
	return all, nil
}

// readCRLNumber reads a number of 0 to 2^159−1 (RFC 5280, 5.2.3).
func readCRLNumber(s *cryptobyte.String, n *big.Int) bool {
	return s.ReadASN1Integer(n) && n.Sign() >= 0 && n.BitLen() < 160
}

func readAuthorityKeyID(s *cryptobyte.String) ([]byte, bool) {
	var seq, id cryptobyte.String
	var has bool
	if !s.ReadASN1(&seq, cbasn1.SEQUENCE) || !seq.ReadOptionalASN1(&id, &has, cbasn1.Tag(0).ContextSpecific()) {
		return nil, false
	}
	return id, true // issuer and serial may follow; names and signature decide
}

func readDistribution(s *cryptobyte.String) (*IssuingDistributionPoint, bool) {
	var seq, point, reasons cryptobyte.String
	var hasPoint, hasReasons, indirect, attributes bool
	d := new(IssuingDistributionPoint)
	if !s.ReadASN1(&seq, cbasn1.SEQUENCE) ||
		!seq.ReadOptionalASN1(&point, &hasPoint, cbasn1.Tag(0).Constructed().ContextSpecific()) ||
		!readFlag(&seq, 1, &d.OnlyUsers) || !readFlag(&seq, 2, &d.OnlyCAs) ||
		!seq.ReadOptionalASN1(&reasons, &hasReasons, cbasn1.Tag(3).ContextSpecific()) ||
		!readFlag(&seq, 4, &indirect) || !readFlag(&seq, 5, &attributes) || !seq.Empty() {
		return nil, false
	}
	d.Partial = hasReasons || indirect || attributes
	if hasPoint {
		var known bool
		if d.URIs, known = readPointURIs(&point); !point.Empty() {
			return nil, false
		} else if !known {
			d.Partial = true // a distribution point in a form that no certificate of ours could name
		}
	}
	return d, true
}

// readFlag reads [n] BOOLEAN DEFAULT FALSE.
func readFlag(s *cryptobyte.String, n uint8, out *bool) bool {
	var content cryptobyte.String
	var has bool
	if !s.ReadOptionalASN1(&content, &has, cbasn1.Tag(n).ContextSpecific()) {
		return false
	}
	*out = has
	return !has || len(content) == 1 && content[0] == 0xff
}

// readPointURIs reads { fullName [0] { GeneralName … } } and keeps the URIs; false when there is none.
func readPointURIs(s *cryptobyte.String) ([]string, bool) {
	var names cryptobyte.String
	if !s.ReadASN1(&names, cbasn1.Tag(0).Constructed().ContextSpecific()) {
		return nil, false
	}
	var uris []string
	for !names.Empty() {
		var name cryptobyte.String
		var tag cbasn1.Tag
		if !names.ReadAnyASN1(&name, &tag) || len(uris) == maxURIs {
			return nil, false
		}
		if tag == cbasn1.Tag(6).ContextSpecific() && isASCII(string(name)) {
			uris = append(uris, string(name))
		}
	}
	return uris, len(uris) > 0
}

func readFreshest(s *cryptobyte.String) ([]string, bool) {
	var points cryptobyte.String
	if !s.ReadASN1(&points, cbasn1.SEQUENCE) {
		return nil, false
	}
	var uris []string
	for !points.Empty() {
		var fields, point cryptobyte.String
		var has bool
		if !points.ReadASN1(&fields, cbasn1.SEQUENCE) || len(uris) > maxURIs ||
			!fields.ReadOptionalASN1(&point, &has, cbasn1.Tag(0).Constructed().ContextSpecific()) {
			return nil, false
		}
		if some, ok := readPointURIs(&point); has && ok {
			uris = append(uris, some...)
		}
	}
	return uris, true
}
