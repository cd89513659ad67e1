package ca

import (
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"hufu/certs"
	"hufu/internal/fault"
)

const (
	ocspPath = "/pki/ocsp"
	ocspAge  = 60 // seconds that a cache may keep an answer: a revocation must show within a minute through any of them
	// maxOCSPGet bounds a request in a path, in characters.
	maxOCSPGet = 4096
)

// IsOCSP tells whether a request goes to the responder. It must be asked before any http.ServeMux sees the request, because
// that answers the "//" of a base64 text with a redirection.
func IsOCSP(r *http.Request) bool {
	return strings.HasPrefix(r.URL.Path, ocspPath) && (len(r.URL.Path) == len(ocspPath) || r.URL.Path[len(ocspPath)] == '/')
}

// Values of headers, made once.
var (
	typeOCSP   = []string{"application/ocsp-response"}
	neverKept  = []string{"no-store"}
	keptAWhile = []string{"public, no-transform, must-revalidate, max-age=60"}
)

func (a *Authority) serveOCSP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.Method == http.MethodPost && r.URL.Path == ocspPath:
		a.serveOCSPPost(w, r)
	case (r.Method == http.MethodGet || r.Method == http.MethodHead) && len(r.URL.Path) > len(ocspPath)+1:
		a.serveOCSPGet(w, r)
	case r.Method == http.MethodGet || r.Method == http.MethodHead || r.Method == http.MethodPost:
		http.NotFound(w, r)
	default:
		w.Header().Set("Allow", "GET, HEAD, POST")
		http.Error(w, "use GET or POST", http.StatusMethodNotAllowed)
	}
}

// requests are buffers for requests on their way; a short one is what nearly all need.
var requests = sync.Pool{New: func() any { b := make([]byte, 0, 512); return &b }}

func (a *Authority) serveOCSPPost(w http.ResponseWriter, r *http.Request) {
	if t := r.Header["Content-Type"]; len(t) != 1 || t[0] != "application/ocsp-request" {
		http.Error(w, "send application/ocsp-request", http.StatusUnsupportedMediaType)
		return
	}
	buffer := requests.Get().(*[]byte)
	defer requests.Put(buffer)
	body, err := readUpTo(r.Body, (*buffer)[:0], certs.MaxOCSPRequestSize)
	if cap(body) <= 4096 {
		*buffer = body
	}
	if err != nil {
		http.Error(w, "request too large or broken off", http.StatusRequestEntityTooLarge)
		return
	}
	a.tellStatus(w, r, body)
}

var errLong = errors.New("longer than allowed")

// readUpTo appends what r gives to b, and no more than limit octets.
func readUpTo(r io.Reader, b []byte, limit int) ([]byte, error) {
	for {
		if len(b) == cap(b) {
			b = append(b, 0)[:len(b)]
		}
		n, err := r.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		switch {
		case len(b) > limit:
			return b, errLong
		case err == io.EOF:
			return b, nil
		case err != nil:
			return b, err
		}
	}
}

// serveOCSPGet takes the request as base64 in the path (RFC 6960 A.1), with or without URL escapes.
func (a *Authority) serveOCSPGet(w http.ResponseWriter, r *http.Request) {
	text := strings.TrimPrefix(r.URL.EscapedPath(), ocspPath+"/")
	if len(text) <= 3*maxOCSPGet && strings.Contains(text, "%") {
		plain, err := url.PathUnescape(text)
		if err != nil {
			writeFailure(w, certs.OCSPMalformedRequest)
			return
		}
		text = plain
	}
	if len(text) > maxOCSPGet {
		http.Error(w, "request too large: use POST", http.StatusRequestURITooLong)
		return
	}
	body, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		writeFailure(w, certs.OCSPMalformedRequest)
		return
	}
	a.tellStatus(w, r, body)
}

// tellStatus answers a request, from memory where it can.
func (a *Authority) tellStatus(w http.ResponseWriter, r *http.Request, body []byte) {
	if id, ok := certs.PlainOCSPRequest(body); ok {
		if n := a.readyAnswer(id); n != nil {
			a.writeAnswer(w, r, n, true)
			return
		}
	}
	request, err := certs.ParseOCSPRequest(body)
	if err != nil {
		writeFailure(w, certs.OCSPMalformedRequest)
		return
	}
	n, err := a.answerOCSP(r.Context(), request)
	if err != nil {
		if fault.KindOf(err) == fault.Unavailable {
			w.Header().Set("Retry-After", "1")
		}
		writeFailure(w, failureOf(err))
		return
	}
	a.writeAnswer(w, r, n, request.Nonce == nil && n.is.Status != certs.OCSPUnknown)
}

// failureOf is how the responder calls what went wrong (RFC 6960, 4.2.1).
func failureOf(err error) certs.OCSPResponseStatus {
	switch {
	case errors.Is(err, errOCSPStranger):
		return certs.OCSPUnauthorized
	case errors.Is(err, errOCSPNonce):
		return certs.OCSPMalformedRequest
	}
	return certs.OCSPTryLater
}

func writeFailure(w http.ResponseWriter, status certs.OCSPResponseStatus) {
	h := w.Header()
	h["Content-Type"], h["Cache-Control"] = typeOCSP, neverKept
	_, _ = w.Write(certs.OCSPFailure(status))
}

// writeAnswer sends an answer. Caches may keep one to a GET that anybody may get (RFC 5019, 6; RFC 9111), for a minute.
func (a *Authority) writeAnswer(w http.ResponseWriter, r *http.Request, n *answer, common bool) {
	h := w.Header()
	h["Content-Type"], h["Content-Length"] = typeOCSP, n.length
	if !common || r.Method == http.MethodPost {
		h["Cache-Control"] = neverKept
		_, _ = w.Write(n.der)
		return
	}
	h["Cache-Control"], h["Etag"], h["Last-Modified"], h["Expires"] = keptAWhile, n.tag, n.made, a.ocsp.expire(a.Now())
	if hasTag(r.Header["If-None-Match"], n.tag[0]) {
		delete(h, "Content-Length")
		w.WriteHeader(http.StatusNotModified)
		return
	}
	_, _ = w.Write(n.der) // net/http leaves the octets out of the answer to HEAD
}

// hasTag tells whether a caller has what the tag names.
func hasTag(all []string, tag string) bool {
	for _, line := range all {
		for one := range strings.SplitSeq(line, ",") {
			if one = strings.TrimSpace(one); one == "*" || strings.TrimPrefix(one, "W/") == tag {
				return true
			}
		}
	}
	return false
}

// expiry is the value of Expires for answers sent within one second.
type expiry struct {
	second int64
	value  []string
}

func (r *responder) expire(now time.Time) []string {
	e := r.expires.Load()
	if e == nil || e.second != now.Unix() {
		e = &expiry{now.Unix(), []string{now.Add(ocspAge * time.Second).UTC().Format(http.TimeFormat)}}
		r.expires.Store(e)
	}
	return e.value
}
