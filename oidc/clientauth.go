package oidc

import (
	"context"
	"crypto/subtle"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/ory/fosite"

	"hufu/internal/gm"
)

const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// authenticateEngine is authenticate for fosite.
func (p *Provider) authenticateEngine(ctx context.Context, r *http.Request, form url.Values) (fosite.Client, error) {
	c, err := p.authenticate(ctx, r.Header.Get("Authorization"), form)
	if err != nil {
		return nil, err
	}
	return engineClient{c}, nil
}

// credentials is what a client presented, by one method.
type credentials struct {
	id, secret string
	method     AuthMethod
}

// authenticate finds out which client calls. A client has one method, and presents that one and no other.
func (p *Provider) authenticate(ctx context.Context, authorization string, form url.Values) (ClientRecord, error) {
	cred, err := readCredentials(authorization, form)
	if err != nil {
		return ClientRecord{}, err
	}
	c, err := p.client(ctx, cred.id)
	if errors.Is(err, ErrNotFound) {
		return ClientRecord{}, invalidClient("The client is unknown.")
	}
	if err != nil {
		return ClientRecord{}, err
	}
	if c.AuthMethod != cred.method {
		return ClientRecord{}, invalidClient("The client is registered for the method " + string(c.AuthMethod) + ".")
	}
	switch cred.method {
	case AuthBasic, AuthPost:
		old := sameHash(c.OldSecretHash, cred.secret) && p.now().Before(c.OldSecretUntil)
		if !sameHash(c.SecretHash, cred.secret) && !old {
			return ClientRecord{}, invalidClient("The client secret is wrong.")
		}
	case AuthJWT:
		if err := p.checkAssertion(ctx, c, cred.secret); err != nil {
			return ClientRecord{}, err
		}
	}
	return c, nil
}

func readCredentials(authorization string, form url.Values) (credentials, error) {
	cred := credentials{id: form.Get("client_id"), method: AuthNone}
	methods := 0
	if authorization != "" {
		id, secret, ok := basicAuth(authorization)
		if !ok || (cred.id != "" && cred.id != id) {
			return cred, invalidClient("The Authorization header is malformed or names another client than client_id.")
		}
		cred = credentials{id: id, secret: secret, method: AuthBasic}
		methods++
	}
	if form.Has("client_secret") {
		cred.secret, cred.method = form.Get("client_secret"), AuthPost
		methods++
	}
	if form.Has("client_assertion") || form.Has("client_assertion_type") {
		if form.Get("client_assertion_type") != assertionType {
			return cred, invalidRequest("This client_assertion_type is not supported.")
		}
		cred.secret, cred.method = form.Get("client_assertion"), AuthJWT
		if cred.id == "" {
			cred.id = assertedClient(cred.secret)
		}
		methods++
	}
	if methods > 1 {
		return cred, invalidRequest("More than one method of client authentication was used.")
	}
	if cred.id == "" {
		return cred, invalidClient("The client did not say who it is.")
	}
	return cred, nil
}

// basicAuth reads HTTP Basic credentials, whose parts are urlencoded (RFC 6749 section 2.3.1).
func basicAuth(header string) (id, secret string, ok bool) {
	r := http.Request{Header: http.Header{"Authorization": {header}}}
	user, pass, ok := r.BasicAuth()
	if !ok {
		return "", "", false
	}
	id, err1 := url.QueryUnescape(user)
	secret, err2 := url.QueryUnescape(pass)
	return id, secret, err1 == nil && err2 == nil && id != "" && isText(id) && isText(secret)
}

// sameHash compares a secret with a stored SM3 hash in constant time. No hash fits nothing.
func sameHash(hash []byte, secret string) bool {
	sum := gm.SM3([]byte(secret))
	return len(hash) == len(sum) && subtle.ConstantTimeCompare(hash, sum[:]) == 1
}

// assertionAlgs are what clients may sign assertions with.
var assertionAlgs = []jose.SignatureAlgorithm{jose.ES256, jose.PS256, jose.RS256}

// assertedClient returns who an assertion says it is from. Nothing is proven by it.
func assertedClient(assertion string) string {
	token, err := jwt.ParseSigned(assertion, assertionAlgs)
	if err != nil {
		return ""
	}
	var claims jwt.Claims
	if token.UnsafeClaimsWithoutVerification(&claims) != nil || !isText(claims.Subject) {
		return ""
	}
	return claims.Subject
}

// checkAssertion verifies a client assertion (RFC 7523): signed by a registered key that its kid names, for us, fresh,
// and used once. The audience is checked before the jti is stored.
func (p *Provider) checkAssertion(ctx context.Context, c ClientRecord, assertion string) error {
	refused := invalidClient("The client assertion is not valid.")
	keys, err := readJWKS(c.JWKS)
	if err != nil {
		return refused
	}
	token, err := jwt.ParseSigned(assertion, assertionAlgs)
	if err != nil || len(token.Headers) != 1 {
		return refused
	}
	candidates := keys.Key(token.Headers[0].KeyID)
	if len(candidates) != 1 {
		return refused
	}
	var claims jwt.Claims
	if err := token.Claims(candidates[0].Key, &claims); err != nil {
		return refused
	}
	now := p.now()
	if claims.Issuer != c.ID || claims.Subject != c.ID || claims.ID == "" || len(claims.ID) > 256 || !isText(claims.ID) ||
		claims.Expiry == nil || !now.Before(claims.Expiry.Time()) || claims.Expiry.Time().After(now.Add(time.Hour)) {
		return refused
	}
	for _, t := range []*jwt.NumericDate{claims.NotBefore, claims.IssuedAt} {
		if t != nil && t.Time().After(now.Add(10*time.Second)) {
			return refused
		}
	}
	if len(claims.Audience) != 1 || (claims.Audience[0] != p.base && claims.Audience[0] != p.base+"/oauth2/token") {
		return refused
	}
	first := false
	err = p.store.Update(ctx, func(w W) (err error) {
		first, err = w.UseJTI(c.ID, claims.ID, claims.Expiry.Time())
		return err
	})
	if err == nil && !first {
		err = invalidClient("The client assertion was used before.")
	}
	return err
}

// bearerToken returns the access token of a request: from the Authorization header, or from the form of a POST. A query
// is never looked at, two places at once are refused.
func bearerToken(r *http.Request, form url.Values) (string, error) {
	scheme, token, ok := strings.Cut(r.Header.Get("Authorization"), " ")
	inForm := form.Get("access_token")
	switch {
	case ok && strings.EqualFold(scheme, "bearer") && inForm != "":
		return "", invalidRequest("The access token was sent twice.")
	case ok && strings.EqualFold(scheme, "bearer"):
		return strings.TrimSpace(token), nil
	}
	return inForm, nil
}
