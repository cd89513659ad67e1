package certs

import (
	"crypto"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// RequestMessageOptions say what a request of RFC 4211 asks for beside the key.
type RequestMessageOptions struct {
	ID       int64
	Subject  Name
	Extra    []Extension
	Replaces *Certificate      // control oldCertID, for a key update; nil leaves it out
	Pairs    map[string]string // regInfo utf8Pairs; empty leaves it out
}

// NewRequestMessage makes a CertReqMsg for the signer's key and signs it as proof of possession (SM2: default id).
func NewRequestMessage(signer crypto.Signer, o RequestMessageOptions) ([]byte, error) {
	request, err := o.request(signer.Public())
	if err != nil {
		return nil, fmt.Errorf("make request message: %w", err)
	}
	alg, sig, err := Sign(signer, request)
	if err != nil {
		return nil, fmt.Errorf("make request message: %w", err)
	}
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddBytes(request)
		b.AddASN1(contextConstructed(1), func(b *cryptobyte.Builder) {
			AddSignatureAlgorithm(b, alg)
			b.AddASN1BitString(sig)
		})
		if len(o.Pairs) > 0 {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				addAttribute(b, OIDRegInfoPairs, func(b *cryptobyte.Builder) {
					b.AddASN1(cbasn1.UTF8String, func(b *cryptobyte.Builder) { b.AddBytes([]byte(writePairs(o.Pairs))) })
				})
			})
		}
	})
	return b.Bytes()
}

func (o RequestMessageOptions) request(pub crypto.PublicKey) ([]byte, error) {
	spki, err := MarshalPublicKey(pub)
	if err != nil {
		return nil, err
	}
	subject, err := o.Subject.Marshal()
	if err != nil {
		return nil, err
	}
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(o.ID)
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1(contextConstructed(5), func(b *cryptobyte.Builder) { b.AddBytes(subject) })
			b.AddBytes(retagged(spki, 0xa6))
			if len(o.Extra) > 0 {
				b.AddASN1(contextConstructed(9), func(b *cryptobyte.Builder) {
					for _, e := range o.Extra {
						AddExtension(b, e)
					}
				})
			}
		})
		if o.Replaces != nil {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) { addAttribute(b, OIDRegControlOldCert, o.addOldCertificate) })
		}
	})
	return b.Bytes()
}

func (o RequestMessageOptions) addOldCertificate(b *cryptobyte.Builder) {
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(contextConstructed(4), func(b *cryptobyte.Builder) { b.AddBytes(o.Replaces.RawIssuer) })
		b.AddASN1(cbasn1.INTEGER, func(b *cryptobyte.Builder) { b.AddBytes(o.Replaces.Serial) })
	})
}

// NewRevocationTemplate makes a CertTemplate that names a certificate by issuer and serial number.
func NewRevocationTemplate(c *Certificate) ([]byte, error) {
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.Tag(1).ContextSpecific(), func(b *cryptobyte.Builder) { b.AddBytes(c.Serial) })
		b.AddASN1(contextConstructed(3), func(b *cryptobyte.Builder) { b.AddBytes(c.RawIssuer) })
	})
	return b.Bytes()
}

func addAttribute(b *cryptobyte.Builder, id OID, value func(*cryptobyte.Builder)) {
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		AddOID(b, id)
		value(b)
	})
}

func retagged(element []byte, tag byte) []byte {
	out := slices.Clone(element)
	out[0] = tag
	return out
}

var (
	pairEscapes   = strings.NewReplacer("%", "%25", "?", "%3f")
	pairUnescapes = strings.NewReplacer("%25", "%", "%3f", "?", "%3F", "?")
)

// writePairs writes "name?value%" for each pair, by name (RFC 4211, section 7.1).
func writePairs(pairs map[string]string) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(pairs)) {
		b.WriteString(pairEscapes.Replace(name) + "?" + pairEscapes.Replace(pairs[name]) + "%")
	}
	return b.String()
}

// MarshalPairs writes pairs as the UTF8String of id-regInfo-utf8Pairs (RFC 4211, section 7.1), DER.
func MarshalPairs(pairs map[string]string) ([]byte, error) {
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.UTF8String, func(b *cryptobyte.Builder) { b.AddBytes([]byte(writePairs(pairs))) })
	return b.Bytes()
}

// ParsePairs is the inverse of MarshalPairs. It is ErrMalformed for a name twice or more than 32 pairs.
func ParsePairs(der []byte) (map[string]string, error) {
	s := cryptobyte.String(der)
	var text cryptobyte.String
	if !s.ReadASN1(&text, cbasn1.UTF8String) || !s.Empty() || !utf8.Valid(text) {
		return nil, malformed("utf8Pairs")
	}
	return parsePairs(string(text))
}

// parsePairs is its inverse. A percent sign ends a pair unless "25" or "3f" follows.
func parsePairs(text string) (map[string]string, error) {
	pairs := map[string]string{}
	for text != "" {
		end := pairEnd(text)
		name, value, ok := strings.Cut(text[:end], "?")
		name = pairUnescapes.Replace(name)
		if _, twice := pairs[name]; !ok || name == "" || twice || strings.Contains(value, "?") || len(pairs) == 32 {
			return nil, malformed("utf8Pairs")
		}
		pairs[name] = pairUnescapes.Replace(value)
		text = strings.TrimPrefix(text[end:], "%")
	}
	return pairs, nil
}

func pairEnd(text string) int {
	for i := range len(text) {
		if text[i] != '%' {
			continue
		}
		if next := strings.ToLower(text[i+1 : min(i+3, len(text))]); next != "25" && next != "3f" {
			return i
		}
	}
	return len(text)
}
