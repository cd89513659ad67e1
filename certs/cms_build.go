package certs

import (
	"crypto"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// SignedDataTemplate is what a SignedData with one signer is made from.
//
// The form of the house (GB/T 35275, with an SM2 key): the signature is over the content octets alone, or over the signed
// attributes when there are some; Z_A with the default id; digest SM3; signature algorithm 1.2.156.10197.1.301.1.
type SignedDataTemplate struct {
	Content     []byte
	ContentType OID  // "" is plain data
	Detached    bool // leave the content out
	RFCTypes    bool // content types of CMS instead of GB/T 35275, which is the rule for keys other than SM2

	WithAttributes bool           // sign attributes: content type, message digest and what follows
	SigningTime    time.Time      // attribute; zero leaves it out; implies WithAttributes
	Attributes     []CMSAttribute // further signed ones; imply WithAttributes

	Certificate *Certificate   // of the signer
	Chain       []*Certificate // further ones to send along
	// OmitCertificates leaves all of them out: whoever verifies has them.
	OmitCertificates bool
}

// BuildSignedData signs with the key of t.Certificate.
func BuildSignedData(t SignedDataTemplate, signer crypto.Signer) ([]byte, error) {
	if t.Certificate == nil || !SameKey(signer.Public(), t.Certificate.PublicKey) {
		return nil, fmt.Errorf("sign data: signer: %w", ErrWrongIssuer)
	}
	if t.Content == nil && !t.Detached {
		return nil, errors.New("sign data: no content")
	}
	f, err := t.form(signer.Public())
	if err != nil {
		return nil, fmt.Errorf("sign data: %w", err)
	}
	info, err := t.signerInfo(f, signer)
	if err != nil {
		return nil, fmt.Errorf("sign data: %w", err)
	}
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		AddOID(b, f.outer)
		b.AddASN1(cbasn1.Tag(0).Constructed().ContextSpecific(), func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) { t.addSignedData(b, f, info) })
		})
	})
	return b.Bytes()
}

// cmsForm is which identifiers a key calls for.
type cmsForm struct {
	version                           int64
	outer, content, digest, signature OID
	null                              bool // parameters of the signature algorithm are NULL
}

func (t SignedDataTemplate) form(pub crypto.PublicKey) (cmsForm, error) {
	alg, err := SigningAlgorithm(pub)
	if err != nil {
		return cmsForm{}, err
	}
	f := cmsForm{version: 1, outer: OIDSignedData, content: OIDData, digest: OIDSHA256, signature: alg.OID(), null: alg == RSAWithSHA256}
	if alg == SM2WithSM3 {
		f.digest, f.signature = OIDSM3, OIDSM2Sign
		if !t.RFCTypes {
			f.outer, f.content = OIDGMSignedData, OIDGMData
		}
	}
	if t.ContentType != "" && t.ContentType != f.content {
		f.content, f.version = t.ContentType, 3 // RFC 5652, 5.1
	}
	return f, nil
}

func (t SignedDataTemplate) addSignedData(b *cryptobyte.Builder, f cmsForm, info []byte) {
	b.AddASN1Int64(f.version)
	b.AddASN1(cbasn1.SET, func(b *cryptobyte.Builder) { AddAlgorithm(b, f.digest, false) })
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		AddOID(b, f.content)
		if !t.Detached {
			b.AddASN1(cbasn1.Tag(0).Constructed().ContextSpecific(), func(b *cryptobyte.Builder) { b.AddASN1OctetString(t.Content) })
		}
	})
	if !t.OmitCertificates {
		raw := [][]byte{t.Certificate.Raw}
		for _, c := range t.Chain {
			if !slices.ContainsFunc(raw, func(r []byte) bool { return string(r) == string(c.Raw) }) {
				raw = append(raw, c.Raw)
			}
		}
		AddSetOf(b, cbasn1.Tag(0).Constructed().ContextSpecific(), raw)
	}
	b.AddASN1(cbasn1.SET, func(b *cryptobyte.Builder) { b.AddBytes(info) })
}

func (t SignedDataTemplate) signerInfo(f cmsForm, signer crypto.Signer) ([]byte, error) {
	message, attributes := t.Content, []byte(nil)
	if t.WithAttributes || !t.SigningTime.IsZero() || len(t.Attributes) > 0 {
		var err error
		if attributes, err = t.signedAttributes(f); err != nil {
			return nil, err
		}
		message = attributes
	} else if looksLikeAttributes(t.Content) {
		return nil, malformed("content that reads as signed attributes")
	}
	_, sig, err := Sign(signer, message)
	if err != nil {
		return nil, err
	}
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(1)
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddBytes(t.Certificate.RawIssuer)
			b.AddASN1(cbasn1.INTEGER, func(b *cryptobyte.Builder) { b.AddBytes(t.Certificate.Serial) })
		})
		AddAlgorithm(b, f.digest, false)
		if attributes != nil {
			retagged := append([]byte{0xa0}, attributes[1:]...)
			b.AddBytes(retagged)
		}
		AddAlgorithm(b, f.signature, f.null)
		b.AddASN1OctetString(sig)
	})
	return b.Bytes()
}

// signedAttributes returns the SET OF Attribute that is signed.
func (t SignedDataTemplate) signedAttributes(f cmsForm) ([]byte, error) {
	digest, ok := idHash(f.digest, t.Content)
	if !ok {
		return nil, fmt.Errorf("digest %s: %w", f.digest, ErrUnsupported)
	}
	own := []struct {
		oid   OID
		value func(*cryptobyte.Builder)
	}{
		{OIDContentType, func(b *cryptobyte.Builder) { AddOID(b, f.content) }},
		{OIDMessageDigest, func(b *cryptobyte.Builder) { b.AddASN1OctetString(digest) }},
		{OIDSigningTime, func(b *cryptobyte.Builder) { AddTime(b, t.SigningTime) }},
	}
	if t.SigningTime.IsZero() {
		own = own[:2]
	}
	all := slices.Clone(t.Attributes)
	for _, a := range own {
		var b cryptobyte.Builder
		a.value(&b)
		value, err := b.Bytes()
		if err != nil {
			return nil, err
		}
		all = append(all, CMSAttribute{a.oid, [][]byte{value}})
	}
	elements := make([][]byte, len(all))
	for i, a := range all {
		var b cryptobyte.Builder
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			AddOID(b, a.Type)
			AddSetOf(b, cbasn1.SET, a.Values)
		})
		var err error
		if elements[i], err = b.Bytes(); err != nil {
			return nil, err
		}
	}
	var b cryptobyte.Builder
	AddSetOf(&b, cbasn1.SET, elements)
	return b.Bytes()
}
