package cmp

import (
	"errors"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"hufu/certs"
)

// Kind is which of the CHOICE of PKIBody a message is.
type Kind int

// The kinds that we speak (RFC 4210, section 5.1.2).
const (
	IR       Kind = 0  // initialization request
	IP       Kind = 1  // and its response
	CR       Kind = 2  // certification request
	CP       Kind = 3  // and its response, also to P10CR
	P10CR    Kind = 4  // certification request in the form of PKCS#10
	KUR      Kind = 7  // key update request
	KUP      Kind = 8  // and its response
	RR       Kind = 11 // revocation request
	RP       Kind = 12 // and its response
	PKIConf  Kind = 19 // the authority has taken note
	GenM     Kind = 21 // question
	GenP     Kind = 22 // and its answer
	Error    Kind = 23
	CertConf Kind = 24 // the certificate is accepted, or not
	PollReq  Kind = 25
	PollRep  Kind = 26
)

// Reply returns the kind of the answer to a certificate request; ok is false for other kinds.
func (k Kind) Reply() (reply Kind, ok bool) {
	switch k {
	case IR:
		return IP, true
	case CR, P10CR:
		return CP, true
	case KUR:
		return KUP, true
	}
	return k, false
}

// Body is PKIBody: the field that Kind names is set, and no other.
type Body struct {
	Kind        Kind
	Requests    []*certs.RequestMessage // IR, CR, KUR
	PKCS10      []byte                  // P10CR, DER
	Reply       *Reply                  // IP, CP, KUP
	Revocations []Revocation            // RR
	Revoked     []StatusInfo            // RP
	Confirm     []Confirmation          // CertConf
	Error       *ErrorContent           // Error
	General     []Info                  // GenM, GenP
	Polls       []Poll                  // PollReq, PollRep
}

// Reply is CertRepMessage.
type Reply struct {
	CAPubs    [][]byte // certificates of authorities, DER
	Responses []Response
}

// Response is CertResponse: the answer to one certificate request.
type Response struct {
	ID          int64 // of the request; -1 for PKCS#10
	Status      StatusInfo
	Certificate []byte // DER; nil when none was issued
	Envelope    []byte // EncryptedKey as found, DER; nil when absent
}

// Revocation is RevDetails.
type Revocation struct {
	Template   *certs.RequestTemplate
	Extensions []certs.Extension // of the CRL entry: reason, invalidity date
}

// Confirmation is CertStatus.
type Confirmation struct {
	Hash   []byte
	ID     int64
	Status *StatusInfo // nil: accepted
	// Algorithm of the hash (pvno 3); Raw is nil when it is the one of the certificate's signature.
	Algorithm certs.AlgorithmIdentifier
}

// Accepted tells whether the holder takes the certificate.
func (c Confirmation) Accepted() bool { return c.Status == nil || c.Status.Err() == nil }

// ErrorContent is ErrorMsgContent.
type ErrorContent struct {
	Status  StatusInfo
	Code    *int64
	Details []string
}

// Poll asks for, or tells about, a request that waits.
type Poll struct {
	ID     int64
	After  int64    // PollRep: seconds until to ask again
	Reason []string // PollRep
}

func (b *Body) parse(s *cryptobyte.String) error {
	var content cryptobyte.String
	var tag cbasn1.Tag
	if !s.ReadAnyASN1(&content, &tag) || tag&0xe0 != 0xa0 {
		return malformed("body")
	}
	b.Kind = Kind(tag & 0x1f)
	if err := b.parseKind(&content); err != nil {
		return fmt.Errorf("kind %d: %w", b.Kind, err)
	}
	return nil
}

func (b *Body) parseKind(s *cryptobyte.String) (err error) {
	switch b.Kind {
	case IR, CR, KUR:
		b.Requests, err = readRequests(s)
		return err
	case IP, CP, KUP:
		b.Reply, err = readReply(s)
		return err
	case RR:
		b.Revocations, err = readRevocations(s)
		return err
	case CertConf:
		b.Confirm, err = readConfirmations(s)
		return err
	case P10CR:
		var raw cryptobyte.String
		if !s.ReadASN1Element(&raw, cbasn1.SEQUENCE) || !s.Empty() {
			return malformed("PKCS#10")
		}
		b.PKCS10 = raw
		return nil
	}
	read := map[Kind]func(*cryptobyte.String) bool{
		RP:      b.readRevoked,
		PKIConf: func(s *cryptobyte.String) bool { return string(*s) == "\x05\x00" && s.Skip(2) },
		GenM:    func(s *cryptobyte.String) bool { return readInfos(s, &b.General) },
		GenP:    func(s *cryptobyte.String) bool { return readInfos(s, &b.General) },
		Error:   b.readError,
		PollReq: b.readPolls,
		PollRep: b.readPolls,
	}[b.Kind]
	if read == nil {
		return ErrUnsupported
	}
	if !read(s) || !s.Empty() {
		return malformed("content")
	}
	return nil
}

func readRequests(s *cryptobyte.String) ([]*certs.RequestMessage, error) {
	raw, err := readElements(s, "certificate requests")
	if err != nil {
		return nil, err
	}
	var all []*certs.RequestMessage
	for _, one := range raw {
		m, err := certs.ParseRequestMessage(one)
		if err != nil {
			return nil, err
		}
		all = append(all, m)
	}
	return all, nil
}

func (b *Body) readRevoked(s *cryptobyte.String) bool {
	var in, list cryptobyte.String
	if !s.ReadASN1(&in, cbasn1.SEQUENCE) || !in.ReadASN1(&list, cbasn1.SEQUENCE) || list.Empty() || !in.Empty() {
		return false
	}
	for !list.Empty() {
		var status StatusInfo
		if len(b.Revoked) == maxList || !readStatusInfo(&list, &status) {
			return false
		}
		b.Revoked = append(b.Revoked, status)
	}
	return true
}

func (b *Body) readError(s *cryptobyte.String) bool {
	var in cryptobyte.String
	e := &ErrorContent{}
	if !s.ReadASN1(&in, cbasn1.SEQUENCE) || !readStatusInfo(&in, &e.Status) {
		return false
	}
	if in.PeekASN1Tag(cbasn1.INTEGER) {
		e.Code = new(int64)
		if !in.ReadASN1Integer(e.Code) {
			return false
		}
	}
	if in.PeekASN1Tag(cbasn1.SEQUENCE) && !readFreeText(&in, &e.Details) {
		return false
	}
	b.Error = e
	return in.Empty()
}

func (b *Body) readPolls(s *cryptobyte.String) bool {
	var list cryptobyte.String
	if !s.ReadASN1(&list, cbasn1.SEQUENCE) || list.Empty() {
		return false
	}
	for !list.Empty() {
		var one cryptobyte.String
		var p Poll
		if len(b.Polls) == maxList || !list.ReadASN1(&one, cbasn1.SEQUENCE) || !one.ReadASN1Integer(&p.ID) {
			return false
		}
		if b.Kind == PollRep && !one.ReadASN1Integer(&p.After) {
			return false
		}
		if b.Kind == PollRep && !one.Empty() && !readFreeText(&one, &p.Reason) || !one.Empty() {
			return false
		}
		b.Polls = append(b.Polls, p)
	}
	return true
}

var errKind = errors.New("body without content of its kind")
