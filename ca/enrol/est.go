package enrol

import (
	"context"
	"encoding/base64"
	"errors"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"hufu/ca"
	"hufu/certs"
	"hufu/internal/fault"
	"hufu/internal/gm"
)

// mountEST mounts the operations of RFC 7030, each with and without a label, which names a profile.
func (s *Service) mountEST(mux *http.ServeMux) {
	for operation, serve := range map[string]http.HandlerFunc{
		"GET cacerts": s.serveCACerts, "GET csrattrs": s.serveAttributes, "POST simpleenroll": s.serveEnrol, "POST simplereenroll": s.serveReenrol,
	} {
		method, name, _ := strings.Cut(operation, " ")
		mux.HandleFunc(method+" /.well-known/est/"+name, serve)
		mux.HandleFunc(method+" /.well-known/est/{profile}/"+name, serve)
	}
}

// serveCACerts gives the certificates above those of a profile, or those of all authorities.
func (s *Service) serveCACerts(w http.ResponseWriter, r *http.Request) {
	var list []*certs.Certificate
	var err error
	if profile := r.PathValue("profile"); profile != "" {
		list, err = s.CA.Ladder(profile)
	} else {
		names, all := s.CA.Issuers()
		for _, name := range names {
			list = append(list, all[name])
		}
	}
	if err != nil {
		s.refuseEST(w, r, err)
		return
	}
	s.writeCertificates(w, r, list)
}

// serveAttributes tells what a request should be like: kind of key and signature (RFC 7030, section 4.5.2).
func (s *Service) serveAttributes(w http.ResponseWriter, r *http.Request) {
	profile := r.PathValue("profile")
	if profile == "" {
		w.WriteHeader(http.StatusNoContent) // it depends on the profile
		return
	}
	p, err := s.CA.Offer(profile)
	if err != nil {
		s.refuseEST(w, r, err)
		return
	}
	der, err := attributesFor(p.Keys)
	if err != nil {
		s.refuseEST(w, r, err)
		return
	}
	writeBase64(w, "application/csrattrs", der)
}

// attributesFor names the kinds of keys that a profile takes.
func attributesFor(keys []string) ([]byte, error) {
	curves := map[string]certs.OID{"sm2": certs.OIDSM2, "p256": certs.OIDP256}
	signatures := map[string]certs.OID{"sm2": certs.OIDSM2WithSM3, "p256": certs.OIDECDSAWithSHA256, "rsa": certs.OIDRSAWithSHA256}
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		for _, kind := range keys {
			if curve := curves[kind]; curve != "" {
				b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
					certs.AddOID(b, certs.OIDECPublicKey)
					b.AddASN1(cbasn1.SET, func(b *cryptobyte.Builder) { certs.AddOID(b, curve) })
				})
			}
			if alg := signatures[kind]; alg != "" {
				certs.AddOID(b, alg)
			}
		}
	})
	return b.Bytes()
}

func (s *Service) serveEnrol(w http.ResponseWriter, r *http.Request)   { s.enrol(w, r, false) }
func (s *Service) serveReenrol(w http.ResponseWriter, r *http.Request) { s.enrol(w, r, true) }

func (s *Service) enrol(w http.ResponseWriter, r *http.Request, again bool) {
	csr, err := readRequest(w, r)
	if err != nil {
		s.refuseEST(w, r, err)
		return
	}
	who, err := s.callerOf(r)
	if err != nil {
		s.refuseEST(w, r, err)
		return
	}
	app, err := s.enrolEST(r.Context(), who, wish{way: ca.ServesEST, profile: r.PathValue("profile"), csr: csr, update: again})
	if err != nil {
		s.refuseEST(w, r, err)
		return
	}
	if app.State == ca.Submitted {
		w.Header().Set("Retry-After", strconv.Itoa(int(s.PollTime.Seconds())))
		w.WriteHeader(http.StatusAccepted)
		_, _ = io.WriteString(w, "An officer decides on the application. Send the same request again later.\n申请正在审核，请稍后重新提交相同请求。\n")
		return
	}
	chain, err := s.CA.Chain(r.Context(), system(), app.Certificates[0])
	if err != nil {
		s.refuseEST(w, r, err)
		return
	}
	s.writeCertificates(w, r, chain[:1])
}

// readRequest reads PKCS#10 in base64 (RFC 8951), with or without line breaks, and proves possession.
func readRequest(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/pkcs10" {
		return nil, errMedia.With("content type %q", r.Header.Get("Content-Type"))
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 2*certs.MaxRequestSize))
	if err != nil {
		return nil, ErrMessage.With("read request: %w", err)
	}
	der, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(string(body)), ""))
	if err != nil || len(der) == 0 {
		return nil, ErrMessage.With("the body is not PKCS#10 in base64")
	}
	return der, nil
}

var errMedia = fault.New(fault.Invalid, "enrol.media",
	"Send PKCS#10 in base64 as application/pkcs10.", "请以 application/pkcs10 提交 base64 编码的 PKCS#10 请求。")

// callerOf finds out who asks: by the certificate of the TLS connection, or by reference and secret, which travel where nobody
// listens alone.
func (s *Service) callerOf(r *http.Request) (principal, error) {
	reference, value, basic := r.BasicAuth()
	if !basic && r.TLS != nil && len(r.TLS.PeerCertificates) > 0 {
		return s.show(r.Context(), r.TLS.PeerCertificates[0].Raw)
	}
	if !basic {
		return principal{}, ErrSecret.With("neither certificate nor secret")
	}
	if !s.Confidential(r) {
		return principal{}, ErrInsecure.With("secret of %q in clear from %s", reference, s.RemoteIP(r))
	}
	given := gm.SM3([]byte(value))
	secret, err := s.check(r.Context(), reference, func(value string) bool { return gm.SM3([]byte(value)) == given })
	if err != nil {
		return principal{}, err
	}
	return principal{whom: "secret:" + secret.ID, secret: &secret}, nil
}

// enrolEST takes an application through. The same request of the same caller is the same transaction, so that a lost answer, and
// the question whether an officer has decided, are the request again.
func (s *Service) enrolEST(ctx context.Context, who principal, w wish) (ca.Application, error) {
	if err := s.standing(ctx, who); err != nil {
		return ca.Application{}, err
	}
	d, err := s.demand(ctx, who, w)
	if err != nil {
		return ca.Application{}, err
	}
	if err := s.suitsEST(who, d.Profile, w); err != nil {
		return ca.Application{}, err
	}
	digest := gm.SM3(w.csr)
	t := Transaction{ID: transactionID("est:"+who.whom, digest[:]), Secret: who.reference(), By: d.by, Request: digest[:]}
	if t, err = s.begin(ctx, t, d.Profile); err != nil {
		return ca.Application{}, err
	}
	if t.State == Refused || t.State == Lapsed || s.overdue(t) {
		return ca.Application{}, s.over(t)
	}
	app, err := s.apply(ctx, &t, d)
	if err != nil || t.State == Done {
		return app, err
	}
	return s.advance(ctx, t, app)
}

// advance takes a transaction of EST as far as its application is. There is no confirmation: once answered it is done.
func (s *Service) advance(ctx context.Context, t Transaction, app ca.Application) (ca.Application, error) {
	after := t
	switch app.State {
	case ca.Submitted:
		if t.State == Waiting {
			return app, nil
		}
		after.State, after.Due = Waiting, s.Now().UTC().Add(s.WaitTime)
		return app, s.moveOn(ctx, t.State, after)
	case ca.Approved, ca.Issued, ca.Delivered:
		app, err := s.issue(ctx, &t, app)
		if err != nil {
			return app, err
		}
		after.State = Done
		return app, s.moveOn(ctx, t.State, after)
	default:
		after.State = Refused
		return app, errors.Join(ErrRejected.With("application %s is %s", app.ID, app.State), s.moveOn(ctx, t.State, after))
	}
}

// suitsEST refuses what the protocol cannot carry: encryption pairs, and re-enrolment under another name than before.
func (s *Service) suitsEST(who principal, profile string, w wish) error {
	p, err := s.CA.Offer(profile)
	if err != nil {
		return err
	}
	if p.Pair != "" {
		return ErrWay.With("profile %q comes with an encryption pair, for which EST has no place", p.Name)
	}
	if !w.update {
		return nil
	}
	if who.shown == nil {
		return ErrRights.With("simplereenroll needs the certificate to be replaced")
	}
	request, err := certs.ParseRequest(w.csr)
	if err != nil {
		return ca.ErrRequest.With("%w", err)
	}
	if len(request.Subject.RDNs) > 0 && !request.Subject.Equal(who.shown.Certificate.Subject) {
		return errCertID.With("re-enrolment with another subject") // RFC 7030, section 4.2.2
	}
	return nil
}

func (s *Service) writeCertificates(w http.ResponseWriter, r *http.Request, list []*certs.Certificate) {
	der, err := certs.BuildCertificates(list)
	if err != nil {
		s.refuseEST(w, r, err)
		return
	}
	writeBase64(w, "application/pkcs7-mime; smime-type=certs-only", der)
}

// writeBase64 writes lines of 64 characters. The transfer encoding is told since older clients look for it; RFC 8951 lets them
// not.
func writeBase64(w http.ResponseWriter, kind string, der []byte) {
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Content-Transfer-Encoding", "base64")
	text := base64.StdEncoding.EncodeToString(der)
	var b strings.Builder
	for len(text) > 64 {
		b.WriteString(text[:64] + "\r\n")
		text = text[64:]
	}
	b.WriteString(text + "\r\n")
	_, _ = io.WriteString(w, b.String())
}

func (s *Service) refuseEST(w http.ResponseWriter, r *http.Request, err error) {
	s.Log.Info("an EST request was refused", "error", err)
	refuseHTTP(w, r, err, s.PollTime)
}

// refuseHTTP answers with the status and the words of a refusal; what is ours is told as such, without its detail.
func refuseHTTP(w http.ResponseWriter, _ *http.Request, err error, wait time.Duration) {
	statuses := map[fault.Kind]int{
		fault.Invalid: http.StatusBadRequest, fault.Unauthenticated: http.StatusUnauthorized, fault.Denied: http.StatusForbidden,
		fault.NotFound: http.StatusNotFound, fault.Conflict: http.StatusConflict, fault.Limited: http.StatusTooManyRequests,
		fault.Unavailable: http.StatusServiceUnavailable,
	}
	status, ok := statuses[fault.KindOf(err)]
	text, known := fault.TextOf(err)
	if !ok || !known {
		status, text = http.StatusInternalServerError, fault.Text{EN: "The request could not be answered; try again later.", ZH: "请求无法处理，请稍后再试。"}
	}
	switch {
	case errors.Is(err, errMedia):
		status = http.StatusUnsupportedMediaType
	case status == http.StatusUnauthorized:
		w.Header().Set("WWW-Authenticate", `Basic realm="EST"`)
	case status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable:
		w.Header().Set("Retry-After", strconv.Itoa(1+int(wait.Seconds())))
	}
	if status == http.StatusUnauthorized { // without words: Bouncy Castle's client fails when there are some
		w.Header().Set("Content-Length", "0")
		w.WriteHeader(status)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text.EN+"\n"+text.ZH+"\n")
}
