package certs

// Algorithms (GM/T 0006, RFC 5480, RFC 8017, RFC 5754).
const (
	OIDECPublicKey OID = "1.2.840.10045.2.1"
	OIDP256        OID = "1.2.840.10045.3.1.7"
	OIDP384        OID = "1.3.132.0.34"
	OIDP521        OID = "1.3.132.0.35"
	OIDRSA         OID = "1.2.840.113549.1.1.1"

	OIDSM2        OID = "1.2.156.10197.1.301" // the curve, and "SM2" as such
	OIDSM2Sign    OID = "1.2.156.10197.1.301.1"
	OIDSM2Encrypt OID = "1.2.156.10197.1.301.3"
	OIDSM2WithSM3 OID = "1.2.156.10197.1.501"
	OIDSM3        OID = "1.2.156.10197.1.401"
	OIDSM3Plain   OID = "1.2.156.10197.1.401.1"
	OIDHMACSM3    OID = "1.2.156.10197.1.401.2"
	OIDSM4        OID = "1.2.156.10197.1.104"
	OIDSM4ECB     OID = "1.2.156.10197.1.104.1"
	OIDSM4CBC     OID = "1.2.156.10197.1.104.2"
	OIDSM4GCM     OID = "1.2.156.10197.1.104.8"

	OIDSHA1   OID = "1.3.14.3.2.26"
	OIDSHA256 OID = "2.16.840.1.101.3.4.2.1"
	OIDSHA384 OID = "2.16.840.1.101.3.4.2.2"
	OIDSHA512 OID = "2.16.840.1.101.3.4.2.3"

	OIDECDSAWithSHA256 OID = "1.2.840.10045.4.3.2"
	OIDECDSAWithSHA384 OID = "1.2.840.10045.4.3.3"
	OIDECDSAWithSHA512 OID = "1.2.840.10045.4.3.4"
	OIDRSAWithMD5      OID = "1.2.840.113549.1.1.4"
	OIDRSAWithSHA1     OID = "1.2.840.113549.1.1.5"
	OIDRSAWithSHA256   OID = "1.2.840.113549.1.1.11"
	OIDRSAWithSHA384   OID = "1.2.840.113549.1.1.12"
	OIDRSAWithSHA512   OID = "1.2.840.113549.1.1.13"
)

// Content types: GB/T 35275 (GM/T 0010) and PKCS#7/CMS, and the attributes of signers (PKCS#9, RFC 5652, RFC 5035).
const (
	OIDGMData               OID = "1.2.156.10197.6.1.4.2.1"
	OIDGMSignedData         OID = "1.2.156.10197.6.1.4.2.2"
	OIDGMEnvelopedData      OID = "1.2.156.10197.6.1.4.2.3"
	OIDGMSignedAndEnveloped OID = "1.2.156.10197.6.1.4.2.4"
	OIDGMEncryptedData      OID = "1.2.156.10197.6.1.4.2.5"
	OIDGMKeyAgreement       OID = "1.2.156.10197.6.1.4.2.6"

	OIDData          OID = "1.2.840.113549.1.7.1"
	OIDSignedData    OID = "1.2.840.113549.1.7.2"
	OIDEnvelopedData OID = "1.2.840.113549.1.7.3"

	OIDContentType          OID = "1.2.840.113549.1.9.3"
	OIDMessageDigest        OID = "1.2.840.113549.1.9.4"
	OIDSigningTime          OID = "1.2.840.113549.1.9.5"
	OIDTSTInfo              OID = "1.2.840.113549.1.9.16.1.4"
	OIDSigningCertificate   OID = "1.2.840.113549.1.9.16.2.12"
	OIDTimeStampToken       OID = "1.2.840.113549.1.9.16.2.14"
	OIDSigningCertificateV2 OID = "1.2.840.113549.1.9.16.2.47"

	OIDExtensionRequest  OID = "1.2.840.113549.1.9.14"
	OIDChallengePassword OID = "1.2.840.113549.1.9.7"
)

// Extensions of certificates, CRLs and OCSP messages (RFC 5280, RFC 6960).
const (
	OIDSubjectKeyID          OID = "2.5.29.14"
	OIDKeyUsage              OID = "2.5.29.15"
	OIDSubjectAltName        OID = "2.5.29.17"
	OIDIssuerAltName         OID = "2.5.29.18"
	OIDBasicConstraints      OID = "2.5.29.19"
	OIDCRLNumber             OID = "2.5.29.20"
	OIDReasonCode            OID = "2.5.29.21"
	OIDInvalidityDate        OID = "2.5.29.24"
	OIDDeltaCRLIndicator     OID = "2.5.29.27"
	OIDIssuingDistPoint      OID = "2.5.29.28"
	OIDCertificateIssuer     OID = "2.5.29.29"
	OIDNameConstraints       OID = "2.5.29.30"
	OIDCRLDistributionPoints OID = "2.5.29.31"
	OIDCertificatePolicies   OID = "2.5.29.32"
	OIDAnyPolicy             OID = "2.5.29.32.0"
	OIDPolicyMappings        OID = "2.5.29.33"
	OIDAuthorityKeyID        OID = "2.5.29.35"
	OIDPolicyConstraints     OID = "2.5.29.36"
	OIDExtKeyUsage           OID = "2.5.29.37"
	OIDFreshestCRL           OID = "2.5.29.46"
	OIDInhibitAnyPolicy      OID = "2.5.29.54"
	OIDAuthorityInfoAccess   OID = "1.3.6.1.5.5.7.1.1"
	OIDSubjectInfoAccess     OID = "1.3.6.1.5.5.7.1.11"

	OIDAccessOCSP      OID = "1.3.6.1.5.5.7.48.1"
	OIDAccessCAIssuers OID = "1.3.6.1.5.5.7.48.2"
	OIDOCSPBasic       OID = "1.3.6.1.5.5.7.48.1.1"
	OIDOCSPNonce       OID = "1.3.6.1.5.5.7.48.1.2"
	OIDOCSPNoCheck     OID = "1.3.6.1.5.5.7.48.1.5"

	OIDQualifierCPS    OID = "1.3.6.1.5.5.7.2.1"
	OIDQualifierNotice OID = "1.3.6.1.5.5.7.2.2"
)

// Extended key usages.
const (
	OIDAnyExtKeyUsage  OID = "2.5.29.37.0"
	OIDServerAuth      OID = "1.3.6.1.5.5.7.3.1"
	OIDClientAuth      OID = "1.3.6.1.5.5.7.3.2"
	OIDCodeSigning     OID = "1.3.6.1.5.5.7.3.3"
	OIDEmailProtection OID = "1.3.6.1.5.5.7.3.4"
	OIDTimeStamping    OID = "1.3.6.1.5.5.7.3.8"
	OIDOCSPSigning     OID = "1.3.6.1.5.5.7.3.9"
	OIDCMCRA           OID = "1.3.6.1.5.5.7.3.28"
)

// Attribute types of names.
const (
	OIDCommonName         OID = "2.5.4.3"
	OIDSurname            OID = "2.5.4.4"
	OIDSerialNumber       OID = "2.5.4.5"
	OIDCountry            OID = "2.5.4.6"
	OIDLocality           OID = "2.5.4.7"
	OIDProvince           OID = "2.5.4.8"
	OIDStreet             OID = "2.5.4.9"
	OIDOrganization       OID = "2.5.4.10"
	OIDOrganizationalUnit OID = "2.5.4.11"
	OIDTitle              OID = "2.5.4.12"
	OIDGivenName          OID = "2.5.4.42"
	OIDOrganizationID     OID = "2.5.4.97"
	OIDEmailAddress       OID = "1.2.840.113549.1.9.1"
	OIDUserID             OID = "0.9.2342.19200300.100.1.1"
	OIDDomainComponent    OID = "0.9.2342.19200300.100.1.25"
)

// Identity extensions: GB/T 20518 (GM/T 0015-2012), then the older set of RSA-era
// certificates. The forms are in identity.go.
const (
	OIDIdentityPerson       OID = "1.2.156.10260.4.1.1" // 个人身份标识码
	OIDIdentitySocial       OID = "1.2.156.10260.4.1.2" // 社会保险号
	OIDIdentityBusiness     OID = "1.2.156.10260.4.1.3" // 工商注册号
	OIDIdentityOrganization OID = "1.2.156.10260.4.1.4" // 组织机构代码, also 统一社会信用代码
	OIDIdentityTax          OID = "1.2.156.10260.4.1.5" // 税号
	OIDIdentityResident2023 OID = "1.2.156.10260.4.1.1.1"
	OIDIdentityPassport2023 OID = "1.2.156.10260.4.1.1.2"
	OIDIdentityUSCC2023     OID = "1.2.156.10260.4.4"
	OIDIdentityUSCC2023Alt  OID = "1.2.156.10260.4.4.4"

	OIDOldIdentityPerson       OID = "1.2.86.11.7.1"
	OIDOldIdentityOrganization OID = "1.2.86.11.7.3"
	OIDOldIdentityBusiness     OID = "1.2.86.11.7.4"
	OIDOldIdentityTax          OID = "1.2.86.11.7.5"
)

// knownOIDs and knownContents save the conversion of the identifiers that occur in nearly every certificate.
var knownOIDs, knownContents = indexOIDs(
	OIDECPublicKey, OIDP256, OIDSM2, OIDSM2WithSM3, OIDSM3, OIDRSA, OIDRSAWithSHA256, OIDECDSAWithSHA256,
	OIDSubjectKeyID, OIDAuthorityKeyID, OIDKeyUsage, OIDExtKeyUsage, OIDBasicConstraints, OIDSubjectAltName,
	OIDCertificatePolicies, OIDCRLDistributionPoints, OIDAuthorityInfoAccess, OIDAccessOCSP, OIDAccessCAIssuers,
	OIDCountry, OIDProvince, OIDLocality, OIDOrganization, OIDOrganizationalUnit, OIDCommonName, OIDSerialNumber,
	OIDIdentityPerson, OIDIdentityOrganization, OIDClientAuth, OIDServerAuth, OIDReasonCode,
)

func indexOIDs(oids ...OID) (map[string]OID, map[OID]string) {
	byContent, byOID := make(map[string]OID, len(oids)), make(map[OID]string, len(oids))
	for _, o := range oids {
		content, err := encodeOID(o)
		if err != nil {
			continue
		}
		byContent[string(content)], byOID[o] = o, string(content)
	}
	return byContent, byOID
}
