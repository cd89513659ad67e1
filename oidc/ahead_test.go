package oidc_test

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"hufu/identity"
	"hufu/oidc"
	"hufu/store"
)

// What a request reads along with its token is of no use to the next one, not to the same one a second time, and not to one that
// takes its time: sessions that end and persons who are frozen meanwhile.
func TestWhatIsReadAheadDoesNotOutliveItsMoment(t *testing.T) {
	each(t, func(w *world) {
		b := w.browser()
		tok := b.login("scope", "openid offline_access") // its session is not asked for with the token, and stays read ahead
		first, slow := store.Ahead(w.Context()), store.Ahead(w.Context())
		who, err := w.p.Bearer(first, tok.Access, "openid")
		w.must(err)
		_, err = w.p.Bearer(slow, tok.Access, "openid")
		w.must(err)
		_, err = w.logins.EndAll(w.Context(), system, w.zhang, "")
		w.must(err)
		if alive, err := w.logins.Alive(store.Ahead(w.Context()), who.Session); err != nil || alive {
			w.Errorf("another request sees the session alive: %v", err)
		}
		if alive, err := w.logins.Alive(first, "another"); err != nil || alive {
			w.Errorf("another session is alive: %v", err)
		}
		if alive, err := w.logins.Alive(first, who.Session); err != nil || alive {
			w.Errorf("what was read ahead is given out twice: %v", err)
		}
		time.Sleep(600 * time.Millisecond)
		if alive, err := w.logins.Alive(slow, who.Session); err != nil || alive {
			w.Errorf("a slow request sees the session alive: %v", err)
		}
	})
}

func TestAFrozenPersonsTokenWithinARequest(t *testing.T) {
	each(t, func(w *world) {
		tok := w.browser().login("scope", "openid offline_access")
		request := identity.Remember(store.Ahead(w.Context()))
		_, err := w.p.Bearer(request, tok.Access, "openid")
		w.must(err)
		company := w.company()
		if other, err := w.people.Holder(request, company); err != nil || other.ID != company {
			w.Errorf("asked for %s: %s, %v", company, other.ID, err)
		}
		w.must(w.people.Freeze(w.Context(), system, w.zhang, "test"))
		if _, err := w.p.Bearer(identity.Remember(store.Ahead(w.Context())), tok.Access, "openid"); !errors.Is(err, oidc.ErrToken) {
			w.Errorf("the next request: %v", err)
		}
		w.pass(time.Second / 2)
		if _, err := w.p.Bearer(request, tok.Access, "openid"); !errors.Is(err, oidc.ErrToken) {
			w.Errorf("the same one, half a second later: %v", err)
		}
	})
}

// Tokens that are looked up at the same time, and together, stay each its person's; and whoever asks after one has died, or
// after its person is frozen, is refused, whoever else asks at that moment.
func TestTokensLookedUpTogetherStayApart(t *testing.T) {
	each(t, func(w *world) {
		type held struct {
			access, subject, session string
			dead                     atomic.Bool
		}
		li, zhang := w.enrol("lisi"), w.account
		var all []*held
		for i := range 6 {
			h := &held{subject: w.zhang}
			if w.account = zhang; i%2 == 1 {
				w.account, h.subject = "lisi", li
			}
			h.access = w.browser().login("scope", "openid").Access
			who, err := w.p.Bearer(w.Context(), h.access, "openid")
			w.must(err)
			h.session = who.Session
			all = append(all, h)
		}
		const rounds = 60
		var asked sync.WaitGroup
		half := make(chan struct{}, 4*len(all))
		for i := range 4 * len(all) {
			h := all[i%len(all)]
			asked.Go(func() {
				for n := range rounds {
					if n == rounds/2 {
						half <- struct{}{}
					}
					dead := h.dead.Load()
					who, err := w.p.Bearer(identity.Remember(store.Ahead(w.Context())), h.access, "openid")
					switch {
					case err == nil && (who.Subject != h.subject || who.Session != h.session):
						w.Errorf("%s of %s comes as %s of %s", h.session, h.subject, who.Session, who.Subject)
					case err == nil && dead:
						w.Errorf("%s is taken after its end", h.session)
					case err != nil && !errors.Is(err, oidc.ErrToken):
						w.Error(err)
					case err != nil && h == all[2]:
						w.Errorf("%s lives, and is refused: %v", h.session, err)
					}
				}
			})
		}
		<-half
		w.must(w.logins.End(w.Context(), w.person(), all[0].session))
		all[0].dead.Store(true)
		w.must(w.people.Freeze(w.Context(), system, li, "test"))
		for i := 1; i < len(all); i += 2 {
			all[i].dead.Store(true)
		}
		asked.Wait()
	})
}
