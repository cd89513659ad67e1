package certs

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"io"
	"testing"

	"hufu/internal/gm"
)

// strayed signs with another key than the one it names.
type strayed struct {
	crypto.Signer
	names crypto.PublicKey
}

func (s strayed) Public() crypto.PublicKey { return s.names }

// vouching is strayed and says that it verifies.
type vouching struct{ strayed }

func (vouching) VerifiesSignatures() {}

func (v vouching) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return []byte("as it came"), nil
}

func TestASignatureIsVerifiedOnce(t *testing.T) {
	for name, generate := range map[string]func() (crypto.Signer, error){
		"SM2":   func() (crypto.Signer, error) { return gm.GenerateKey() },
		"P-256": func() (crypto.Signer, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) },
	} {
		one, err1 := generate()
		other, err2 := generate()
		if err1 != nil || err2 != nil {
			t.Fatal(err1, err2)
		}
		s := strayed{one, other.Public()}
		if _, sig, err := Sign(s, []byte("m")); sig != nil || err == nil {
			t.Errorf("%s: a signature of another key left: %v", name, err)
		}
		if c, err := SignTBS(s, newCA(t, "CA", false).RawTBS); err == nil {
			t.Errorf("%s: a certificate signed by another key left: %v", name, c.Subject)
		}
		if _, sig, err := Sign(vouching{s}, []byte("m")); string(sig) != "as it came" || err != nil {
			t.Errorf("%s: verified again: %q %v", name, sig, err)
		}
	}
}
