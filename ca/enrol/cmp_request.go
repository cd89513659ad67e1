package enrol

import (
	"context"
	"encoding/asn1"
	"errors"
	"slices"
	"time"

	"hufu/ca"
	"hufu/certs"
	"hufu/certs/cmp"
	"hufu/internal/fault"
)

var (
	errNonce = fault.New(fault.Invalid, "enrol.nonce",
		"The message does not answer the last one of this transaction. Begin a new transaction.", "报文不是对本事务上一报文的应答。请重新发起事务。")
	errConfirmed = fault.New(fault.Conflict, "enrol.confirmed",
		"The certificate was confirmed before, or is not waiting for a confirmation.", "证书已确认，或无需确认。")
	errCertID = fault.New(fault.Invalid, "enrol.certificate",
		"The message names another certificate than the one of this transaction.", "报文所指证书与本事务不符。")
	errPossession = fault.New(fault.Invalid, "enrol.possession",
		"Possession of the new key must be proven by its own signature.", "须以新密钥的签名证明持有私钥。")
)

// requestID is the certReqId of a message's request; -1 for PKCS#10.
func requestID(m *cmp.Message) int64 {
	if len(m.Body.Requests) == 1 {
		return m.Body.Requests[0].ID
	}
	return -1
}

// handleRequest takes ir, cr, kur and p10cr: one request a message (RFC 9483, section 4.1).
func (s *Service) handleRequest(ctx context.Context, x *exchange) (reply, error) {
	body := x.message.Body
	kind, _ := body.Kind.Reply()
	t := Transaction{ID: x.id, Secret: x.who.reference(), Request: x.digest, RequestID: requestID(x.message), Reply: int(kind), At: x.remembered()}
	if x.known != nil && (!slices.Equal(x.known.Request, x.digest) || x.known.State != Begun) {
		return reply{}, ErrTransaction.With("transaction %s is %s", x.id, x.known.State)
	}
	w := wish{way: ca.ServesCMP, profile: x.profile, csr: body.PKCS10, update: body.Kind == cmp.KUR}
	var err error
	if w.pairs, err = x.pairs(); err != nil {
		return reply{}, err
	}
	if body.Kind != cmp.P10CR {
		if len(body.Requests) != 1 {
			return reply{}, ErrMessage.With("%d requests in one message", len(body.Requests))
		}
		r := body.Requests[0]
		if r.Possession != certs.PossessionSignature {
			return reply{}, errPossession.With("kind of proof %d", r.Possession)
		}
		w.csr = r.Raw
		if w.pairs != nil && r.Pairs != nil {
			return reply{}, ErrMessage.With("utf8Pairs in the header and in the request")
		}
		if r.Pairs != nil {
			w.pairs = r.Pairs
		}
		if err := x.replaces(r); err != nil {
			return reply{}, err
		}
	}
	d, err := s.demand(ctx, x.who, w)
	if err != nil {
		return reply{}, err
	}
	t.By = d.by
	if t, err = s.begin(ctx, t, d.Profile); err != nil {
		return reply{}, err
	}
	if t.State != Begun { // another node was faster
		return reply{}, ErrTransaction.With("transaction %s is %s", x.id, t.State)
	}
	app, err := s.apply(ctx, &t, d)
	if err != nil {
		return reply{}, err
	}
	return s.proceed(ctx, x, t, app)
}

// remembered is from when the time counts after which Prune forgets a transaction; zero for its begin. A signed message that tells
// no time could be sent again at any time by whoever saw it, so that its transaction is remembered beyond the end of the
// certificate that signed. Secrets end before they are forgotten.
func (x *exchange) remembered() time.Time {
	if x.who.shown == nil || !x.message.Header.Time.IsZero() {
		return time.Time{}
	}
	return x.who.shown.Certificate.NotAfter
}

// pairs are the utf8Pairs in the header's generalInfo: a request of PKCS#10 has no place of its own for them. Like the rest of
// the header they are protected.
func (x *exchange) pairs() (pairs map[string]string, err error) {
	for _, i := range x.message.Header.General {
		if i.Type != certs.OIDRegInfoPairs {
			continue
		}
		if pairs != nil {
			return nil, ErrMessage.With("utf8Pairs twice")
		}
		if pairs, err = certs.ParsePairs(i.Value); err != nil {
			return nil, ErrMessage.With("%w", err)
		}
	}
	return pairs, nil
}

// replaces holds the certificate that a key update names against the one that signed.
func (x *exchange) replaces(r *certs.RequestMessage) error {
	if x.message.Body.Kind != cmp.KUR {
		return nil
	}
	shown := x.who.shown
	if shown == nil {
		return ErrRights.With("a key update needs the old certificate's signature")
	}
	if r.OldSerial != nil && (!slices.Equal(r.OldSerial, shown.Certificate.Serial) || !r.OldIssuer.Equal(shown.Certificate.Issuer)) {
		return errCertID.With("key update of %x signed with %x", r.OldSerial, shown.Certificate.Serial)
	}
	return nil
}

// proceed answers for an application as it stands: it waits, is rejected, or its certificates are issued now.
func (s *Service) proceed(ctx context.Context, x *exchange, t Transaction, app ca.Application) (reply, error) {
	from := t.State
	after := t
	after.Application = app.ID
	response := cmp.Response{ID: t.RequestID}
	switch app.State {
	case ca.Submitted:
		return s.waits(x, t, app.ID), nil
	case ca.Approved, ca.Issued, ca.Delivered:
	default:
		after.State = Refused
		response.Status = statusOf(cmp.NotAuthorized, ErrRejected)
		return reply{body: replyBody(t, nil, response), from: from, after: &after}, nil
	}
	made, err := s.issue(ctx, &t, app)
	if errors.Is(err, ca.ErrWaits) {
		return s.waits(x, t, app.ID), nil
	}
	if err != nil {
		return reply{}, err
	}
	app = made
	out, err := s.granted(ctx, x, t, app)
	if err != nil {
		return reply{}, err
	}
	after.State, after.Due, after.Application = Unconfirmed, s.Now().UTC().Add(s.ConfirmTime), app.ID
	if _, asked := x.message.Header.Info(cmp.OIDImplicitConfirm); asked && !s.MustConfirm {
		after.State = Done
		out.general = append(out.general, cmp.Info{Type: cmp.OIDImplicitConfirm, Value: asn1.NullBytes})
	}
	out.from, out.after = t.State, &after
	return out, nil
}

// waits is the answer while an officer, here or at an external authority, has not decided.
func (s *Service) waits(x *exchange, t Transaction, application string) reply {
	after := t
	after.Application = application
	if t.State != Waiting {
		after.State, after.Due = Waiting, s.Now().UTC().Add(s.WaitTime)
	}
	out := reply{from: t.State, after: &after}
	if x.message.Body.Kind == cmp.PollReq {
		out.body = cmp.Body{Kind: cmp.PollRep, Polls: []cmp.Poll{{
			ID: t.RequestID, After: int64(s.PollTime.Seconds()), Reason: []string{"An officer decides on the application.", "申请正在审核。"},
		}}}
		return out
	}
	status := cmp.StatusInfo{Status: cmp.Waiting, Text: []string{"An officer decides on the application; poll.", "申请正在审核，请稍后查询。"}}
	out.body = replyBody(t, nil, cmp.Response{ID: t.RequestID, Status: status})
	return out
}

func replyBody(t Transaction, pubs [][]byte, r cmp.Response) cmp.Body {
	return cmp.Body{Kind: cmp.Kind(t.Reply), Reply: &cmp.Reply{CAPubs: pubs, Responses: []cmp.Response{r}}}
}

// granted is the answer with a certificate: those above it are sent along, and under a secret, which both sides trust, the root
// as caPubs. An encryption pair follows as a dual-certificate response in generalInfo.
func (s *Service) granted(ctx context.Context, x *exchange, t Transaction, app ca.Application) (reply, error) {
	chain, err := s.CA.Chain(ctx, system(), app.Certificates[0])
	if err != nil {
		return reply{}, err
	}
	var pubs [][]byte
	if x.who.secret != nil {
		pubs = [][]byte{chain[len(chain)-1].Raw}
	}
	out := reply{extra: chain[1:], body: replyBody(t, pubs, cmp.Response{ID: t.RequestID, Certificate: chain[0].Raw})}
	if len(app.Certificates) < 2 {
		return out, nil
	}
	pair, err := s.CA.Chain(ctx, system(), app.Certificates[1])
	if err != nil {
		return reply{}, err
	}
	dual, err := certs.BuildDualResponse(chain[0], app.Envelope, pair[0])
	if err != nil {
		return reply{}, err
	}
	out.general = []cmp.Info{{Type: cmp.OIDDualResponse, Value: dual}}
	out.extra = append(out.extra, pair[0])
	return out, nil
}

// handlePoll answers whether an officer has decided.
func (s *Service) handlePoll(ctx context.Context, x *exchange) (reply, error) {
	t, err := x.follows()
	if err != nil {
		return reply{}, err
	}
	if t.State == Lapsed || s.overdue(t) {
		return reply{}, s.over(t)
	}
	polls := x.message.Body.Polls
	if t.State != Waiting && t.State != Begun || len(polls) != 1 || polls[0].ID != t.RequestID && polls[0].ID != -1 || t.Application == "" {
		return reply{}, ErrTransaction.With("poll of transaction %s, which is %s", t.ID, t.State)
	}
	app, err := s.CA.Application(ctx, system(), t.Application)
	if err != nil {
		return reply{}, err
	}
	if app.State != ca.Submitted {
		return s.proceed(ctx, x, t, app)
	}
	return s.waits(x, t, t.Application), nil
}

// follows returns the transaction of a message that is not the first: it must answer our last one.
func (x *exchange) follows() (Transaction, error) {
	if x.known == nil {
		return Transaction{}, ErrTransaction.With("transaction %s does not exist", x.id)
	}
	if !slices.Equal(x.message.Header.RecipientNonce, x.known.Nonce) {
		return Transaction{}, errNonce.With("transaction %s", x.id)
	}
	return *x.known, nil
}
