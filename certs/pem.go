package certs

import (
	"encoding/pem"
	"fmt"
	"slices"
)

const pemCertificate = "CERTIFICATE"

// PEM returns the certificate in PEM.
func (c *Certificate) PEM() []byte { return EncodePEM(pemCertificate, c.Raw) }

// EncodePEM writes one PEM block.
func EncodePEM(label string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: label, Bytes: der})
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
