package oidc

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"net"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-jose/go-jose/v4"
)

// check refuses a registration that cannot work or is not safe. The detail names the field.
func (c *Client) check() error {
	switch {
	case !isClientID(c.ID):
		return ErrClient.With("id: 3 to 64 letters, digits, . _ -")
	case c.Name == "" || utf8.RuneCountInString(c.Name) > 60 || utf8.RuneCountInString(c.NameEN) > 120 || !isText(c.Name) || !isText(c.NameEN):
		return ErrClient.With("name: 1 to 60 characters are needed")
	case !has([]string{string(AuthBasic), string(AuthPost), string(AuthJWT), string(AuthNone)}, string(c.AuthMethod)):
		return ErrClient.With("auth_method: %q is not supported", c.AuthMethod)
	case c.IDTokenAlg != algRS256 && c.IDTokenAlg != algES256:
		return ErrClient.With("id_token_alg: %q is neither RS256 nor ES256", c.IDTokenAlg)
	case c.OmitPKCE && c.Public():
		return ErrClient.With("omit_pkce: a public client has nothing but PKCE")
	case c.ResourceServer && c.Public():
		return ErrClient.With("resource_server: a public client cannot introspect")
	case len(c.RedirectURIs) > 20 || (len(c.RedirectURIs) == 0 && !c.ResourceServer):
		return ErrClient.With("redirect_uris: 1 to 20 are needed")
	case len(c.LogoutURIs) > 20:
		return ErrClient.With("logout_uris: at most 20")
	case len(c.Scopes) > 50 || len(c.Audience) > 20:
		return ErrClient.With("scopes or audience: too many")
	case c.RefreshLife < 0 || c.RefreshLife > 400*24*time.Hour:
		return ErrClient.With("refresh_life: at most 400 days")
	case len(c.Sector) > 255 || !isText(c.Sector):
		return ErrClient.With("sector: too long")
	}
	for _, s := range append(append([]string{}, c.Scopes...), c.Audience...) {
		if !isScope(s) {
			return ErrClient.With("scopes or audience: %q is not a scope token", s)
		}
	}
	for field, list := range map[string][]string{
		"redirect_uris": c.RedirectURIs, "logout_uris": c.LogoutURIs, "homepage": some(c.Homepage), "policy_uri": some(c.PolicyURI),
	} {
		for _, uri := range list {
			if err := checkURI(uri); err != nil {
				return ErrClient.With("%s: %q: %w", field, uri, err)
			}
		}
	}
	return c.checkKeys()
}

func (c *Client) checkKeys() error {
	if c.AuthMethod != AuthJWT {
		if c.JWKS != "" {
			return ErrClient.With("jwks: only %s needs keys", AuthJWT)
		}
		return nil
	}
	if _, err := readJWKS(c.JWKS); err != nil {
		return ErrClient.With("jwks: %w", err)
	}
	return nil
}

func some(s string) []string {
	if s == "" {
		return nil
	}
	return []string{s}
}

func isClientID(s string) bool {
	return len(s) >= 3 && len(s) <= 64 && !strings.ContainsFunc(s, func(c rune) bool {
		return !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '.' || c == '_' || c == '-')
	})
}

// isScope reports whether s is a scope token (RFC 6749 section 3.3).
func isScope(s string) bool {
	return s != "" && len(s) <= 200 && !strings.ContainsFunc(s, func(c rune) bool { return c <= ' ' || c > '~' || c == '"' || c == '\\' })
}

// checkURI takes https, and http for loopback hosts; no fragment, no user, plain host characters.
func checkURI(raw string) error {
	if len(raw) > 1024 || strings.ContainsFunc(raw, func(c rune) bool { return c <= ' ' || c > '~' }) || strings.ContainsAny(raw, `"'<>\^|{}`+"`") {
		return errors.New("too long, or a character that a URI does not have")
	}
	u, err := url.Parse(raw)
	switch {
	case err != nil:
		return errors.New("not a URI")
	case u.Host == "" || u.Opaque != "" || u.User != nil || strings.Contains(raw, "#"):
		return errors.New("an absolute URI without user and fragment is needed")
	case strings.ContainsFunc(u.Host, func(c rune) bool {
		return !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.ContainsRune(".-:[]", c))
	}):
		return errors.New("the host has characters that a host name does not have")
	case u.Scheme != "https" && (u.Scheme != "http" || !isLoopback(u.Hostname())):
		return errors.New("https is needed, or http on a loopback host")
	}
	return nil
}

func isLoopback(host string) bool {
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || net.ParseIP(host).IsLoopback()
}

// matchRedirect compares as strings. Only a public client (an app on a computer) may come with another port on the same
// loopback address that it registered (RFC 8252 section 7.3).
func matchRedirect(c Client, uri string) bool {
	if has(c.RedirectURIs, uri) {
		return true
	}
	asked, err := url.Parse(uri)
	if err != nil || !c.Public() || checkURI(uri) != nil || !net.ParseIP(asked.Hostname()).IsLoopback() {
		return false
	}
	for _, r := range c.RedirectURIs {
		u, err := url.Parse(r)
		if err == nil && u.Scheme == "http" && asked.Scheme == "http" && u.Hostname() == asked.Hostname() &&
			u.EscapedPath() == asked.EscapedPath() && u.RawQuery == asked.RawQuery {
			return true
		}
	}
	return false
}

// readJWKS reads the public keys of a client: each with a kid of its own and use=sig, P-256 or RSA of 2048 bits and more.
func readJWKS(text string) (*jose.JSONWebKeySet, error) {
	if len(text) > 32<<10 {
		return nil, errors.New("larger than 32 KiB")
	}
	var set jose.JSONWebKeySet
	if err := json.Unmarshal([]byte(text), &set); err != nil {
		return nil, errors.New("not a JSON Web Key Set of supported keys")
	}
	seen := map[string]bool{}
	for _, k := range set.Keys {
		if k.KeyID == "" || seen[k.KeyID] || k.Use != "sig" || !k.Valid() {
			return nil, errors.New(`each key needs a kid of its own and "use": "sig"`)
		}
		seen[k.KeyID] = true
		switch pub := k.Key.(type) {
		case *rsa.PublicKey:
			if pub.N.BitLen() < 2048 {
				return nil, errors.New("RSA keys need 2048 bits")
			}
		case *ecdsa.PublicKey:
			if pub.Curve != elliptic.P256() {
				return nil, errors.New("EC keys must be on P-256")
			}
		default:
			return nil, errors.New("only public RSA and EC keys belong here")
		}
	}
	if len(set.Keys) == 0 || len(set.Keys) > 10 {
		return nil, errors.New("1 to 10 keys are needed")
	}
	return &set, nil
}
