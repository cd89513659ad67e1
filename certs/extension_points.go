package certs

import (
	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

func (r *reader) crlPoints(c *Certificate, v cryptobyte.String) (err error) {
	c.CRLPoints, err = r.distributionPoints(v, "CRL distribution points")
	return err
}

func (r *reader) freshestCRL(c *Certificate, v cryptobyte.String) (err error) {
	c.FreshestCRL, err = r.distributionPoints(v, "freshest CRL")
	return err
}

// distributionPoints returns the URIs of the points that name one, for all reasons, by the certificate's own issuer.
func (r *reader) distributionPoints(v cryptobyte.String, where string) ([]string, error) {
	var seq cryptobyte.String
	if !v.ReadASN1(&seq, cbasn1.SEQUENCE) || !v.Empty() || seq.Empty() {
		return nil, malformed("%s", where)
	}
	var out []string
	for n := 0; !seq.Empty(); n++ {
		if n == maxListEntries {
			return nil, ErrTooLarge
		}
		uris, err := r.distributionPoint(&seq, where)
		if err != nil {
			return nil, err
		}
		out = append(out, uris...)
	}
	return out, nil
}

func (r *reader) distributionPoint(s *cryptobyte.String, where string) ([]string, error) {
	var one, name, full, ignored cryptobyte.String
	var hasName, hasFull, hasReasons, hasIssuer bool
	if !s.ReadASN1(&one, cbasn1.SEQUENCE) ||
		!one.ReadOptionalASN1(&name, &hasName, contextConstructed(0)) ||
		!one.ReadOptionalASN1(&ignored, &hasReasons, contextTag(1)) ||
		!one.ReadOptionalASN1(&ignored, &hasIssuer, contextConstructed(2)) || !one.Empty() {
		return nil, malformed("%s", where)
	}
	if !hasName || hasReasons || hasIssuer {
		return nil, nil
	}
	if !name.ReadOptionalASN1(&full, &hasFull, contextConstructed(0)) {
		return nil, malformed("%s: name", where)
	}
	if !hasFull {
		if !name.SkipASN1(contextConstructed(1)) || !name.Empty() {
			return nil, malformed("%s: name", where)
		}
		return nil, nil
	}
	if !name.Empty() {
		return nil, malformed("%s: name", where)
	}
	names, err := r.generalNames(full, where)
	return names.URI, err
}

func (r *reader) authorityInfoAccess(c *Certificate, v cryptobyte.String) error {
	const where = "authority information access"
	var seq cryptobyte.String
	if !v.ReadASN1(&seq, cbasn1.SEQUENCE) || !v.Empty() || seq.Empty() {
		return malformed(where)
	}
	for n := 0; !seq.Empty(); n++ {
		if n == maxListEntries {
			return ErrTooLarge
		}
		var one cryptobyte.String
		var method OID
		if !seq.ReadASN1(&one, cbasn1.SEQUENCE) || !ReadOID(&one, &method) {
			return malformed(where)
		}
		g, ok := readGeneralName(&one)
		if !ok || !one.Empty() {
			return malformed(where)
		}
		var names GeneralNames
		if err := r.addGeneralName(&names, g, where); err != nil {
			return err
		}
		switch method {
		case OIDAccessOCSP:
			c.OCSPServers = append(c.OCSPServers, names.URI...)
		case OIDAccessCAIssuers:
			c.IssuerURLs = append(c.IssuerURLs, names.URI...)
		}
	}
	return nil
}
