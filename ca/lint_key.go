package ca

import (
	"fmt"
	"slices"

	"hufu/certs"
	"hufu/internal/fault"
)

// keyLints are about what the key may do.
var keyLints = []Lint{
	{"key-usage-present", rfc5280 + "4.2.1.3; GB/T 20518, 5.2.4.2.3", fault.Text{ZH: "有关键的密钥用法扩展，且不为空。", EN: "There is a key usage extension, critical and not empty."}, keyUsagePresent},
	{"key-usage-sm2", "GB/T 20518; GM/T 0034", fault.Text{ZH: "SM2 密钥要么签名，要么加密。", EN: "An SM2 key either signs or encrypts."}, keyUsageSM2},
	{"key-usage-algorithm", "RFC 8813, 3; RFC 3279, 2.3.1", fault.Text{ZH: "P-256 密钥不用于加密，RSA 密钥不用于密钥协商。", EN: "A P-256 key does not encipher; an RSA key does not agree on keys."}, keyUsageAlgorithm},
	{"key-usage-only", rfc5280 + "4.2.1.3", fault.Text{ZH: "仅加密、仅解密须与密钥协商同时出现。", EN: "encipherOnly and decipherOnly go with keyAgreement."}, func(l *linted) string {
		only := l.cert.Has(certs.UsageEncipherOnly) || l.cert.Has(certs.UsageDecipherOnly)
		return says(only && !l.cert.Has(certs.UsageKeyAgreement), "without keyAgreement")
	}},
	{"key-usage-ca", rfc5280 + "4.2.1.3, 4.2.1.9", fault.Text{ZH: "CA 密钥只签发证书和撤销列表，其他密钥不得签发。", EN: "A CA's key signs certificates and lists, nothing else, and no other key does."}, keyUsageCA},
	{"key-usage-extended", rfc5280 + "4.2.1.12", fault.Text{ZH: "密钥用法与扩展密钥用法一致。", EN: "Key usage and extended key usage agree."}, keyUsageExtended},
	{"basic-constraints", rfc5280 + "4.2.1.9", fault.Text{ZH: "仅 CA 证书有基本约束扩展，且为关键扩展。", EN: "Basic constraints are in CA certificates, critical, and in no others."}, basicConstraints},
	{"path-length", rfc5280 + "4.2.1.9, 6.1.4", fault.Text{ZH: "路径长度小于签发 CA 的路径长度。", EN: "The path length is less than that of the issuing certificate."}, pathLength},
	{"subject-key-id", rfc5280 + "4.2.1.2", fault.Text{ZH: "主体密钥标识符由公钥计算得出。", EN: "The subject key identifier is that of the public key."}, subjectKeyID},
	{"authority-key-id", rfc5280 + "4.2.1.1", fault.Text{ZH: "颁发机构密钥标识符即签发 CA 的主体密钥标识符。", EN: "The authority key identifier is that of the issuing key."}, authorityKeyID},
	{"time-stamping", "RFC 3161, 2.3; GB/T 20520", fault.Text{ZH: "时间戳用途须为关键扩展且单独出现。", EN: "Time-stamping is critical and stands alone."}, func(l *linted) string {
		e, _ := l.extension(certs.OIDExtKeyUsage)
		stamps := slices.Contains(l.cert.ExtKeyUsage, certs.OIDTimeStamping)
		return says(stamps && (!e.Critical || len(l.cert.ExtKeyUsage) > 1), "not critical, or not alone")
	}},
	{"ocsp-signing", "RFC 6960, 4.2.2.2.1", fault.Text{ZH: "免查扩展仅用于 OCSP 应答者证书，且其有效期不超过三年。", EN: "id-pkix-ocsp-nocheck is in OCSP responders' certificates only, which live three years at most."}, ocspSigning},
}

func keyUsagePresent(l *linted) string {
	e, ok := l.extension(certs.OIDKeyUsage)
	return says(!ok || !e.Critical || l.cert.KeyUsage == 0, "missing, empty or not critical")
}

const (
	signingBits    = certs.UsageDigitalSignature | certs.UsageNonRepudiation
	encryptingBits = certs.UsageKeyEncipherment | certs.UsageDataEncipherment | certs.UsageKeyAgreement
	certifyingBits = certs.UsageCertSign | certs.UsageCRLSign
)

func keyUsageSM2(l *linted) string {
	both := l.cert.KeyUsage&(signingBits|certifyingBits) != 0 && l.cert.KeyUsage&encryptingBits != 0
	return says(both && keyKind(l.cert.PublicKey) == "sm2", "signs and encrypts")
}

func keyUsageAlgorithm(l *linted) string {
	enciphers := l.cert.Has(certs.UsageKeyEncipherment) || l.cert.Has(certs.UsageDataEncipherment)
	switch keyKind(l.cert.PublicKey) {
	case "p256":
		return says(enciphers, "a P-256 key that enciphers")
	case "rsa":
		return says(l.cert.Has(certs.UsageKeyAgreement), "an RSA key that agrees on keys")
	}
	return ""
}

func keyUsageCA(l *linted) string {
	certifies := l.cert.KeyUsage&certifyingBits != 0
	switch {
	case l.cert.IsCA && l.cert.KeyUsage&^certifyingBits != 0:
		return "a CA's key with further usages"
	case l.cert.IsCA && !l.cert.Has(certs.UsageCertSign):
		return "a CA's key that does not sign certificates"
	case !l.cert.IsCA && certifies:
		return "a key that signs certificates or lists, and no CA's"
	}
	return ""
}

// extendedNeeds are the key usages of which an extended one needs at least one (RFC 5280, 4.2.1.12).
var extendedNeeds = map[certs.OID]certs.KeyUsage{
	certs.OIDServerAuth:      certs.UsageDigitalSignature | certs.UsageKeyEncipherment | certs.UsageKeyAgreement,
	certs.OIDClientAuth:      certs.UsageDigitalSignature | certs.UsageKeyAgreement,
	certs.OIDCodeSigning:     certs.UsageDigitalSignature,
	certs.OIDEmailProtection: signingBits | certs.UsageKeyEncipherment | certs.UsageKeyAgreement,
	certs.OIDTimeStamping:    signingBits,
	certs.OIDOCSPSigning:     signingBits,
}

func keyUsageExtended(l *linted) string {
	for _, use := range l.cert.ExtKeyUsage {
		if need := extendedNeeds[use]; need != 0 && l.cert.KeyUsage&need == 0 {
			return "extended usage " + string(use) + " without a key usage that serves it"
		}
		if use == certs.OIDAnyExtKeyUsage {
			return "any extended key usage"
		}
	}
	return ""
}

func basicConstraints(l *linted) string {
	e, ok := l.extension(certs.OIDBasicConstraints)
	switch {
	case ok != l.cert.IsCA:
		return "in a certificate that is no CA's, or missing"
	case ok && !e.Critical:
		return "not critical"
	}
	return ""
}

func pathLength(l *linted) string {
	if !l.cert.IsCA || l.chain == nil || l.chain.MaxPathLen < 0 {
		return ""
	}
	if l.cert.MaxPathLen < 0 || l.cert.MaxPathLen >= l.chain.MaxPathLen {
		return fmt.Sprintf("path length %d under %d", l.cert.MaxPathLen, l.chain.MaxPathLen)
	}
	return ""
}

func subjectKeyID(l *linted) string {
	e, ok := l.extension(certs.OIDSubjectKeyID)
	want, err := certs.SubjectKeyIDOf(l.cert.RawSPKI)
	return says(!ok || e.Critical || err != nil || !same(l.cert.SubjectKeyID, want), "missing, critical or of another key")
}

func authorityKeyID(l *linted) string {
	e, ok := l.extension(certs.OIDAuthorityKeyID)
	switch {
	case !ok && l.selfSigned():
		return ""
	case !ok || e.Critical || !same(l.cert.AuthorityKeyID, l.issuerKeyID()):
		return "missing, critical or of another key"
	}
	return ""
}

func ocspSigning(l *linted) string {
	_, noCheck := l.extension(certs.OIDOCSPNoCheck)
	answers := slices.Contains(l.cert.ExtKeyUsage, certs.OIDOCSPSigning)
	switch {
	case noCheck && !answers:
		return "no check for what is no responder"
	case noCheck && l.cert.NotAfter.After(l.cert.NotBefore.AddDate(3, 0, 1)):
		return "a responder that nobody checks, for more than three years"
	}
	return ""
}
