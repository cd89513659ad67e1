package certs

import (
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"slices"
)

const pemCertificate = "CERTIFICATE"

// PEM returns the certificate in PEM.
func (c *Certificate) PEM() []byte { return c.AppendPEM(nil) }

// AppendPEM appends what PEM returns.
func (c *Certificate) AppendPEM(dst []byte) []byte { return appendPEM(dst, pemCertificate, c.Raw) }

// EncodePEM writes one PEM block.
func EncodePEM(label string, der []byte) []byte { return appendPEM(nil, label, der) }

// appendPEM writes a block (RFC 7468, section 3, strict) in one piece: encoding/pem allocates for each line.
func appendPEM(dst []byte, label string, der []byte) []byte {
	const line = 48 // octets, 64 letters
	dst = slices.Grow(dst, base64.StdEncoding.EncodedLen(len(der))+len(der)/line+2*len(label)+40)
	dst = append(append(append(dst, "-----BEGIN "...), label...), "-----\n"...)
	for part := range slices.Chunk(der, line) {
		dst = append(base64.StdEncoding.AppendEncode(dst, part), '\n')
	}
	return append(append(append(dst, "-----END "...), label...), "-----\n"...)
}

// DecodePEM returns the DER of the first block with one of the labels; ErrMalformed when there is none.
func DecodePEM(text []byte, labels ...string) ([]byte, error) {
	for {
		block, rest := pem.Decode(text)
		if block == nil {
			return nil, malformed("no PEM block %q", labels)
		}
		if slices.Contains(labels, block.Type) {
			return block.Bytes, nil
		}
		text = rest
	}
}

// ParsePEM reads the first certificate of a PEM text strictly.
func ParsePEM(text []byte) (*Certificate, error) {
	der, err := DecodePEM(text, pemCertificate)
	if err != nil {
		return nil, err
	}
	return Parse(der)
}

// ParseAnyPEM reads every certificate of a PEM text leniently, at most maxListEntries of them; other blocks are passed over.
func ParseAnyPEM(text []byte) ([]*Certificate, error) {
	var out []*Certificate
	for {
		block, rest := pem.Decode(text)
		if block == nil {
			break
		}
		text = rest
		if block.Type != pemCertificate {
			continue
		}
		if len(out) == maxListEntries {
			return nil, fmt.Errorf("PEM text: %w", ErrTooLarge)
		}
		c, err := ParseLenient(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certificate %d of the PEM text: %w", len(out)+1, err)
		}
		out = append(out, c)
	}
	if len(out) == 0 {
		return nil, malformed("no certificate in the PEM text")
	}
	return out, nil
}
