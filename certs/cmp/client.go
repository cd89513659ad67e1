package cmp

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"slices"
	"time"

	"hufu/certs"
)

// Client is who asks an authority: with a secret that it shares with the authority, or with a certificate and its key.
type Client struct {
	Sender    certs.Name // of the certificate, where there is one
	Recipient certs.Name // the authority

	Reference []byte // of the secret: senderKID
	Secret    []byte // nil: Signer protects
	MAC       MAC    // with Secret; the zero MAC is DefaultMAC

	Certificate *certs.Certificate
	Signer      crypto.Signer
	Chain       [][]byte // further certificates to send along, DER
}

// Exchange is one transaction of a client. Its messages are to be sent one after another: each answer is taken before the next
// is made.
type Exchange struct {
	General []Info // sent along with a request for a certificate

	client      *Client
	transaction []byte
	nonce       []byte // of the last message sent
	theirs      []byte // of the last answer
	implicit    bool
}

// Errors of Exchange.Take.
var (
	// ErrStranger: the answer is not of this transaction, or not to the last message.
	ErrStranger = errors.New("answer belongs to another transaction")
	// ErrUnprotected: the answer is not protected by whom it should be.
	ErrUnprotected = errors.New("answer without the protection it needs")
)

// NewExchange begins a transaction. implicit asks the authority to do without a confirmation.
func (c *Client) NewExchange(implicit bool) (*Exchange, error) {
	if (c.Secret == nil) == (c.Signer == nil) || c.Signer != nil && c.Certificate == nil {
		return nil, errors.New("client: either a secret, or a certificate with its key")
	}
	x := &Exchange{client: c, implicit: implicit, transaction: make([]byte, 16)}
	_, err := rand.Read(x.transaction)
	return x, err
}

// Resume goes on with a transaction from the last message that was sent, after a crash: that message may be sent again, and
// its answer be taken.
func (c *Client) Resume(sent []byte) (*Exchange, error) {
	x, err := c.NewExchange(false)
	if err != nil {
		return nil, err
	}
	m, err := Parse(sent)
	if err != nil {
		return nil, fmt.Errorf("message as sent: %w", err)
	}
	x.transaction, x.nonce, x.theirs = m.Header.TransactionID, m.Header.SenderNonce, m.Header.RecipientNonce
	x.implicit = m.Confirms()
	return x, nil
}

// Message makes the next message of the transaction. The zero time leaves its time out.
func (x *Exchange) Message(body Body, at time.Time) ([]byte, error) {
	x.nonce = make([]byte, 16)
	if _, err := rand.Read(x.nonce); err != nil {
		return nil, err
	}
	c := x.client
	m := &Message{Header: Header{
		Version: 2, Sender: c.Sender, Recipient: c.Recipient, Time: at.UTC().Truncate(time.Second), TransactionID: x.transaction,
		SenderNonce: x.nonce, RecipientNonce: x.theirs,
	}, Body: body}
	if _, asks := body.Kind.Reply(); asks {
		m.Header.General = slices.Clone(x.General)
		if x.implicit {
			m.Header.General = append(m.Header.General, Info{Type: OIDImplicitConfirm, Value: []byte{5, 0}})
		}
	}
	if c.Secret != nil {
		mac := c.MAC
		if mac.HMAC == "" {
			mac = DefaultMAC()
		}
		m.Header.SenderKID = c.Reference
		return m.Seal(mac, c.Secret)
	}
	m.Header.Sender, m.Header.SenderKID = c.Certificate.Subject, c.Certificate.SubjectKeyID
	m.Certificates = append([][]byte{c.Certificate.Raw}, c.Chain...)
	return m.Sign(c.Signer)
}

// Take reads the answer to the last message: of this transaction, to this message, and protected. By whom a signature may be
// is the caller's to say: trusted gets the certificate that the answer carries for it, first of all that it carries. Under a
// secret trusted may be nil, and nothing but the secret protects. An unprotected refusal is returned with ErrUnprotected, for
// its words; anyone may have written it.
func (x *Exchange) Take(der []byte, trusted func(signer *certs.Certificate, m *Message) error) (*Message, error) {
	m, err := Parse(der)
	if err != nil {
		return nil, fmt.Errorf("answer: %w", err)
	}
	if subtle.ConstantTimeCompare(m.Header.TransactionID, x.transaction) != 1 || !bytes.Equal(m.Header.RecipientNonce, x.nonce) {
		if m.Protection != nil || m.Body.Kind != Error {
			return nil, ErrStranger
		}
	}
	if m.Protection == nil {
		return m, ErrUnprotected
	}
	if err := x.checkProtection(m, trusted); err != nil {
		return nil, fmt.Errorf("answer: %w", err)
	}
	x.theirs = m.Header.SenderNonce
	return m, nil
}

func (x *Exchange) checkProtection(m *Message, trusted func(*certs.Certificate, *Message) error) error {
	if x.client.Secret != nil && (trusted == nil || m.Header.ProtectedByMAC()) {
		return m.VerifyMAC(x.client.Secret)
	}
	if trusted == nil || len(m.Certificates) == 0 {
		return ErrUnprotected
	}
	signer, err := certs.ParseLenient(m.Certificates[0])
	if err != nil {
		return err
	}
	if err := m.VerifySignature(signer.PublicKey); err != nil {
		return err
	}
	return trusted(signer, m)
}

// Granted returns the only certificate that an IP, CP or KUP grants, and its request's number. A request that waits for an
// officer is ErrWaiting, another refusal ErrRefused.
func (m *Message) Granted() (cert *certs.Certificate, id int64, err error) {
	if m.Body.Kind == Error {
		return nil, 0, m.Body.Error.Status.Err()
	}
	if m.Body.Reply == nil || len(m.Body.Reply.Responses) != 1 {
		return nil, 0, malformed("answer without one response")
	}
	r := m.Body.Reply.Responses[0]
	if r.Status.Status == Waiting {
		return nil, r.ID, ErrWaiting
	}
	if err := r.Status.Err(); err != nil {
		return nil, r.ID, err
	}
	cert, err = certs.ParseLenient(r.Certificate)
	return cert, r.ID, err
}

// ErrWaiting: the request is taken and waits for an officer of the authority; poll.
var ErrWaiting = errors.New("the authority has not decided yet")

// Confirms tells whether the answer says that no confirmation is needed.
func (m *Message) Confirms() bool {
	_, ok := m.Header.Info(OIDImplicitConfirm)
	return ok
}

// Accept makes the body that takes a certificate.
func Accept(cert *certs.Certificate, id int64) (Body, error) {
	sum, err := CertHash(cert)
	return Body{Kind: CertConf, Confirm: []Confirmation{{Hash: sum, ID: id}}}, err
}

// Refuse makes the body that does not take it; the authority revokes it.
func Refuse(cert *certs.Certificate, id int64, reason string) (Body, error) {
	sum, err := CertHash(cert)
	status := &StatusInfo{Status: Rejection, Text: []string{reason}, Failure: IncorrectData}
	return Body{Kind: CertConf, Confirm: []Confirmation{{Hash: sum, ID: id, Status: status}}}, err
}
