package ca

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"hufu/certs"
	"hufu/internal/actor"
)

// ocspLife is from thisUpdate to nextUpdate of an answer. Answers are made when asked, so they need not live long.
const ocspLife = time.Hour

func (a *Authority) serveOCSPPost(w http.ResponseWriter, r *http.Request) {
	if t := r.Header.Get("Content-Type"); t != "application/ocsp-request" {
		http.Error(w, "send application/ocsp-request", http.StatusUnsupportedMediaType)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, certs.MaxOCSPRequestSize))
	if err != nil {
		http.Error(w, "request too large", http.StatusRequestEntityTooLarge)
		return
	}
	a.answerOCSP(w, r, body, false)
}

// serveOCSPGet takes the request as base64 in the path (RFC 6960 A.1), with or without URL escapes.
func (a *Authority) serveOCSPGet(w http.ResponseWriter, r *http.Request) {
	text := strings.TrimPrefix(r.URL.EscapedPath(), "/pki/ocsp/")
	plain, err := url.PathUnescape(text)
	if err == nil && len(plain) <= 4096 {
		if body, err := base64.StdEncoding.DecodeString(plain); err == nil {
			a.answerOCSP(w, r, body, true)
			return
		}
	}
	writeOCSP(w, certs.OCSPFailure(certs.OCSPMalformedRequest), 0)
}

func (a *Authority) answerOCSP(w http.ResponseWriter, r *http.Request, body []byte, cacheable bool) {
	request, err := certs.ParseOCSPRequest(body)
	if err != nil {
		writeOCSP(w, certs.OCSPFailure(certs.OCSPMalformedRequest), 0)
		return
	}
	der, err := a.OCSP(r.Context(), request)
	if err != nil {
		writeOCSP(w, certs.OCSPFailure(certs.OCSPTryLater), 0)
		return
	}
	age := 0
	if cacheable && request.Nonce == nil {
		age = 60 // a revocation must show within a minute through any cache
	}
	writeOCSP(w, der, age)
}

func writeOCSP(w http.ResponseWriter, der []byte, maxAge int) {
	w.Header().Set("Content-Type", "application/ocsp-response")
	w.Header().Set("Cache-Control", "no-store")
	if maxAge > 0 {
		w.Header().Set("Cache-Control", fmt.Sprintf("public, max-age=%d, must-revalidate", maxAge))
	}
	_, _ = w.Write(der)
}

// OCSP answers a request under the responder's delegated certificate. A serial that we never issued is "unknown", never
// "good"; one that is reserved and not yet issued is "unknown" too. All certificates of one request must be of one issuer,
// since the delegate's certificate comes from it.
func (a *Authority) OCSP(ctx context.Context, request *certs.OCSPRequest) ([]byte, error) {
	issuer := ""
	if len(request.IDs) > 0 {
		issuer = a.issuerOf(request.IDs[0])
	}
	responder, err := a.serviceUnder(ctx, actor.ForSystem("ocsp"), "ocsp", issuer)
	if err != nil {
		return nil, err
	}
	now := a.Now().UTC().Truncate(time.Second)
	t := certs.OCSPTemplate{Responder: responder.Certificate, ProducedAt: now, Nonce: request.Nonce}
	err = a.Store.View(ctx, func(r R) error {
		t.Answers = nil
		for _, id := range request.IDs {
			answer, err := a.status(r, issuer, id, now)
			if err != nil {
				return err
			}
			t.Answers = append(t.Answers, answer)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("look up status: %w", err)
	}
	return certs.BuildOCSPResponse(t, responder.Signer)
}

func (a *Authority) status(r R, issuer string, id certs.CertID, now time.Time) (certs.OCSPAnswer, error) {
	answer := certs.OCSPAnswer{ID: id, Status: certs.OCSPUnknown, ThisUpdate: now, NextUpdate: now.Add(ocspLife)}
	if issuer == "" || a.issuerOf(id) != issuer {
		return answer, nil
	}
	revoked, err := r.Revocation(issuer, id.Serial)
	if err == nil {
		answer.Status, answer.RevokedAt, answer.Reason, answer.InvalidityDate = certs.OCSPRevoked, revoked.At, revoked.Reason, revoked.Invalid
		return answer, nil
	}
	if !errors.Is(err, ErrUnknown) {
		return answer, err
	}
	_, err = r.Certificate(issuer, id.Serial)
	if err == nil {
		answer.Status = certs.OCSPGood
	} else if errors.Is(err, ErrUnknown) {
		err = nil
	}
	return answer, err
}

// issuerOf finds the issuer that the responder may answer for, by name and key hash: any generation of the one that
// certifies the responder.
func (a *Authority) issuerOf(id certs.CertID) string {
	for n := 1; ; n++ {
		i := a.issuer(generation(a.profile("ocsp").Issuer, n))
		if i == nil {
			return ""
		}
		if id.Names(i.cert) {
			return i.Name
		}
	}
}
