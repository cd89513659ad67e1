package ca

import (
	"fmt"
	"slices"
	"time"

	"hufu/certs"
	"hufu/internal/fault"
)

// profileLints hold the certificate against the profile: nothing that it does not name, everything that it does.
var profileLints = []Lint{
	{"profile-key", "Hufu profile: keys", fault.Text{ZH: "密钥算法为模板所允许。", EN: "The key is of a kind that the profile allows."}, func(l *linted) string {
		kind := keyKind(l.cert.PublicKey)
		if !slices.Contains(l.profile.Keys, kind) {
			return "a key of kind " + kind
		}
		return ""
	}},
	{"profile-time", "Hufu profile: days, validity", fault.Text{ZH: "有效期在模板规定之内。", EN: "Validity is within the profile's bounds."}, profileTime},
	{"profile-subject", "Hufu profile: subject", fault.Text{ZH: "主体名称符合模板：必填项齐全，无模板之外的项。", EN: "The subject has what the profile requires and nothing that it does not name."}, profileSubject},
	{"profile-alt-names", "Hufu profile: alt_names", fault.Text{ZH: "主体可选名称符合模板。", EN: "Alternative names are those that the profile allows and requires."}, profileAltNames},
	{"profile-usage", "Hufu profile: usage, path_len", fault.Text{ZH: "密钥用法和基本约束即模板所列。", EN: "Key usage and basic constraints are the profile's."}, profileUsage},
	{"profile-extended", "Hufu profile: extended, critical", fault.Text{ZH: "扩展密钥用法即模板所列。", EN: "Extended key usage is the profile's."}, profileExtended},
	{"profile-policies", "Hufu profile: policies", fault.Text{ZH: "证书策略即模板所列。", EN: "Policies are the profile's."}, func(l *linted) string {
		if !slices.Equal(l.cert.Policies, l.profile.made.policies) {
			return fmt.Sprintf("policies %v", l.cert.Policies)
		}
		return ""
	}},
	{"profile-identities", "Hufu profile: identities, identity_form", fault.Text{ZH: "身份标识扩展符合模板。", EN: "Identity extensions are those that the profile allows and requires, in the form it asks for."}, profileIdentities},
	{"profile-status", "Hufu profile: cdp, delta, aia, no_status", fault.Text{ZH: "状态发布地址符合模板。", EN: "The places of status are those that the profile asks for."}, profileStatus},
	{"profile-extensions", "Hufu profile: custom", fault.Text{ZH: "扩展不多于也不少于模板所列。", EN: "There is no extension that the profile does not ask for, and each that it requires."}, profileExtensions},
}

func profileTime(l *linted) string {
	most, v := l.profile.Days, l.profile.Validity
	if v.Choose {
		most = max(most, v.MostDays)
	}
	back := time.Duration(max(v.Backdate, 1))*time.Minute + time.Minute // and what it took to get here
	switch c := l.cert; {
	case c.NotAfter.After(c.NotBefore.AddDate(0, 0, most)):
		return fmt.Sprintf("more than %d days", most)
	case c.NotBefore.Before(l.now.Add(-back)) && (l.chain == nil || !c.NotBefore.Equal(l.chain.NotBefore)):
		return "begins further back than the profile allows"
	case c.NotBefore.After(l.now.AddDate(0, 0, v.Ahead).Add(2 * time.Hour)):
		return "begins later than the profile allows"
	}
	return ""
}

func profileSubject(l *linted) string {
	parts := l.profile.made.parts
	for i := range parts {
		part := &parts[i]
		values := l.cert.Subject.All(part.oid)
		if len(values) == 0 && (part.bound.rule == Required || part.bound.rule == Fixed) {
			return part.name + " is missing"
		}
		right := func(v string) bool {
			return part.bound.check(v) == nil && (part.bound.rule != Fixed || v == part.value.fill(nil))
		}
		if len(values) > 0 && !slices.ContainsFunc(values, right) {
			return part.name + " is not as the profile has it"
		}
	}
	return l.attribute(func(a certs.Attribute) string {
		named := slices.ContainsFunc(parts, func(p part) bool { return p.oid == a.Type })
		if !named {
			return "attribute " + string(a.Type) + " is not the profile's"
		}
		return ""
	})
}

func profileAltNames(l *linted) string {
	g := l.cert.AltNames
	for form, n := range [altForms]int{altDNS: len(g.DNS), altIP: len(g.IP), altEmail: len(g.Email), altURI: len(g.URI)} {
		alt := &l.profile.made.alt[form]
		switch {
		case n > 0 && (!alt.on || alt.bound.rule == Forbidden):
			return altWords[form] + " names that the profile does not ask for"
		case n == 0 && alt.on && (alt.bound.rule == Required || alt.bound.rule == Fixed):
			return "no " + altWords[form] + " name"
		case n > alt.most:
			return fmt.Sprintf("%d %s names", n, altWords[form])
		}
	}
	return ""
}

func profileUsage(l *linted) string {
	switch c := l.cert; {
	case c.KeyUsage != l.profile.made.usage:
		return fmt.Sprintf("key usage %#x, the profile has %#x", c.KeyUsage, l.profile.made.usage)
	case c.IsCA != l.profile.isCA():
		return "CA or not, other than the profile"
	case c.IsCA && c.MaxPathLen != *l.profile.PathLen:
		return fmt.Sprintf("path length %d", c.MaxPathLen)
	}
	return ""
}

func profileExtended(l *linted) string {
	e, _ := l.extension(certs.OIDExtKeyUsage)
	if !slices.Equal(l.cert.ExtKeyUsage, l.profile.made.extended) || e.Critical != (l.profile.Critical && len(l.profile.made.extended) > 0) {
		return fmt.Sprintf("extended usages %v, critical %t", l.cert.ExtKeyUsage, e.Critical)
	}
	return ""
}

func profileIdentities(l *linted) string {
	ids := l.profile.made.ids
	for oid := range l.cert.Identity {
		if !slices.ContainsFunc(ids, func(id identity) bool { return id.oid == oid }) {
			return string(oid) + " is not the profile's"
		}
	}
	for i := range ids {
		number, ok := l.cert.Identity[ids[i].oid]
		switch {
		case !ok && ids[i].bound.rule == Required:
			return string(ids[i].oid) + " is missing"
		case ok && number.Pseudonym() != l.profile.pseudonymous(ids[i].kind):
			return string(ids[i].oid) + " is in clear, or a pseudonym, other than the profile has it"
		}
	}
	return ""
}

func profileStatus(l *linted) string {
	p, c := l.profile, l.cert
	_, noCheck := l.extension(certs.OIDOCSPNoCheck)
	listed := !l.selfSigned() && p.CDP != wordNone && !p.NoStatus
	switch {
	case noCheck != p.NoStatus:
		return "id-pkix-ocsp-nocheck, or not, other than the profile"
	case (len(c.CRLPoints) > 0) != listed:
		return fmt.Sprintf("%d distribution points", len(c.CRLPoints))
	case len(c.FreshestCRL) > 0 && !p.Delta:
		return "a delta point that the profile does not ask for"
	case len(c.OCSPServers) > 0 && (p.AIA == wordNone || p.AIA == "issuer" || p.NoStatus):
		return "an OCSP address that the profile does not ask for"
	case (len(c.IssuerURLs) > 0) != (!l.selfSigned() && p.AIA != wordNone && p.AIA != "ocsp"):
		return "the issuer's address, or none, other than the profile"
	}
	return ""
}

// always are the extensions that the program writes by itself, or that the lints above hold against the profile.
var always = []certs.OID{
	certs.OIDAuthorityKeyID, certs.OIDSubjectKeyID, certs.OIDBasicConstraints, certs.OIDKeyUsage, certs.OIDExtKeyUsage,
	certs.OIDCertificatePolicies, certs.OIDSubjectAltName, certs.OIDCRLDistributionPoints, certs.OIDFreshestCRL,
	certs.OIDAuthorityInfoAccess, certs.OIDOCSPNoCheck,
}

func profileExtensions(l *linted) string {
	own := l.profile.made.custom
	for _, e := range l.cert.Extensions {
		if slices.Contains(always, e.ID) || certs.IdentityExtension(e.ID) || l.profile.limits(e.ID) {
			continue
		}
		if !slices.ContainsFunc(own, func(c custom) bool { return c.oid == e.ID && c.critical == e.Critical }) {
			return "extension " + string(e.ID) + " is not the profile's"
		}
	}
	for i := range own {
		if _, ok := l.extension(own[i].oid); !ok && (own[i].bound.rule == Required || own[i].bound.rule == Fixed) {
			return "extension " + own[i].name + " is missing"
		}
	}
	return ""
}
