package certs

import (
	"bytes"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// TimeStampFailure is why an authority did not stamp (PKIFailureInfo, RFC 3161, 2.4.2): the number of its bit.
type TimeStampFailure int

// The failures.
const (
	TimeStampBadAlgorithm        TimeStampFailure = 0
	TimeStampBadRequest          TimeStampFailure = 2
	TimeStampBadDataFormat       TimeStampFailure = 5
	TimeStampTimeNotAvailable    TimeStampFailure = 14
	TimeStampUnacceptedPolicy    TimeStampFailure = 15
	TimeStampUnacceptedExtension TimeStampFailure = 16
	TimeStampInfoNotAvailable    TimeStampFailure = 17
	TimeStampSystemFailure       TimeStampFailure = 25
)

// Statuses of a response (PKIStatus).
const (
	timeStampGranted     = 0
	timeStampGrantedMods = 1
	timeStampRejection   = 2
	maxPKIStatus         = 5
)

// TimeStampResponse is a parsed response.
type TimeStampResponse struct {
	Granted bool
	Text    []string         // what the authority says to people
	Failure TimeStampFailure // when not granted; -1 when it names none
	Token   []byte           // when granted
}

// BuildTimeStampResponse grants a token.
func BuildTimeStampResponse(token []byte) ([]byte, error) {
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) { b.AddASN1Int64(timeStampGranted) })
		b.AddBytes(token)
	})
	return b.Bytes()
}

// BuildTimeStampRejection refuses, with a text for people.
func BuildTimeStampRejection(failure TimeStampFailure, text string) ([]byte, error) {
	if failure < 0 || failure > TimeStampSystemFailure {
		return nil, malformed("time-stamp failure %d", int(failure))
	}
	bits := make([]byte, 2+failure/8)
	bits[0] = byte(7 - failure%8) // named bits: no trailing zeros
	bits[1+failure/8] = 0x80 >> (failure % 8)
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1Int64(timeStampRejection)
			if text != "" {
				b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
					b.AddASN1(cbasn1.UTF8String, func(b *cryptobyte.Builder) { b.AddBytes([]byte(text)) })
				})
			}
			b.AddASN1(cbasn1.BIT_STRING, func(b *cryptobyte.Builder) { b.AddBytes(bits) })
		})
	})
	return b.Bytes()
}

// ParseTimeStampResponse reads a response.
func ParseTimeStampResponse(der []byte) (*TimeStampResponse, error) {
	if len(der) > MaxTimeStampTokenSize {
		return nil, fmt.Errorf("time-stamp response of %d octets: %w", len(der), ErrTooLarge)
	}
	input := cryptobyte.String(der)
	var fields, status, token cryptobyte.String
	var code int64
	r := &TimeStampResponse{Failure: -1}
	if !input.ReadASN1(&fields, cbasn1.SEQUENCE) || !fields.ReadASN1(&status, cbasn1.SEQUENCE) ||
		!status.ReadASN1Integer(&code) || code < 0 || code > maxPKIStatus || !r.readStatus(status) {
		return nil, malformed("time-stamp response")
	}
	if !input.Empty() {
		return nil, fmt.Errorf("time-stamp response: %w", ErrTrailing)
	}
	r.Granted = code == timeStampGranted || code == timeStampGrantedMods
	if r.Granted != !fields.Empty() {
		return nil, malformed("time-stamp response: status %d with or without a token", code)
	}
	if r.Granted && (!fields.ReadASN1Element(&token, cbasn1.SEQUENCE) || !fields.Empty()) {
		return nil, malformed("time-stamp response: token")
	}
	r.Token = token
	return r, nil
}

func (r *TimeStampResponse) readStatus(s cryptobyte.String) bool {
	var texts, bits cryptobyte.String
	if s.PeekASN1Tag(cbasn1.SEQUENCE) && !s.ReadASN1(&texts, cbasn1.SEQUENCE) {
		return false
	}
	for !texts.Empty() {
		var text cryptobyte.String
		if !texts.ReadASN1(&text, cbasn1.UTF8String) || len(r.Text) == maxListEntries {
			return false
		}
		r.Text = append(r.Text, printable(string(text)))
	}
	if s.Empty() {
		return true
	}
	if !s.ReadASN1(&bits, cbasn1.BIT_STRING) || !s.Empty() || len(bits) == 0 || len(bits) > 5 || bits[0] > 7 {
		return false
	}
	for i := range 8 * (len(bits) - 1) {
		if bits[1+i/8]&(0x80>>(i%8)) != 0 {
			r.Failure = TimeStampFailure(i)
			break
		}
	}
	return true
}

// Check holds a granted token against the request: imprint, nonce and policy must be those asked for. It does not verify
// the signature; TimeStamp.Verify does.
func (r *TimeStampResponse) Check(request TimeStampRequest) (*TimeStamp, error) {
	if !r.Granted {
		return nil, fmt.Errorf("time-stamp refused, failure %d %q: %w", int(r.Failure), r.Text, ErrUnsupported)
	}
	t, err := ParseTimeStamp(r.Token)
	if err != nil {
		return nil, err
	}
	switch {
	case t.Info.Hash != request.Hash || !bytes.Equal(t.Info.Imprint, request.Imprint):
		return nil, fmt.Errorf("time-stamp is of something else than asked for: %w", ErrSignature)
	case !bytes.Equal(t.Info.Nonce, request.Nonce):
		return nil, fmt.Errorf("time-stamp answers another request: %w", ErrStale)
	case request.Policy != "" && t.Info.Policy != request.Policy:
		return nil, fmt.Errorf("time-stamp under policy %s instead of %s: %w", t.Info.Policy, request.Policy, ErrUnsupported)
	}
	return t, nil
}
