package oidc

import (
	"html/template"
	"net/http"
	"net/url"
)

// Answer says where the browser goes next.
type Answer struct {
	Next Step       // a page of ours that is missing something; StepDone when the interaction has ended
	URL  string     // where to; in mode form_post the action of the form
	Post url.Values // the fields of the form; nil unless the mode is form_post
}

// page answers with a page of ours.
func (p *Provider) page(next Step, id string) *Answer {
	path := p.config.LoginPath
	switch next {
	case StepActing:
		path = p.config.ActingPath
	case StepConsent:
		path = p.config.ConsentPath
	}
	return &Answer{Next: next, URL: path + "?i=" + url.QueryEscape(id)}
}

// answerTo sends parameters to the client, with its state and our name (RFC 9207).
func (p *Provider) answerTo(req *request, values url.Values) *Answer {
	if req.State != "" {
		values.Set("state", req.State)
	}
	values.Set("iss", p.base)
	if req.ResponseMode == modeFormPost {
		return &Answer{URL: req.RedirectURI, Post: values}
	}
	u, err := url.Parse(req.RedirectURI)
	if err != nil { // it was parsed when it was registered
		return &Answer{URL: req.RedirectURI}
	}
	if u.RawQuery != "" {
		u.RawQuery += "&"
	}
	u.RawQuery += values.Encode()
	return &Answer{URL: u.String()}
}

// Write sends the browser on: by a redirect, or by a form that posts itself.
func (a *Answer) Write(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Pragma", "no-cache")
	h.Set("Referrer-Policy", "no-referrer")
	if a.Post == nil {
		h.Set("Location", a.URL)
		w.WriteHeader(http.StatusSeeOther)
		return
	}
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy",
		"default-src 'none'; script-src 'self'; form-action "+origin(a.URL)+"; frame-ancestors 'none'; base-uri 'none'")
	_ = formPost.Execute(w, a)
}

var formPost = template.Must(template.New("form_post").Parse(`<!DOCTYPE html>
<html lang="zh-CN">
<head><meta charset="utf-8"><title>正在返回应用 · Returning</title></head>
<body>
<form id="answer" method="post" action="{{.URL}}">
{{- range $name, $values := .Post}}{{range $values}}
<input type="hidden" name="{{$name}}" value="{{.}}">{{end}}{{end}}
<noscript><p>点击继续返回应用。 Continue to the application.</p></noscript>
<button type="submit">继续 · Continue</button>
</form>
<script src="/oauth2/form_post.js"></script>
</body>
</html>
`))

// serveFormPostScript serves the one line that inline scripts would need a hole in the policy for.
func serveFormPostScript(w http.ResponseWriter, _ *http.Request) {
	h := w.Header()
	h.Set("Content-Type", "text/javascript; charset=utf-8")
	h.Set("Cache-Control", "public, max-age=86400")
	h.Set("X-Content-Type-Options", "nosniff")
	_, _ = w.Write([]byte("document.getElementById(\"answer\").submit();\n"))
}

// origin returns scheme://host[:port] of a registered URI.
func origin(uri string) string {
	u, err := url.Parse(uri)
	if err != nil {
		return "'none'"
	}
	return u.Scheme + "://" + u.Host
}
