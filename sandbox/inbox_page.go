package sandbox

import (
	"html/template"
	"net/http"
)

var inboxPage = template.Must(template.New("inbox").Parse(`<!doctype html><html lang="zh"><meta charset="utf-8">
<title>模拟邮箱 · Mails that would have been sent</title>
<h1>模拟邮箱 / Mails that would have been sent</h1>
<p>演示环境：邮件不会真正发出。/ A demonstration: nothing leaves this machine.</p>
{{range .}}<article><h2>{{.Subject}}</h2><p>{{.At.Format "2006-01-02 15:04:05"}} → {{.To}}</p><pre>{{.Text}}</pre></article>
{{else}}<p>还没有邮件。/ No mail yet.</p>{{end}}</html>
`))

// ServeHTTP shows the letters, newest first.
func (i *Inbox) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; base-uri 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	_ = inboxPage.Execute(w, i.Letters())
}
