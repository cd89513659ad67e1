package oidc

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"
)

// Sizes of what is read from outside, in octets.
const (
	maxForm      = 64 << 10
	maxQuery     = 32 << 10
	maxParameter = 16 << 10 // one value; id_token_hint is the longest honest one
	maxState     = 4 << 10
	maxNonce     = 1 << 10
)

// readForm reads a form that was posted to one of the endpoints that clients call. Secrets and tokens have no
// business in a URL, so a query is refused.
func readForm(w http.ResponseWriter, r *http.Request) (url.Values, error) {
	if r.URL.RawQuery != "" {
		return nil, invalidRequest("Parameters belong in the request body, not in the URL.")
	}
	return readBody(w, r)
}

func readBody(w http.ResponseWriter, r *http.Request) (url.Values, error) {
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || media != "application/x-www-form-urlencoded" {
		return nil, invalidRequest("The body must be application/x-www-form-urlencoded.")
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxForm))
	if err != nil {
		if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
			return nil, oauthError{Code: "invalid_request", Description: "The body is too large.", Status: http.StatusRequestEntityTooLarge}
		}
		return nil, invalidRequest("The body could not be read.")
	}
	return parseForm(string(body))
}

// parseForm reads urlencoded parameters: each once (RFC 6749 section 3.1), text without control characters, of bounded
// length. Empty parameters count as not sent.
func parseForm(raw string) (url.Values, error) {
	form, err := url.ParseQuery(raw)
	if err != nil {
		return form, invalidRequest("The parameters are not urlencoded.")
	}
	for name, values := range form {
		switch {
		case len(values) > 1:
			return form, invalidRequest("The parameter " + name + " was sent more than once.")
		case !isText(values[0]) || !isText(name):
			return form, invalidRequest("The parameter " + name + " has characters that it may not have.")
		case len(values[0]) > maxParameter || len(name) > 256:
			return form, invalidRequest("A parameter is too long.")
		case values[0] == "":
			delete(form, name)
		}
	}
	return form, nil
}

// isText reports whether the databases and the answers can carry s: UTF-8 without control characters.
func isText(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(c rune) bool { return c < ' ' || c == 0x7f })
}

// fields splits a space-separated list and drops repetitions.
func fields(s string) []string {
	var list []string
	for f := range strings.SplitSeq(s, " ") {
		if f != "" && !has(list, f) {
			list = append(list, f)
		}
	}
	return list
}

func has(list []string, s string) bool {
	for _, e := range list {
		if e == s {
			return true
		}
	}
	return false
}

func covers(list, wanted []string) bool {
	for _, s := range wanted {
		if !has(list, s) {
			return false
		}
	}
	return true
}

// cors lets pages of any origin call: these endpoints know no cookies.
func cors(methods string, serve http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Access-Control-Allow-Origin", "*")
		switch {
		case r.Method == http.MethodOptions:
			h.Set("Access-Control-Allow-Methods", methods)
			h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type")
			h.Set("Access-Control-Max-Age", "3600")
			w.WriteHeader(http.StatusNoContent)
		case has(strings.Split(methods, ", "), r.Method), r.Method == http.MethodHead && strings.HasPrefix(methods, "GET"):
			h.Set("Access-Control-Expose-Headers", "WWW-Authenticate")
			serve(w, r)
		default:
			h.Set("Allow", methods+", OPTIONS")
			writeError(w, oauthError{Code: "invalid_request", Description: "This method is not allowed here.", Status: http.StatusMethodNotAllowed})
		}
	})
}
