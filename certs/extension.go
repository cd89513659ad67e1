package certs

import (
	"slices"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// extensionField reads [3] of a to-be-signed part.
func (r *reader) extensionField(c *Certificate, s *cryptobyte.String) error {
	var field cryptobyte.String
	var present bool
	if !s.ReadOptionalASN1(&field, &present, cbasn1.Tag(3).Constructed().ContextSpecific()) {
		return malformed("extensions")
	}
	if !present {
		return r.odd("no extensions")
	}
	if c.Version != 3 {
		if err := r.odd("extensions in version %d", c.Version); err != nil {
			return err
		}
	}
	list, err := r.extensions(&field)
	if err != nil {
		return err
	}
	if !field.Empty() {
		return malformed("bytes after the extensions")
	}
	c.Extensions = list
	return r.interpret(c)
}

// extensions reads a SEQUENCE OF Extension. Duplicates are an error, or when reading leniently a note.
func (r *reader) extensions(s *cryptobyte.String) ([]Extension, error) {
	var seq cryptobyte.String
	if !s.ReadASN1(&seq, cbasn1.SEQUENCE) {
		return nil, malformed("extensions")
	}
	if seq.Empty() {
		return nil, r.odd("empty list of extensions")
	}
	var out []Extension
	for !seq.Empty() {
		if len(out) == maxExtensions {
			return nil, ErrTooLarge
		}
		e, err := r.extension(&seq)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(out, func(x Extension) bool { return x.ID == e.ID }) {
			if err := r.odd("extension %s occurs twice", e.ID); err != nil {
				return nil, err
			}
		}
		out = append(out, e)
	}
	return out, nil
}

func (r *reader) extension(s *cryptobyte.String) (e Extension, err error) {
	var one, value cryptobyte.String
	if !s.ReadASN1(&one, cbasn1.SEQUENCE) || !ReadOID(&one, &e.ID) {
		return e, malformed("extension")
	}
	if one.PeekASN1Tag(cbasn1.BOOLEAN) {
		if e.Critical, err = r.boolean(&one, "extension "+string(e.ID)); err != nil {
			return e, err
		}
		if !e.Critical {
			if err := r.odd("extension %s: critical FALSE written out", e.ID); err != nil {
				return e, err
			}
		}
	}
	if !one.ReadASN1(&value, cbasn1.OCTET_STRING) || !one.Empty() {
		return e, malformed("extension %s", e.ID)
	}
	e.Value = value
	return e, nil
}

// boolean reads a BOOLEAN; octets other than 00 and FF are true in BER and odd.
func (r *reader) boolean(s *cryptobyte.String, where string) (bool, error) {
	var content cryptobyte.String
	if !s.ReadASN1(&content, cbasn1.BOOLEAN) || len(content) != 1 {
		return false, malformed("%s: boolean", where)
	}
	if content[0] != 0 && content[0] != 0xff {
		return true, r.odd("%s: boolean with octet %02x", where, content[0])
	}
	return content[0] != 0, nil
}

type extensionReader func(r *reader, c *Certificate, value cryptobyte.String) error

// extensionReaders lists what we process.
var extensionReaders = map[OID]extensionReader{
	OIDSubjectKeyID:          (*reader).subjectKeyID,
	OIDAuthorityKeyID:        (*reader).authorityKeyID,
	OIDKeyUsage:              (*reader).keyUsage,
	OIDExtKeyUsage:           (*reader).extKeyUsage,
	OIDBasicConstraints:      (*reader).basicConstraints,
	OIDSubjectAltName:        (*reader).subjectAltName,
	OIDNameConstraints:       (*reader).nameConstraints,
	OIDCRLDistributionPoints: (*reader).crlPoints,
	OIDFreshestCRL:           (*reader).freshestCRL,
	OIDAuthorityInfoAccess:   (*reader).authorityInfoAccess,
	OIDCertificatePolicies:   (*reader).policies,
	OIDPolicyMappings:        (*reader).policyMappings,
	OIDPolicyConstraints:     (*reader).policyConstraints,
	OIDInhibitAnyPolicy:      (*reader).inhibitAnyPolicy,
	OIDOCSPNoCheck:           (*reader).ocspNoCheck,
}

// restricting are the extensions that forbid something: when one cannot be read, what it forbade is not known, and
// validation must refuse the certificate even where the extension is not critical.
var restricting = []OID{
	OIDKeyUsage, OIDExtKeyUsage, OIDBasicConstraints, OIDNameConstraints, OIDPolicyConstraints, OIDInhibitAnyPolicy, OIDPolicyMappings,
}

// interpret reads the values of the extensions that we know, and collects the critical ones that we do not.
func (r *reader) interpret(c *Certificate) error {
	seen := make(map[OID]bool, len(c.Extensions))
	for _, e := range c.Extensions {
		if seen[e.ID] {
			c.UnknownCritical = appendNew(c.UnknownCritical, e.ID) // contradictory; only reached when reading leniently
			continue
		}
		seen[e.ID] = true
		read, known := extensionReaders[e.ID]
		if !known {
			if err := r.identityOrUnknown(c, e); err != nil {
				return err
			}
			continue
		}
		if err := read(r, c, cryptobyte.String(e.Value)); err != nil {
			if !r.lenient {
				return err
			}
			_ = r.odd("extension %s: %s", e.ID, err)
			if e.Critical || slices.Contains(restricting, e.ID) {
				c.UnknownCritical = appendNew(c.UnknownCritical, e.ID)
			}
		}
	}
	return nil
}

func (r *reader) identityOrUnknown(c *Certificate, e Extension) error {
	kind, known := identityKinds[e.ID]
	if !known {
		if e.Critical {
			c.UnknownCritical = appendNew(c.UnknownCritical, e.ID)
		}
		return nil
	}
	number, err := r.identity(e, kind)
	if err != nil {
		if !r.lenient {
			return err
		}
		return r.odd("%s", err)
	}
	if c.Identity == nil {
		c.Identity = make(map[OID]IdentityNumber)
	}
	c.Identity[e.ID] = number
	return nil
}

func appendNew(list []OID, id OID) []OID {
	if slices.Contains(list, id) {
		return list
	}
	return append(list, id)
}

func (r *reader) subjectKeyID(c *Certificate, v cryptobyte.String) error {
	var id cryptobyte.String
	if !v.ReadASN1(&id, cbasn1.OCTET_STRING) || !v.Empty() || len(id) == 0 || len(id) > maxListEntries {
		return malformed("subject key identifier")
	}
	c.SubjectKeyID = id
	return nil
}

func (r *reader) authorityKeyID(c *Certificate, v cryptobyte.String) error {
	var seq, id, issuer, serial cryptobyte.String
	var hasID, hasIssuer, hasSerial bool
	if !v.ReadASN1(&seq, cbasn1.SEQUENCE) || !v.Empty() ||
		!seq.ReadOptionalASN1(&id, &hasID, cbasn1.Tag(0).ContextSpecific()) ||
		!seq.ReadOptionalASN1(&issuer, &hasIssuer, cbasn1.Tag(1).Constructed().ContextSpecific()) ||
		!seq.ReadOptionalASN1(&serial, &hasSerial, cbasn1.Tag(2).ContextSpecific()) || !seq.Empty() {
		return malformed("authority key identifier")
	}
	if hasID {
		c.AuthorityKeyID = id
	}
	if hasSerial {
		c.AuthoritySerial = serial
	}
	if hasIssuer != hasSerial {
		return r.odd("authority key identifier: issuer without serial number, or the reverse")
	}
	if !hasID {
		return r.odd("authority key identifier without key identifier")
	}
	return nil
}

func (r *reader) keyUsage(c *Certificate, v cryptobyte.String) error {
	var content cryptobyte.String
	if !v.ReadASN1(&content, cbasn1.BIT_STRING) || !v.Empty() || len(content) < 1 || content[0] > 7 || len(content) == 1 && content[0] != 0 {
		return malformed("key usage")
	}
	bits := content[1:]
	for i := range min(len(bits)*8, 16) {
		if bits[i/8]>>(7-i%8)&1 == 1 {
			c.KeyUsage |= 1 << i
		}
	}
	c.HasKeyUsage = true
	if c.KeyUsage == 0 {
		return r.odd("key usage without a bit")
	}
	if last := bits[len(bits)-1]; last&(1<<content[0]-1) != 0 || last>>content[0]&1 == 0 {
		return r.odd("key usage is not in the shortest form")
	}
	if c.KeyUsage >= 1<<9 {
		return r.odd("key usage with unknown bits")
	}
	return nil
}

func (r *reader) extKeyUsage(c *Certificate, v cryptobyte.String) error {
	var seq cryptobyte.String
	if !v.ReadASN1(&seq, cbasn1.SEQUENCE) || !v.Empty() {
		return malformed("extended key usage")
	}
	for !seq.Empty() {
		var id OID
		if !ReadOID(&seq, &id) || len(c.ExtKeyUsage) == maxListEntries {
			return malformed("extended key usage")
		}
		c.ExtKeyUsage = append(c.ExtKeyUsage, id)
	}
	if len(c.ExtKeyUsage) == 0 {
		return malformed("extended key usage: empty")
	}
	return nil
}

func (r *reader) basicConstraints(c *Certificate, v cryptobyte.String) error {
	var seq cryptobyte.String
	var err error
	if !v.ReadASN1(&seq, cbasn1.SEQUENCE) || !v.Empty() {
		return malformed("basic constraints")
	}
	c.HasBasicConstraints = true
	ca, pathLen := false, -1
	if seq.PeekASN1Tag(cbasn1.BOOLEAN) {
		if ca, err = r.boolean(&seq, "basic constraints"); err != nil {
			return err
		}
		if !ca {
			if err := r.odd("basic constraints: cA FALSE written out"); err != nil {
				return err
			}
		}
	}
	if seq.PeekASN1Tag(cbasn1.INTEGER) {
		if !seq.ReadASN1Integer(&pathLen) || pathLen < 0 {
			return malformed("basic constraints: path length")
		}
	}
	if !seq.Empty() {
		return malformed("basic constraints")
	}
	c.IsCA, c.MaxPathLen = ca, pathLen
	return nil
}

func (r *reader) ocspNoCheck(c *Certificate, v cryptobyte.String) error {
	var null cryptobyte.String
	if !v.ReadASN1(&null, cbasn1.NULL) || !null.Empty() || !v.Empty() {
		return malformed("OCSP no-check")
	}
	c.OCSPNoCheck = true
	return nil
}
