package remote

import (
	"bytes"
	"crypto/ecdsa"
	"encoding/json"
	"errors"
	"io"
	"time"

	"hufu/ca/kmc"
	"hufu/internal/actor"
	"hufu/internal/fault"
	"hufu/internal/gm"
)

// prefix begins the addresses of all calls.
const prefix = "/kmc/v1/"

// maxBody bounds a call and an answer in octets: 64 keys of about 500 octets, or a list of 100 recoveries.
const maxBody = 4 << 20

// call is what every call carries: who makes it, as the authority identified them, and its own part.
type call struct {
	By   actor.Actor     `json:"by"`
	Body json.RawMessage `json:"body"`
}

type orderBody struct {
	Request   string `json:"request"`
	Signing   []byte `json:"signing"`
	Temporary []byte `json:"temporary,omitempty"`
	Authority string `json:"authority"`
	Profile   string `json:"profile"`
	Subject   string `json:"subject"`
}

type answerBody struct {
	Public   []byte `json:"public"`
	Envelope []byte `json:"envelope"`
}

type certifiedBody struct {
	Public   []byte    `json:"public"`
	Serial   string    `json:"serial"`
	NotAfter time.Time `json:"not_after"`
}

type subjectBody struct {
	Subject string `json:"subject"`
}

type idBody struct {
	ID string `json:"id"`
}

type decideBody struct {
	ID      string      `json:"id"`
	Verdict kmc.Verdict `json:"verdict"`
}

type takeBody struct {
	ID       string       `json:"id"`
	Receipt  string       `json:"receipt"`
	Standing kmc.Standing `json:"standing"`
}

// problem is a refusal on the wire.
type problem struct {
	Kind string `json:"kind"`
	Code string `json:"code"`
	ZH   string `json:"zh"`
	EN   string `json:"en"`
}

// statuses maps the kinds of refusals to HTTP and back.
var statuses = map[fault.Kind]int{
	fault.Invalid: 400, fault.Unauthenticated: 401, fault.Denied: 403, fault.NotFound: 404, fault.Conflict: 409, fault.Limited: 429,
	fault.Unavailable: 503, fault.Internal: 500,
}

func kindOf(name string) fault.Kind {
	for kind := range statuses {
		if kind.String() == name {
			return kind
		}
	}
	return fault.Internal
}

func tell(err error) problem {
	f, ok := errors.AsType[*fault.Error](err)
	if !ok || f.Kind == fault.Internal {
		return problem{Kind: fault.Internal.String(), Code: "internal"}
	}
	return problem{Kind: f.Kind.String(), Code: f.Code, ZH: f.Text.ZH, EN: f.Text.EN}
}

// decode reads exactly one JSON value of known fields.
func decode(text []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("more than one value")
	}
	return nil
}

func (b orderBody) order() (o kmc.Order, err error) {
	o = kmc.Order{Request: b.Request, Authority: b.Authority, Profile: b.Profile, Subject: b.Subject}
	if o.Signing, err = gm.PublicKey(b.Signing); err != nil {
		return o, kmc.ErrAsk.With("signing key: %w", err)
	}
	if len(b.Temporary) > 0 {
		if o.Temporary, err = gm.PublicKey(b.Temporary); err != nil {
			return o, kmc.ErrAsk.With("temporary key: %w", err)
		}
	}
	return o, nil
}

func point(key *ecdsa.PublicKey) []byte {
	if !gm.IsSM2(key) {
		return nil
	}
	return gm.Point(key)
}
