package ca

import (
	"net/http"
	"strings"
)

// Handler serves what the authority publishes: GET /pki/ca/{issuer}.cer, GET /pki/crl/{issuer}/{shard}.crl and {shard}-delta.crl, GET and POST
// /pki/ocsp, POST /pki/tsa, GET /trust/bundle, its key, and
// GET /trust/list. All of it is public.
func (a *Authority) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /pki/ca/{file}", a.serveIssuer)
	mux.HandleFunc("GET /pki/crl/{issuer}/{file}", a.serveList)
	mux.HandleFunc("POST /pki/tsa", a.serveTimeStamp)
	mux.HandleFunc("GET /trust/bundle", a.serveBundle)
	mux.HandleFunc("GET /trust/list", a.serveTrustList)
	mux.HandleFunc("GET /trust/bundle-key.pem", a.serveBundleKey)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if IsOCSP(r) {
			a.serveOCSP(w, r)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

func (a *Authority) serveIssuer(w http.ResponseWriter, r *http.Request) {
	name, ok := strings.CutSuffix(r.PathValue("file"), ".cer")
	i := a.issuer(name)
	if !ok || i == nil {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/pkix-cert")
	w.Header().Set("Cache-Control", "public, max-age=86400")
	_, _ = w.Write(i.cert.Raw)
}
