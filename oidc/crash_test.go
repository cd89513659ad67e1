package oidc_test

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"sync/atomic"
	"testing"

	"hufu/oidc"
)

// crashing is a store whose next change is lost, or is stored although its caller never hears of it: what a kill leaves.
type crashing struct {
	oidc.Store
	next atomic.Int32
}

const (
	before = 1
	after  = 2
)

var errKilled = errors.New("killed")

func (c *crashing) Update(ctx context.Context, f func(oidc.W) error) error {
	switch c.next.Swap(0) {
	case before:
		return errKilled
	case after:
		if err := c.Store.Update(ctx, f); err != nil {
			return err
		}
		return errKilled
	}
	return c.Store.Update(ctx, f)
}

// Each step of a log-in is killed before and after its commit. Whatever was lost can be done again; whatever was stored
// without being told is found spent, and gives nobody a second chance.
func TestKilledInEachStepOfALogIn(t *testing.T) {
	each(t, func(w *world) {
		b := w.browser()
		form := func(i string) url.Values { return url.Values{"i": {i}, "scopes": {"profile"}} }

		for _, when := range []int32{before, after} { // storing the interaction
			w.store.next.Store(when)
			if p := b.authorize("prompt", "consent"); p.query("error") != "server_error" || p.query("code") != "" {
				w.Errorf("begin, %d: %s", when, p.location)
			}
		}
		ready := func() string {
			p := b.authorize("prompt", "consent")
			for p.to().Path == "/login" {
				p = b.post("/login", url.Values{"i": {p.query("i")}, "account": {w.account}, "password": {password}})
			}
			return p.query("i")
		}

		i := ready() // issuing the code
		w.store.next.Store(before)
		if p := b.post("/consent", form(i)); p.status != http.StatusBadRequest {
			w.Errorf("code, before: %d %s", p.status, p.location)
		}
		p := b.post("/consent", form(i))
		if p.query("code") == "" {
			w.Errorf("code, again: %d %s", p.status, p.body)
		}
		i = ready()
		w.store.next.Store(after)
		b.post("/consent", form(i))
		if p := b.post("/consent", form(i)); p.status != http.StatusBadRequest {
			w.Errorf("code, after: %d %s", p.status, p.location)
		}

		code := p.query("code") // redeeming it
		w.store.next.Store(before)
		if got := w.exchange(w.client, code); got.status != http.StatusInternalServerError || got.Access != "" {
			w.Errorf("token, before: %+v", got)
		}
		tok := w.exchange(w.client, code)
		w.alive(tok.Access)
		lost := b.code()
		w.store.next.Store(after)
		if got := w.exchange(w.client, lost); got.Access != "" {
			w.Errorf("token, after: %+v", got)
		}
		w.refused(w.exchange(w.client, lost), "invalid_grant")

		w.store.next.Store(before) // refreshing
		if got := w.refresh(w.client, tok.Refresh); got.status != http.StatusInternalServerError || got.Access != "" {
			w.Errorf("refresh, before: %+v", got)
		}
		tok = w.refresh(w.client, tok.Refresh)
		w.alive(tok.Access)
		w.store.next.Store(after)
		if got := w.refresh(w.client, tok.Refresh); got.Access != "" {
			w.Errorf("refresh, after: %+v", got)
		}
		w.refused(w.refresh(w.client, tok.Refresh), "invalid_grant")
		w.dead(tok.Access)

		tok = b.login() // revoking
		w.store.next.Store(before)
		if p := w.call("/oauth2/revoke", w.client, url.Values{"token": {tok.Refresh}}); p.status != http.StatusInternalServerError {
			w.Errorf("revoke, before: %d", p.status)
		}
		w.alive(tok.Access)
		w.store.next.Store(after)
		w.call("/oauth2/revoke", w.client, url.Values{"token": {tok.Refresh}})
		w.dead(tok.Access)
	})
}
