package ca

import (
	"crypto/rsa"
	"fmt"
	"strings"

	"hufu/certs"
	"hufu/internal/fault"
)

const rfc5280 = "RFC 5280, "

// maxTBS bounds what is signed: cards and readers in the field take no larger certificates.
const maxTBS = 16 << 10

// formLints are about the certificate as such: number, times, issuer, key.
var formLints = []Lint{
	{"size", "GB/T 20518", fault.Text{ZH: "证书不超过 16 KiB。", EN: "A certificate has at most 16 KiB."}, func(l *linted) string {
		if len(l.tbs) > maxTBS {
			return fmt.Sprintf("%d octets", len(l.tbs))
		}
		return ""
	}},
	{"version", rfc5280 + "4.1.2.1", fault.Text{ZH: "证书版本为 3。", EN: "The version is 3."}, func(l *linted) string {
		if l.cert.Version != 3 {
			return fmt.Sprintf("version %d", l.cert.Version)
		}
		return ""
	}},
	{"serial-form", rfc5280 + "4.1.2.2", fault.Text{ZH: "序列号为 1 至 20 字节的正整数。", EN: "The serial number is positive, of 1 to 20 octets."}, serialForm},
	{"serial-reserved", "Hufu", fault.Text{ZH: "序列号即为本次预留的序列号。", EN: "The serial number is the one drawn for it."}, func(l *linted) string {
		return says(!same(l.cert.Serial, l.serial) || len(l.serial) != serialSize, "another serial number")
	}},
	{"signature-algorithm", rfc5280 + "4.1.2.3; GM/T 0006", fault.Text{ZH: "签名算法与签发密钥一致。", EN: "The signature algorithm is that of the issuing key."}, signatureAlgorithm},
	{"issuer-name", rfc5280 + "4.1.2.4", fault.Text{ZH: "颁发者名称即签发 CA 证书的主体名称。", EN: "The issuer is the subject of the issuing certificate, bit by bit."}, issuerName},
	{"time-form", rfc5280 + "4.1.2.5", fault.Text{ZH: "2049 年以前用 UTCTime，此后用 GeneralizedTime。", EN: "Times are UTCTime through 2049, GeneralizedTime from then, in whole seconds of UTC."}, func(l *linted) string {
		return says(!certs.RightTimes(l.tbs), "time in another form")
	}},
	{"time-order", rfc5280 + "4.1.2.5", fault.Text{ZH: "有效期的结束晚于开始。", EN: "Validity ends after it begins."}, func(l *linted) string {
		return says(!l.cert.NotAfter.After(l.cert.NotBefore), "ends before it begins")
	}},
	{"time-issuer", rfc5280 + "6.1", fault.Text{ZH: "有效期不超出签发 CA 证书的有效期。", EN: "Validity lies within that of the issuing certificate."}, func(l *linted) string {
		return says(l.chain != nil && (l.cert.NotAfter.After(l.chain.NotAfter) || l.cert.NotBefore.Before(l.chain.NotBefore)), "not within the issuer's")
	}},
	{"key-asked", "Hufu", fault.Text{ZH: "公钥即申请中的公钥。", EN: "The public key is the one applied for."}, func(l *linted) string {
		return says(!certs.SameKey(l.cert.PublicKey, l.public), "another public key")
	}},
	{"key-strength", "GB/T 39786; NIST SP 800-131A", fault.Text{ZH: "RSA 公钥不少于 2048 位，指数为奇数且不小于 65537。", EN: "An RSA key has 2048 bits or more and an odd exponent from 65537."}, keyStrength},
}

func serialForm(l *linted) string {
	s := l.cert.Serial
	switch {
	case len(s) == 0 || len(s) > 20:
		return fmt.Sprintf("%d octets", len(s))
	case s[0]&0x80 != 0:
		return "negative"
	case len(strings.Trim(string(s), "\x00")) == 0:
		return "zero"
	case len(s) > 1 && s[0] == 0 && s[1]&0x80 == 0:
		return "leading zero"
	}
	return ""
}

func signatureAlgorithm(l *linted) string {
	key := l.cert.PublicKey
	if l.chain != nil {
		key = l.chain.PublicKey
	}
	want, err := certs.SigningAlgorithm(key)
	if err != nil || l.cert.SignatureAlgorithm != want {
		return fmt.Sprintf("%s, the issuing key signs with %s", l.cert.SignatureAlgorithm, want)
	}
	return ""
}

func issuerName(l *linted) string {
	want := l.cert.RawSubject
	if l.chain != nil {
		want = l.chain.RawSubject
	}
	return says(l.cert.Issuer.Empty() || !same(l.cert.RawIssuer, want), "another issuer")
}

func keyStrength(l *linted) string {
	key, ok := l.cert.PublicKey.(*rsa.PublicKey)
	return says(ok && (key.N.BitLen() < 2048 || key.E < 65537 || key.E%2 == 0), "weak RSA key")
}
