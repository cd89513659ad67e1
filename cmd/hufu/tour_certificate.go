package main

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"slices"
	"strings"

	"hufu/certs"
	"hufu/internal/gm"
)

func (t *tour) fetchAuthorities(ctx context.Context) (string, error) {
	var names []string
	for _, name := range []string{"root", "issuing"} {
		der, err := t.get(ctx, "/pki/ca/"+name+".cer")
		if err != nil {
			return "", err
		}
		c, err := certs.Parse(der)
		if err != nil {
			return "", err
		}
		names = append(names, c.Subject.CommonName())
		if err := t.save(name+" certificate", "ca/"+name+".pem", c.PEM()); err != nil {
			return "", err
		}
	}
	return strings.Join(names, ", "), nil
}

func (t *tour) certifyPerson(ctx context.Context) (string, error) {
	return t.certify(ctx, "person", t.citizen, false)
}

func (t *tour) certifyEntity(ctx context.Context) (string, error) {
	return t.certify(ctx, "entity", t.company, true)
}

func (t *tour) certifyOfficial(ctx context.Context) (string, error) {
	return t.certify(ctx, "official", t.official, true)
}

// certify makes a key here, applies with a request, has an officer approve it where the profile wants one, and opens the
// encryption key that comes enveloped.
func (t *tour) certify(ctx context.Context, kind string, who tokens, approval bool) (string, error) {
	key, err := gm.GenerateKey()
	if err != nil {
		return "", err
	}
	csr, err := certs.NewRequest(key, certs.NewName(certs.Attribute{Type: certs.OIDCommonName, Value: "demo " + kind}), certs.RequestOptions{})
	if err != nil {
		return "", err
	}
	pem := certs.EncodePEM("CERTIFICATE REQUEST", csr)
	if err := t.save(kind+" request", "certs/"+kind+".csr", pem); err != nil {
		return "", err
	}
	var app struct{ ID, State string }
	if err := t.call(ctx, who.Access, "POST", "/api/v1/applications", map[string]any{"profile": kind + "-sign", "csr": string(pem)}, &app, "Idempotency-Key", "demo-"+kind); err != nil {
		return "", err
	}
	if approval != (app.State == "submitted") {
		return "", fmt.Errorf("application is %s", app.State)
	}
	if approval {
		if err := t.call(ctx, t.chief.Access, "POST", "/api/v1/applications/"+app.ID+"/decision", map[string]any{"approve": true}, &app); err != nil {
			return "", err
		}
	}
	var issued struct {
		Certificates []struct{ Serial, PEM string }
		Envelope     []byte
	}
	if err := t.call(ctx, who.Access, "POST", "/api/v1/applications/"+app.ID+"/issue", nil, &issued); err != nil {
		return "", err
	}
	if len(issued.Certificates) != 2 {
		return "", fmt.Errorf("%d certificates, want signing and encryption", len(issued.Certificates))
	}
	if kind == "person" {
		t.serial = issued.Certificates[0].Serial
	}
	return t.keepPair(kind, key, issued.Certificates[0].PEM, issued.Certificates[1].PEM, issued.Envelope)
}

func (t *tour) keepPair(kind string, key crypto.Signer, signPEM, encPEM string, envelope []byte) (string, error) {
	sign, err1 := certs.ParsePEM([]byte(signPEM))
	enc, err2 := certs.ParsePEM([]byte(encPEM))
	if err := errors.Join(err1, err2); err != nil {
		return "", err
	}
	opened, err := certs.OpenEnvelopedKey(envelope, key.(crypto.Decrypter))
	if err != nil {
		return "", fmt.Errorf("open the encryption key: %w", err)
	}
	if !certs.SameKey(opened.Public(), enc.PublicKey) || !certs.SameKey(key.Public(), sign.PublicKey) {
		return "", errors.New("keys and certificates do not belong together")
	}
	return sign.Subject.String(), errors.Join(
		t.save(kind+" signing certificate", "certs/"+kind+"-sign.pem", sign.PEM()),
		t.save(kind+" encryption certificate", "certs/"+kind+"-enc.pem", enc.PEM()))
}

func (t *tour) refuseBadRequest(ctx context.Context) (string, error) {
	err := t.call(ctx, t.citizen.Access, "POST", "/api/v1/applications", map[string]any{"profile": "person-sign", "csr": "garbage"}, nil)
	if err == nil || !strings.Contains(err.Error(), "400") && !strings.Contains(err.Error(), "422") {
		return "", fmt.Errorf("garbage for a request: %v", err)
	}
	if err := t.call(ctx, t.citizen.Access, "GET", "/api/v1/applications", nil, nil); err == nil || !strings.Contains(err.Error(), "403") {
		return "", fmt.Errorf("a citizen lists all applications: %v", err)
	}
	return "garbage and a missing right, both", nil
}

func (t *tour) revoke(ctx context.Context) (string, error) {
	if err := t.call(ctx, t.citizen.Access, "POST", "/api/v1/certificates/"+t.serial+"/revocation", map[string]any{"reason": "superseded"}, nil); err != nil {
		return "", err
	}
	var list []byte
	err := await(ctx, func() (bool, error) {
		der, err := t.get(ctx, "/pki/crl/issuing/full.crl")
		if err != nil {
			return false, err
		}
		crl, err := certs.ParseCRL(der)
		if err != nil {
			return false, err
		}
		list = der
		return slices.ContainsFunc(slices.Collect(crl.Entries()), func(e certs.CRLEntry) bool { return fmt.Sprintf("%x", e.Serial) == t.serial }), nil
	})
	if err != nil {
		return "", err
	}
	return "certificate " + t.serial, t.save("revocation list", "ca/issuing.crl", list)
}
