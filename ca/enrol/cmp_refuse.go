package enrol

import (
	"errors"
	"time"

	"hufu/ca"
	"hufu/certs"
	"hufu/certs/cmp"
	"hufu/internal/fault"
)

// plain is a refusal without protection: nobody is known for whom to protect it.
func (s *Service) plain(m *cmp.Message, failure cmp.Failure, why error) ([]byte, error) {
	out := &cmp.Message{Body: cmp.Body{Kind: cmp.Error, Error: &cmp.ErrorContent{Status: statusOf(failure, why)}}}
	out.Header = cmp.Header{Version: 2, Time: s.Now().UTC().Truncate(time.Second), SenderNonce: certs.NewNonce()[:16]}
	if m != nil {
		out.Header.Recipient, out.Header.TransactionID, out.Header.RecipientNonce = m.Header.Sender, m.Header.TransactionID, m.Header.SenderNonce
	}
	return out.Marshal()
}

// turnAway answers somebody who is not known.
func (s *Service) turnAway(m *cmp.Message, err error) ([]byte, error) {
	s.Log.Info("a CMP message was turned away", "error", err)
	switch {
	case errors.Is(err, ErrSecret):
		return s.plain(m, cmp.BadMessageCheck, ErrSecret)
	case errors.Is(err, ErrSigner):
		return s.plain(m, cmp.SignerNotTrusted, ErrSigner)
	case errors.Is(err, errAlgorithm):
		return s.plain(m, cmp.BadAlg, errAlgorithm)
	case errors.Is(err, ErrLimited):
		return s.plain(m, cmp.SystemUnavailable, ErrLimited)
	default:
		return nil, err
	}
}

// refusal makes an answer of an error, if it is one that the peer may know. What is ours is returned: the same message may come
// again and goes on where this one stopped.
func (s *Service) refusal(x *exchange, err error) (reply, error) {
	if _, ok := fault.TextOf(err); !ok || fault.KindOf(err) == fault.Unavailable && !errors.Is(err, ca.ErrIssuer) {
		return reply{}, err
	}
	s.Log.Info("a CMP request was refused", "transaction", x.id, "error", err)
	status := statusOf(failureOf(err), err)
	if kind, ok := x.message.Body.Kind.Reply(); ok {
		return reply{body: cmp.Body{Kind: kind, Reply: &cmp.Reply{Responses: []cmp.Response{{ID: requestID(x.message), Status: status}}}}}, nil
	}
	if x.message.Body.Kind == cmp.RR {
		return reply{body: cmp.Body{Kind: cmp.RP, Revoked: []cmp.StatusInfo{status}}}, nil
	}
	return reply{body: cmp.Body{Kind: cmp.Error, Error: &cmp.ErrorContent{Status: status}}}, nil
}

func statusOf(failure cmp.Failure, err error) cmp.StatusInfo {
	text, _ := fault.TextOf(err)
	return cmp.StatusInfo{Status: cmp.Rejection, Failure: failure, Text: []string{text.EN, text.ZH}}
}

// failures says which PKIFailureInfo an error is; the first that fits.
var failures = []struct {
	is      error
	failure cmp.Failure
}{
	{certs.ErrSignature, cmp.BadPOP},
	{ca.ErrRequest, cmp.BadCertTemplate},
	{ca.ErrKeyKind, cmp.BadAlg},
	{ca.ErrKeyUsed, cmp.BadCertTemplate},
	{ca.ErrFacts, cmp.BadCertTemplate},
	{ca.ErrProfile, cmp.BadRequest},
	{ca.ErrRevoked, cmp.CertRevoked},
	{ca.ErrUnknown, cmp.BadCertID},
	{ca.ErrIssuer, cmp.SystemUnavailable},
	{ErrSigner, cmp.SignerNotTrusted},
	{ErrTransaction, cmp.TransactionIDInUse},
	{ca.ErrSecondOfficer, cmp.NotAuthorized},
	{errNonce, cmp.BadRecipientNonce},
	{errConfirmed, cmp.CertConfirmed},
	{errCertID, cmp.BadCertID},
	{errPossession, cmp.BadPOP},
}

func failureOf(err error) cmp.Failure {
	for _, f := range failures {
		if errors.Is(err, f.is) {
			return f.failure
		}
	}
	if fault.KindOf(err) == fault.Denied {
		return cmp.NotAuthorized
	}
	return cmp.BadRequest
}
