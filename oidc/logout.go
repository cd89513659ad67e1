package oidc

import (
	"errors"
	"net/http"
	"net/url"

	"hufu/internal/fault"
)

// serveLogout is RP-initiated logout. The browser is sent back only when an id_token of ours proves which client asks,
// the URI is registered for that client, and the token is of the session that the browser has (or it has none any
// more). Otherwise the person is asked, on a page of ours, and sent nowhere.
func (p *Provider) serveLogout(w http.ResponseWriter, r *http.Request) {
	ctx, _ := withFlight(r.Context())
	r = r.WithContext(ctx)
	form, err := authorizeForm(w, r)
	if r.Method == http.MethodPost && r.ContentLength == 0 {
		form, err = url.Values{}, nil
	}
	if err != nil {
		p.showError(w, r, ErrBadRequest.With("log out: %w", err))
		return
	}
	if again := p.asGet(r, form); again != "" {
		(&Answer{URL: again}).Write(w, r)
		return
	}
	s, err := p.config.Pages.Session(r)
	if err != nil && fault.KindOf(err) != fault.Unauthenticated {
		p.showError(w, r, ErrUnavailable.With("log out: %w", err))
		return
	}
	if err != nil {
		s = nil
	}
	client, hintedSID, err := p.logoutHint(r, form)
	if err != nil && fault.KindOf(err) != fault.NotFound {
		p.showError(w, r, err)
		return
	}
	proven := err == nil && client.ID != ""
	uri := form.Get("post_logout_redirect_uri")
	if s != nil && (!proven || hintedSID != sid(s.ID, client.ID)) {
		p.config.Pages.Logout(w, r)
		return
	}
	if uri != "" && (!proven || !has(client.LogoutURIs, uri)) {
		p.showError(w, r, ErrRedirectURI.With("log out to %q", uri))
		return
	}
	if s != nil {
		if err := p.config.Pages.EndSession(w, r); err != nil {
			p.showError(w, r, err)
			return
		}
		if err := p.endSession(ctx, s.ID); err != nil {
			p.log.ErrorContext(ctx, "oidc", "path", r.URL.Path, "cause", err.Error())
		}
	}
	if uri == "" {
		p.config.Pages.LoggedOut(w, r)
		return
	}
	u, err := url.Parse(uri)
	if err != nil { // it was parsed when it was registered
		p.config.Pages.LoggedOut(w, r)
		return
	}
	if state := form.Get("state"); state != "" {
		if u.RawQuery != "" {
			u.RawQuery += "&"
		}
		u.RawQuery += url.Values{"state": {state}}.Encode()
	}
	(&Answer{URL: u.String()}).Write(w, r)
}

// logoutHint returns the client and session that id_token_hint proves; expired ones do. A hint that proves nothing
// gives ErrNotFound.
func (p *Provider) logoutHint(r *http.Request, form url.Values) (ClientRecord, string, error) {
	hint := form.Get("id_token_hint")
	if hint == "" {
		return ClientRecord{}, "", nil
	}
	_, claims, err := p.keys.Load().open(hint)
	if err != nil {
		return ClientRecord{}, "", ErrNotFound.With("id_token_hint: %w", err)
	}
	aud, _ := claims["aud"].(string)
	hinted, _ := claims["sid"].(string)
	if claims["iss"] != p.base || hinted == "" || (form.Has("client_id") && form.Get("client_id") != aud) {
		return ClientRecord{}, "", ErrNotFound.With("id_token_hint is of another issuer or client")
	}
	client, err := p.client(r.Context(), aud)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return client, "", ErrUnavailable.With("log out: %w", err)
	}
	return client, hinted, err
}
