package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/html"

	"hufu/internal/outbound"
)

// walker is an outside client of a server: it walks the log-in pages as a browser without scripts does, and calls the API
// with the tokens it got. It knows the server by its address alone.
type walker struct {
	base   string
	client *http.Client
}

// anywhere is where a person's own command may go: it is the person who names the address, and many servers have inner ones.
var anywhere = []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")}

func newWalker(base string) (*walker, error) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return nil, err
	}
	client := outbound.NewClient(outbound.Options{Allow: anywhere, Timeout: 30 * time.Second, MaxBody: 64 << 20})
	client.Jar = jar
	return &walker{strings.TrimSuffix(base, "/"), client}, nil
}

// answer is what a server said.
type answer struct {
	status int
	where  *url.URL // of the request
	next   string   // Location
	body   []byte
}

func (w *walker) send(ctx context.Context, method, where, contentType string, body []byte, header ...string) (answer, error) {
	request, err := http.NewRequestWithContext(ctx, method, where, bytes.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	if contentType != "" {
		request.Header.Set("Content-Type", contentType)
	}
	for i := 0; i+1 < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	response, err := w.client.Do(request)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return answer{response.StatusCode, request.URL, response.Header.Get("Location"), text}, err
}

// get fetches a public file.
func (w *walker) get(ctx context.Context, path string) ([]byte, error) {
	a, err := w.send(ctx, http.MethodGet, w.base+path, "", nil)
	if err == nil && a.status != http.StatusOK {
		err = fmt.Errorf("GET %s: %d %s", path, a.status, firstLine(a.body))
	}
	return a.body, err
}

func firstLine(b []byte) string {
	line, _, _ := strings.Cut(string(b), "\n")
	return line[:min(len(line), 300)]
}

// problem names a refusal of the API by its code, before its words.
func problem(body []byte) string {
	var p struct{ Code, EN, Detail string }
	if json.Unmarshal(body, &p) != nil || p.Code == "" {
		return firstLine(body)
	}
	return p.Code + ": " + firstLine([]byte(cmp.Or(p.EN, p.Detail)))
}

// call sends JSON to the API with a token and reads the JSON answer into out, which may be nil.
func (w *walker) call(ctx context.Context, token, method, path string, in, out any, header ...string) error {
	var body []byte
	contentType := ""
	if in != nil {
		var err error
		if body, err = json.Marshal(in); err != nil {
			return err
		}
		contentType = "application/json"
	}
	a, err := w.send(ctx, method, w.base+path, contentType, body, append(header, "Authorization", "Bearer "+token)...)
	if err != nil {
		return err
	}
	if a.status/100 != 2 {
		return fmt.Errorf("%s %s: %d %s", method, path, a.status, problem(a.body))
	}
	if raw, ok := out.(*[]byte); ok {
		*raw = a.body
		return nil
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(a.body, out)
}

// tokens is what a log-in gives.
type tokens struct {
	Access string `json:"access_token"`
	ID     string `json:"id_token"`
}

// login walks the code flow with PKCE for a public client, as account, in the capacity of the given kind ("person",
// "entity" or "official").
func (w *walker) login(ctx context.Context, client, account, password, capacity string) (tokens, error) {
	w, err := newWalker(w.base) // a browser of its own: a second log-in in one browser would end the first
	if err != nil {
		return tokens{}, err
	}
	state, nonce, verifier := rand.Text(), rand.Text(), rand.Text()+rand.Text()
	challenge := sha256.Sum256([]byte(verifier))
	redirect := toolCallback
	a, err := w.send(ctx, http.MethodGet, w.base+"/oauth2/authorize?"+url.Values{
		"response_type": {"code"}, "client_id": {client}, "redirect_uri": {redirect}, "scope": {"openid profile entity api"}, "state": {state},
		"nonce": {nonce}, "code_challenge": {base64.RawURLEncoding.EncodeToString(challenge[:])}, "code_challenge_method": {"S256"}, "prompt": {"login"},
	}.Encode(), "", nil)
	if err != nil {
		return tokens{}, err
	}
	back, err := w.walk(ctx, a, redirect, map[string]string{"account": account, "password": password}, capacity)
	if err != nil {
		return tokens{}, fmt.Errorf("log in as %s: %w", account, err)
	}
	q := back.Query()
	if q.Get("state") != state || q.Get("iss") != w.base {
		return tokens{}, errors.New("the answer has another state or issuer")
	}
	if q.Get("error") != "" {
		return tokens{}, fmt.Errorf("log in as %s: %s: %s", account, q.Get("error"), q.Get("error_description"))
	}
	a, err = w.send(ctx, http.MethodPost, w.base+"/oauth2/token", "application/x-www-form-urlencoded", []byte(url.Values{
		"grant_type": {"authorization_code"}, "code": {q.Get("code")}, "redirect_uri": {redirect}, "client_id": {client}, "code_verifier": {verifier},
	}.Encode()))
	if err != nil {
		return tokens{}, err
	}
	var t tokens
	if a.status != http.StatusOK {
		return t, fmt.Errorf("exchange code: %d %s", a.status, firstLine(a.body))
	}
	return t, json.Unmarshal(a.body, &t)
}

// walk follows redirects and fills in forms until the server sends the browser to the client's address.
func (w *walker) walk(ctx context.Context, a answer, redirect string, fields map[string]string, capacity string) (*url.URL, error) {
	for range 12 {
		if a.next != "" {
			next, err := a.where.Parse(a.next)
			if err != nil {
				return nil, err
			}
			if strings.HasPrefix(next.String(), redirect) {
				return next, nil
			}
			if a, err = w.send(ctx, http.MethodGet, next.String(), "", nil); err != nil {
				return nil, err
			}
			continue
		}
		if a.status != http.StatusOK {
			return nil, fmt.Errorf("%s answered %d: %s", a.where.Path, a.status, summaryOf(a.body))
		}
		action, values, err := fill(a.body, fields, capacity)
		if err != nil {
			return nil, fmt.Errorf("page %s: %w", a.where.Path, err)
		}
		where, err := a.where.Parse(action)
		if err != nil {
			return nil, err
		}
		a, err = w.send(ctx, http.MethodPost, where.String(), "application/x-www-form-urlencoded", []byte(values.Encode()), "Sec-Fetch-Site", "same-origin")
		if err != nil {
			return nil, err
		}
	}
	return nil, errors.New("the log-in does not come to an end")
}

// fill finds the page's form and fills it: fields by name, boxes as they stand, the button of the capacity, else the first one.
func fill(page []byte, fields map[string]string, capacity string) (action string, values url.Values, err error) {
	root, err := html.Parse(bytes.NewReader(page))
	if err != nil {
		return "", nil, err
	}
	var form *html.Node
	for n := range root.Descendants() {
		if n.Type == html.ElementNode && n.Data == "form" && attribute(n, "method") == "post" && form == nil {
			form = n
		}
	}
	if form == nil {
		return "", nil, errors.New("no form: " + summaryOf(page))
	}
	values = url.Values{}
	pressed := false
	for n := range form.Descendants() {
		name := attribute(n, "name")
		switch {
		case n.Type != html.ElementNode || name == "":
		case n.Data == "input" && attribute(n, "type") == "checkbox":
			values.Add(name, attribute(n, "value"))
		case n.Data == "input":
			values.Set(name, attribute(n, "value"))
			if v, ok := fields[name]; ok {
				values.Set(name, v)
			}
		case n.Data == "button" && !pressed:
			classes := strings.Fields(attribute(n, "class"))
			if slices.Contains(classes, "choice") && !slices.Contains(classes, capacity) {
				continue
			}
			values.Set(name, attribute(n, "value"))
			pressed = true
		}
	}
	return attribute(form, "action"), values, nil
}

func attribute(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

// summaryOf returns the words of a page's main part, for telling what went wrong.
func summaryOf(page []byte) string {
	root, err := html.Parse(bytes.NewReader(page))
	if err != nil {
		return firstLine(page)
	}
	var words []string
	for n := range root.Descendants() {
		if n.Type == html.TextNode && n.Parent != nil && n.Parent.Data != "script" && n.Parent.Data != "style" {
			words = append(words, strings.Fields(n.Data)...)
		}
	}
	text := []rune(strings.Join(words, " "))
	return string(text[:min(len(text), 200)])
}
