package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"hufu/sandbox"
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
