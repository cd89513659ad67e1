package ca

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/crypto/cryptobyte/asn1"

	"hufu/certs"
	"hufu/internal/fault"
)

// nameLints are about the subject.
var nameLints = []Lint{
	{"subject-present", rfc5280 + "4.1.2.6", fault.Text{ZH: "主体名称不为空。", EN: "There is a subject."}, func(l *linted) string {
		return says(l.cert.Subject.Empty(), "empty subject")
	}},
	{"name-known", "GB/T 20518, 5.2.3.6", fault.Text{ZH: "主体名称仅含已知的属性类型。", EN: "The subject has attributes of known types only, each alone in its RDN."}, nameKnown},
	{"name-form", rfc5280 + "4.1.2.6, A.1; GB/T 20518", fault.Text{ZH: "国家和序列号用 PrintableString，邮箱和域名部分用 IA5String，其余用 UTF8String 或 PrintableString。", EN: "Country and serial number are PrintableString, e-mail and domain component IA5String, others UTF8String or PrintableString."}, nameForm},
	{"name-length", rfc5280 + "A.1", fault.Text{ZH: "主体名称各属性不超过标准规定的长度。", EN: "No attribute is longer than its upper bound."}, nameLength},
	{"name-country", "GB/T 2659.1; " + rfc5280 + "A.1", fault.Text{ZH: "国家为两个大写字母。", EN: "The country is two capital letters."}, nameCountry},
	{"name-blank", "X.520", fault.Text{ZH: "名称属性首尾没有空白，不含控制字符。", EN: "No attribute begins or ends with a blank or has control characters."}, nameBlank},
	{"name-once", "GB/T 20518", fault.Text{ZH: "通用名、国家、序列号各至多一个。", EN: "Common name, country and serial number occur once at most."}, nameOnce},
}

// attribute calls f for each attribute of the subject until it finds something.
func (l *linted) attribute(f func(a certs.Attribute) string) string {
	for _, rdn := range l.cert.Subject.RDNs {
		for _, a := range rdn {
			if wrong := f(a); wrong != "" {
				return wrong
			}
		}
	}
	return ""
}

// nameWords are the types of attributes by OID.
var nameWords = func() map[certs.OID]string {
	words := make(map[certs.OID]string, len(nameTypes))
	for word, t := range nameTypes {
		words[t.oid] = word
	}
	return words
}()

func nameKnown(l *linted) string {
	foreign := l.profile.SubjectOf == "request" // another authority's name is not ours to judge
	for _, rdn := range l.cert.Subject.RDNs {
		if len(rdn) != 1 && !foreign {
			return fmt.Sprintf("an RDN of %d attributes", len(rdn))
		}
	}
	return l.attribute(func(a certs.Attribute) string {
		if nameWords[a.Type] == "" {
			return "attribute of type " + string(a.Type)
		}
		return ""
	})
}

func nameForm(l *linted) string {
	return l.attribute(func(a certs.Attribute) string {
		right := a.Tag == uint8(asn1.UTF8String) || a.Tag == uint8(asn1.PrintableString)
		switch a.Type {
		case certs.OIDCountry, certs.OIDSerialNumber:
			right = a.Tag == uint8(asn1.PrintableString)
		case certs.OIDEmailAddress, certs.OIDDomainComponent:
			right = a.Tag == uint8(asn1.IA5String)
		}
		if !right {
			return fmt.Sprintf("%s as a string of tag %d", nameWords[a.Type], a.Tag)
		}
		return ""
	})
}

func nameLength(l *linted) string {
	return l.attribute(func(a certs.Attribute) string {
		n, most := utf8.RuneCountInString(a.Value), nameTypes[nameWords[a.Type]].bound
		if n == 0 || n > most {
			return fmt.Sprintf("%s of %d characters, 1 to %d are allowed", nameWords[a.Type], n, most)
		}
		return ""
	})
}

func nameCountry(l *linted) string {
	return l.attribute(func(a certs.Attribute) string {
		c := a.Value
		if a.Type == certs.OIDCountry && (len(c) != 2 || c[0] < 'A' || c[0] > 'Z' || c[1] < 'A' || c[1] > 'Z') {
			return fmt.Sprintf("country %q", c)
		}
		return ""
	})
}

func nameBlank(l *linted) string {
	return l.attribute(func(a certs.Attribute) string {
		odd := strings.TrimSpace(a.Value) != a.Value || strings.ContainsFunc(a.Value, unicode.IsControl) || !utf8.ValidString(a.Value)
		if odd {
			return nameWords[a.Type] + " with blanks round it or control characters"
		}
		return ""
	})
}

func nameOnce(l *linted) string {
	for _, t := range []certs.OID{certs.OIDCommonName, certs.OIDCountry, certs.OIDSerialNumber} {
		if len(l.cert.Subject.All(t)) > 1 && l.profile.SubjectOf != "request" {
			return nameWords[t] + " occurs twice"
		}
	}
	return ""
}
