package api

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"html/template"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"hufu/internal/fault"
)

var (
	//go:embed docs.html
	docsPage string
	//go:embed docs.css
	docsStyle []byte
)

// docsPolicy lets the page load its own style sheet and nothing else.
const docsPolicy = "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// mountDocs makes the OpenAPI document and the page once, and serves the octets.
func (a *API) mountDocs() error {
	doc, err := json.Marshal(a.spec)
	if err != nil {
		return err
	}
	a.serveOctets("GET /api/openapi.json", "application/openapi+json", "", doc)
	yaml, err := a.spec.YAML()
	if err != nil {
		return err
	}
	a.serveOctets("GET /api/openapi.yaml", "application/openapi+yaml", "", yaml)
	a.serveOctets("GET /api/docs.css", "text/css; charset=utf-8", "", docsStyle)
	pages := map[string][]byte{}
	for _, lang := range []string{zh, en} {
		if pages[lang], err = a.drawDocs(lang); err != nil {
			return err
		}
	}
	a.mux.HandleFunc("GET /api/docs", func(w http.ResponseWriter, r *http.Request) {
		lang := callOf(r.Context()).lang
		if chosen := r.URL.Query().Get("lang"); pages[chosen] != nil {
			lang = chosen
		}
		w.Header().Set("Content-Language", lang)
		write(w, "text/html; charset=utf-8", docsPolicy, pages[lang])
	})
	a.mux.Handle("GET /api/{$}", http.RedirectHandler("/api/docs", http.StatusSeeOther))
	return nil
}

func (a *API) serveOctets(pattern, kind, policy string, data []byte) {
	a.mux.HandleFunc(pattern, func(w http.ResponseWriter, _ *http.Request) { write(w, kind, policy, data) })
}

func write(w http.ResponseWriter, kind, policy string, data []byte) {
	h := w.Header()
	h.Set("Content-Type", kind)
	h.Set("Cache-Control", "public, max-age=300")
	if policy != "" {
		h.Set("Content-Security-Policy", policy)
	}
	_, _ = w.Write(data)
}

// docsView is the page that lists the routes.
type docsView struct {
	Lang   string
	Groups []docsGroup
}

type docsGroup struct {
	ID, Title string
	Routes    []docsRoute
}

type docsRoute struct {
	ID, Method, Path, Says, Who string
	Public                      bool
	Takes, Gives                []string
	Fields                      []docsField
}

type docsField struct {
	Name, Where, Type, Says string
	Required                bool
}

// T returns the text in the page's language.
func (v docsView) T(zh, en string) string { return in(v.Lang, fault.Text{ZH: zh, EN: en}) }

// Other is the other language.
func (v docsView) Other() string { return in(v.Lang, fault.Text{ZH: en, EN: zh}) }

func (a *API) drawDocs(lang string) ([]byte, error) {
	t, err := template.New("docs").Parse(docsPage)
	if err != nil {
		return nil, err
	}
	v := docsView{Lang: lang}
	for _, n := range a.groups {
		i := slices.IndexFunc(v.Groups, func(g docsGroup) bool { return g.ID == n.name })
		if i < 0 {
			i = len(v.Groups)
			v.Groups = append(v.Groups, docsGroup{ID: n.name, Title: in(lang, n.title)})
		}
		for _, r := range n.routes {
			v.Groups[i].Routes = append(v.Groups[i].Routes, a.describe(lang, &r))
		}
	}
	var out bytes.Buffer
	err = t.Execute(&out, v)
	return out.Bytes(), err
}

func (a *API) describe(lang string, r *route) docsRoute {
	method, path, _ := strings.Cut(r.pattern, " ")
	op := operationAt(a.spec, method, path)
	d := docsRoute{
		ID: op.OperationID, Method: method, Path: path, Says: in(lang, r.says), Who: r.who, Public: r.public(),
		Fields: a.fieldsOf(op), Gives: typesOf(op.Responses["200"]),
	}
	if op.RequestBody != nil {
		d.Takes = slices.Sorted(maps.Keys(op.RequestBody.Content))
	}
	return d
}

func operationAt(spec *huma.OpenAPI, method, path string) *huma.Operation {
	item := spec.Paths[path]
	return map[string]*huma.Operation{"GET": item.Get, "POST": item.Post, "PUT": item.Put, "DELETE": item.Delete}[method]
}

func typesOf(r *huma.Response) []string {
	if r == nil {
		return nil
	}
	return slices.Sorted(maps.Keys(r.Content))
}

// fieldsOf lists what a call may carry: parameters, then the first floor of its JSON.
func (a *API) fieldsOf(op *huma.Operation) (out []docsField) {
	for _, p := range op.Parameters {
		out = append(out, docsField{p.Name, p.In, typeOf(p.Schema), p.Schema.Description, p.Required})
	}
	if op.RequestBody == nil || op.RequestBody.Content[jsonType] == nil {
		return out
	}
	s := op.RequestBody.Content[jsonType].Schema
	if s.Ref != "" {
		s = a.spec.Components.Schemas.SchemaFromRef(s.Ref)
	}
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		p := s.Properties[name]
		out = append(out, docsField{name, "body", typeOf(p), p.Description, slices.Contains(s.Required, name)})
	}
	return out
}

func typeOf(s *huma.Schema) string {
	switch {
	case len(s.Enum) > 0:
		var words []string
		for _, v := range s.Enum {
			if word, ok := v.(string); ok {
				words = append(words, word)
			}
		}
		return strings.Join(words, " | ")
	case s.ContentEncoding != "":
		return s.ContentEncoding
	case s.Format != "":
		return s.Format
	case s.Type == "":
		return "object"
	default:
		return s.Type
	}
}
