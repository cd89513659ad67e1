package certs

import (
	"net/netip"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

func (t *Template) policyExtensions(out *extensionList) {
	if len(t.Policies) > 0 {
		out.add(OIDCertificatePolicies, t.PoliciesCritical, func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				for _, p := range t.Policies {
					addPolicy(b, p)
				}
			})
		})
	}
	if len(t.PolicyMappings) > 0 {
		out.add(OIDPolicyMappings, true, func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				for _, m := range t.PolicyMappings {
					b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
						AddOID(b, m.Issuer)
						AddOID(b, m.Subject)
					})
				}
			})
		})
	}
	if pc := t.PolicyConstraints; pc != nil {
		out.add(OIDPolicyConstraints, true, func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				addSkip(b, contextTag(0), pc.RequireExplicit)
				addSkip(b, contextTag(1), pc.InhibitMapping)
			})
		})
	}
	if t.InhibitAnyPolicy != nil {
		out.add(OIDInhibitAnyPolicy, true, func(b *cryptobyte.Builder) { b.AddASN1Int64(int64(*t.InhibitAnyPolicy)) })
	}
}

func addSkip(b *cryptobyte.Builder, tag cbasn1.Tag, n int) {
	if n >= 0 {
		b.AddASN1Int64WithTag(int64(n), tag)
	}
}

func addPolicy(b *cryptobyte.Builder, p Policy) {
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		AddOID(b, p.ID)
		if p.CPS == "" && p.Notice == "" {
			return
		}
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			if p.CPS != "" {
				b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
					AddOID(b, OIDQualifierCPS)
					b.AddASN1(cbasn1.IA5String, func(b *cryptobyte.Builder) { b.AddBytes([]byte(p.CPS)) })
				})
			}
			if p.Notice != "" {
				b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
					AddOID(b, OIDQualifierNotice)
					b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
						b.AddASN1(cbasn1.UTF8String, func(b *cryptobyte.Builder) { b.AddBytes([]byte(p.Notice)) })
					})
				})
			}
		})
	})
}

func (t *Template) pointExtensions(out *extensionList) {
	if len(t.CRLPoints) > 0 {
		out.add(OIDCRLDistributionPoints, false, func(b *cryptobyte.Builder) { addDistributionPoints(b, t.CRLPoints) })
	}
	if len(t.FreshestCRL) > 0 {
		out.add(OIDFreshestCRL, false, func(b *cryptobyte.Builder) { addDistributionPoints(b, t.FreshestCRL) })
	}
	if len(t.OCSPServers)+len(t.IssuerURLs) > 0 {
		out.add(OIDAuthorityInfoAccess, false, func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				addAccess(b, OIDAccessOCSP, t.OCSPServers)
				addAccess(b, OIDAccessCAIssuers, t.IssuerURLs)
			})
		})
	}
}

func addAccess(b *cryptobyte.Builder, method OID, uris []string) {
	for _, uri := range uris {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			AddOID(b, method)
			addText(b, nameURI, uri)
		})
	}
}

// addDistributionPoints writes a point with a full name for each URI.
func addDistributionPoints(b *cryptobyte.Builder, uris []string) {
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		for _, uri := range uris {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1(contextConstructed(0), func(b *cryptobyte.Builder) {
					b.AddASN1(contextConstructed(0), func(b *cryptobyte.Builder) { addText(b, nameURI, uri) })
				})
			})
		}
	})
}

func addText(b *cryptobyte.Builder, form uint8, text string) {
	if !isVisible(text) {
		b.SetError(malformed("name %q", printable(text)))
		return
	}
	b.AddASN1(contextTag(form), func(b *cryptobyte.Builder) { b.AddBytes([]byte(text)) })
}

// addGeneralNames writes the names by form, in the order of their tags.
func addGeneralNames(b *cryptobyte.Builder, g GeneralNames) {
	for _, n := range g.Email {
		addText(b, nameEmail, n)
	}
	for _, n := range g.DNS {
		addText(b, nameDNS, n)
	}
	for _, n := range g.Directory {
		addDirectoryName(b, n)
	}
	for _, n := range g.URI {
		addText(b, nameURI, n)
	}
	for _, ip := range g.IP {
		b.AddASN1(contextTag(nameIP), func(b *cryptobyte.Builder) { b.AddBytes(ip.Unmap().AsSlice()) })
	}
	for _, n := range g.Other {
		b.AddBytes(n.Raw)
	}
}

func addDirectoryName(b *cryptobyte.Builder, n Name) {
	der, err := n.Marshal()
	if err != nil {
		b.SetError(err)
		return
	}
	b.AddASN1(contextConstructed(nameDirectory), func(b *cryptobyte.Builder) { b.AddBytes(der) })
}

func addNameConstraints(b *cryptobyte.Builder, nc NameConstraints) {
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		for tag, side := range []Subtrees{nc.Permitted, nc.Excluded} {
			if side.empty() {
				continue
			}
			b.AddASN1(contextConstructed(uint8(tag)), func(b *cryptobyte.Builder) { addSubtrees(b, side) })
		}
	})
}

func (t Subtrees) empty() bool {
	return len(t.DNS)+len(t.Email)+len(t.URI)+len(t.IP)+len(t.Directory)+len(t.Unsupported) == 0
}

func addSubtrees(b *cryptobyte.Builder, t Subtrees) {
	if len(t.Unsupported) > 0 {
		b.SetError(malformed("name constraints of a form that is not written"))
	}
	addTextTrees(b, nameEmail, t.Email)
	addTextTrees(b, nameDNS, t.DNS)
	for _, n := range t.Directory {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) { addDirectoryName(b, n) })
	}
	addTextTrees(b, nameURI, t.URI)
	for _, p := range t.IP {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1(contextTag(nameIP), func(b *cryptobyte.Builder) {
				b.AddBytes(p.Masked().Addr().AsSlice())
				b.AddBytes(prefixMask(p))
			})
		})
	}
}

func addTextTrees(b *cryptobyte.Builder, form uint8, texts []string) {
	for _, text := range texts {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) { addText(b, form, text) })
	}
}

func prefixMask(p netip.Prefix) []byte {
	mask := make([]byte, p.Addr().BitLen()/8)
	for i := range p.Bits() {
		mask[i/8] |= 0x80 >> (i % 8)
	}
	return mask
}
