package sandbox

import (
	"cmp"
	"context"
	"errors"
	"html/template"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"hufu/internal/fault"
)

// Paths of the sample application below its base URL. Register Callback as redirect URI and Home as logout URI.
const (
	Home     = "/sample/"
	Callback = "/sample/callback"
)

// Config is what NewApp needs.
type Config struct {
	Issuer       string // of the OpenID provider; found by discovery at the first log-in
	ClientID     string
	ClientSecret string       // client_secret_basic
	BaseURL      string       // scheme://host[:port] under which browsers see /sample/
	StoryPath    string       // where a guided story goes on; "/" when empty
	HTTP         *http.Client // back channel; its limits of time and size hold
	Now          func() time.Time
	Log          *slog.Logger
}

var (
	ErrConfig = fault.New(fault.Invalid, "sandbox.config",
		"The configuration of the sample application is not valid. Correct the field named.", "示例应用的配置不正确，请按提示修改。")
	ErrStale = fault.New(fault.Invalid, "sandbox.stale",
		"This log-in has expired, was finished already or was begun in another browser. Log in again.",
		"本次登录已过期、已完成，或是在其他浏览器中发起的。请重新登录。")
	ErrAnswer = fault.New(fault.Invalid, "sandbox.answer",
		"The answer to the log-in is not valid, so you were not logged in. Log in again.", "登录返回的内容无效，未能登录。请重新登录。")
	ErrIssuer = fault.New(fault.Denied, "sandbox.issuer",
		"The answer does not come from the identity provider that was asked, so you were not logged in. Log in again, and tell the operator if it happens again.",
		"登录返回的内容并非来自所请求的认证平台，未能登录。请重新登录；若再次出现，请告知运维人员。")
	ErrProof = fault.New(fault.Denied, "sandbox.proof",
		"What the identity provider sent could not be proven genuine, so you were not logged in. Log in again, and tell the operator if it happens again.",
		"认证平台返回的身份凭证未通过核验，未能登录。请重新登录；若再次出现，请告知运维人员。")
	ErrDeclined = fault.New(fault.Denied, "sandbox.declined",
		"You did not agree, so nothing was handed over and you are not logged in. Log in again when you want to.",
		"您没有同意授权，未提供任何信息，也未登录。需要时可重新登录。")
	ErrProvider = fault.New(fault.Unavailable, "sandbox.provider",
		"The identity provider does not answer as it should. Try again in a minute.", "统一身份认证暂时没有正常响应，请一分钟后再试。")
	ErrForeign = fault.New(fault.Denied, "sandbox.foreign",
		"This request was sent by another site and was not carried out. Use the buttons of this page.", "该请求来自其他网站，未予执行。请使用本页面上的按钮操作。")
	ErrNoPage = fault.New(fault.NotFound, "sandbox.no-page",
		"There is no such page. Go back to the service hall.", "没有这个页面，请返回办事大厅。")
)

// How much is kept, and how long.
const (
	maxAttempts, attemptLife = 1000, 10 * time.Minute
	maxVisits, visitLife     = 1000, 2 * time.Hour
)

// App is the sample service hall, an http.Handler for /sample/. It is safe for use by several goroutines.
type App struct {
	config   Config
	secure   bool
	host     string // of the base URL
	origins  string // that forms may lead to
	party    party
	attempts shelf[attempt]
	visits   shelf[visit]
	pages    *template.Template
	style    asset
	handler  http.Handler
}

// NewApp checks the configuration. The provider need not run yet.
func NewApp(c Config) (*App, error) {
	c.StoryPath = cmp.Or(c.StoryPath, "/")
	base, err := origin(c.BaseURL)
	if err != nil {
		return nil, ErrConfig.With("BaseURL %q: %w", c.BaseURL, err)
	}
	issuer, err := origin(c.Issuer)
	switch {
	case err != nil:
		return nil, ErrConfig.With("Issuer %q: %w", c.Issuer, err)
	case c.ClientID == "" || c.ClientSecret == "":
		return nil, ErrConfig.With("ClientID or ClientSecret missing")
	case c.HTTP == nil || c.Now == nil || c.Log == nil:
		return nil, ErrConfig.With("HTTP, Now or Log missing")
	case !strings.HasPrefix(c.StoryPath, "/") || strings.HasPrefix(c.StoryPath, "//"):
		return nil, ErrConfig.With("StoryPath %q is no path", c.StoryPath)
	}
	a := &App{
		config: c, secure: strings.HasPrefix(base, "https:"), origins: issuer,
		attempts: newShelf[attempt](maxAttempts, attemptLife), visits: newShelf[visit](maxVisits, visitLife),
	}
	a.config.BaseURL = base
	_, a.host, _ = strings.Cut(base, "://")
	a.party = newParty(c, base+Callback)
	if a.pages, a.style, err = loadPages(); err != nil {
		return nil, err
	}
	a.handler = a.routes()
	return a, nil
}

// origin returns scheme://host of an address that has nothing else but a path.
func origin(address string) (string, error) {
	u, err := url.Parse(address)
	switch {
	case err != nil:
		return "", err
	case u.Scheme != "https" && u.Scheme != "http", u.Host == "", u.User != nil, u.RawQuery != "", u.Fragment != "":
		return "", errors.New("want scheme://host[:port]")
	}
	return u.Scheme + "://" + u.Host, nil
}

func (a *App) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /sample/{$}", a.showHall)
	mux.HandleFunc("GET /sample/login", a.beginLogin)
	mux.HandleFunc("GET /sample/callback", a.finishLogin)
	mux.HandleFunc("GET /sample/logout", a.showHall)
	mux.HandleFunc("POST /sample/logout", a.logout)
	mux.HandleFunc("GET /sample/hall.css", a.style.serve)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		a.refuse(w, r, ErrNoPage.With("%s %s", r.Method, r.URL.Path))
	})
	guard := http.NewCrossOriginProtection()
	guard.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { a.refuse(w, r, ErrForeign) }))
	return guard.Handler(mux)
}

// ServeHTTP serves /sample/.
func (a *App) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self' "+a.origins+
		"; frame-ancestors 'none'; base-uri 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
	if r.Method == http.MethodGet && strays(r.Host, a.host) {
		seeOther(w, a.config.BaseURL+(&url.URL{Path: r.URL.Path, RawQuery: r.URL.RawQuery}).String())
		return
	}
	a.rememberLanguage(w, r)
	a.handler.ServeHTTP(w, r)
}

// strays reports whether a browser uses another name of this machine than we do, as 127.0.0.1 for localhost. Its cookies
// would not come along to the callback.
func strays(asked, ours string) bool {
	return asked != ours && isLoopback(asked) && isLoopback(ours)
}

func isLoopback(hostport string) bool {
	u := url.URL{Host: hostport}
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}

// seeOther sends the browser on.
func seeOther(w http.ResponseWriter, where string) {
	w.Header().Set("Location", where)
	w.WriteHeader(http.StatusSeeOther)
}

func (a *App) refuse(w http.ResponseWriter, r *http.Request, err error) {
	a.refuseIn(w, r, story(r), err)
}

// refuseIn shows the page for a failure in a story, "" if none. What the operator should know is logged: no code and no token is ever part of it.
func (a *App) refuseIn(w http.ResponseWriter, r *http.Request, story string, err error) {
	level := slog.LevelInfo
	if kind := fault.KindOf(err); kind == fault.Internal || kind == fault.Unavailable || errors.Is(err, ErrProof) || errors.Is(err, ErrIssuer) {
		level = slog.LevelWarn
	}
	a.config.Log.Log(context.WithoutCancel(r.Context()), level, "sample application", "path", r.URL.Path, "cause", err.Error())
	a.showProblem(w, r, story, err)
}
