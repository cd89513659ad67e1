package enrol

import (
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"slices"
	"time"

	"hufu/certs"
	"hufu/certs/cmp"
	"hufu/internal/actor"
	"hufu/internal/fault"
	"hufu/internal/gm"
)

const typeCMP = "application/pkixcmp"

// Services that protect answers: profile and key label. The kind of key is that with which the peer signs, so that a peer which
// knows no SM2 can check what it gets.
const (
	ServiceSM2  = "cmp"
	ServiceP256 = "cmp-p256"
)

// serveCMP answers a PKIMessage (RFC 9811): whatever it says, the answer is a PKIMessage too.
func (s *Service) serveCMP(w http.ResponseWriter, r *http.Request) {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != typeCMP {
		http.Error(w, "Content-Type must be "+typeCMP, http.StatusUnsupportedMediaType)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, cmp.MaxMessageSize))
	if err != nil {
		http.Error(w, "the message cannot be read, or is larger than 64 KB", http.StatusRequestEntityTooLarge)
		return
	}
	answer, err := s.Answer(r.Context(), body, r.PathValue("profile"))
	if err != nil {
		s.Log.Error("a CMP message could not be answered", "error", err)
		http.Error(w, "the answer could not be made; try again later", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", typeCMP)
	_, _ = w.Write(answer)
}

// exchange is one message and what is known of who sent it.
type exchange struct {
	message *cmp.Message
	profile string // from the address
	who     principal
	mac     cmp.MAC // where the message is protected by one
	digest  []byte  // SM3 of what is protected
	id      string  // of the transaction
	known   *Transaction
}

// reply is what an answer says; it is stored with the transaction where after is set.
type reply struct {
	body    cmp.Body
	general []cmp.Info
	extra   []*certs.Certificate
	from    State
	after   *Transaction
	raw     []byte // an answer given before
}

// Answer answers one message of a peer. profile is what the address names, "" for none. An error is one of ours: the peer is to
// send the same message again.
func (s *Service) Answer(ctx context.Context, der []byte, profile string) ([]byte, error) {
	m, err := cmp.Parse(der)
	if err != nil {
		failure := cmp.BadDataFormat
		if errors.Is(err, cmp.ErrUnsupported) {
			failure = cmp.BadRequest
		}
		return s.plain(m, failure, ErrMessage)
	}
	if failure := s.checkHeader(m.Header); failure != 0 {
		return s.plain(m, failure, ErrMessage)
	}
	x := &exchange{message: m, profile: profile}
	if err := s.recognise(ctx, x); err != nil {
		return s.turnAway(m, err)
	}
	out, err := s.handle(ctx, x)
	if err != nil {
		if out, err = s.refusal(x, err); err != nil {
			return nil, err
		}
	}
	return s.send(ctx, x, out)
}

// checkHeader holds a first look: version, identifiers long enough that nobody guesses them, a clock that is about right.
func (s *Service) checkHeader(h cmp.Header) cmp.Failure {
	off := h.Time.Sub(s.Now())
	switch {
	case h.Version != 2 && h.Version != 3:
		return cmp.UnsupportedVersion
	case len(h.TransactionID) < 16:
		return cmp.BadRequest
	case len(h.SenderNonce) < 16:
		return cmp.BadSenderNonce
	case !h.Time.IsZero() && (off > s.Clocks || off < -s.Clocks):
		return cmp.BadTime
	case h.Algorithm.OID == "":
		return cmp.WrongIntegrity
	}
	return 0
}

// recognise verifies the protection and finds out whose it is, and whether the transaction is known.
func (s *Service) recognise(ctx context.Context, x *exchange) (err error) {
	m := x.message
	part, err := m.ProtectedPart()
	if err != nil {
		return err
	}
	sum := gm.SM3(part)
	x.digest = sum[:]
	if m.Header.ProtectedByMAC() {
		if x.mac, err = cmp.ParseMAC(m.Header.Algorithm); err != nil {
			return errAlgorithm
		}
		secret, err := s.checkMAC(ctx, m)
		if err != nil {
			return err
		}
		x.who = principal{whom: "secret:" + secret.ID, secret: &secret}
	} else if x.who, err = s.checkSignature(ctx, m); err != nil {
		return err
	}
	x.id = transactionID("cmp:"+x.who.whom, m.Header.TransactionID)
	t, ok, err := s.find(ctx, x.id)
	if ok {
		x.known = &t
	}
	return err
}

var errAlgorithm = fault.New(fault.Invalid, "enrol.algorithm",
	"The message is protected by an algorithm, or with parameters, that are not taken. Use PBMAC1 with HMAC-SHA256 or HMAC-SM3, or a signature.",
	"报文保护算法或参数不被接受。请使用 PBMAC1（HMAC-SHA256 或 HMAC-SM3）或数字签名。")

// checkSignature verifies a signature with the first certificate sent along (RFC 9483, section 3.3), whose subject the sender
// is, and finds that certificate among ours.
func (s *Service) checkSignature(ctx context.Context, m *cmp.Message) (principal, error) {
	if len(m.Certificates) == 0 {
		return principal{}, ErrSigner.With("no certificate came along")
	}
	cert, err := certs.ParseLenient(m.Certificates[0])
	if err != nil {
		return principal{}, ErrSigner.With("%w", err)
	}
	if err := m.VerifySignature(cert.PublicKey); err != nil {
		if errors.Is(err, cmp.ErrUnsupported) {
			return principal{}, errAlgorithm.With("%w", err)
		}
		return principal{}, ErrSecret.With("%w", err)
	}
	if !m.Header.Sender.Equal(cert.Subject) {
		return principal{}, ErrSigner.With("the sender is not the subject of the certificate")
	}
	return s.show(ctx, cert.Raw)
}

// handle answers a message of somebody known. A message that comes again gets the answer of before.
func (s *Service) handle(ctx context.Context, x *exchange) (reply, error) {
	if x.known != nil && x.known.Answer != nil && slices.Equal(x.known.Last, x.digest) {
		return reply{raw: x.known.Answer}, nil
	}
	if err := s.standing(ctx, x.who); err != nil {
		return reply{}, err
	}
	switch kind := x.message.Body.Kind; kind {
	case cmp.IR, cmp.CR, cmp.KUR, cmp.P10CR:
		return s.handleRequest(ctx, x)
	case cmp.CertConf:
		return s.handleConfirm(x)
	case cmp.PollReq:
		return s.handlePoll(ctx, x)
	case cmp.RR:
		return s.handleRevocation(ctx, x)
	case cmp.GenM:
		return s.handleGeneral(x)
	default:
		return reply{}, ErrMessage.With("kind %d is not for an authority", kind)
	}
}

// send protects an answer as the message was, stores it where it belongs to a transaction, and returns its octets.
func (s *Service) send(ctx context.Context, x *exchange, out reply) ([]byte, error) {
	if out.raw != nil {
		return out.raw, nil
	}
	h := x.message.Header
	m := &cmp.Message{Body: out.body, Header: cmp.Header{
		Version: h.Version, Recipient: h.Sender, Time: s.Now().UTC().Truncate(time.Second), RecipientKID: h.SenderKID,
		TransactionID: h.TransactionID, SenderNonce: certs.NewNonce()[:16], RecipientNonce: h.SenderNonce, General: out.general,
	}}
	for _, c := range out.extra {
		m.Certificates = append(m.Certificates, c.Raw)
	}
	der, err := s.protect(ctx, x, m)
	if err != nil {
		return nil, err
	}
	if out.after != nil {
		out.after.Last, out.after.Answer, out.after.Nonce = x.digest, der, m.Header.SenderNonce
		if err := s.moveOn(ctx, out.from, *out.after); err != nil {
			return nil, err
		}
	}
	return der, nil
}

func (s *Service) protect(ctx context.Context, x *exchange, m *cmp.Message) ([]byte, error) {
	if x.who.secret != nil {
		m.Header.Sender, m.Header.SenderKID = x.message.Header.Recipient, x.message.Header.SenderKID
		return m.Seal(x.mac, []byte(x.who.secret.Value))
	}
	name := ServiceSM2
	if x.message.Header.Algorithm.OID != certs.OIDSM2WithSM3 {
		name = ServiceP256
	}
	service, err := s.CA.Service(ctx, actor.ForSystem(name), name)
	if err != nil {
		return nil, err
	}
	chain, err := s.CA.Chain(ctx, system(), service.Certificate.SerialHex())
	if err != nil {
		return nil, err
	}
	m.Header.Sender, m.Header.SenderKID = service.Certificate.Subject, service.Certificate.SubjectKeyID
	extra := m.Certificates
	m.Certificates = nil
	for _, c := range chain {
		m.Certificates = append(m.Certificates, c.Raw)
	}
	for _, raw := range extra {
		if !slices.ContainsFunc(m.Certificates, func(have []byte) bool { return slices.Equal(have, raw) }) {
			m.Certificates = append(m.Certificates, raw)
		}
	}
	return m.Sign(service.Signer)
}
