package web

import (
	"net/http"
	"strings"

	"hufu/internal/fault"
)

// The languages of the pages.
const (
	zh = "zh"
	en = "en"
)

// Names of the cookies that keep what a person chose for showing. They hold nothing personal.
const (
	langCookie  = "hufu-lang"
	themeCookie = "hufu-theme"
	viewCookie  = "hufu-view"
)

// known returns the language of ours that a tag (BCP 47) asks for, "" if none.
func known(tag string) string {
	switch main, _, _ := strings.Cut(strings.ToLower(strings.TrimSpace(tag)), "-"); main {
	case zh, en:
		return main
	}
	return ""
}

// language picks what to speak: what the address or the cookie says, then the application's wish (ui_locales), then the
// browser's, then Chinese.
func language(r *http.Request, locales []string) string {
	wishes := []string{r.URL.Query().Get("lang"), chosen(r, langCookie)}
	wishes = append(wishes, locales...)
	for part := range strings.SplitSeq(r.Header.Get("Accept-Language"), ",") {
		tag, weight, _ := strings.Cut(part, ";")
		if strings.ReplaceAll(weight, " ", "") != "q=0" {
			wishes = append(wishes, tag)
		}
	}
	for _, wish := range wishes {
		if l := known(wish); l != "" {
			return l
		}
	}
	return zh
}

// chosen returns the value of a cookie of ours, "" if there is none.
func chosen(r *http.Request, name string) string {
	c, err := r.Cookie(name)
	if err != nil || len(c.Value) > 16 {
		return ""
	}
	return c.Value
}

// choices are the words that the address may set, by their name there; the first one is the default.
var choices = map[string]struct {
	cookie string
	values []string
}{
	"lang":  {langCookie, []string{zh, en}},
	"theme": {themeCookie, []string{"system", "light", "dark"}},
	"view":  {viewCookie, []string{"normal", "elder"}},
}

// choice returns what the address, else the cookie, says about showing; "" when neither says a word that we know.
func choice(r *http.Request, name string) string {
	c := choices[name]
	for _, word := range []string{r.URL.Query().Get(name), chosen(r, c.cookie)} {
		for _, v := range c.values {
			if v == word {
				return v
			}
		}
	}
	return ""
}

// remember keeps what the address asks for in cookies, for a year.
func (s *Site) remember(w http.ResponseWriter, r *http.Request) {
	if r.URL.RawQuery == "" {
		return
	}
	for name, c := range choices {
		if word := r.URL.Query().Get(name); word != "" && word == choice(r, name) {
			http.SetCookie(w, &http.Cookie{
				Name: c.cookie, Value: word, Path: "/", MaxAge: 365 * 24 * 60 * 60,
				HttpOnly: true, Secure: s.secure, SameSite: http.SameSiteLaxMode,
			})
		}
	}
}

// in returns the text in a language.
func in(lang string, t fault.Text) string {
	if lang == en {
		return t.EN
	}
	return t.ZH
}
