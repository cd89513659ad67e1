package web

import (
	"net/http"
	"net/url"
	"strings"
)

// policy is the Content-Security-Policy of a page. A form whose answer may redirect to an application names that
// application's origin, because browsers hold form-action against every redirect that follows.
func policy(formOrigin string) string {
	action := "'self'"
	if isOrigin(formOrigin) {
		action += " " + formOrigin
	}
	return "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; " +
		"form-action " + action + "; frame-ancestors 'none'; base-uri 'none'"
}

// isOrigin reports whether s is an origin that can stand in a policy without ending the directive.
func isOrigin(s string) bool {
	u, err := url.Parse(s)
	if err != nil || u.Scheme == "" || u.Host == "" || s != u.Scheme+"://"+u.Host {
		return false
	}
	return !strings.ContainsFunc(s, func(c rune) bool { return c <= ' ' || c > '~' || strings.ContainsRune(`;,'"*\`, c) })
}

// headers sets what every answer has, and keeps the choices for showing.
func (s *Site) headers(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		harden(w.Header())
		if s.secure {
			w.Header().Set("Strict-Transport-Security", "max-age=31536000")
		}
		s.remember(w, r)
		next.ServeHTTP(w, r)
	})
}

func harden(h http.Header) {
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Vary", "Accept-Language, Cookie")
	h.Set("Content-Security-Policy", policy(""))
}

// localPath returns next if it is a path of this site, else "": another site must never be where a log-in leads to.
func localPath(next string) string {
	if len(next) > 2048 || !strings.HasPrefix(next, "/") || strings.HasPrefix(next, "//") ||
		strings.ContainsFunc(next, func(c rune) bool { return c <= ' ' || c == '\\' || c == 0x7f }) {
		return ""
	}
	u, err := url.Parse(next)
	if err != nil || u.Host != "" || u.Scheme != "" || u.User != nil || strings.HasPrefix(u.Path, "//") || strings.Contains(u.Path, "\\") {
		return ""
	}
	return next
}

// seeOther answers a post: the browser gets the next page by GET.
func seeOther(w http.ResponseWriter, where string) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Location", where)
	w.WriteHeader(http.StatusSeeOther)
}
