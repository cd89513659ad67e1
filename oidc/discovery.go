package oidc

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"net/http"

	"hufu/internal/gm"
)

// document is a public JSON document as ready bytes.
type document struct {
	body []byte
	etag string
}

func newDocument(v any) (document, error) {
	body, err := json.Marshal(v)
	if err != nil {
		return document{}, err
	}
	sum := gm.SM3(body)
	return document{body: body, etag: `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`}, nil
}

func (d document) write(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "public, max-age=300")
	h.Set("ETag", d.etag)
	h.Set("X-Content-Type-Options", "nosniff")
	if r.Header.Get("If-None-Match") == d.etag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	_, _ = w.Write(d.body)
}

func (p *Provider) serveDiscovery(w http.ResponseWriter, r *http.Request) { p.discovery.write(w, r) }

func (p *Provider) serveJWKS(w http.ResponseWriter, r *http.Request) { p.keys.Load().jwks.write(w, r) }

// Discovery returns the discovery document (OpenID Connect Discovery 1.0, RFC 8414).
func (p *Provider) Discovery() []byte { return bytes.Clone(p.discovery.body) }

// JWKS returns the public token keys, a JSON Web Key Set.
func (p *Provider) JWKS() []byte { return bytes.Clone(p.keys.Load().jwks.body) }

// describe makes the discovery document. What is not in it is not offered.
func (p *Provider) describe() (document, error) {
	methods := []AuthMethod{AuthBasic, AuthPost, AuthJWT}
	algs := []string{"ES256", "PS256", "RS256"}
	return newDocument(map[string]any{
		"issuer":                                                   p.base,
		"authorization_endpoint":                                   p.base + "/oauth2/authorize",
		"token_endpoint":                                           p.base + "/oauth2/token",
		"userinfo_endpoint":                                        p.base + "/oauth2/userinfo",
		"jwks_uri":                                                 p.base + "/oauth2/jwks",
		"revocation_endpoint":                                      p.base + "/oauth2/revoke",
		"introspection_endpoint":                                   p.base + "/oauth2/introspect",
		"end_session_endpoint":                                     p.base + "/oauth2/logout",
		"scopes_supported":                                         standardScopes,
		"response_types_supported":                                 []string{"code"},
		"response_modes_supported":                                 []string{modeQuery, modeFormPost},
		"grant_types_supported":                                    []string{"authorization_code", "refresh_token"},
		"subject_types_supported":                                  []string{"public", "pairwise"},
		"id_token_signing_alg_values_supported":                    []string{algRS256, algES256},
		"token_endpoint_auth_methods_supported":                    append(methods, AuthNone),
		"token_endpoint_auth_signing_alg_values_supported":         algs,
		"revocation_endpoint_auth_methods_supported":               append(methods, AuthNone),
		"revocation_endpoint_auth_signing_alg_values_supported":    algs,
		"introspection_endpoint_auth_methods_supported":            methods,
		"introspection_endpoint_auth_signing_alg_values_supported": algs,
		"code_challenge_methods_supported":                         []string{"S256"},
		"authorization_response_iss_parameter_supported":           true,
		"claims_parameter_supported":                               false,
		"request_parameter_supported":                              false,
		"request_uri_parameter_supported":                          false,
		"prompt_values_supported":                                  []string{"none", "login", "consent", "select_account"},
		"ui_locales_supported":                                     []string{"zh-CN", "en"},
		"acr_values_supported":                                     []string{acrURN(1), acrURN(2), acrURN(3), acrURN(4)},
		"claims_supported": []string{
			"iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "acr", "amr", "azp", "at_hash", "sid",
			"name", "phone_number", "phone_number_verified", "birthdate", "gender",
			"identity_type", "identity_number", "identity_level", "subject_kind", "act_for", "official",
		},
	})
}

// standardScopes are the scopes that every client may be allowed.
var standardScopes = []string{ScopeOpenID, ScopeProfile, ScopePhone, ScopeAddress, ScopeOffline, ScopeIdentity, ScopeEntity, ScopeAPI}
