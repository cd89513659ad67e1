package web

import (
	"context"
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"hufu/audit"
	"hufu/ca"
	"hufu/identity"
	"hufu/identity/login"
	"hufu/internal/actor"
	"hufu/internal/fault"
	"hufu/oidc"
)

// Logins proves who a person is and keeps the sessions. login.Service satisfies it.
type Logins interface {
	Login(ctx context.Context, at login.Attempt) (login.Session, string, error)
	Session(ctx context.Context, secret string) (login.Session, error)
	List(ctx context.Context, a actor.Actor, subject string) ([]login.Session, error)
	End(ctx context.Context, a actor.Actor, id string) error
	EndAll(ctx context.Context, a actor.Actor, subject, except string) (int, error)
	SetPassword(ctx context.Context, a actor.Actor, old, password string) error
}

// People tells what a person may see about itself. identity.Service satisfies it.
type People interface {
	Profile(ctx context.Context, id string) (identity.Profile, error)
	Capacities(ctx context.Context, personID string) ([]identity.Capacity, error)
	Act(ctx context.Context, person actor.Actor, c identity.Capacity) (actor.Actor, error)
}

// Provider keeps the log-ins that applications asked for, and what came of them. oidc.Provider satisfies it.
type Provider interface {
	Interaction(ctx context.Context, id, browserSecret string, session *login.Session) (oidc.Interaction, error)
	Decide(ctx context.Context, id, browserSecret string, d oidc.Decision) (*oidc.Answer, error)
	BrowserSecret(r *http.Request) string
	Grants(ctx context.Context, a actor.Actor) ([]oidc.Grant, error)
	Withdraw(ctx context.Context, a actor.Actor, client string) error
	Client(ctx context.Context, a actor.Actor, id string) (oidc.Client, error)
}

// Certificates lists the certificates of a holder. ca.Authority satisfies it.
type Certificates interface {
	Certificates(ctx context.Context, by actor.Actor, f ca.CertificateFilter) ([]ca.Record, error)
	Revoked(ctx context.Context, issuer string, serial []byte) (ca.Revocation, bool, error)
}

// Activity searches the record. audit.Log satisfies it.
type Activity interface {
	Search(ctx context.Context, who actor.Actor, q audit.Query) (audit.Page, error)
}

// Sample is an account of a demonstration whose password everybody may know.
type Sample struct {
	Account  string
	Password string
	Name     string
	Who      fault.Text // "citizen, legal representative of …"
}

// Config is what New needs. Fields marked as optional may be left empty; their part of the pages is then left out.
type Config struct {
	Origin       string     // scheme://host[:port] under which browsers see the pages; https makes the cookies secure
	Name         fault.Text // of the platform; default 虎符统一身份认证平台
	Short        fault.Text // the same for narrow screens; default 虎符
	Logins       Logins
	People       People
	Certificates Certificates // optional
	Activity     Activity     // optional
	Verifier     Verifier     // optional: without it there is no page /verify
	Seals        Seals        // optional: without it there are no pages of seals
	Kinds        []Kind       // of documents that the page of a seal offers to activate it for
	Hardware     bool         // a hardware device holds the master key of the seals
	Story        Story        // optional: without it / is a plain home page
	Samples      []Sample     // optional: only in a demonstration
	APIDocs      string       // optional: path of the API's page, "/api/docs"
	Zone         *time.Location
	RemoteIP     func(r *http.Request) string // optional: address of the browser; default the peer's
	Now          func() time.Time
	Log          *slog.Logger
}

// ErrConfig says that a Config cannot make a Site.
var ErrConfig = fault.New(fault.Invalid, "web.config",
	"The configuration of the pages is not valid. Correct the field named.", "页面配置不正确，请按提示修改。")

// Site is the pages. It is safe for use by several goroutines once UseProvider was called.
type Site struct {
	Config
	provider  Provider
	secure    bool
	templates map[string]*template.Template
	assets    assets
	uploads   gate
}

// New checks the configuration and parses the templates. The OpenID provider comes later, by UseProvider.
func New(c Config) (*Site, error) {
	origin, err := url.Parse(c.Origin)
	switch {
	case err != nil, origin.Host == "", origin.Scheme != "https" && origin.Scheme != "http", strings.Trim(origin.Path, "/") != "":
		return nil, ErrConfig.With("Origin %q is not scheme://host[:port]", c.Origin)
	case c.Logins == nil:
		return nil, ErrConfig.With("Logins missing")
	case c.People == nil:
		return nil, ErrConfig.With("People missing")
	}
	c.Origin = strings.TrimSuffix(c.Origin, "/")
	if c.Name == (fault.Text{}) {
		c.Name = fault.Text{ZH: "虎符统一身份认证平台", EN: "Hufu Identity Platform"}
	}
	if c.Short == (fault.Text{}) {
		c.Short = fault.Text{ZH: "虎符", EN: "Hufu"}
	}
	if c.Zone == nil {
		c.Zone = time.FixedZone("UTC+8", 8*60*60)
	}
	if c.RemoteIP == nil {
		c.RemoteIP = peerIP
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	s := &Site{Config: c, secure: origin.Scheme == "https"}
	if s.assets, err = loadAssets(); err != nil {
		return nil, fmt.Errorf("load assets: %w", err)
	}
	if s.templates, err = parseTemplates(); err != nil {
		return nil, fmt.Errorf("parse templates: %w", err)
	}
	return s, nil
}

// UseProvider hands in the OpenID provider, which needs Site.Pages to be made. Call it once, before serving.
func (s *Site) UseProvider(p Provider) { s.provider = p }

// Pages returns what the OpenID provider needs of the edge.
func (s *Site) Pages() oidc.Pages {
	return oidc.Pages{
		Session:    s.session,
		Error:      s.refuse,
		Logout:     s.showLogout,
		LoggedOut:  s.showLoggedOut,
		EndSession: s.endSession,
	}
}

// Handler serves the pages. It is made to be mounted at "/": what it does not know gets the page for 404.
func (s *Site) Handler() http.Handler {
	mux := http.NewServeMux()
	routes := map[string]http.HandlerFunc{
		"GET /{$}":       s.showHome,
		"GET /login":     s.showLogin,
		"POST /login":    s.form(s.doLogin),
		"GET /acting":    s.showActing,
		"POST /acting":   s.form(s.doActing),
		"GET /consent":   s.showConsent,
		"POST /consent":  s.form(s.doConsent),
		"GET /logout":    s.showLogout,
		"POST /logout":   s.form(s.doLogout),
		"GET /signedout": s.showLoggedOut,

		"GET /account":                      s.showAccount,
		"GET /account/password":             s.showPassword,
		"POST /account/password":            s.form(s.doPassword),
		"POST /account/sessions/end":        s.form(s.doEndSession),
		"POST /account/sessions/end-others": s.form(s.doEndOthers),
		"POST /account/withdraw":            s.form(s.doWithdraw),

		"GET /assets/{file}": s.serveAsset,
		"GET /favicon.ico":   s.serveIcon,
		"/":                  s.showNotFound,
	}
	if s.Verifier != nil {
		routes["GET /verify"], routes["POST /verify"] = s.showVerify, s.doVerify
	}
	if s.Seals != nil {
		maps.Copy(routes, s.sealRoutes())
	}
	if s.Story != nil {
		maps.Copy(routes, s.storyRoutes())
	}
	for pattern, h := range routes {
		mux.HandleFunc(pattern, h)
	}
	guard := http.NewCrossOriginProtection()
	_ = guard.AddTrustedOrigin(s.Origin) // New has checked its form
	guard.SetDenyHandler(http.HandlerFunc(s.refuseForeign))
	return s.headers(guard.Handler(mux))
}

// maxForm is how much of a posted form is read, in octets.
const maxForm = 64 << 10

// form reads the posted form before the handler runs, and refuses one that is too large or malformed.
func (s *Site) form(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		if err := r.ParseForm(); err != nil {
			if _, large := errors.AsType[*http.MaxBytesError](err); large {
				s.refuse(w, r, http.StatusRequestEntityTooLarge, errTooLarge)
				return
			}
			s.fail(w, r, errForm.With("%w", err))
			return
		}
		next(w, r)
	}
}

func peerIP(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}
