package sandbox

import (
	"crypto/rand"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// attempt is a log-in under way, kept under its state.
type attempt struct {
	browser  string // cookie of the browser that began it
	nonce    string
	verifier string // PKCE
	story    string
}

// Names of the cookies: of a browser with a log-in under way, and of one that is logged in.
const (
	attemptCookie = "sample-attempt"
	visitCookie   = "sample-visit"
)

func (a *App) setCookie(w http.ResponseWriter, name, value string, life time.Duration) {
	age := int(life / time.Second)
	if value == "" {
		age = -1
	}
	http.SetCookie(w, &http.Cookie{
		Name: name, Value: value, Path: Home, MaxAge: age, HttpOnly: true, Secure: a.secure, SameSite: http.SameSiteLaxMode,
	})
}

func cookie(r *http.Request, name string) string {
	c, err := r.Cookie(name)
	if err != nil || len(c.Value) > 64 {
		return ""
	}
	return c.Value
}

// story returns the id of the guided story that the request belongs to, "" if none. It is what another part made; here it
// is a word to hand back.
func story(r *http.Request) string {
	id := r.URL.Query().Get("story")
	if len(id) > 64 || strings.ContainsFunc(id, func(c rune) bool {
		return (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && c != '-' && c != '_'
	}) {
		return ""
	}
	return id
}

// beginLogin sends the browser to the provider. Each attempt has a state, nonce and verifier of its own; they stay here.
func (a *App) beginLogin(w http.ResponseWriter, r *http.Request) {
	browser := cookie(r, attemptCookie)
	if browser == "" {
		browser = rand.Text()
	}
	at := attempt{browser: browser, nonce: rand.Text(), verifier: rand.Text() + rand.Text(), story: story(r)}
	state := rand.Text()
	address, err := a.party.authorizeURL(state, at.nonce, at.verifier, a.language(r))
	if err != nil {
		a.refuse(w, r, err)
		return
	}
	a.attempts.put(state, at, a.config.Now())
	a.setCookie(w, attemptCookie, browser, attemptLife)
	seeOther(w, address)
}

// finishLogin takes the provider's answer. Whatever comes of it, the attempt is spent.
func (a *App) finishLogin(w http.ResponseWriter, r *http.Request) {
	v, err := a.visitFrom(r)
	if err != nil {
		a.refuseIn(w, r, v.story, err)
		return
	}
	if old := cookie(r, visitCookie); old != "" {
		a.visits.take(old, a.config.Now())
	}
	id := rand.Text()
	a.visits.put(id, v, a.config.Now())
	a.setCookie(w, visitCookie, id, visitLife)
	seeOther(w, inStory(Home, v.story))
}

// inStory adds the story to an address of ours.
func inStory(path, story string) string {
	if story == "" {
		return path
	}
	return path + "?" + url.Values{"story": {story}}.Encode()
}

// visitFrom proves an answer. The visit names the story also when it fails, if the attempt was found.
func (a *App) visitFrom(r *http.Request) (visit, error) {
	answer, err := parseAnswer(r.URL.RawQuery)
	if err != nil {
		return visit{}, err
	}
	at, ok := a.attempts.takeIf(answer.state, a.config.Now(), func(at attempt) bool { return same(at.browser, cookie(r, attemptCookie)) })
	if !ok {
		return visit{}, ErrStale.With("state is not one of this browser")
	}
	proven, err := a.party.complete(r.Context(), answer, at)
	return visit{proven: proven, story: at.story, since: a.config.Now()}, err
}

// logout ends the visit; with "everywhere" it also asks the provider to end the person's session there, proving by the
// id_token who asks.
func (a *App) logout(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 4096)
	v, there := a.visits.take(cookie(r, visitCookie), a.config.Now())
	a.setCookie(w, visitCookie, "", 0)
	if there && r.PostFormValue("everywhere") != "" {
		address, err := a.party.logoutURL(v.IDToken, a.config.BaseURL+Home)
		if err != nil {
			a.refuse(w, r, err)
			return
		}
		if address != "" {
			seeOther(w, address)
			return
		}
	}
	seeOther(w, Home)
}
