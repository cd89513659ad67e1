package oidc

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/ory/fosite"

	"hufu/internal/fault"
)

// oauthError is a failure as a client reads it. Descriptions are ASCII without quotes and backslashes (RFC 6749
// section 5.2), and hold nothing of what the operator knows.
type oauthError struct {
	Code        string
	Description string
	Status      int   // 0 means 400
	Cause       error // for the log
}

func (e oauthError) Error() string {
	if e.Cause != nil {
		return e.Code + ": " + e.Description + ": " + e.Cause.Error()
	}
	return e.Code + ": " + e.Description
}

func (e oauthError) Unwrap() error { return e.Cause }

func (e oauthError) status() int {
	if e.Status == 0 {
		return http.StatusBadRequest
	}
	return e.Status
}

// values returns the error as parameters of an authorization answer.
func (e oauthError) values() url.Values {
	v := url.Values{"error": {e.Code}}
	if d := plain(e.Description); d != "" {
		v.Set("error_description", d)
	}
	return v
}

func invalidRequest(description string) oauthError {
	return oauthError{Code: "invalid_request", Description: description}
}

func invalidGrant(description string) oauthError {
	return oauthError{Code: "invalid_grant", Description: description}
}

func invalidClient(description string) oauthError {
	return oauthError{Code: "invalid_client", Description: description, Status: http.StatusUnauthorized}
}

func unavailable(cause error) oauthError {
	return oauthError{
		Code: "temporarily_unavailable", Description: "The server cannot answer at the moment. Try again later.",
		Status: http.StatusServiceUnavailable, Cause: cause,
	}
}

// Failures inside that decide which error leaves.
var (
	errSpent  = errors.New("code or refresh token spent before, or its grant revoked")
	errSigner = errors.New("the token signer failed")
)

// passed are the error codes of fosite that leave as they are.
var passed = map[string]bool{
	"invalid_request": true, "unauthorized_client": true, "access_denied": true, "unsupported_response_type": true,
	"invalid_scope": true, "unsupported_grant_type": true, "invalid_grant": true, "invalid_client": true,
	"login_required": true, "interaction_required": true, "consent_required": true, "request_not_supported": true,
	"request_uri_not_supported": true, "registration_not_supported": true, "temporarily_unavailable": true,
}

// renamed are fosite's own words for what RFC 6749 calls otherwise.
var renamed = map[string]string{
	"unsupported_response_mode": "invalid_request", "invalid_state": "invalid_request", "insufficient_entropy": "invalid_request",
	"token_inactive": "invalid_grant", "token_signature_mismatch": "invalid_grant", "invalid_token": "invalid_grant",
	"scope_not_granted": "invalid_scope", "not_found": "invalid_grant", "error": "invalid_request",
}

// asOAuth turns any failure into what the client may read. What is nobody's fault outside becomes server_error or
// temporarily_unavailable; wrong input never does.
func asOAuth(err error) oauthError {
	if e, ok := errors.AsType[oauthError](err); ok {
		return e
	}
	switch {
	case errors.Is(err, errSpent):
		return invalidGrant("The code or token was used before.")
	case errors.Is(err, errSigner), fault.KindOf(err) == fault.Unavailable, fault.KindOf(err) == fault.Limited:
		return unavailable(err)
	}
	internal := oauthError{Code: "server_error", Description: "The server failed.", Status: http.StatusInternalServerError, Cause: err}
	e, ok := errors.AsType[*fosite.RFC6749Error](err)
	if !ok {
		return internal
	}
	code := e.ErrorField
	if to, ok := renamed[code]; ok {
		code = to
	}
	if !passed[code] || (e.CodeField >= 500 && code != "temporarily_unavailable") {
		return internal
	}
	status := http.StatusBadRequest
	switch code {
	case "invalid_client":
		status = http.StatusUnauthorized
	case "temporarily_unavailable":
		status = http.StatusServiceUnavailable
	}
	return oauthError{Code: code, Description: e.HintField, Status: status, Cause: e}
}

// plain makes a description fit for an answer.
func plain(s string) string {
	s = strings.Map(func(c rune) rune {
		switch {
		case c == '"' || c == '\\' || c == '`':
			return '\''
		case c < ' ' || c > '~':
			return '?'
		}
		return c
	}, s)
	if len(s) > 300 {
		s = s[:300]
	}
	return s
}

// writeError answers an endpoint that clients call.
func writeError(w http.ResponseWriter, e oauthError) {
	h := w.Header()
	if e.status() == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", `Basic realm="oauth2", charset="UTF-8"`)
	}
	if e.status() == http.StatusServiceUnavailable {
		h.Set("Retry-After", "5")
	}
	body := map[string]string{"error": e.Code}
	if d := plain(e.Description); d != "" {
		body["error_description"] = d
	}
	writeJSON(w, e.status(), body)
}

// writeJSON writes an answer that nobody may cache.
func writeJSON(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		status, body = http.StatusInternalServerError, []byte(`{"error":"server_error"}`)
	}
	h := w.Header()
	h.Set("Content-Type", "application/json;charset=UTF-8")
	h.Set("Cache-Control", "no-store")
	h.Set("Pragma", "no-cache")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n'))
}

// fail logs what the operator must know of a failure and answers it.
func (p *Provider) fail(w http.ResponseWriter, r *http.Request, err error) {
	e := asOAuth(err)
	p.logFailure(r, e)
	writeError(w, e)
}

func (p *Provider) logFailure(r *http.Request, e oauthError) {
	if e.status() >= 500 {
		p.log.ErrorContext(r.Context(), "oidc", "path", r.URL.Path, "error", e.Code, "cause", e.Error())
	}
}
