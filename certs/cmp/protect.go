package cmp

import (
	"crypto"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha1" //nolint:gosec // openssl's default MAC; see MAC
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"hash"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"hufu/certs"
	"hufu/internal/gm"
)

// Limits of a MAC's parameters: fewer rounds are guessed too soon, more would let strangers keep the server busy.
const (
	MinRounds = 100
	MaxRounds = 100_000
	maxSalt   = 128
)

// MAC is protection by a shared secret: PasswordBasedMac (RFC 4210) or PBMAC1 (RFC 8018, RFC 9481). HMAC-SHA1 is read and
// answered since openssl takes it unless told otherwise; with a random secret of 128 bits it is not the weak place.
type MAC struct {
	PBMAC1 bool
	Hash   certs.OID // PasswordBasedMac: the one-way function; PBMAC1: the HMAC of PBKDF2
	HMAC   certs.OID // of the message
	Rounds int
	Length int // PBMAC1: octets of the derived key
	Salt   []byte
}

// DefaultMAC is PBMAC1 with HMAC-SHA256, as RFC 9481 recommends.
func DefaultMAC() MAC {
	return MAC{PBMAC1: true, Hash: oidHMACSHA256, HMAC: oidHMACSHA256, Rounds: 10_000, Length: 32}
}

// GMMAC is PBMAC1 with HMAC-SM3.
func GMMAC() MAC {
	return MAC{PBMAC1: true, Hash: certs.OIDHMACSM3, HMAC: certs.OIDHMACSM3, Rounds: 10_000, Length: 32}
}

// PasswordMAC is PasswordBasedMac with SHA-256 and HMAC-SHA256, which every peer knows.
func PasswordMAC() MAC {
	return MAC{Hash: certs.OIDSHA256, HMAC: oidHMACSHA256, Rounds: 1000}
}

// ProtectedByMAC tells whether the header claims protection by a shared secret.
func (h Header) ProtectedByMAC() bool {
	return h.Algorithm.OID == oidPasswordMAC || h.Algorithm.OID == oidPBMAC1
}

var (
	oneWay = map[certs.OID]func() hash.Hash{certs.OIDSHA1: sha1.New, certs.OIDSHA256: sha256.New, certs.OIDSM3: gm.NewSM3}
	hmacs  = map[certs.OID]func() hash.Hash{
		oidHMACSHA1: sha1.New, oidHMACSHA1IP: sha1.New, oidHMACSHA256: sha256.New, certs.OIDHMACSM3: gm.NewSM3,
	}
)

// ParseMAC reads the parameters of a MAC from a header. ErrUnsupported: an algorithm we do not know, or rounds outside
// MinRounds and MaxRounds.
func ParseMAC(a certs.AlgorithmIdentifier) (m MAC, err error) {
	s := cryptobyte.String(a.Params)
	ok := false
	switch a.OID {
	case oidPasswordMAC:
		ok = m.parsePassword(&s)
	case oidPBMAC1:
		m.PBMAC1 = true
		ok = m.parsePBMAC1(&s)
	default:
		return m, fmt.Errorf("protection %s: %w", a.OID, ErrUnsupported)
	}
	if !ok || !s.Empty() {
		return m, malformed("parameters of the MAC")
	}
	known := oneWay[m.Hash] != nil
	if m.PBMAC1 {
		known = hmacs[m.Hash] != nil && m.Length >= 16 && m.Length <= 64
	}
	if !known || hmacs[m.HMAC] == nil || m.Rounds < MinRounds || m.Rounds > MaxRounds || len(m.Salt) < 8 || len(m.Salt) > maxSalt {
		return m, fmt.Errorf("parameters of the MAC: %w", ErrUnsupported)
	}
	return m, nil
}

func (m *MAC) parsePassword(s *cryptobyte.String) bool {
	var in, salt cryptobyte.String
	var owf, mac certs.AlgorithmIdentifier
	if !s.ReadASN1(&in, cbasn1.SEQUENCE) || !in.ReadASN1(&salt, cbasn1.OCTET_STRING) || !certs.ReadAlgorithm(&in, &owf) ||
		!in.ReadASN1Integer(&m.Rounds) || !certs.ReadAlgorithm(&in, &mac) || !in.Empty() || !owf.NullOrAbsent() || !mac.NullOrAbsent() {
		return false
	}
	m.Salt, m.Hash, m.HMAC = salt, owf.OID, mac.OID
	return true
}

func (m *MAC) parsePBMAC1(s *cryptobyte.String) bool {
	var in, params, salt cryptobyte.String
	var kdf, mac, prf certs.AlgorithmIdentifier
	if !s.ReadASN1(&in, cbasn1.SEQUENCE) || !certs.ReadAlgorithm(&in, &kdf) || !certs.ReadAlgorithm(&in, &mac) || !in.Empty() ||
		kdf.OID != oidPBKDF2 || !mac.NullOrAbsent() {
		return false
	}
	inner := cryptobyte.String(kdf.Params)
	if !inner.ReadASN1(&params, cbasn1.SEQUENCE) || !inner.Empty() || !params.ReadASN1(&salt, cbasn1.OCTET_STRING) ||
		!params.ReadASN1Integer(&m.Rounds) || !params.ReadASN1Integer(&m.Length) {
		return false
	}
	prf.OID = oidHMACSHA1 // DEFAULT
	if !params.Empty() && (!certs.ReadAlgorithm(&params, &prf) || !prf.NullOrAbsent()) || !params.Empty() {
		return false
	}
	m.Salt, m.Hash, m.HMAC = salt, prf.OID, mac.OID
	return true
}

// algorithm returns the AlgorithmIdentifier.
func (m MAC) algorithm() (certs.AlgorithmIdentifier, error) {
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		if m.PBMAC1 {
			certs.AddOID(b, oidPBMAC1)
			b.AddASN1(cbasn1.SEQUENCE, m.addPBMAC1)
			return
		}
		certs.AddOID(b, oidPasswordMAC)
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1OctetString(m.Salt)
			certs.AddAlgorithm(b, m.Hash, false)
			b.AddASN1Int64(int64(m.Rounds))
			certs.AddAlgorithm(b, m.HMAC, false)
		})
	})
	der, err := b.Bytes()
	if err != nil {
		return certs.AlgorithmIdentifier{}, err
	}
	var a certs.AlgorithmIdentifier
	s := cryptobyte.String(der)
	if !certs.ReadAlgorithm(&s, &a) {
		return a, malformed("parameters of the MAC")
	}
	return a, nil
}

func (m MAC) addPBMAC1(b *cryptobyte.Builder) {
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		certs.AddOID(b, oidPBKDF2)
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1OctetString(m.Salt)
			b.AddASN1Int64(int64(m.Rounds))
			b.AddASN1Int64(int64(m.Length))
			certs.AddAlgorithm(b, m.Hash, true)
		})
	})
	certs.AddAlgorithm(b, m.HMAC, true)
}

func (m MAC) tag(secret, message []byte) ([]byte, error) {
	var key []byte
	if m.PBMAC1 {
		var err error
		if key, err = pbkdf2.Key(hmacs[m.Hash], string(secret), m.Salt, m.Rounds, m.Length); err != nil {
			return nil, err
		}
	} else {
		h := oneWay[m.Hash]()
		key = append(append(key, secret...), m.Salt...)
		for range m.Rounds {
			h.Reset()
			h.Write(key)
			key = h.Sum(key[:0])
		}
	}
	tag := hmac.New(hmacs[m.HMAC], key)
	tag.Write(message)
	return tag.Sum(nil), nil
}

// VerifyMAC tells whether the message was protected with the secret. The work is the same for a right and a wrong one.
func (m *Message) VerifyMAC(secret []byte) error {
	mac, err := ParseMAC(m.Header.Algorithm)
	if err != nil {
		return err
	}
	part, err := m.ProtectedPart()
	if err != nil {
		return err
	}
	tag, err := mac.tag(secret, part)
	if err != nil {
		return err
	}
	if subtle.ConstantTimeCompare(tag, m.Protection) != 1 {
		return fmt.Errorf("MAC of the message: %w", certs.ErrSignature)
	}
	return nil
}

// Seal protects the message with a secret, under a fresh salt, and returns its DER.
func (m *Message) Seal(mac MAC, secret []byte) ([]byte, error) {
	mac.Salt = make([]byte, 16)
	if _, err := rand.Read(mac.Salt); err != nil {
		return nil, err
	}
	var err error
	if m.Header.Algorithm, err = mac.algorithm(); err != nil {
		return nil, fmt.Errorf("protect message: %w", err)
	}
	if _, err := ParseMAC(m.Header.Algorithm); err != nil {
		return nil, fmt.Errorf("protect message: %w", err)
	}
	part, err := m.ProtectedPart()
	if err != nil {
		return nil, fmt.Errorf("protect message: %w", err)
	}
	if m.Protection, err = mac.tag(secret, part); err != nil {
		return nil, fmt.Errorf("protect message: %w", err)
	}
	return m.Marshal()
}

// VerifySignature verifies the protection with a public key (SM2: default id).
func (m *Message) VerifySignature(pub crypto.PublicKey) error {
	alg := certs.SignatureAlgorithmByOID(m.Header.Algorithm.OID)
	if alg == certs.UnknownSignature || !m.Header.Algorithm.NullOrAbsent() {
		return fmt.Errorf("protection %s: %w", m.Header.Algorithm.OID, ErrUnsupported)
	}
	part, err := m.ProtectedPart()
	if err != nil {
		return err
	}
	if err := certs.CheckSignature(pub, alg, part, m.Protection); err != nil {
		return fmt.Errorf("signature of the message: %w", err)
	}
	return nil
}

// Sign protects the message with a key, under the algorithm that fits it, and returns its DER. Header.SenderKID and the
// certificates are the caller's.
func (m *Message) Sign(signer crypto.Signer) ([]byte, error) {
	alg, err := certs.SigningAlgorithm(signer.Public())
	if err != nil {
		return nil, fmt.Errorf("protect message: %w", err)
	}
	var b cryptobyte.Builder
	certs.AddSignatureAlgorithm(&b, alg)
	der, err := b.Bytes()
	if err != nil {
		return nil, fmt.Errorf("protect message: %w", err)
	}
	s := cryptobyte.String(der)
	if !certs.ReadAlgorithm(&s, &m.Header.Algorithm) {
		return nil, malformed("signature algorithm")
	}
	part, err := m.ProtectedPart()
	if err != nil {
		return nil, fmt.Errorf("protect message: %w", err)
	}
	if _, m.Protection, err = certs.Sign(signer, part); err != nil {
		return nil, fmt.Errorf("protect message: %w", err)
	}
	return m.Marshal()
}
