package ca

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"hufu/audit"
	"hufu/certs"
	"hufu/internal/actor"
	"hufu/internal/limit"
)

// exampleTimeStampPolicy lies in the example arc: an operator configures his own policy.
const exampleTimeStampPolicy certs.OID = "2.999.156.1.5.1"

// TimeSource tells whether the server's clock may be believed.
type TimeSource interface {
	// Check returns nil, or a fault of kind Unavailable that says why not. It answers from memory.
	Check() error
}

// TimeStamp returns a token (RFC 3161, SM3 and SM2 after GB/T 20520) that data existed now.
func (a *Authority) TimeStamp(ctx context.Context, data []byte) ([]byte, error) {
	return a.stamp(ctx, certs.NewTimeStampRequest(data))
}

func (a *Authority) stamp(ctx context.Context, q certs.TimeStampRequest) ([]byte, error) {
	if a.Time != nil {
		if err := a.Time.Check(); err != nil {
			return nil, err
		}
	}
	by := actor.ForSystem("tsa")
	service, err := a.Service(ctx, by, "tsa")
	if err != nil {
		return nil, err
	}
	serial := make([]byte, serialSize)
	rand.Read(serial) // never fails since Go 1.24
	serial[0] = a.Instance
	info := certs.TimeStampInfo{
		Policy: a.TimeStampPolicy, Hash: q.Hash, Imprint: q.Imprint, Serial: serial, Time: a.Now().UTC().Truncate(time.Millisecond),
		Accuracy: a.TimeStampAccuracy, Nonce: q.Nonce, TSA: service.Certificate.Subject,
	}
	token, err := certs.BuildTimeStamp(info, service.Certificate, service.Signer, true)
	if err != nil {
		return nil, fmt.Errorf("make time-stamp: %w", err)
	}
	err = a.Store.Update(ctx, func(w W) error {
		return w.Record(audit.Entry{
			At: info.Time, Actor: by, Action: "time-stamp.issue", Object: audit.Object{Kind: "time-stamp", ID: hex.EncodeToString(serial)},
			Public: map[string]string{"imprint": hex.EncodeToString(q.Imprint)},
		})
	})
	if err != nil {
		return nil, fmt.Errorf("record time-stamp: %w", err)
	}
	return token, nil
}

// maxTimeStampRequest bounds a request: an imprint, a policy and a nonce.
const maxTimeStampRequest = 4096

func (a *Authority) serveTimeStamp(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Content-Type") != "application/timestamp-query" {
		http.Error(w, "send application/timestamp-query", http.StatusUnsupportedMediaType)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxTimeStampRequest))
	if err != nil {
		http.Error(w, "request too large", http.StatusRequestEntityTooLarge)
		return
	}
	if wait := a.strange.Take(limit.Network(a.RemoteIP(r)), 1); wait > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(1+int(wait.Seconds())))
		http.Error(w, "too many time-stamps are asked for at this moment; try again in a few seconds", http.StatusTooManyRequests)
		return
	}
	answer, err := a.answerTimeStamp(r.Context(), body)
	if err != nil {
		http.Error(w, "time-stamps are not available now", http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "application/timestamp-reply")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write(answer)
}

func (a *Authority) answerTimeStamp(ctx context.Context, body []byte) ([]byte, error) {
	q, err := certs.ParseTimeStampRequest(body)
	switch {
	case errors.Is(err, certs.ErrUnsupported):
		return certs.BuildTimeStampRejection(certs.TimeStampBadAlgorithm, "digest algorithm is not supported; use SM3 or SHA-256")
	case err != nil:
		return certs.BuildTimeStampRejection(certs.TimeStampBadDataFormat, "request cannot be read")
	case q.Policy != "" && q.Policy != a.TimeStampPolicy:
		return certs.BuildTimeStampRejection(certs.TimeStampUnacceptedPolicy, "policy is not offered")
	}
	if a.Time != nil && a.Time.Check() != nil {
		return certs.BuildTimeStampRejection(certs.TimeStampTimeNotAvailable, "the time is not confirmed by its sources at this moment")
	}
	token, err := a.stamp(ctx, *q)
	if err != nil {
		return nil, err
	}
	return certs.BuildTimeStampResponse(token)
}
