package cmp

import "hufu/certs"

// Protection by a shared secret (RFC 4210, section 5.1.3.1; RFC 8018; RFC 9481).
const (
	oidPasswordMAC certs.OID = "1.2.840.113533.7.66.13"
	oidPBMAC1      certs.OID = "1.2.840.113549.1.5.14"
	oidPBKDF2      certs.OID = "1.2.840.113549.1.5.12"

	oidHMACSHA1   certs.OID = "1.2.840.113549.2.7"
	oidHMACSHA1IP certs.OID = "1.3.6.1.5.5.8.1.2" // the older name, which openssl writes
	oidHMACSHA256 certs.OID = "1.2.840.113549.2.9"
)

// Information types of generalInfo, genm and genp (RFC 4210, section 5.3.19; RFC 9480).
const (
	OIDImplicitConfirm certs.OID = "1.3.6.1.5.5.7.4.13"
	OIDConfirmWaitTime certs.OID = "1.3.6.1.5.5.7.4.14"
	OIDCACerts         certs.OID = "1.3.6.1.5.5.7.4.17"
	OIDRootCACert      certs.OID = "1.3.6.1.5.5.7.4.20"
	OIDRootCAKeyUpdate certs.OID = "1.3.6.1.5.5.7.4.18"
	OIDCertProfile     certs.OID = "1.3.6.1.5.5.7.4.21"

	// OIDDualResponse is ours, under the arc for examples: generalInfo of an answer whose value is the dual-certificate
	// response of GM/T 0092 (signing certificate, enveloped encryption key, encryption certificate). No standard says how
	// CMP carries an SM2EnvelopedKey.
	OIDDualResponse certs.OID = "2.999.156.1.4.1"

	// OIDCMCCA is the extended key usage of who protects messages for an authority (RFC 6402, RFC 9480 section 2.2).
	OIDCMCCA certs.OID = "1.3.6.1.5.5.7.3.27"
)
