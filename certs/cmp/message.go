package cmp

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"hufu/certs"
)

// Limits of what Parse reads.
const (
	MaxMessageSize = 64 << 10
	maxList        = 32       // entries of any list in a message
	maxNonce       = 64       // octets of a nonce or transaction identifier
	maxInfo        = 16 << 10 // octets of one piece of general information
)

// Message is a PKIMessage.
type Message struct {
	Raw          []byte // as it was read; nil for one that we make
	Header       Header
	Body         Body
	Protection   []byte   // octets of the signature or MAC; nil when there is none
	Certificates [][]byte // extraCerts, DER
}

// Header is PKIHeader.
type Header struct {
	Version        int64      // pvno: 2, or 3 where RFC 9480's additions are used
	Sender         certs.Name // a directoryName; the empty name when nobody is named
	Recipient      certs.Name
	Time           time.Time // whole seconds; zero leaves it out
	Algorithm      certs.AlgorithmIdentifier
	SenderKID      []byte // reference of the secret, or key identifier of the certificate
	RecipientKID   []byte
	TransactionID  []byte
	SenderNonce    []byte
	RecipientNonce []byte
	Text           []string
	General        []Info
}

// Info is InfoTypeAndValue: a piece of information by its type.
type Info struct {
	Type  certs.OID
	Value []byte // one DER element; nil when absent
}

// Info returns the value of a piece of general information; ok is false when it is absent.
func (h Header) Info(id certs.OID) (value []byte, ok bool) {
	for _, i := range h.General {
		if i.Type == id {
			return i.Value, true
		}
	}
	return nil, false
}

// ErrUnsupported: a kind of message, or a way to protect it, that this package does not speak. It is certs.ErrUnsupported.
var ErrUnsupported = certs.ErrUnsupported

func malformed(where string) error { return fmt.Errorf("%s: %w", where, certs.ErrMalformed) }

// Parse reads a message. When header and kind of the body could be read and the rest could not, the message is returned with
// the error, so that an answer can name the transaction.
func Parse(der []byte) (*Message, error) {
	if len(der) > MaxMessageSize {
		return nil, fmt.Errorf("message of %d octets: %w", len(der), certs.ErrTooLarge)
	}
	in := cryptobyte.String(bytes.Clone(der))
	var raw, s cryptobyte.String
	if !in.ReadASN1Element(&raw, cbasn1.SEQUENCE) {
		return nil, malformed("message")
	}
	if !in.Empty() {
		return nil, fmt.Errorf("message: %w", certs.ErrTrailing)
	}
	m := &Message{Raw: raw}
	if !raw.ReadASN1(&s, cbasn1.SEQUENCE) {
		return nil, malformed("message")
	}
	if err := m.Header.parse(&s); err != nil {
		return nil, fmt.Errorf("message header: %w", err)
	}
	if err := m.Body.parse(&s); err != nil {
		return m, fmt.Errorf("message body: %w", err)
	}
	if err := m.parseRest(&s); err != nil {
		return m, err
	}
	again, err := m.Marshal()
	if err != nil || !bytes.Equal(again, der) {
		return m, errors.Join(malformed("message in a form that is not the one of DER"), err)
	}
	return m, nil
}

func (m *Message) parseRest(s *cryptobyte.String) error {
	var protection, list cryptobyte.String
	var present bool
	if !s.ReadOptionalASN1(&protection, &present, explicit(0)) {
		return malformed("protection")
	}
	if present && (!protection.ReadASN1BitStringAsBytes(&m.Protection) || !protection.Empty() || len(m.Protection) == 0) {
		return malformed("protection")
	}
	if !s.ReadOptionalASN1(&list, &present, explicit(1)) || !s.Empty() {
		return malformed("extra certificates")
	}
	if !present {
		return nil
	}
	var err error
	m.Certificates, err = readElements(&list, "extra certificates")
	return err
}

// readElements reads a SEQUENCE OF SEQUENCE as whole elements, to the end of s.
func readElements(s *cryptobyte.String, where string) (all [][]byte, err error) {
	var list cryptobyte.String
	if !s.ReadASN1(&list, cbasn1.SEQUENCE) || !s.Empty() || list.Empty() {
		return nil, malformed(where)
	}
	for !list.Empty() {
		var one cryptobyte.String
		if len(all) == maxList {
			return nil, fmt.Errorf("%s: %w", where, certs.ErrTooLarge)
		}
		if !list.ReadASN1Element(&one, cbasn1.SEQUENCE) {
			return nil, malformed(where)
		}
		all = append(all, one)
	}
	return all, nil
}

// Marshal returns the DER of the message as it is: with the protection that it has.
func (m *Message) Marshal() ([]byte, error) {
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		m.addProtected(b)
		if m.Protection != nil {
			b.AddASN1(explicit(0), func(b *cryptobyte.Builder) { b.AddASN1BitString(m.Protection) })
		}
		if len(m.Certificates) > 0 {
			b.AddASN1(explicit(1), func(b *cryptobyte.Builder) { addElements(b, m.Certificates) })
		}
	})
	return b.Bytes()
}

// ProtectedPart returns what signature and MAC are over: header and body in one SEQUENCE.
func (m *Message) ProtectedPart() ([]byte, error) {
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, m.addProtected)
	return b.Bytes()
}

func (m *Message) addProtected(b *cryptobyte.Builder) {
	m.Header.add(b)
	m.Body.add(b)
}

func addElements(b *cryptobyte.Builder, all [][]byte) {
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		for _, one := range all {
			b.AddBytes(one)
		}
	})
}

// explicit is the context tag of a field: the module of CMP tags explicitly.
func explicit(n int) cbasn1.Tag { return cbasn1.Tag(n).Constructed().ContextSpecific() }
