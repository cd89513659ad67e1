package oidc_test

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"hufu/internal/fault"
	"hufu/oidc"
)

func TestCodeReuseKillsTheTokens(t *testing.T) { // sharp edges 9, 14
	each(t, func(w *world) {
		b := w.browser()
		code := b.code("scope", "openid offline_access")
		tok := w.exchange(w.client, code)
		w.alive(tok.Access)
		w.pass(30 * time.Second)
		w.refused(w.exchange(w.client, code), "invalid_grant")
		w.dead(tok.Access)
		w.refused(w.refresh(w.client, tok.Refresh), "invalid_grant")
	})
}

func TestCodeDiesAfter45Seconds(t *testing.T) {
	each(t, func(w *world) {
		b := w.browser()
		code := b.code()
		w.pass(45 * time.Second)
		w.refused(w.exchange(w.client, code), "invalid_grant")
	})
}

// race runs f eight times at once and counts how often it won.
func race(f func() tokens) (won []tokens, lost []tokens) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	start := make(chan struct{})
	for range 8 {
		wg.Go(func() {
			<-start
			t := f()
			mu.Lock()
			defer mu.Unlock()
			if t.status == http.StatusOK {
				won = append(won, t)
			} else {
				lost = append(lost, t)
			}
		})
	}
	close(start)
	wg.Wait()
	return won, lost
}

func TestEightRacersForOneCode(t *testing.T) { // sharp edge 9
	each(t, func(w *world) {
		b := w.browser()
		for range 3 {
			code := b.code()
			won, lost := race(func() tokens { return w.exchange(w.client, code) })
			if len(won) != 1 {
				w.Errorf("%d of 8 got tokens", len(won))
			}
			for _, l := range lost {
				w.refused(l, "invalid_grant")
			}
			for _, tok := range won {
				w.dead(tok.Access)
				w.refused(w.refresh(w.client, tok.Refresh), "invalid_grant")
			}
		}
	})
}

func TestEightRacersForOneRefreshToken(t *testing.T) { // sharp edge 12
	each(t, func(w *world) {
		b := w.browser()
		for range 3 {
			tok := b.login()
			won, lost := race(func() tokens { return w.refresh(w.client, tok.Refresh) })
			if len(won) != 1 {
				w.Errorf("%d of 8 got tokens", len(won))
			}
			for _, l := range lost {
				w.refused(l, "invalid_grant")
			}
			for _, next := range append(won, tok) {
				w.dead(next.Access)
				w.refused(w.refresh(w.client, next.Refresh), "invalid_grant")
			}
		}
	})
}

// Two requests that both found the code or refresh token unspent: the transaction decides, and the loser ends the grant.
func TestLoserOfTheCommitEndsTheGrant(t *testing.T) { // sharp edges 9, 12
	each(t, func(w *world) {
		b := w.browser()
		code := b.code()
		both := func(f func() tokens) {
			got := make(chan tokens, 2)
			w.rsa.gate.set(2)
			for range 2 {
				go func() { got <- f() }()
			}
			one, two := <-got, <-got
			if one.status != http.StatusOK {
				one, two = two, one
			}
			w.refused(two, "invalid_grant")
			if one.status != http.StatusOK {
				w.Errorf("nobody won: %+v", one)
			}
			w.dead(one.Access)
			w.refused(w.refresh(w.client, one.Refresh), "invalid_grant")
		}
		both(func() tokens { return w.exchange(w.client, code) })
		tok := b.login()
		both(func() tokens { return w.refresh(w.client, tok.Refresh) })
	})
}

func TestRefreshReuseKillsTheWholeFamily(t *testing.T) { // sharp edges 13, 14, 15
	each(t, func(w *world) {
		first := w.browser().login()
		second := w.refresh(w.client, first.Refresh)
		third := w.refresh(w.client, second.Refresh)
		w.alive(third.Access)
		// Long after the first access token has expired and rows were purged, the first refresh token still gives the thief away.
		w.pass(20 * time.Minute)
		_, err := w.p.Purge(w.Context(), 1000)
		w.must(err)
		w.pass(time.Second)
		fourth := w.refresh(w.client, third.Refresh)
		w.alive(fourth.Access)
		w.refused(w.refresh(w.client, first.Refresh), "invalid_grant")
		w.dead(fourth.Access)
		w.refused(w.refresh(w.client, fourth.Refresh), "invalid_grant")
	})
}

func TestWrongVerifierSpendsTheCode(t *testing.T) { // sharp edge 8
	each(t, func(w *world) {
		b := w.browser()
		public := w.register(oidc.NewClient{Client: oidc.Client{ID: "app", AuthMethod: oidc.AuthNone}})
		for _, c := range []oidc.Registered{w.client, public} {
			for _, second := range []string{"", verifier, strings.Repeat("x", 43)} {
				code := b.code("client_id", c.Client.ID)
				w.refused(w.exchange(c, code, "code_verifier", strings.Repeat("y", 43)), "invalid_grant")
				w.refused(w.exchange(c, code, "code_verifier", second), "invalid_grant")
			}
			code := b.code("client_id", c.Client.ID)
			w.refused(w.exchange(c, code, "code_verifier", ""), "invalid_grant")
			w.refused(w.exchange(c, code), "invalid_grant")
		}
	})
}

func TestPKCEIsNeeded(t *testing.T) { // sharp edge 8
	each(t, func(w *world) {
		b := w.browser()
		b.login()
		for name, pairs := range map[string][]string{
			"missing":      {"code_challenge", "-", "code_challenge_method", "-"},
			"plain":        {"code_challenge", verifier, "code_challenge_method", "plain"},
			"no method":    {"code_challenge", verifier, "code_challenge_method", "-"},
			"no hash":      {"code_challenge", "short"},
			"no challenge": {"code_challenge", "-"},
		} {
			if p := b.authorize(pairs...); p.query("error") != "invalid_request" || p.query("code") != "" {
				w.Errorf("%s: %s", name, p.location)
			}
		}
		// A client that may leave it out, leaves it out; and one that used it cannot drop it, nor add it later.
		basic := w.register(oidc.NewClient{Client: oidc.Client{ID: "basic", OmitPKCE: true}})
		code := b.code("client_id", "basic", "code_challenge", "-", "code_challenge_method", "-")
		if tok := w.exchange(basic, code, "code_verifier", ""); tok.status != http.StatusOK {
			w.Errorf("without PKCE: %+v", tok)
		}
		code = b.code("client_id", "basic", "code_challenge", "-", "code_challenge_method", "-")
		w.refused(w.exchange(basic, code), "invalid_grant")
		code = b.code("client_id", "basic")
		w.refused(w.exchange(basic, code, "code_verifier", ""), "invalid_grant")
	})
}

func TestForeignClientGetsNothing(t *testing.T) {
	each(t, func(w *world) {
		b := w.browser()
		thief := w.register(oidc.NewClient{Client: oidc.Client{ID: "thief"}})
		code := b.code()
		w.refused(w.exchange(thief, code), "invalid_grant")
		w.refused(w.exchange(w.client, code, "redirect_uri", "https://rp.example/other"), "invalid_grant")
		w.refused(w.exchange(w.client, code, "redirect_uri", ""), "invalid_grant")
		tok := w.exchange(w.client, code)
		if tok.status != http.StatusOK {
			w.Fatalf("the owner of the code: %+v", tok)
		}
		w.refused(w.refresh(thief, tok.Refresh), "invalid_grant")
		w.alive(tok.Access)
		if p := w.call("/oauth2/revoke", thief, url.Values{"token": {tok.Refresh}}); p.status != http.StatusBadRequest {
			w.Errorf("a foreign client revoked: %d", p.status)
		}
		if info := w.introspect(thief, tok.Access); info["active"] != false || len(info) != 1 {
			w.Errorf("a foreign client learned %v", info)
		}
		w.alive(tok.Access)
		if again := w.refresh(w.client, tok.Refresh); again.status != http.StatusOK {
			w.Errorf("the thief did harm: %+v", again)
		}
	})
}

func TestUnregisteredRedirectURIShowsAPage(t *testing.T) { // sharp edge 6
	each(t, func(w *world) {
		b := w.browser()
		b.login()
		for _, uri := range []string{
			"-", "https://evil.example/", callback + "/", callback + "?x=1", callback + "#f", "https://rp.example:443/callback",
			"https://rp.example/callback%2e", "HTTPS://RP.EXAMPLE/callback", "javascript:alert(1)", "//rp.example/callback", "\x00",
			"https://rp.example/callback\\@evil.example", "http://rp.example/callback", "%", "https://user@rp.example/callback",
		} {
			for _, more := range [][]string{nil, {"prompt", "none"}, {"response_type", "bad"}, {"response_mode", "form_post"}} {
				p := b.authorize(append([]string{"redirect_uri", uri}, more...)...)
				if p.location != "" || p.status != http.StatusBadRequest || !strings.Contains(p.body, "error page") {
					w.Errorf("redirect_uri %q %v: %d %s", uri, more, p.status, p.location)
				}
			}
		}
		for _, id := range []string{"-", "nobody", "\x00", strings.Repeat("x", 10000)} {
			if p := b.authorize("client_id", id); p.location != "" || p.status != http.StatusBadRequest {
				w.Errorf("client_id %.10q: %d %s", id, p.status, p.location)
			}
		}
		q := w.params("portal").Encode()
		for _, twice := range []string{"&redirect_uri=https%3A%2F%2Fevil.example%2F", "&client_id=other"} {
			if p := b.get("/oauth2/authorize?" + q + twice); p.location != "" || p.status != http.StatusBadRequest {
				w.Errorf("%s: %d %s", twice, p.status, p.location)
			}
		}
		w.must(w.p.DisableClient(w.Context(), admin, "portal"))
		if p := b.authorize(); p.location != "" || p.status != http.StatusBadRequest {
			w.Errorf("a disabled client: %d %s", p.status, p.location)
		}
	})
}

func TestOtherMistakesGoBackToTheClient(t *testing.T) { // sharp edges 4, 7
	each(t, func(w *world) {
		b := w.browser()
		b.login()
		few := w.register(oidc.NewClient{Client: oidc.Client{ID: "few", Scopes: []string{"openid"}}})
		for _, c := range []struct {
			want  string
			pairs []string
		}{
			{"request_not_supported", []string{"request", noneToken("a.e30.c")}},
			{"request_uri_not_supported", []string{"request_uri", "urn:ietf:params:oauth:request_uri:x"}},
			{"registration_not_supported", []string{"registration", "{}"}},
			{"unsupported_response_type", []string{"response_type", "-"}},
			{"unsupported_response_type", []string{"response_type", "code id_token"}},
			{"unsupported_response_type", []string{"response_type", "token"}},
			{"invalid_scope", []string{"scope", "openid 密码\"\\"}},
			{"invalid_scope", []string{"scope", "-"}},
			{"invalid_scope", []string{"scope", "openid profile", "client_id", few.Client.ID}},
			{"invalid_request", []string{"audience", "https://elsewhere.example"}},
			{"invalid_request", []string{"prompt", "please"}},
			{"invalid_request", []string{"nonce", strings.Repeat("n", 2000)}},
			{"invalid_request", []string{"nonce", "a\x00b"}},
			{"invalid_request", []string{"id_token_hint", "x.y.z"}},
		} {
			p := b.authorize(c.pairs...)
			why := p.query("error_description")
			if p.query("error") != c.want || p.query("iss") != w.base || p.query("code") != "" {
				w.Errorf("%.60q: %s", c.pairs, p.location)
			}
			if strings.ContainsFunc(why, func(r rune) bool { return r < ' ' || r > '~' || r == '"' || r == '\\' }) {
				w.Errorf("%.60q: description %q", c.pairs, why)
			}
		}
		if p := b.get("/oauth2/authorize?" + w.params("portal").Encode() + "&nonce=again"); p.query("error") != "invalid_request" {
			w.Errorf("nonce twice: %s", p.location)
		}
		if p := b.get("/oauth2/authorize?" + w.params("portal").Encode() + "&x=%zz"); p.query("error") != "invalid_request" {
			w.Errorf("bad escape: %d %s", p.status, p.location)
		}
	})
}

func TestInteractionIsBoundToItsBrowser(t *testing.T) {
	each(t, func(w *world) {
		victim, attacker := w.browser(), w.browser()
		p := attacker.authorize()
		i := p.query("i")
		// The attacker lures the victim to the attacker's log-in page.
		if got := victim.get(p.location); got.status != http.StatusBadRequest {
			w.Errorf("another browser saw the interaction: %d %s", got.status, got.body)
		}
		form := url.Values{"i": {i}, "account": {w.account}, "password": {password}}
		if got := victim.post("/login", form); got.status != http.StatusBadRequest {
			w.Errorf("another browser went on: %d %s", got.status, got.location)
		}
		for _, secret := range []string{"", "x", strings.Repeat("A", 43)} {
			if _, err := w.p.Interaction(w.Context(), i, secret, nil); !errors.Is(err, oidc.ErrInteraction) {
				w.Errorf("secret %q: %v", secret, err)
			}
		}
		for _, id := range []string{"", "x", "\x00", strings.Repeat("x", 100), "' OR 1=1 --"} {
			if _, err := w.p.Interaction(w.Context(), id, "s", nil); !errors.Is(err, oidc.ErrInteraction) {
				w.Errorf("id %q: %v", id, err)
			}
		}
	})
}

func TestInteractionIsAnsweredOnce(t *testing.T) {
	each(t, func(w *world) {
		b := w.browser()
		p := b.authorize()
		i := p.query("i")
		b.post("/login", url.Values{"i": {i}, "account": {w.account}, "password": {password}})
		yes := url.Values{"i": {i}, "scopes": {"profile"}}
		// All four have read the interaction before one of them answers it.
		w.people.gate.set(4)
		pages := make(chan page, 4)
		for range 4 {
			go func() { pages <- b.post("/consent", yes) }()
		}
		codes := 0
		for range 4 {
			switch p := <-pages; {
			case p.status == http.StatusSeeOther && p.query("code") != "":
				codes++
			case p.status != http.StatusBadRequest:
				w.Errorf("loser: %d %s", p.status, p.location)
			}
		}
		if codes != 1 {
			w.Errorf("%d codes from one interaction", codes)
		}
		if got := b.post("/consent", yes); got.status != http.StatusBadRequest {
			w.Errorf("replay: %d %s", got.status, got.location)
		}
		p = b.authorize("prompt", "consent")
		w.pass(10 * time.Minute)
		if got := b.get(p.location); got.status != http.StatusBadRequest {
			w.Errorf("expired: %d %s", got.status, got.body)
		}
	})
}

func TestClientDisabledDuringTheLogIn(t *testing.T) {
	each(t, func(w *world) {
		b := w.browser()
		p := b.authorize()
		tok := w.browser().login()
		w.must(w.p.DisableClient(w.Context(), admin, "portal"))
		if got := b.through(p); got.status != http.StatusBadRequest {
			w.Errorf("%d %s", got.status, got.location)
		}
		if _, status := w.userinfo(tok.Access); status != http.StatusUnauthorized {
			w.Errorf("a token of a disabled client: %d", status)
		}
		w.refused(w.refresh(w.client, tok.Refresh), "invalid_client")
	})
}

func TestRedirectURIRemovedDuringTheLogIn(t *testing.T) {
	each(t, func(w *world) {
		b := w.browser()
		p := b.authorize()
		c := w.client.Client
		c.RedirectURIs = []string{"https://rp.example/moved"}
		_, err := w.p.ChangeClient(w.Context(), admin, c)
		w.must(err)
		if got := b.through(p); got.status != http.StatusBadRequest || got.location != "" {
			w.Errorf("%d %s", got.status, got.location)
		}
	})
}

func TestRevocationEndsTheGrant(t *testing.T) {
	each(t, func(w *world) {
		b := w.browser()
		for _, which := range []func(tokens) string{
			func(t tokens) string { return t.Refresh }, func(t tokens) string { return t.Access },
		} {
			tok := b.login("scope", "openid offline_access")
			if p := w.call("/oauth2/revoke", w.client, url.Values{"token": {which(tok)}, "token_type_hint": {"nonsense"}}); p.status != http.StatusOK {
				w.Errorf("%d %s", p.status, p.body)
			}
			w.dead(tok.Access)
			w.refused(w.refresh(w.client, tok.Refresh), "invalid_grant")
		}
		old := b.login()
		next := w.refresh(w.client, old.Refresh)
		w.call("/oauth2/revoke", w.client, url.Values{"token": {old.Refresh}}) // rotated already
		w.dead(next.Access)
		for _, junk := range malformed {
			if p := w.call("/oauth2/revoke", w.client, url.Values{"token": {junk}}); p.status != http.StatusOK && junk != "" && isPlain(junk) {
				w.Errorf("%q: %d %s", junk, p.status, p.body)
			}
		}
		if p := w.call("/oauth2/revoke", w.client, url.Values{}); p.status != http.StatusBadRequest {
			w.Errorf("no token: %d", p.status)
		}
	})
}

func isPlain(s string) bool { return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' }) }

var malformed = []string{
	"", ".", "..", "a", "a.", ".a", "a.b", "a.b.c", strings.Repeat("A", 43) + "." + strings.Repeat("A", 43), "a\x00.b\x00",
	"Zm9v.Zm9v", strings.Repeat("x", 9000), "中文.中文", "eyJhbGciOiJub25lIn0.e30.", strings.Repeat("A", 43) + ".",
}

func TestMalformedTokensMatchNothing(t *testing.T) { // sharp edge 19
	each(t, func(w *world) {
		tok := w.browser().login()
		cut := tok.Access[strings.IndexByte(tok.Access, '.'):]
		wrongKey := strings.Repeat("A", 43) + cut
		for _, junk := range append([]string{wrongKey, cut, tok.Refresh, tok.ID}, malformed...) {
			if isPlain(junk) {
				if _, status := w.userinfo(junk); status != http.StatusUnauthorized {
					w.Errorf("userinfo %.20q: %d", junk, status)
				}
			}
			if _, err := w.p.Bearer(w.Context(), junk, "openid"); !errors.Is(err, oidc.ErrToken) {
				w.Errorf("Bearer %.20q: %v", junk, err)
			}
			if p := w.call("/oauth2/introspect", w.client, url.Values{"token": {junk}}); isPlain(junk) && junk != "" && p.body != "{\"active\":false}\n" {
				w.Errorf("introspection %.20q: %d %s", junk, p.status, p.body)
			}
		}
		for _, junk := range append([]string{wrongKey, tok.Access, tok.ID}, malformed...) {
			for _, got := range []tokens{w.refresh(w.client, junk), w.exchange(w.client, junk)} {
				if got.status != http.StatusBadRequest || (got.Error != "invalid_grant" && isPlain(junk) && len(junk) < 9000) {
					w.Errorf("%.20q: %d %s %s", junk, got.status, got.Error, got.Why)
				}
			}
		}
		w.alive(tok.Access)
	})
}

func TestSecretsInTheURLAreRefused(t *testing.T) { // sharp edges 3, 24
	each(t, func(w *world) {
		b := w.browser()
		tok := b.login()
		if p := b.get("/oauth2/userinfo?access_token=" + url.QueryEscape(tok.Access)); p.status != http.StatusBadRequest {
			w.Errorf("userinfo took a token in the URL: %d %s", p.status, p.body)
		}
		code := b.code()
		for _, path := range []string{"/oauth2/token", "/oauth2/revoke", "/oauth2/introspect"} {
			p := w.call(path+"?client_secret="+url.QueryEscape(w.client.Secret), w.client, url.Values{
				"grant_type": {"authorization_code"}, "code": {code}, "token": {tok.Access},
			})
			if p.status != http.StatusBadRequest || !strings.Contains(p.body, "invalid_request") {
				w.Errorf("%s with a query: %d %s", path, p.status, p.body)
			}
		}
		// In a posted form it may be; in both places it may not.
		if p := b.post("/oauth2/userinfo", url.Values{"access_token": {tok.Access}}); p.status != http.StatusOK {
			w.Errorf("form: %d %s", p.status, p.body)
		}
		w.alive(tok.Access)
	})
}

func TestSessionEndsBetweenCodeAndRefresh(t *testing.T) {
	each(t, func(w *world) {
		b := w.browser()
		tok, offline := b.login(), b.login("scope", "openid offline_access")
		code := b.code()
		n, err := w.logins.EndAll(w.Context(), system, w.zhang, "")
		w.must(err)
		if n == 0 {
			w.Fatal("no session ended")
		}
		w.refused(w.exchange(w.client, code), "invalid_grant")
		w.refused(w.refresh(w.client, tok.Refresh), "invalid_grant")
		w.dead(tok.Access)
		w.alive(offline.Access)
		next := w.refresh(w.client, offline.Refresh)
		if next.status != http.StatusOK {
			w.Errorf("offline_access died with the session: %+v", next)
		}
		w.must(w.people.Freeze(w.Context(), system, w.zhang, "test"))
		w.dead(next.Access)
		w.refused(w.refresh(w.client, next.Refresh), "invalid_grant")
	})
}

func TestJobsEndGrantsAtOnce(t *testing.T) {
	each(t, func(w *world) {
		b := w.browser()
		tok := b.login()
		_, err := w.logins.EndAll(w.Context(), system, w.zhang, "")
		w.must(err)
		job, err := w.db.ClaimJob(w.Context())
		w.must(err)
		w.must(w.p.SessionEnded(w.Context(), job.Payload))
		w.must(w.p.SessionEnded(w.Context(), job.Payload)) // may run again
		grants, err := w.p.Grants(w.Context(), w.person())
		w.must(err)
		if len(grants) != 0 {
			w.Errorf("%d grants live", len(grants))
		}
		w.dead(tok.Access)
	})
}

func TestCapacityEndsBetweenCodeAndRefresh(t *testing.T) {
	each(t, func(w *world) {
		company := w.company()
		org, post := w.office()
		b := w.browser()
		rep, office := b.acting("entity", company, ""), b.acting("official", org, post)
		p := b.through(b.authorize("scope", "openid profile entity api"))
		p = b.post("/acting", url.Values{"i": {p.query("i")}, "kind": {"official"}, "for": {org}, "post": {post}})
		code := p.query("code")
		w.must(w.people.EndPost(w.Context(), system, post))
		w.refused(w.exchange(w.client, code), "invalid_grant")
		w.dead(office.Access)
		w.refused(w.refresh(w.client, office.Refresh), "invalid_grant")

		w.alive(rep.Access)
		li := w.enrol("lisi")
		w.must(w.people.SetLegalRep(w.Context(), system, company, li, "registry"))
		for {
			job, err := w.db.ClaimJob(w.Context())
			if err != nil || job == nil {
				break
			}
			if job.Kind == "identity.changed" {
				w.must(w.p.SubjectChanged(w.Context(), job.Payload))
			}
			w.must(w.db.FinishJob(w.Context(), job))
		}
		w.dead(rep.Access)
		w.refused(w.refresh(w.client, rep.Refresh), "invalid_grant")
	})
}

func TestCapacityHasToBeOnesOwn(t *testing.T) {
	each(t, func(w *world) {
		company := w.company()
		b := w.browser()
		p := b.through(b.authorize("scope", "openid entity"))
		for _, form := range []url.Values{
			{"kind": {"official"}, "for": {company}},
			{"kind": {"entity"}, "for": {"other"}},
			{"kind": {"system"}},
			{"kind": {""}},
			{"kind": {"person"}, "for": {company}},
		} {
			form.Set("i", p.query("i"))
			if got := b.post("/acting", form); got.status != http.StatusBadRequest {
				w.Errorf("%v: %d %s", form, got.status, got.location)
			}
		}
		p = b.authorize("scope", "openid profile")
		if got := b.post("/acting", url.Values{"i": {p.query("i")}, "kind": {"entity"}, "for": {company}}); got.status != http.StatusBadRequest {
			w.Errorf("a capacity that the client did not ask for: %d %s", got.status, got.location)
		}
	})
}

func TestPulledDeviceCostsARetryOnly(t *testing.T) { // sharp edge 18
	each(t, func(w *world) {
		b := w.browser()
		code := b.code()
		w.rsa.off.Store(true)
		p := w.call("/oauth2/token", w.client, url.Values{
			"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {callback}, "code_verifier": {verifier},
		})
		if p.status != http.StatusServiceUnavailable || !strings.Contains(p.body, "temporarily_unavailable") || p.header.Get("Retry-After") == "" {
			w.Errorf("%d %s", p.status, p.body)
		}
		w.rsa.off.Store(false)
		tok := w.exchange(w.client, code)
		if tok.status != http.StatusOK {
			w.Fatalf("the code was lost: %+v", tok)
		}
		w.rsa.off.Store(true)
		if got := w.refresh(w.client, tok.Refresh); got.status != http.StatusServiceUnavailable {
			w.Errorf("refresh: %+v", got)
		}
		w.rsa.off.Store(false)
		if got := w.refresh(w.client, tok.Refresh); got.status != http.StatusOK {
			w.Errorf("the refresh token was lost: %+v", got)
		}
		if !strings.Contains(w.log.String(), "device removed") || strings.Contains(w.log.String(), code) {
			w.Errorf("log: %s", w.log.String())
		}
	})
}

func TestDatabaseDownIsUnavailable(t *testing.T) {
	each(t, func(w *world) {
		b := w.browser()
		tok := b.login()
		w.broken.Store(true)
		if p := b.authorize(); p.query("error") != "temporarily_unavailable" {
			w.Errorf("authorize: %s", p.location)
		}
		w.broken.Store(false)
		w.must(w.db.Close())
		for name, p := range map[string]page{
			"authorize":  b.authorize(),
			"token":      w.call("/oauth2/token", w.client, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {tok.Refresh}}),
			"introspect": w.call("/oauth2/introspect", w.client, url.Values{"token": {tok.Access}}),
			"revoke":     w.call("/oauth2/revoke", w.client, url.Values{"token": {tok.Access}}),
		} {
			if p.status < 500 || strings.Contains(p.body, "sql") {
				w.Errorf("%s: %d %s", name, p.status, p.body)
			}
		}
		if _, status := w.userinfo(tok.Access); status < 500 {
			w.Errorf("userinfo: %d: a token is not invalid because the database is down", status)
		}
		if _, err := w.p.Bearer(w.Context(), tok.Access, "openid"); err == nil || fault.KindOf(err) == fault.Unauthenticated {
			w.Errorf("Bearer: %v", err)
		}
	})
}

func TestRefreshNarrowsOnly(t *testing.T) {
	each(t, func(w *world) {
		tok := w.browser().login("scope", "openid profile phone")
		w.refused(w.refresh(w.client, tok.Refresh, "scope", "openid identity"), "invalid_scope")
		less := w.refresh(w.client, tok.Refresh, "scope", "openid phone")
		if less.Scope != "openid phone" {
			w.Errorf("%+v", less)
		}
		if info, _ := w.userinfo(less.Access); info["name"] != nil || info["phone_number"] == nil {
			w.Errorf("userinfo %v", info)
		}
		back := w.refresh(w.client, less.Refresh)
		if back.Scope != "openid profile phone" {
			w.Errorf("the grant shrank: %+v", back)
		}
	})
}

func TestPurgeKeepsSpentRowsUntilTheGrantIsOver(t *testing.T) {
	each(t, func(w *world) {
		c := w.register(oidc.NewClient{Client: oidc.Client{ID: "short", RefreshLife: time.Hour}})
		tok := w.exchange(c, w.browser().code("client_id", "short"))
		w.pass(59 * time.Minute)
		if n, err := w.p.Purge(w.Context(), 100); err != nil || n != 1 { // the interaction
			w.Errorf("purged %d: %v", n, err)
		}
		w.pass(time.Minute)
		if n, err := w.p.Purge(w.Context(), 100); err != nil || n != 1 {
			w.Errorf("purged %d: %v", n, err)
		}
		w.refused(w.refresh(c, tok.Refresh), "invalid_grant")
	})
}
