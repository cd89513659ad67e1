package ca

import (
	"bytes"
	"fmt"

	"hufu/certs"
	"hufu/internal/gm"
)

// lint looks at the bytes that will be signed, as a relying party will: RFC 5280 and GB/T 20518 rules that the builder's
// strict read-back does not know.
func lint(p *prepared) error {
	c, err := certs.ParseTBS(p.tbs)
	if err != nil {
		return fmt.Errorf("lint: %w", err)
	}
	var wrong string
	switch {
	case !bytes.Equal(c.Serial, p.serial) || len(c.Serial) != serialSize:
		wrong = "serial number is not the reserved one"
	case c.Subject.Empty():
		wrong = "subject is empty"
	case !c.NotAfter.After(c.NotBefore):
		wrong = "validity ends before it begins"
	case c.HasBasicConstraints != p.profile.isCA():
		wrong = "basic constraints belong into CA certificates only"
	case c.IsCA && c.Has(certs.UsageDigitalSignature):
		wrong = "a CA key signs certificates and lists, nothing else"
	case c.Has(certs.UsageDigitalSignature) && (c.Has(certs.UsageKeyEncipherment) || c.Has(certs.UsageDataEncipherment)) && gm.IsSM2(c.PublicKey):
		wrong = "an SM2 key either signs or encrypts"
	case p.chain != nil && (c.NotAfter.After(p.chain.NotAfter) || c.NotBefore.Before(p.chain.NotBefore)):
		wrong = "validity is not within the issuer's"
	case p.chain != nil && !bytes.Equal(c.RawIssuer, p.chain.RawSubject):
		wrong = "issuer is not the subject of the issuing certificate"
	case !certs.SameKey(c.PublicKey, p.public):
		wrong = "public key is not the requested one"
	case len(c.UnknownCritical) > 0:
		wrong = "unknown critical extension"
	}
	if wrong != "" {
		return fmt.Errorf("profile %q: lint: %s", p.profile.Name, wrong)
	}
	return nil
}
