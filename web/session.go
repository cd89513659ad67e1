package web

import (
	"errors"
	"net/http"
	"net/url"

	"hufu/identity/login"
	"hufu/internal/fault"
)

// sessionCookie is the name of the cookie with the session's secret. The prefix makes browsers hold it to this host and
// to https; over http, which is for loopback only, they would refuse it.
func (s *Site) sessionCookie() string {
	if s.secure {
		return "__Host-hufu"
	}
	return "hufu"
}

func (s *Site) secret(r *http.Request) string {
	c, err := r.Cookie(s.sessionCookie())
	if err != nil || len(c.Value) > 256 {
		return ""
	}
	return c.Value
}

// session returns the living session of the browser, nil if it has none. An error means that it could not be found out.
func (s *Site) session(r *http.Request) (*login.Session, error) {
	secret := s.secret(r)
	if secret == "" {
		return nil, nil
	}
	got, err := s.Logins.Session(r.Context(), secret)
	switch fault.KindOf(err) {
	case fault.Unauthenticated, fault.Denied, fault.NotFound:
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &got, nil
}

func (s *Site) setSecret(w http.ResponseWriter, secret string) {
	c := &http.Cookie{Name: s.sessionCookie(), Value: secret, Path: "/", HttpOnly: true, Secure: s.secure, SameSite: http.SameSiteLaxMode}
	if secret == "" {
		c.MaxAge = -1
	}
	http.SetCookie(w, c)
}

// endSession ends the browser's session, if it still has one, and clears its cookie.
func (s *Site) endSession(w http.ResponseWriter, r *http.Request) error {
	session, err := s.session(r)
	if err != nil {
		return err
	}
	if session != nil {
		if err := s.Logins.End(r.Context(), session.Actor(), session.ID); err != nil && !errors.Is(err, login.ErrNoSession) {
			return err
		}
	}
	s.setSecret(w, "")
	return nil
}

// member returns the session of a person who may see personal pages; otherwise it has answered: with the log-in page, the
// page for a new password, or a refusal.
func (s *Site) member(w http.ResponseWriter, r *http.Request) (*login.Session, bool) {
	session, err := s.session(r)
	switch {
	case err != nil:
		s.fail(w, r, err)
		return nil, false
	case session == nil:
		next := "/account"
		if r.Method == http.MethodGet {
			next = r.URL.RequestURI()
		}
		seeOther(w, "/login?"+url.Values{"next": {next}}.Encode())
		return nil, false
	case session.MustChange && r.URL.Path != passwordPath:
		seeOther(w, passwordPath)
		return nil, false
	}
	return session, true
}

// passwordPath is the page for a new password.
const passwordPath = "/account/password"

// agent shortens what a browser says of itself.
func agent(r *http.Request) string {
	const most = 256
	ua := r.UserAgent()
	if len(ua) > most {
		ua = ua[:most]
	}
	return ua
}
