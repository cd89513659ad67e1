package ca

import (
	"bytes"
	"time"

	"hufu/certs"
	"hufu/internal/fault"
)

// Lint is a rule that every certificate is held against before it is signed. None can be switched off.
type Lint struct {
	Code   string     // of the refusal, behind "ca.lint."
	Source string     // standard and clause
	Says   fault.Text // what is right
	wrong  func(l *linted) string
}

// linted is what the lints look at: what the strict parser read of the bytes to be signed, and what they were made from.
type linted struct {
	*prepared
	cert *certs.Certificate
	now  time.Time
}

// Lints returns the table, in the order in which it is gone through.
func Lints() []Lint {
	all := make([]Lint, 0, 64)
	for _, group := range [][]Lint{formLints, nameLints, keyLints, extensionLints, profileLints} {
		all = append(all, group...)
	}
	return all
}

var lintTable = Lints()

// lint looks at the bytes that will be signed, as a relying party will. It names the first rule that is broken.
func lint(l *linted) error {
	for i := range lintTable {
		if wrong := lintTable[i].wrong(l); wrong != "" {
			return lintTable[i].refuse(l.profile.Name, wrong)
		}
	}
	return nil
}

func (l *Lint) refuse(profile, wrong string) error {
	return fault.New(fault.Invalid, "ca.lint."+l.Code,
		"The certificate would not be right ("+l.Source+"): "+l.Says.EN+" Nothing was signed. Correct the application or the profile.",
		"拟签发的证书不符合要求（"+l.Source+"）："+l.Says.ZH+"尚未签名。请更正申请或证书模板。").With("profile %q, lint %s: %s", profile, l.Code, wrong)
}

// says makes a lint's answer of a condition.
func says(broken bool, text string) string {
	if broken {
		return text
	}
	return ""
}

func (l *linted) extension(id certs.OID) (e certs.Extension, ok bool) {
	for _, e := range l.cert.Extensions {
		if e.ID == id {
			return e, true
		}
	}
	return e, false
}

// issuerKeyID is the identifier of the key that will sign.
func (l *linted) issuerKeyID() []byte {
	if l.chain != nil {
		return l.chain.SubjectKeyID
	}
	return l.cert.SubjectKeyID
}

// selfSigned tells whether the certificate is its own issuer.
func (l *linted) selfSigned() bool { return l.chain == nil }

func same(a, b []byte) bool { return bytes.Equal(a, b) }
