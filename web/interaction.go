package web

import (
	"net/http"
	"net/url"

	"hufu/identity/login"
	"hufu/internal/fault"
	"hufu/oidc"
)

var errNoProvider = fault.New(fault.Unavailable, "web.no-provider",
	"Applications cannot log people in here at the moment. Try again in a minute.", "应用登录服务暂时不可用，请一分钟后再试。")

// visit is a request to a page of a log-in that an application asked for.
type visit struct {
	oidc.Interaction
	session *login.Session
}

// visit returns the interaction that ?i= names and the browser's session, which may be nil. When ok is false it has
// answered: the interaction is unknown, over or another browser's.
func (s *Site) visit(w http.ResponseWriter, r *http.Request) (v visit, ok bool) {
	session, err := s.session(r)
	if err == nil && s.provider == nil {
		err = errNoProvider
	}
	if err == nil {
		v.session = session
		v.Interaction, err = s.provider.Interaction(r.Context(), r.FormValue("i"), s.provider.BrowserSecret(r), session)
	}
	if err != nil {
		s.fail(w, r, err)
		return visit{}, false
	}
	return v, true
}

// arrive is visit for a page of one step: it sends the browser to the page of the step that is really missing.
func (s *Site) arrive(w http.ResponseWriter, r *http.Request, step oidc.Step) (visit, bool) {
	v, ok := s.visit(w, r)
	if ok && v.Next != step {
		s.decide(w, r, v.ID, oidc.Decision{Session: v.session})
		return v, false
	}
	return v, ok
}

// decide tells the provider what a page found out and sends the browser on.
func (s *Site) decide(w http.ResponseWriter, r *http.Request, id string, d oidc.Decision) {
	answer, err := s.provider.Decide(r.Context(), id, s.provider.BrowserSecret(r), d)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	answer.Write(w, r)
}

// step is the address of a page of the interaction, for its form.
func step(path, id string) string { return path + "?" + url.Values{"i": {id}}.Encode() }

// destination is the application that a page leads to.
type destination struct {
	Name   string
	Origin string // where it is, as the browser will show it
	Policy string // address of its privacy policy; "" if none
}

func (f frame) destination(in oidc.Interaction) *destination {
	return &destination{Name: f.clientName(in.Client), Origin: in.RedirectOrigin, Policy: in.Client.PolicyURI}
}

func (f frame) clientName(c oidc.Client) string {
	if f.Lang == en && c.NameEN != "" {
		return c.NameEN
	}
	return c.Name
}
