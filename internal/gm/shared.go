//lint:file-ignore SA1019 SM2 keys are ecdsa.PublicKey on a curve that the standard library does not know.

package gm

import (
	"crypto/elliptic"
	"crypto/subtle"
	"encoding/binary"

	"github.com/emmansun/gmsm/sm2"
	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// Ciphertext is an SM2 ciphertext taken apart (GB/T 32918.4), for devices that want it in another form than ASN.1.
type Ciphertext struct {
	C1 []byte // the point 04 ‖ x ‖ y, 65 octets, on the curve
	C2 []byte // the data encrypted, as long as the plaintext
	C3 []byte // SM3(x2 ‖ data ‖ y2), 32 octets
}

// ParseCiphertext takes a ciphertext in ASN.1 form (GM/T 0009 clause 7.2) apart, strictly: everything else, a point off the
// curve above all, is ErrCiphertext.
func ParseCiphertext(der []byte) (Ciphertext, error) {
	if !strictCiphertext(der) {
		return Ciphertext{}, ErrCiphertext
	}
	input := cryptobyte.String(der)
	var seq, c3, c2 cryptobyte.String
	point := make([]byte, 65)
	point[0] = 4
	if !input.ReadASN1(&seq, cbasn1.SEQUENCE) || !readScalar(&seq, point[1:33]) || !readScalar(&seq, point[33:]) ||
		!seq.ReadASN1(&c3, cbasn1.OCTET_STRING) || !seq.ReadASN1(&c2, cbasn1.OCTET_STRING) {
		return Ciphertext{}, ErrCiphertext
	}
	return Ciphertext{C1: point, C2: c2, C3: c3}, nil
}

// OpenShared decrypts with the x coordinate of d·C1, 32 octets, which is what a device's ECDH gives. The coordinate y, which it
// does not give, has two values; C3 decides (GB/T 32918.4 clause 7.1). Every failure is ErrCiphertext.
func OpenShared(c Ciphertext, x []byte) ([]byte, error) {
	if len(x) != 32 || len(c.C3) != 32 || len(c.C2) == 0 {
		return nil, ErrCiphertext
	}
	var found []byte
	for _, sign := range []byte{2, 3} {
		px, py := elliptic.UnmarshalCompressed(sm2.P256(), append([]byte{sign}, x...))
		if px == nil {
			return nil, ErrCiphertext
		}
		if plain := openShared(c, x, py.FillBytes(make([]byte, 32))); plain != nil {
			found = plain
		}
	}
	if found == nil {
		return nil, ErrCiphertext
	}
	return found, nil
}

// openShared opens C2 under one point; nil when C3 does not agree.
func openShared(c Ciphertext, x, y []byte) []byte {
	defer clear(y)
	plain := make([]byte, 0, len(c.C2)+31)
	for counter := uint32(1); len(plain) < len(c.C2); counter++ {
		block := SM3(x, y, binary.BigEndian.AppendUint32(nil, counter))
		plain = append(plain, block[:]...)
	}
	plain = plain[:len(c.C2)]
	zero := isZero(plain)
	subtle.XORBytes(plain, plain, c.C2)
	check := SM3(x, plain, y)
	if zero || subtle.ConstantTimeCompare(check[:], c.C3) != 1 {
		clear(plain)
		return nil
	}
	return plain
}
