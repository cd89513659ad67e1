package oidc

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"net/url"
	"strings"
	"testing"
)

func FuzzParseForm(f *testing.F) {
	for _, seed := range []string{"a=b&c=d", "a=%00", "a=1&a=2", "%zz", "a;b", "=", "a=%ff", "scope=openid+profile&state="} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		form, err := parseForm(raw)
		if err != nil {
			if e, ok := err.(oauthError); !ok || e.Code != "invalid_request" || e.status() != 400 {
				t.Errorf("%q: %v", raw, err)
			}
			return
		}
		for name, v := range form {
			if len(v) != 1 || v[0] == "" || !isText(v[0]) || !isText(name) {
				t.Errorf("%q let %q = %q through", raw, name, v)
			}
		}
	})
}

func testRing(f *testing.F) *keyRing {
	f.Helper()
	r, err1 := rsa.GenerateKey(rand.Reader, 2048)
	e, err2 := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	p := &Provider{}
	if err1 != nil || err2 != nil || p.SetKeys([]Key{{ID: "r", Signer: r}, {ID: "e", Signer: e}}) != nil {
		f.Fatal("no keys")
	}
	return p.keys.Load()
}

// Whatever is changed in a token of ours, it does not open.
func FuzzOpenToken(f *testing.F) {
	ring := testRing(f)
	ours := map[string]bool{}
	for _, alg := range []string{algRS256, algES256} {
		token, err := ring.sign(alg, "JWT", map[string]any{"sub": "x"})
		if err != nil {
			f.Fatal(err)
		}
		ours[token] = true
		f.Add(token)
		f.Add(token[:len(token)-1])
		f.Add(token + "=")
		parts := strings.Split(token, ".")
		f.Add(b64([]byte(`{"alg":"none","kid":"r"}`)) + "." + parts[1] + ".")
		f.Add(b64([]byte(`{"alg":"HS256","kid":"r"}`)) + "." + parts[1] + "." + parts[2])
	}
	f.Fuzz(func(t *testing.T, token string) {
		if _, _, err := ring.open(token); err == nil && !ours[token] {
			t.Errorf("%q opened", token)
		}
	})
}

func FuzzReadJWKS(f *testing.F) {
	for _, seed := range []string{
		`{"keys":[]}`, `{"keys":[{"kty":"EC","crv":"P-256","kid":"a","use":"sig","x":"AA","y":"AA"}]}`,
		`{"keys":[{"kty":"RSA","kid":"a","use":"sig","n":"AQAB","e":"AQAB"}]}`, `{"keys":[{"kty":"oct","k":"AA"}]}`, `{`, `[]`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		set, err := readJWKS(text)
		if err == nil && (len(set.Keys) == 0 || !set.Keys[0].IsPublic()) {
			t.Errorf("%q gave %+v", text, set)
		}
	})
}

// What is registered can stand in a Location header, in an HTML attribute and in a content security policy.
func FuzzCheckURI(f *testing.F) {
	for _, seed := range []string{"https://a.example/cb", "http://[::1]:80/", "https://a.example;x/", "javascript:x", "https://a\r\nb/", "//x"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, uri string) {
		if checkURI(uri) != nil {
			return
		}
		if strings.ContainsAny(uri, " \"'<>\r\n#\\") || strings.ContainsAny(origin(uri), ";, '") {
			t.Errorf("%q passed", uri)
		}
		a := (&Provider{base: "https://id.example"}).answerTo(&request{RedirectURI: uri, State: "s"}, url.Values{"code": {"c"}})
		u, err := url.Parse(a.URL)
		if err != nil || u.Query().Get("state") != "s" || u.Scheme+"://"+u.Host != origin(uri) {
			t.Errorf("%q: answer %q", uri, a.URL)
		}
	})
}
