package ca

import (
	"net/http"
	"strings"

	"hufu/certs"
)

// Handler serves what the authority publishes: GET /pki/ca/{issuer}.cer and .p7c, GET /pki/crl/{issuer}/{shard}.crl and {shard}-delta.crl, GET and POST
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
	if name, ok := strings.CutSuffix(r.PathValue("file"), ".p7c"); ok && a.issuer(name) != nil {
		a.serveCrossed(w, r, a.issuer(name))
		return
	}
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

// serveCrossed gives the certificate of an authority with the cross certificates that others issued for it (RFC 5280, 4.2.2.1).
func (a *Authority) serveCrossed(w http.ResponseWriter, r *http.Request, i *issuer) {
	crossed, err := a.crossInForce(r.Context())
	all := []*certs.Certificate{i.cert}
	for _, c := range crossed {
		if cert, err := certs.ParseLenient(c.Certificate); err == nil && c.Way == CrossIn && c.Authority == i.Name {
			all = append(all, cert)
		}
	}
	var der []byte
	if err == nil {
		der, err = certs.BuildCertificates(all)
	}
	if err != nil {
		http.Error(w, "the certificates are not available now", http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "application/pkcs7-mime")
	w.Header().Set("Cache-Control", "public, max-age=3600")
	_, _ = w.Write(der)
}
