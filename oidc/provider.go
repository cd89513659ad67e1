package oidc

import (
	"context"
	"crypto"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/ory/fosite"

	"hufu/identity"
	"hufu/identity/login"
	"hufu/internal/actor"
	"hufu/internal/fault"
)

// Subjects says who people are and what they may act as. An error of kind NotFound, Denied or Conflict means that
// the person may not act (unknown, frozen, closed); any other error means that it could not be found out.
// identity.Service satisfies it.
type Subjects interface {
	Standing(ctx context.Context, subject string) (identity.Standing, error)
	Capacities(ctx context.Context, person string) ([]identity.Capacity, error)
	Profile(ctx context.Context, subject string) (identity.Profile, error)
}

// Sessions says whether a log-in session still lives. The id is login.Session.ID, not the secret.
type Sessions interface {
	Alive(ctx context.Context, id string) (bool, error)
}

// Pages is what the edge does for the provider. Every field is needed.
type Pages struct {
	// Session returns the log-in session of the browser that sent r; nil if it has none.
	Session func(r *http.Request) (*login.Session, error)
	// Error shows a page for a request that must not be answered by a redirect.
	Error func(w http.ResponseWriter, r *http.Request, status int, err error)
	// Logout asks the person whether to log out. It is shown when nobody proves that the person wanted it; the page
	// ends the session by itself and sends the browser nowhere else.
	Logout func(w http.ResponseWriter, r *http.Request)
	// LoggedOut tells that the session has ended, when there is nowhere to be sent to.
	LoggedOut func(w http.ResponseWriter, r *http.Request)
	// EndSession ends the browser's session and clears its cookie.
	EndSession func(w http.ResponseWriter, r *http.Request) error
}

// Key signs tokens. Publish a new key (later in the list, or another kid) before it signs; keep an old one, without
// Signer, until its last token has expired.
type Key struct {
	ID     string           // kid; the RFC 7638 thumbprint if empty
	Hidden bool             // it verifies what we signed with it, and is not published any more
	Signer crypto.Signer    // P-256 or RSA of at least 2048 bits; nil for a key that only verifies
	Public crypto.PublicKey // needed when Signer is nil
}

// Lifetimes of what is handed out. Zero fields take the defaults.
type Lifetimes struct {
	Interaction time.Duration // 10 minutes
	Code        time.Duration // 45 seconds
	Access      time.Duration // 10 minutes
	IDToken     time.Duration // 10 minutes
	Refresh     time.Duration // 30 days, for clients that set none
}

// Config is what New needs.
type Config struct {
	Issuer      string   // https://host[:port], or http for loopback hosts; without path
	Store       Store    //
	Subjects    Subjects //
	Sessions    Sessions //
	Pages       Pages    //
	Keys        []Key    // at least one RSA (RS256) and one P-256 (ES256) key with a Signer; the first of each signs
	TokenSecret []byte   // at least 32 octets: HMAC-SM3 key of opaque tokens
	OldSecrets  [][]byte // earlier ones and one to come, accepted as well
	Lifetimes   Lifetimes
	LoginPath   string // "/login"
	ActingPath  string // "/acting"
	ConsentPath string // "/consent"
	Now         func() time.Time
	Log         *slog.Logger
}

// Provider is the OpenID provider. It is safe for use by several goroutines.
type Provider struct {
	config     Config
	base       string // issuer
	cookieName string
	secure     bool
	store      Store
	now        func() time.Time
	log        *slog.Logger
	life       Lifetimes
	keys       atomic.Pointer[keyRing]
	secrets    atomic.Pointer[secrets]
	discovery  document
	engine     *fosite.Fosite
	storage    *storage
	opaque     *opaque
}

// New checks the configuration and returns a provider.
func New(c Config) (*Provider, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	p := &Provider{
		config: c, base: c.Issuer, secure: strings.HasPrefix(c.Issuer, "https:"),
		store: c.Store, log: c.Log, life: c.Lifetimes,
		now: func() time.Time { return c.Now().UTC().Truncate(time.Microsecond) }, // as exact as the store
	}
	p.cookieName = "hufu-flow"
	if p.secure {
		p.cookieName = "__Host-hufu-flow"
	}
	if err := p.SetKeys(c.Keys); err != nil {
		return nil, err
	}
	if err := p.SetSecrets(c.TokenSecret, c.OldSecrets); err != nil {
		return nil, err
	}
	doc, err := p.describe()
	if err != nil {
		return nil, err
	}
	p.discovery = doc
	p.compose()
	return p, nil
}

// check refuses a configuration that cannot work and fills in defaults.
func (c *Config) check() error {
	u, err := url.Parse(c.Issuer)
	switch {
	case err != nil || u.Host == "" || u.Path != "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil:
		return ErrConfig.With("issuer %q is not scheme://host", c.Issuer)
	case u.Scheme != "https" && u.Scheme != "http":
		return ErrConfig.With("issuer %q is neither https nor http", c.Issuer)
	case c.Store == nil, c.Subjects == nil, c.Sessions == nil:
		return ErrConfig.With("store, subjects or sessions missing")
	case c.Pages.Session == nil, c.Pages.Error == nil, c.Pages.Logout == nil, c.Pages.LoggedOut == nil, c.Pages.EndSession == nil:
		return ErrConfig.With("a page is missing")
	}
	l := &c.Lifetimes
	setDefault(&l.Interaction, 10*time.Minute)
	setDefault(&l.Code, 45*time.Second)
	setDefault(&l.Access, 10*time.Minute)
	setDefault(&l.IDToken, 10*time.Minute)
	setDefault(&l.Refresh, 30*24*time.Hour)
	setDefault(&c.LoginPath, "/login")
	setDefault(&c.ActingPath, "/acting")
	setDefault(&c.ConsentPath, "/consent")
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return nil
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Handler serves the protocol endpoints: /.well-known/openid-configuration, /.well-known/oauth-authorization-server
// and everything below /oauth2/.
func (p *Provider) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/.well-known/openid-configuration", cors("GET", p.serveDiscovery))
	mux.Handle("/.well-known/oauth-authorization-server", cors("GET", p.serveDiscovery))
	mux.Handle("/oauth2/jwks", cors("GET", p.serveJWKS))
	mux.Handle("/oauth2/token", cors("POST", p.serveToken))
	mux.Handle("/oauth2/userinfo", cors("GET, POST", p.serveUserinfo))
	mux.HandleFunc("POST /oauth2/revoke", p.serveRevoke)
	mux.HandleFunc("POST /oauth2/introspect", p.serveIntrospect)
	mux.HandleFunc("GET /oauth2/authorize", p.serveAuthorize)
	mux.HandleFunc("POST /oauth2/authorize", p.serveAuthorize)
	mux.HandleFunc("GET /oauth2/logout", p.serveLogout)
	mux.HandleFunc("POST /oauth2/logout", p.serveLogout)
	mux.HandleFunc("GET /oauth2/form_post.js", serveFormPostScript)
	return mux
}

// administrators may register and change clients.
var administrators = []actor.Role{actor.RoleBusinessAdmin}

// gone reports whether the error of a Subjects call says that the person may not act.
func gone(err error) bool {
	switch fault.KindOf(err) {
	case fault.NotFound, fault.Denied, fault.Conflict, fault.Invalid:
		return true
	}
	return false
}
