package ca

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"hufu/certs"
	"hufu/internal/fault"
)

// extensionLints are about the extensions by themselves.
var extensionLints = []Lint{
	{"extension-twice", rfc5280 + "4.2", fault.Text{ZH: "同一扩展不得出现两次。", EN: "No extension occurs twice."}, extensionTwice},
	{"extension-der", rfc5280 + "4.2", fault.Text{ZH: "每个扩展的值为一个完整的 DER 元素。", EN: "The value of each extension is one element of DER."}, extensionDER},
	{"extension-critical", rfc5280 + "4.2", fault.Text{ZH: "关键扩展均为已知扩展或模板所列。", EN: "Critical extensions are known ones, or the profile's own."}, extensionCritical},
	{"alt-names-present", "RFC 9525, 2", fault.Text{ZH: "服务器证书有主体可选名称。", EN: "A server's certificate has alternative names."}, func(l *linted) string {
		g := l.cert.AltNames
		serves := slices.Contains(l.cert.ExtKeyUsage, certs.OIDServerAuth)
		return says(serves && len(g.DNS)+len(g.IP)+len(g.URI) == 0, "serverAuth without a name to serve under")
	}},
	{"alt-names-form", rfc5280 + "4.2.1.6", fault.Text{ZH: "主体可选名称格式正确且不重复。", EN: "Alternative names are well-formed and none occurs twice."}, altNamesForm},
	{"alt-names-critical", rfc5280 + "4.2.1.6", fault.Text{ZH: "仅当主体为空时主体可选名称为关键扩展。", EN: "Alternative names are critical only if there is no subject."}, func(l *linted) string {
		e, ok := l.extension(certs.OIDSubjectAltName)
		return says(ok && e.Critical != l.cert.Subject.Empty(), "criticality is wrong")
	}},
	{"list-point", rfc5280 + "4.2.1.13", fault.Text{ZH: "CRL 分发点为 http 地址且非关键扩展。", EN: "CRL distribution points are http addresses, not critical."}, func(l *linted) string {
		return l.addresses(certs.OIDCRLDistributionPoints, l.cert.CRLPoints)
	}},
	{"delta-point", rfc5280 + "4.2.1.15", fault.Text{ZH: "增量 CRL 分发点为 http 地址，并同时有 CRL 分发点。", EN: "Delta points are http addresses, not critical, and stand beside a distribution point."}, func(l *linted) string {
		if _, ok := l.extension(certs.OIDFreshestCRL); ok && len(l.cert.CRLPoints) == 0 {
			return "without a distribution point"
		}
		return l.addresses(certs.OIDFreshestCRL, l.cert.FreshestCRL)
	}},
	{"authority-info", rfc5280 + "4.2.2.1", fault.Text{ZH: "颁发机构信息访问为 http 地址且非关键扩展。", EN: "Authority information access has http addresses and is not critical."}, func(l *linted) string {
		return l.addresses(certs.OIDAuthorityInfoAccess, slices.Concat(l.cert.OCSPServers, l.cert.IssuerURLs))
	}},
	{"policy-form", rfc5280 + "4.2.1.4", fault.Text{ZH: "证书策略不重复，实践声明为 http 地址，说明不超过 200 字符。", EN: "No policy occurs twice; practice statements are http addresses, notices have 200 characters at most."}, policyForm},
	{"policy-mapping", rfc5280 + "4.2.1.5, 4.2.1.11", fault.Text{ZH: "策略映射、策略约束、名称约束仅用于 CA 证书。", EN: "Policy mappings, policy constraints and name constraints are in CA certificates only, constraints critical."}, constraintForm},
	{"identity-form", "GB/T 20518, 5.2.4.2; GM/T 0015", fault.Text{ZH: "身份标识扩展非关键，编码符合标准。", EN: "Identity extensions are not critical and in a standard encoding."}, identityForm},
	{"identity-hidden", "Hufu", fault.Text{ZH: "假名证书中不得出现证件号码。", EN: "A certificate with a pseudonym has the number nowhere in it."}, identityHidden},
}

func extensionTwice(l *linted) string {
	for i, e := range l.cert.Extensions {
		for _, other := range l.cert.Extensions[:i] {
			if e.ID == other.ID {
				return "extension " + string(e.ID) + " occurs twice"
			}
		}
	}
	return ""
}

func extensionDER(l *linted) string {
	for _, e := range l.cert.Extensions {
		if !certs.SoleElement(e.Value) {
			return "extension " + string(e.ID)
		}
	}
	return ""
}

func extensionCritical(l *linted) string {
	for _, id := range l.cert.UnknownCritical {
		if !slices.ContainsFunc(l.profile.made.custom, func(c custom) bool { return c.oid == id && c.critical }) {
			return "unknown critical extension " + string(id)
		}
	}
	return ""
}

func altNamesForm(l *linted) string {
	g := l.cert.AltNames
	if len(g.Directory)+len(g.Other) > 0 {
		return "names of a form that no profile asks for"
	}
	var seen []string
	for form, names := range [...][]string{altDNS: g.DNS, altEmail: g.Email, altURI: g.URI} {
		right := map[int]func(string) bool{altDNS: dnsName, altEmail: mailAddress, altURI: absoluteURI}[form]
		for _, name := range names {
			if !right(name) {
				return fmt.Sprintf("%s %q", altWords[form], name)
			}
			seen = append(seen, altWords[form]+strings.ToLower(name))
		}
	}
	for _, ip := range g.IP {
		seen = append(seen, ip.String())
	}
	slices.Sort(seen)
	return says(len(slices.Compact(slices.Clone(seen))) != len(seen), "a name twice")
}

// addresses holds the addresses of an extension against what clients can use: without TLS, whose certificate they would
// have to check first (RFC 5280, 8), or with it where the server is reached so.
func (l *linted) addresses(id certs.OID, all []string) string {
	e, ok := l.extension(id)
	switch {
	case !ok:
		return ""
	case e.Critical:
		return "critical"
	case len(all) == 0:
		return "without an address"
	}
	for _, address := range all {
		u, err := url.Parse(address)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.Path == "" || !isASCII(address) {
			return fmt.Sprintf("address %q", address)
		}
	}
	return ""
}

func policyForm(l *linted) string {
	var seen []certs.OID
	for _, p := range l.cert.Policies {
		switch {
		case slices.Contains(seen, p.ID):
			return "policy " + string(p.ID) + " twice"
		case p.CPS != "" && !webAddress(p.CPS):
			return "practice statement at " + p.CPS
		case len([]rune(p.Notice)) > 200:
			return "notice of more than 200 characters"
		}
		seen = append(seen, p.ID)
	}
	return ""
}

func constraintForm(l *linted) string {
	for _, id := range []certs.OID{certs.OIDPolicyMappings, certs.OIDPolicyConstraints, certs.OIDInhibitAnyPolicy, certs.OIDNameConstraints} {
		if e, ok := l.extension(id); ok && (!l.cert.IsCA || !e.Critical) {
			return "extension " + string(id) + " in a certificate that is no CA's, or not critical"
		}
	}
	for _, m := range l.cert.PolicyMappings {
		if m.Issuer == certs.OIDAnyPolicy || m.Subject == certs.OIDAnyPolicy {
			return "a mapping of anyPolicy"
		}
	}
	return ""
}

func identityForm(l *linted) string {
	for id := range l.cert.Identity {
		e, _ := l.extension(id)
		number, standard, ok := certs.DecodeIdentity(e.Value)
		choice := number.Kind != certs.IdentityUnknown
		switch {
		case e.Critical:
			return string(id) + " is critical"
		case !ok || !standard || choice != (id == certs.OIDIdentityPerson):
			return string(id) + " in another encoding"
		}
	}
	return ""
}

// identityHidden looks for the holder's number in the whole certificate, however it came there.
func identityHidden(l *linted) string {
	number := l.holder.Number
	personal := l.holder.Kind == HolderPerson || l.holder.Kind == HolderOfficial
	if l.profile.IDForm != FormPseudonym || !personal || number == "" {
		return ""
	}
	return says(strings.Contains(string(l.tbs), number), "the number is there in clear")
}
