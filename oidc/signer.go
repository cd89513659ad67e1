package oidc

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/ory/fosite/token/jwt"
	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// The signature algorithms of id_tokens.
const (
	algRS256 = "RS256"
	algES256 = "ES256"
)

// keyRing is the keys in force, and the JWKS document of them as ready bytes.
type keyRing struct {
	byID    map[string]ringKey
	signing map[string]ringKey // by algorithm
	jwks    document
}

type ringKey struct {
	id, alg string
	public  crypto.PublicKey
	signer  crypto.Signer
}

// SetKeys replaces the signing keys at once, for rotation.
func (p *Provider) SetKeys(keys []Key) error {
	ring := &keyRing{byID: map[string]ringKey{}, signing: map[string]ringKey{}}
	var set jose.JSONWebKeySet
	for i, k := range keys {
		key, web, err := readKey(k)
		if err != nil {
			return ErrConfig.With("token key %d: %w", i, err)
		}
		if _, ok := ring.byID[key.id]; ok {
			return ErrConfig.With("two token keys have the id %q", key.id)
		}
		ring.byID[key.id] = key
		if _, ok := ring.signing[key.alg]; !ok && key.signer != nil {
			ring.signing[key.alg] = key
		}
		if !k.Hidden {
			set.Keys = append(set.Keys, web)
		}
	}
	for _, alg := range []string{algRS256, algES256} {
		if _, ok := ring.signing[alg]; !ok {
			return ErrConfig.With("no token key signs %s", alg)
		}
	}
	doc, err := newDocument(set)
	if err != nil {
		return ErrConfig.With("key set: %w", err)
	}
	ring.jwks = doc
	p.keys.Store(ring)
	return nil
}

func readKey(k Key) (ringKey, jose.JSONWebKey, error) {
	key := ringKey{id: k.ID, public: k.Public, signer: k.Signer}
	if k.Signer != nil {
		key.public = k.Signer.Public()
	}
	switch pub := key.public.(type) {
	case *rsa.PublicKey:
		if pub.N.BitLen() < 2048 {
			return key, jose.JSONWebKey{}, fmt.Errorf("RSA of %d bits, 2048 are needed", pub.N.BitLen())
		}
		key.alg = algRS256
	case *ecdsa.PublicKey:
		if pub.Curve != elliptic.P256() {
			return key, jose.JSONWebKey{}, errors.New("an ECDSA key that is not on P-256")
		}
		key.alg = algES256
	default:
		return key, jose.JSONWebKey{}, fmt.Errorf("a key of type %T", key.public)
	}
	web := jose.JSONWebKey{Key: key.public, Algorithm: key.alg, Use: "sig"}
	if key.id == "" {
		print, err := web.Thumbprint(crypto.SHA256)
		if err != nil {
			return key, web, err
		}
		key.id = base64.RawURLEncoding.EncodeToString(print)
	}
	web.KeyID = key.id
	return key, web, nil
}

// sign makes a compact JWS (RFC 7515). The signature is verified before it leaves: a faulty one would give the key away.
func (r *keyRing) sign(alg, typ string, claims map[string]any) (string, error) {
	key, ok := r.signing[alg]
	if !ok {
		return "", fmt.Errorf("%w: no key for %s", errSigner, alg)
	}
	header, err := json.Marshal(map[string]string{"alg": alg, "kid": key.id, "typ": typ})
	if err != nil {
		return "", err
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	input := b64(header) + "." + b64(payload)
	digest := sha256.Sum256([]byte(input))
	sig, err := key.signer.Sign(rand.Reader, digest[:], crypto.SHA256)
	if err != nil {
		return "", fmt.Errorf("%w: %w", errSigner, err)
	}
	if alg == algES256 {
		if sig, err = rawECDSA(sig); err != nil {
			return "", fmt.Errorf("%w: %w", errSigner, err)
		}
	}
	if !key.verify(digest[:], sig) {
		return "", fmt.Errorf("%w: its signature does not verify", errSigner)
	}
	return input + "." + b64(sig), nil
}

func (k ringKey) verify(digest, sig []byte) bool {
	switch pub := k.public.(type) {
	case *rsa.PublicKey:
		return rsa.VerifyPKCS1v15(pub, crypto.SHA256, digest, sig) == nil
	case *ecdsa.PublicKey:
		if len(sig) != 64 {
			return false
		}
		return ecdsa.Verify(pub, digest, new(big.Int).SetBytes(sig[:32]), new(big.Int).SetBytes(sig[32:]))
	}
	return false
}

// open verifies a JWS of our own and returns its header and claims. Times are the caller's to judge.
func (r *keyRing) open(token string) (header, claims map[string]any, err error) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 || len(token) > maxParameter {
		return nil, nil, errors.New("not a compact JWS")
	}
	var raw [3][]byte
	for i, part := range parts {
		if raw[i], err = base64.RawURLEncoding.Strict().DecodeString(part); err != nil {
			return nil, nil, errors.New("not a compact JWS")
		}
	}
	if json.Unmarshal(raw[0], &header) != nil || json.Unmarshal(raw[1], &claims) != nil {
		return nil, nil, errors.New("header or claims are not JSON objects")
	}
	kid, _ := header["kid"].(string)
	key, ok := r.byID[kid]
	if alg, _ := header["alg"].(string); !ok || alg != key.alg {
		return nil, nil, errors.New("signed by a key that is not ours")
	}
	digest := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	if !key.verify(digest[:], raw[2]) {
		return nil, nil, errors.New("the signature does not verify")
	}
	return header, claims, nil
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// rawECDSA turns an ASN.1 ECDSA signature into r‖s of 64 octets (RFC 7518 section 3.4).
func rawECDSA(der []byte) ([]byte, error) {
	r, s := new(big.Int), new(big.Int)
	input := cryptobyte.String(der)
	var inner cryptobyte.String
	if !input.ReadASN1(&inner, asn1.SEQUENCE) || !input.Empty() || !inner.ReadASN1Integer(r) || !inner.ReadASN1Integer(s) ||
		!inner.Empty() || r.Sign() <= 0 || s.Sign() <= 0 || r.BitLen() > 256 || s.BitLen() > 256 {
		return nil, errors.New("not an ASN.1 ECDSA signature")
	}
	raw := make([]byte, 64)
	r.FillBytes(raw[:32])
	s.FillBytes(raw[32:])
	return raw, nil
}

// jwtSigner is what fosite asks for: JSON Web Tokens of our own keys. Unlike fosite's own signer it takes any
// crypto.Signer, several algorithms and a rotation.
type jwtSigner struct{ p *Provider }

var _ jwt.Signer = jwtSigner{}

// Generate signs claims; header "alg" chooses the key, RS256 if there is none.
func (s jwtSigner) Generate(_ context.Context, claims jwt.MapClaims, header jwt.Mapper) (token, signature string, err error) {
	alg := algRS256
	if h, ok := header.(*jwt.Headers); ok {
		if a, ok := h.Get("alg").(string); ok {
			alg = a
		}
	}
	if token, err = s.p.keys.Load().sign(alg, "JWT", claims); err != nil {
		return "", "", err
	}
	return token, token[strings.LastIndexByte(token, '.')+1:], nil
}

// Validate verifies the signature and returns it.
func (s jwtSigner) Validate(ctx context.Context, token string) (string, error) {
	if _, err := s.Decode(ctx, token); err != nil {
		return "", err
	}
	return s.GetSignature(ctx, token)
}

// Hash returns SHA-256, the hash of both algorithms.
func (jwtSigner) Hash(_ context.Context, in []byte) ([]byte, error) {
	sum := sha256.Sum256(in)
	return sum[:], nil
}

// Decode verifies the signature and the expiry.
func (s jwtSigner) Decode(_ context.Context, token string) (*jwt.Token, error) {
	header, claims, err := s.p.keys.Load().open(token)
	if err != nil {
		return &jwt.Token{}, &jwt.ValidationError{Inner: err, Errors: jwt.ValidationErrorSignatureInvalid}
	}
	t := &jwt.Token{Header: header, Claims: claims}
	if exp, _ := claims["exp"].(float64); s.p.now().After(time.Unix(int64(exp), 0)) {
		return t, &jwt.ValidationError{Inner: errors.New("expired"), Errors: jwt.ValidationErrorExpired}
	}
	return t, nil
}

// GetSignature returns the third part of the token.
func (jwtSigner) GetSignature(_ context.Context, token string) (string, error) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return "", errors.New("not a compact JWS")
	}
	return parts[2], nil
}

// GetSigningMethodLength returns the octets of Hash.
func (jwtSigner) GetSigningMethodLength(context.Context) int { return sha256.Size }
