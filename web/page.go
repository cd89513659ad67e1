package web

import (
	"bytes"
	"embed"
	"html/template"
	"io/fs"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"

	"hufu/internal/fault"
)

//go:embed templates/*.html
var templateFiles embed.FS

// parseTemplates makes one set for each page: the layout and the page's own file.
func parseTemplates() (map[string]*template.Template, error) {
	names, err := fs.Glob(templateFiles, "templates/*.html")
	if err != nil {
		return nil, err
	}
	layout, err := template.New("").ParseFS(templateFiles, "templates/layout.html", "templates/parts.html")
	if err != nil {
		return nil, err
	}
	sets := map[string]*template.Template{}
	for _, name := range names {
		page := strings.TrimSuffix(path.Base(name), ".html")
		if page == "layout" || page == "parts" {
			continue
		}
		set, err := layout.Clone()
		if err != nil {
			return nil, err
		}
		if sets[page], err = set.ParseFS(templateFiles, name); err != nil {
			return nil, err
		}
	}
	return sets, nil
}

// frame is what every page has. A view embeds it.
type frame struct {
	Lang   string
	Title  string
	Name   string // of the platform
	Short  string
	Theme  string // "light", "dark"; "" follows the system
	Elder  bool
	Wide   bool        // the page fills wide screens
	Faults []formFault // of a form that was sent, for the summary on top
	Note   string      // what was just done

	Stylesheet, Icon                    string // addresses
	LangURL, LightURL, DarkURL, ViewURL string // this page in another way
	HasVerifier, HasSeals               bool   // what the footer links to
	APIDocs                             string // the same; "" if there is none

	zone   *time.Location
	status int
	origin string // where the form of the page may lead besides this site, for the policy
}

// formFault is one fault of a form. Field is the id of the field, "" when it concerns the whole form.
type formFault struct{ Field, Text string }

// frame begins a page.
func (s *Site) frame(r *http.Request, title fault.Text, locales ...string) frame {
	lang := language(r, locales)
	f := frame{
		Lang: lang, Title: in(lang, title), Name: in(lang, s.Name), Short: in(lang, s.Short),
		Theme: choice(r, "theme"), Elder: choice(r, "view") == "elder",
		Stylesheet: s.assets.url("hufu.css"), Icon: s.assets.url("icon.svg"),
		HasVerifier: s.Verifier != nil, HasSeals: s.Seals != nil, APIDocs: s.APIDocs,
		zone: s.Zone, status: http.StatusOK,
	}
	if f.Theme == "system" {
		f.Theme = ""
	}
	other, view := en, "elder"
	if lang == en {
		other = zh
	}
	if f.Elder {
		view = "normal"
	}
	f.LangURL, f.ViewURL = again(r, "lang", other), again(r, "view", view)
	f.LightURL, f.DarkURL = again(r, "theme", "light"), again(r, "theme", "dark")
	return f
}

// again returns the address of the page that r asked for, with one choice changed. What was posted is not repeated.
func again(r *http.Request, name, word string) string {
	q := r.URL.Query()
	for choice := range choices {
		q.Del(choice)
	}
	q.Del("note")
	q.Set(name, word)
	u := url.URL{Path: r.URL.Path, RawQuery: q.Encode()}
	if strings.HasPrefix(u.Path, "//") || u.Path == "" {
		u.Path = "/"
	}
	return u.String()
}

// T returns the text in the language of the page.
func (f frame) T(chinese, english string) string {
	return in(f.Lang, fault.Text{ZH: chinese, EN: english})
}

// Say returns the text in the language of the page.
func (f frame) Say(t fault.Text) string { return in(f.Lang, t) }

// Tag is the language of the page as an HTML attribute.
func (f frame) Tag() string {
	if f.Lang == en {
		return "en"
	}
	return "zh-CN"
}

// Fault returns the fault of a field.
func (f frame) Fault(field string) string {
	for _, e := range f.Faults {
		if e.Field == field {
			return e.Text
		}
	}
	return ""
}

// Time shows a point in time, "" for none.
func (f frame) Time(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.In(f.zone).Format("2006-01-02 15:04")
}

// Date shows a day.
func (f frame) Date(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.In(f.zone).Format("2006-01-02")
}

// blame adds a fault of a form and the status that tells of it.
func (f *frame) blame(status int, field, text string) {
	f.status = status
	f.Faults = append(f.Faults, formFault{field, text})
}

// view is a page: a struct that embeds frame.
type view interface{ base() *frame }

func (f *frame) base() *frame { return f }

// show executes the page's template into memory and sends it; nothing is sent of a page that fails.
func (s *Site) show(w http.ResponseWriter, r *http.Request, name string, v view) {
	var body bytes.Buffer
	f := v.base()
	if err := s.templates[name].ExecuteTemplate(&body, "layout", v); err != nil {
		s.Log.ErrorContext(r.Context(), "web", "page", name, "cause", err.Error())
		http.Error(w, "页面暂时无法显示，请稍后重试。 This page cannot be shown at the moment. Try again later.", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	harden(h) // also for the pages that the provider's own addresses show
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Language", f.Tag())
	h.Set("Content-Security-Policy", policy(f.origin))
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(f.status)
	_, _ = body.WriteTo(w)
}
