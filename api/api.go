package api

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"hufu/audit"
	"hufu/audit/webhook"
	"hufu/ca"
	"hufu/ca/enrol"
	"hufu/ca/kmc"
	"hufu/certs"
	"hufu/identity"
	"hufu/identity/login"
	"hufu/internal/actor"
	"hufu/internal/fault"
	"hufu/internal/limit"
	"hufu/keys"
	"hufu/licence"
	"hufu/oidc"
	"hufu/seal"
	"hufu/seal/check"
)

// Tokens tells who an access token stands for. oidc.Provider satisfies it: a token that does not hold (any more) is
// oidc.ErrToken, one that allows less oidc.ErrScope.
type Tokens interface {
	Bearer(ctx context.Context, token string, scopes ...string) (actor.Actor, error)
}

// Verifier checks a file as seal/check does, against the server's own trust bundle or, if bundle is not empty, that one.
// lang is "zh" or "en". Only a file of no known kind, or a bundle that cannot be read, is an error.
type Verifier interface {
	Verify(ctx context.Context, name string, file, bundle []byte, lang string) (check.Report, error)
}

// Config is what New needs. A service that this process does not run stays nil; its routes do not exist then.
type Config struct {
	Tokens    Tokens
	CA        *ca.Authority
	People    *identity.Service
	Logins    *login.Service
	Clients   *oidc.Provider
	Seals     *seal.Service
	Licences  *licence.Service
	Audit     *audit.Log
	Centre    *kmc.Front // the key management centre
	Keys      *keys.Keys
	Verifier  Verifier
	Enrolment *enrol.Service
	Webhooks  *webhook.Service
	// WebhookKey returns the certificate that signs its messages and those above it; needed with Webhooks.
	WebhookKey func(ctx context.Context) ([]*certs.Certificate, error)

	URL      string                       // where this server is reached, for the OpenAPI document; may be empty
	Version  string                       // of the program, for the OpenAPI document; optional
	Rate     Rate                         // optional
	BodyTime time.Duration                // optional: how long a body may take to arrive, a file six times as long; default 10 s
	RemoteIP func(r *http.Request) string // optional: address of the caller; default the peer's
	Now      func() time.Time             // optional: time.Now
	Log      *slog.Logger                 // optional: nothing is logged
}

// Rate bounds how often one address, and one owner of tokens, may call. The zero Rate is 50 a second, 200 at once.
type Rate struct {
	PerSecond float64 // negative: no limit
	Burst     int
}

// ErrConfig says that a Config cannot make an API.
var ErrConfig = fault.New(fault.Invalid, "api.config",
	"The configuration of the API is not valid. Correct the field named.", "API 配置不正确，请按提示修改。")

// API serves /api/. It is safe for concurrent use.
type API struct {
	Config
	groups  []noun
	spec    *huma.OpenAPI
	mux     *http.ServeMux
	byIP    *limit.Callers
	byOwner *limit.Callers
	bodies  *places // of those with a token
	strange *places // of those without
	handler http.Handler
}

// New checks the configuration and builds the routes.
func New(c Config) (*API, error) {
	if c.Tokens == nil {
		return nil, ErrConfig.With("Tokens missing")
	}
	if c.RemoteIP == nil {
		c.RemoteIP = peerIP
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.BodyTime <= 0 {
		c.BodyTime = 10 * time.Second
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	speakProblems()
	rate := c.Rate.fill()
	a := &API{
		Config: c, mux: http.NewServeMux(), byIP: limit.New(limit.Rate(rate), c.Now), byOwner: limit.New(limit.Rate(rate), c.Now),
		bodies: newPlaces(), strange: newPlaces(),
	}
	h := humago.New(a.mux, a.humaConfig())
	for _, n := range a.nouns() {
		if !n.on {
			continue
		}
		a.groups = append(a.groups, n)
		for i := range n.routes {
			a.mount(h, n.name, &n.routes[i])
		}
	}
	a.spec = h.OpenAPI()
	if err := a.mountDocs(); err != nil {
		return nil, fmt.Errorf("describe the API: %w", err)
	}
	a.mux.HandleFunc("/", a.serveUnknown)
	a.handler = a.enter(a.mux)
	return a, nil
}

// Handler serves /api/….
func (a *API) Handler() http.Handler { return a.handler }

// humaConfig switches off what would load scripts from elsewhere, add links to bodies or guess.
func (a *API) humaConfig() huma.Config {
	c := huma.DefaultConfig("Hufu 虎符", a.Version)
	c.Info.Description = "SM2 certificates, electronic seals and licences, subjects and applications. " +
		"证书、电子印章、电子证照、主体与应用的管理接口。"
	c.OpenAPIPath, c.DocsPath, c.SchemasPath = "", "", "" // the document is served by docs.go
	c.CreateHooks = nil
	c.RejectUnknownQueryParameters = true
	if a.URL != "" {
		c.Servers = []*huma.Server{{URL: a.URL}}
	}
	c.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"token": {Type: "http", Scheme: "bearer", Description: "Access token of /oauth2/token with scope \"api\"."},
	}
	return c
}

func peerIP(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}
