package main

import (
	"bytes"
	"context"
	"crypto"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"hufu/audit"
	"hufu/audit/tree"
	"hufu/certs"
	"hufu/certs/bundle"
	"hufu/internal/gm"
	"hufu/sandbox"
	"hufu/seal/check"
)

// secrets are the keys that the tour's persons made for themselves.
type secrets struct{ serial string }

func (t *tour) discover(ctx context.Context) (string, error) {
	text, err := t.get(ctx, "/.well-known/openid-configuration")
	if err != nil {
		return "", err
	}
	var d struct {
		Issuer string `json:"issuer"`
		JWKS   string `json:"jwks_uri"`
	}
	if err := json.Unmarshal(text, &d); err != nil {
		return "", err
	}
	if d.Issuer != t.base {
		return "", fmt.Errorf("issuer %q is not %q", d.Issuer, t.base)
	}
	t.report.Issuer = d.Issuer
	keys, err := t.get(ctx, strings.TrimPrefix(d.JWKS, t.base))
	if err != nil {
		return "", err
	}
	return d.Issuer, errors.Join(t.save("discovery", "oidc/discovery.json", text), t.save("token keys", "oidc/jwks.json", keys))
}

func (t *tour) loginCitizen(ctx context.Context) (string, error) {
	var err error
	if t.citizen, err = t.login(ctx, toolClient, "wangxiaoya", samplePassword, "person"); err != nil {
		return "", err
	}
	claims, err := t.checkIDToken(ctx, t.citizen.ID)
	if err != nil {
		return "", err
	}
	var info []byte
	if err := t.call(ctx, t.citizen.Access, "GET", "/oauth2/userinfo", nil, &info); err != nil {
		return "", err
	}
	detail := fmt.Sprintf("sub %v, acr %v", claims["sub"], claims["acr"])
	return detail, errors.Join(t.save("ID token", "oidc/id_token.jwt", []byte(t.citizen.ID)), t.save("userinfo", "oidc/userinfo.json", info))
}

// checkIDToken verifies the token's signature with the published keys, as any relying party would.
func (t *tour) checkIDToken(ctx context.Context, token string) (claims map[string]any, err error) {
	text, err := t.get(ctx, "/oauth2/jwks")
	if err != nil {
		return nil, err
	}
	var keys jose.JSONWebKeySet
	if err := json.Unmarshal(text, &keys); err != nil {
		return nil, fmt.Errorf("token keys: %w", err)
	}
	parsed, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.ES256, jose.RS256})
	if err != nil {
		return nil, fmt.Errorf("ID token: %w", err)
	}
	payload, err := parsed.Verify(keys)
	if err != nil {
		return nil, fmt.Errorf("ID token: %w", err)
	}
	return claims, json.Unmarshal(payload, &claims)
}

func (t *tour) loginOthers(ctx context.Context) (detail string, err error) {
	for _, who := range []struct {
		into              *tokens
		account, capacity string
	}{{&t.company, "wangxiaoya", "entity"}, {&t.official, "liming", "official"}, {&t.chief, "zhaomin", "official"}} {
		if *who.into, err = t.login(ctx, toolClient, who.account, samplePassword, who.capacity); err != nil {
			return "", err
		}
	}
	claims, err := t.checkIDToken(ctx, t.company.ID)
	if err != nil {
		return "", err
	}
	acting, _ := claims["act_for"].(map[string]any)
	if acting["uscc"] != sampleCompanyUSCC {
		return "", fmt.Errorf("act_for %v does not name the company", acting)
	}
	return fmt.Sprint(acting["name"], " ", acting["relation"]), nil
}

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

func (t *tour) fetchSeal(ctx context.Context) (string, error) {
	for _, f := range []struct{ path, what, name string }{
		{"seal.esl", "seal", "seal/seal.esl"}, {"picture.png", "seal picture (PNG)", "seal/seal.png"}, {"picture.svg", "seal picture (SVG)", "seal/seal.svg"},
	} {
		var data []byte
		if err := t.call(ctx, t.official.Access, "GET", "/api/v1/seals/"+sampleSeal+"/"+f.path, nil, &data); err != nil {
			return "", err
		}
		if err := t.save(f.what, f.name, data); err != nil {
			return "", err
		}
	}
	return sampleSeal, nil
}

// issuedLicence is what the API says of a licence.
type issuedLicence struct {
	ID    string `json:"id"`
	State string `json:"state"`
}

func (t *tour) issueLicence(ctx context.Context) (string, error) {
	var company struct {
		Sub string `json:"sub"`
		Act struct {
			Sub string `json:"sub"`
		} `json:"act_for"`
	}
	claims, err := t.checkIDToken(ctx, t.company.ID)
	if err != nil {
		return "", err
	}
	text, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	if err := json.Unmarshal(text, &company); err != nil {
		return "", err
	}
	order := map[string]any{"type": sampleLicence, "holder": company.Act.Sub, "seal": sampleSeal, "data": (&demo{}).sampleOrder("").Data}
	if err := t.call(ctx, t.official.Access, "POST", "/api/v1/licences", order, &t.licence, "Idempotency-Key", "demo-licence"); err != nil {
		return "", err
	}
	if err := t.fetchDocument(ctx); err != nil {
		return "", err
	}
	var qr struct{ Text string }
	if err := t.call(ctx, t.company.Access, "POST", "/api/v1/licences/"+t.licence.ID+"/qr", map[string]any{}, &qr); err != nil {
		return "", err
	}
	return t.licence.ID, t.save("QR text", "licence/qr.txt", []byte(qr.Text+"\n"))
}

func (t *tour) fetchDocument(ctx context.Context) error {
	var file []byte
	if err := t.call(ctx, t.official.Access, "GET", "/api/v1/licences/"+t.licence.ID+"/document", nil, &file); err != nil {
		return err
	}
	return t.save("licence", t.licenceFile(), file)
}

func (t *tour) licenceFile() string { return "licence/" + t.licence.ID + ".ofd" }

func (t *tour) forge(context.Context) (string, error) {
	genuine, err := t.load(t.licenceFile())
	if err != nil {
		return "", err
	}
	forged, err := sandbox.Forge(genuine, "capital", "壹亿元整")
	if err != nil {
		return "", err
	}
	return "registered capital: 壹佰万元整 → 壹亿元整", t.save("forged copy", "licence/tampered.ofd", forged)
}

// patience is how long the tour waits for what the server does by itself: the log's rounds, the bundle, the list.
const patience = 90 * time.Second

// await asks again until done says yes.
func await(ctx context.Context, done func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		ok, err := done()
		if ok || err != nil {
			return err
		}
		if !sleep(ctx, time.Second) {
			return fmt.Errorf("it did not come within %s", patience)
		}
	}
}

// fetchBundle waits for the bundle that knows the licence, and for the document to carry its proof from the log.
func (t *tour) fetchBundle(ctx context.Context) (string, error) {
	key, err := t.get(ctx, "/trust/bundle-key.pem")
	if err != nil {
		return "", err
	}
	pin, err := bundle.ParsePin(key)
	if err != nil {
		return "", err
	}
	var data []byte
	var known *bundle.Bundle
	err = await(ctx, func() (bool, error) {
		if data, err = t.get(ctx, "/trust/bundle"); err != nil {
			return false, nil //nolint:nilerr // not published yet
		}
		if known, _, err = bundle.Parse(data, pin); err != nil {
			return false, err
		}
		state, ok := known.Licence(t.licence.ID)
		return ok && state.State == bundle.Active, nil
	})
	if err != nil {
		return "", err
	}
	if err := errors.Join(t.save("trust bundle", "trust/trust.bundle", data), t.save("key to pin", "trust/bundle-key.pem", key)); err != nil {
		return "", err
	}
	return fmt.Sprintf("sequence %d, until %s", known.Sequence, known.NextUpdate.Format(time.DateOnly)), await(ctx, func() (bool, error) {
		if err := t.fetchDocument(ctx); err != nil {
			return false, err
		}
		r, err := t.judgeGenuine()
		return err == nil && logProof(r) != check.NotApplicable, err
	})
}

// judge verifies a file offline, with what was saved before and nothing else.
func (t *tour) judge(name, as, report string) (check.Report, error) {
	file, err1 := t.load(name)
	trust, err2 := t.load("trust/trust.bundle")
	key, err3 := t.load("trust/bundle-key.pem")
	if err := errors.Join(err1, err2, err3); err != nil {
		return check.Report{}, err
	}
	pin, err := bundle.ParsePin(key)
	if err != nil {
		return check.Report{}, err
	}
	found, err := verify(file, trust, pin, check.Options{Name: as, At: time.Now(), Lang: "en"})
	if err != nil {
		return found, err
	}
	text, err := found.JSON()
	if err != nil {
		return found, err
	}
	return found, t.save("report on "+as, report, append(bytes.TrimSpace(text), '\n'))
}

func (t *tour) judgeGenuine() (check.Report, error) {
	return t.judge(t.licenceFile(), t.licence.ID+".ofd", "report/licence.json")
}

// logProof is what the first signature's proof from the log came to.
func logProof(r check.Report) check.Result {
	for _, signature := range r.Signatures {
		for _, step := range signature.Steps {
			if step.Name == check.StepLogProof {
				return step.Result
			}
		}
	}
	return check.NotApplicable
}

func (t *tour) verifyGenuine(context.Context) (string, error) {
	r, err := t.judgeGenuine()
	if err != nil {
		return "", err
	}
	proof := logProof(r)
	if r.Result != check.Passed || proof != check.Passed {
		return "", fmt.Errorf("the licence is %s, its log proof %s: %v", r.Result, proof, r.Reasons)
	}
	return string(r.Result) + ", proven by the log", nil
}

func (t *tour) verifyForged(context.Context) (string, error) {
	r, err := t.judge("licence/tampered.ofd", "tampered.ofd", "report/tampered.json")
	if err != nil {
		return "", err
	}
	var reasons []string
	for _, x := range r.Reasons {
		reasons = append(reasons, x.Text)
	}
	words := strings.Join(reasons, "; ")
	if r.Result != check.Failed || !strings.Contains(strings.ToLower(words), "page 1") {
		return "", fmt.Errorf("the forged copy is %s: %s", r.Result, words)
	}
	return words, nil
}

// checkLog fetches the whole log, checks it with the key from the trust bundle, and finds the sealing in it.
func (t *tour) checkLog(ctx context.Context) (string, error) {
	key, err := t.logKey()
	if err != nil {
		return "", err
	}
	if err := t.mirror(ctx, key); err != nil {
		return "", err
	}
	fetch, err := fetchFrom(filepath.Join(t.out, "audit"), nil)
	if err != nil {
		return "", err
	}
	report, err := audit.VerifyExport(ctx, fetch, audit.Expect{Log: key})
	if err != nil {
		return "", err
	}
	if !report.OK() {
		return "", fmt.Errorf("the log does not hold: %v", report.Findings)
	}
	text, err := t.get(ctx, "/pki/log/proof?kind=seal&object="+sampleSeal)
	if err != nil {
		return "", err
	}
	if err := t.save("proofs of the seal's uses", "audit/proofs.txt", text); err != nil {
		return "", err
	}
	return fmt.Sprintf("%d entries, root %s", report.Entries, report.Head.Root), nil
}

func (t *tour) logKey() (*tree.Key, error) {
	data, err1 := t.load("trust/trust.bundle")
	pinned, err2 := t.load("trust/bundle-key.pem")
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	pin, err := bundle.ParsePin(pinned)
	if err != nil {
		return nil, err
	}
	b, _, err := bundle.Parse(data, pin)
	if err != nil {
		return nil, err
	}
	if len(b.Logs) != 1 {
		return nil, fmt.Errorf("the trust bundle names %d logs", len(b.Logs))
	}
	return tree.ParseKey(b.Logs[0].Key)
}

// mirror copies the log's checkpoint and tiles, as any witness does.
func (t *tour) mirror(ctx context.Context, key *tree.Key) error {
	note, err := t.get(ctx, "/pki/log/checkpoint")
	if err != nil {
		return err
	}
	seen, err := tree.VerifyCheckpoint(note, key, nil, 0)
	if err != nil {
		return err
	}
	if err := errors.Join(t.save("log checkpoint", "audit/checkpoint", note), t.save("log key", "audit/log.vkey", []byte(key.String()+"\n"))); err != nil {
		return err
	}
	for level := tree.Entries; level <= tree.MaxLevel; level++ {
		for tile := range tree.Tiles(level, 0, seen.Size) {
			data, err := t.get(ctx, "/pki/log/"+tile.Path())
			if err == nil {
				err = t.save("", "audit/"+tile.Path(), data)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
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
