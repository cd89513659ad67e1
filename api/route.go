package api

import (
	"context"
	"fmt"
	"net/http"
	"reflect"
	"runtime/debug"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"golang.org/x/text/language"

	"hufu/identity"
	"hufu/internal/actor"
	"hufu/internal/fault"
	"hufu/internal/limit"
	"hufu/oidc"
)

// noun is a group of routes; they exist when their service runs in this process.
type noun struct {
	name   string // tag in the OpenAPI document; several groups may share one
	title  fault.Text
	on     bool
	routes []route
}

// route is a line of the table in routes.go.
type route struct {
	pattern string     // "GET /api/v1/me"
	who     string     // may call, for the reader: the domain decides
	says    fault.Text // what it does
	serve   endpoint
}

// anyone begins the words of a route that needs no token.
const anyone = "anyone"

func (r *route) public() bool { return strings.HasPrefix(r.who, anyone) }

// endpoint is a handler with what its requests and answers are like.
type endpoint struct {
	register func(a *API, h huma.API, op huma.Operation)
	status   int          // of success; 0 is 200, or 204 for an answer without a body
	body     int64        // of a request, in octets at most; 0 is smallBody
	cost     int          // of the caller's budget; 0 is 1
	takes    []string     // media types of the body, if not JSON alone
	gives    []string     // media types of the answer, if not JSON alone
	json     reflect.Type // of the answer, where one of gives is JSON
}

const (
	smallBody = 256 << 10
	maxFile   = 32 << 20
	fileBody  = maxFile + 64<<10      // a file and what goes around it
	textBody  = maxFile/3*4 + 256<<10 // a file in base64, in JSON
)

// on makes an endpoint of a handler. The handler gets the actor as a parameter: nobody where no token is asked for.
func on[I, O any](handle func(ctx context.Context, by actor.Actor, in *I) (*O, error), options ...func(*endpoint)) endpoint {
	e := endpoint{cost: 1, body: smallBody}
	for _, option := range options {
		option(&e)
	}
	e.register = func(a *API, h huma.API, op huma.Operation) {
		huma.Register(h, op, func(ctx context.Context, in *I) (*O, error) {
			c := callOf(ctx)
			// The body has been read: its deadline must not break off the work that follows.
			_ = http.NewResponseController(c.w).SetReadDeadline(time.Time{})
			out, err := handle(ctx, c.actor, in)
			if err != nil {
				return nil, a.tell(ctx, err)
			}
			return out, nil
		})
	}
	return e
}

func created(e *endpoint) { e.status = http.StatusCreated }

func costs(n int) func(*endpoint) { return func(e *endpoint) { e.cost = n } }

// takes is for bodies as large as a file.
func takes(limit int64, types ...string) func(*endpoint) {
	return func(e *endpoint) { e.body, e.takes = limit, types }
}

// large is takes for bodies of JSON.
func large(limit int64) func(*endpoint) { return func(e *endpoint) { e.body = limit } }

func gives(types ...string) func(*endpoint) { return func(e *endpoint) { e.gives = types } }

// offers is gives with JSON among the types.
func offers[T any](types ...string) func(*endpoint) {
	return func(e *endpoint) { e.gives, e.json = append(types, jsonType), reflect.TypeFor[T]() }
}

// mount registers a route with huma and documents it.
func (a *API) mount(h huma.API, tag string, r *route) {
	method, path, _ := strings.Cut(r.pattern, " ")
	op := huma.Operation{
		OperationID: operationID(method, path), Method: method, Path: path, Tags: []string{tag},
		Summary: r.says.EN, Description: r.says.ZH, DefaultStatus: r.serve.status, MaxBodyBytes: r.serve.body,
		BodyReadTimeout: a.BodyTime, Middlewares: huma.Middlewares{a.admit(r)}, Responses: map[string]*huma.Response{},
	}
	op.Description += "\n\nWho may: " + r.who + "."
	if op.Security = []map[string][]string{{"token": {"api"}}}; r.public() {
		op.Security = append(op.Security, map[string][]string{}) // or nothing
	}
	if r.serve.body > smallBody {
		op.BodyReadTimeout = 6 * a.BodyTime
	}
	document(&op, r.serve, h.OpenAPI().Components.Schemas)
	r.serve.register(a, h, op)
}

const prefix = "/api/v1/"

// operationID is the method and the words of the path: "post-seals-code-stamps".
func operationID(method, path string) string {
	words := strings.FieldsFunc(strings.TrimPrefix(path, prefix), func(c rune) bool { return strings.ContainsRune("/{}.", c) })
	return strings.ToLower(method) + "-" + strings.Join(words, "-")
}

// document names the media types that huma does not see by itself.
func document(op *huma.Operation, e endpoint, schemas huma.Registry) {
	octets := func() *huma.MediaType { return &huma.MediaType{Schema: &huma.Schema{Type: "string", Format: "binary"}} }
	if len(e.gives) > 0 {
		content := map[string]*huma.MediaType{}
		for _, t := range e.gives {
			content[t] = octets()
		}
		if e.json != nil {
			content[jsonType] = &huma.MediaType{Schema: schemas.Schema(e.json, true, "")}
		}
		op.Responses["200"] = &huma.Response{Description: "OK", Content: content}
	}
	if len(e.takes) > 0 {
		op.RequestBody = &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{}}
		for _, t := range e.takes {
			op.RequestBody.Content[t] = octets()
		}
	}
}

// admit lets a request pass to validation and handler: token, rate of the token's owner, a place for a large body.
func (a *API) admit(r *route) func(huma.Context, func(huma.Context)) {
	return func(hc huma.Context, next func(huma.Context)) {
		c := callOf(hc.Context())
		if err := a.identify(c, r); err != nil {
			a.refuse(c.w, c.r, err)
			return
		}
		rates, caller, bodies, cost := a.byIP, c.network, a.strange, r.serve.cost-1 // one is paid
		if c.actor.Capacity != actor.Nobody {
			rates, caller, bodies, cost = a.byOwner, c.actor.Client+" "+c.actor.Subject, a.bodies, r.serve.cost
		}
		if wait := rates.Take(caller, cost); wait > 0 {
			a.tooMany(c.w, c.r, wait)
			return
		}
		if r.serve.body > smallBody {
			leave, ok := bodies.take(c.r.Context(), caller)
			if !ok {
				a.refuse(c.w, c.r, errBusy)
				return
			}
			defer leave()
		}
		next(hc)
	}
}

// identify sets the actor from the token. A route for anyone needs none, and may tell more to those who bring one.
func (a *API) identify(c *call, r *route) (err error) {
	values := c.r.Header.Values("Authorization")
	if len(values) == 0 && r.public() {
		return nil
	}
	if len(values) == 0 {
		return errNoToken
	}
	scheme, token, _ := strings.Cut(values[0], " ")
	if len(values) > 1 || !strings.EqualFold(scheme, "Bearer") || len(token) > 4096 {
		return oidc.ErrToken.With("%d Authorization headers, scheme %.20q", len(values), scheme)
	}
	c.actor, err = a.Tokens.Bearer(c.r.Context(), strings.TrimSpace(token), oidc.ScopeAPI)
	return err
}

func (a *API) tooMany(w http.ResponseWriter, r *http.Request, wait time.Duration) {
	p := a.tell(r.Context(), errTooMany)
	p.headers.Set("Retry-After", retryAfter(wait))
	a.write(w, p)
}

// call is what is known of a request. It lives in the request's context.
type call struct {
	api     *API
	w       http.ResponseWriter
	r       *http.Request
	method  string
	path    string
	lang    string
	network string
	actor   actor.Actor // nobody until identified
}

type callKey struct{}

// callOf returns the request's call; outside a request, an empty one.
func callOf(ctx context.Context) *call {
	if c, ok := ctx.Value(callKey{}).(*call); ok {
		return c
	}
	return &call{lang: zh}
}

// enter is what each request passes first: what answers have in common, the rate of its address, and a net under panics.
func (a *API) enter(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; sandbox")
		h.Set("Vary", "Accept, Accept-Language, Authorization")
		begun := &watched{ResponseWriter: w}
		w = begun
		c := &call{api: a, w: w, method: r.Method, path: r.URL.Path, lang: languageOf(r), network: limit.Network(a.RemoteIP(r))}
		c.r = r.WithContext(context.WithValue(identity.Remember(r.Context()), callKey{}, c))
		defer func() {
			if v := recover(); v != nil {
				p := a.tell(c.r.Context(), fmt.Errorf("panic: %v\n%s", v, debug.Stack()))
				if begun.begun {
					panic(http.ErrAbortHandler) // half an answer must not look like a whole one
				}
				a.write(w, p)
			}
		}()
		if wait := a.byIP.Take(c.network, 1); wait > 0 {
			a.tooMany(w, c.r, wait)
			return
		}
		next.ServeHTTP(w, c.r)
	})
}

// watched tells whether an answer has begun.
type watched struct {
	http.ResponseWriter
	begun bool
}

func (w *watched) WriteHeader(status int) {
	w.begun = true
	w.ResponseWriter.WriteHeader(status)
}

func (w *watched) Write(p []byte) (int, error) {
	w.begun = true
	return w.ResponseWriter.Write(p)
}

// Unwrap is for http.ResponseController.
func (w *watched) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// The languages of the answers.
const (
	zh = "zh"
	en = "en"
)

var languages = language.NewMatcher([]language.Tag{language.Chinese, language.English})

// languageOf picks what the caller reads best; Chinese when it does not say.
func languageOf(r *http.Request) string {
	header := r.Header.Get("Accept-Language")
	if header == "" || len(header) > 200 {
		return zh
	}
	if _, i := language.MatchStrings(languages, header); i == 1 {
		return en
	}
	return zh
}

func in(lang string, t fault.Text) string {
	if lang == en {
		return t.EN
	}
	return t.ZH
}

// serveUnknown answers what no route is for, and names the methods where the address is right.
func (a *API) serveUnknown(w http.ResponseWriter, r *http.Request) {
	var allowed []string
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete} {
		other := r.Clone(r.Context())
		other.Method = method
		if _, pattern := a.mux.Handler(other); pattern != "/" && pattern != "" {
			allowed = append(allowed, method)
		}
	}
	if len(allowed) == 0 {
		a.refuse(w, r, errNoRoute)
		return
	}
	w.Header().Set("Allow", strings.Join(allowed, ", "))
	a.refuse(w, r, errMethod)
}
