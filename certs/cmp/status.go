package cmp

import (
	"errors"
	"fmt"
	"math/bits"
	"strings"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// Status is PKIStatus.
type Status int64

// The statuses (RFC 4210, section 5.2.3).
const (
	Accepted               Status = 0
	GrantedWithMods        Status = 1
	Rejection              Status = 2
	Waiting                Status = 3
	RevocationWarning      Status = 4
	RevocationNotification Status = 5
	KeyUpdateWarning       Status = 6
)

// Failure is one bit of PKIFailureInfo, or several together.
type Failure uint32

// The failures, bit i of the BIT STRING as 1<<i.
const (
	BadAlg Failure = 1 << iota
	BadMessageCheck
	BadRequest
	BadTime
	BadCertID
	BadDataFormat
	WrongAuthority
	IncorrectData
	MissingTimeStamp
	BadPOP
	CertRevoked
	CertConfirmed
	WrongIntegrity
	BadRecipientNonce
	TimeNotAvailable
	UnacceptedPolicy
	UnacceptedExtension
	AddInfoNotAvailable
	BadSenderNonce
	BadCertTemplate
	SignerNotTrusted
	TransactionIDInUse
	UnsupportedVersion
	NotAuthorized
	SystemUnavailable
	SystemFailure
	DuplicateCertReq

	allFailures = 1<<27 - 1
)

var failureNames = [...]string{
	"badAlg", "badMessageCheck", "badRequest", "badTime", "badCertId", "badDataFormat", "wrongAuthority", "incorrectData", "missingTimeStamp",
	"badPOP", "certRevoked", "certConfirmed", "wrongIntegrity", "badRecipientNonce", "timeNotAvailable", "unacceptedPolicy",
	"unacceptedExtension", "addInfoNotAvailable", "badSenderNonce", "badCertTemplate", "signerNotTrusted", "transactionIdInUse",
	"unsupportedVersion", "notAuthorized", "systemUnavail", "systemFailure", "duplicateCertReq",
}

// String returns the names of the bits.
func (f Failure) String() string {
	var names []string
	for i, name := range failureNames {
		if f&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return strings.Join(names, ",")
}

// StatusInfo is PKIStatusInfo: how it went, with words for people and reasons for machines.
type StatusInfo struct {
	Status  Status
	Text    []string
	Failure Failure // 0 leaves it out
}

// ErrRefused is what an answer means that does not grant what was asked for.
var ErrRefused = errors.New("refused by the authority")

// Err returns nil when the status grants what was asked for, else an ErrRefused with the reasons told.
func (s StatusInfo) Err() error {
	if s.Status == Accepted || s.Status == GrantedWithMods {
		return nil
	}
	return fmt.Errorf("status %d, %s, %q: %w", s.Status, s.Failure, s.Text, ErrRefused)
}

func addStatusInfo(b *cryptobyte.Builder, s StatusInfo) {
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(int64(s.Status))
		if len(s.Text) > 0 {
			addFreeText(b, s.Text)
		}
		if s.Failure != 0 {
			addFailure(b, s.Failure)
		}
	})
}

// addFailure writes a named bit list: DER leaves trailing zero bits out.
func addFailure(b *cryptobyte.Builder, f Failure) {
	top := bits.Len32(uint32(f)) // number of bits
	octets := make([]byte, 1+(top+7)/8)
	octets[0] = byte(len(octets[1:])*8 - top)
	for i := range top {
		if f&(1<<i) != 0 {
			octets[1+i/8] |= 0x80 >> (i % 8)
		}
	}
	b.AddASN1(cbasn1.BIT_STRING, func(b *cryptobyte.Builder) { b.AddBytes(octets) })
}

func readStatusInfo(s *cryptobyte.String, out *StatusInfo) bool {
	var in cryptobyte.String
	var status int64
	if !s.ReadASN1(&in, cbasn1.SEQUENCE) || !in.ReadASN1Integer(&status) {
		return false
	}
	out.Status = Status(status)
	if in.PeekASN1Tag(cbasn1.SEQUENCE) && !readFreeText(&in, &out.Text) {
		return false
	}
	if in.PeekASN1Tag(cbasn1.BIT_STRING) && !readFailure(&in, &out.Failure) {
		return false
	}
	return in.Empty()
}

func readFailure(s *cryptobyte.String, out *Failure) bool {
	var octets cryptobyte.String
	if !s.ReadASN1(&octets, cbasn1.BIT_STRING) || len(octets) < 2 || len(octets) > 5 {
		return false
	}
	content := octets[1:]
	for i := range len(content) * 8 {
		if content[i/8]&(0x80>>(i%8)) != 0 {
			*out |= 1 << i
		}
	}
	top := bits.Len32(uint32(*out))
	return *out != 0 && *out&^allFailures == 0 && len(content) == (top+7)/8 && int(octets[0]) == len(content)*8-top
}

// addFreeText writes PKIFreeText.
func addFreeText(b *cryptobyte.Builder, text []string) {
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		for _, line := range text {
			b.AddASN1(cbasn1.UTF8String, func(b *cryptobyte.Builder) { b.AddBytes([]byte(line)) })
		}
	})
}

func readFreeText(s *cryptobyte.String, out *[]string) bool {
	var in cryptobyte.String
	if !s.ReadASN1(&in, cbasn1.SEQUENCE) || in.Empty() {
		return false
	}
	for !in.Empty() {
		var line cryptobyte.String
		if len(*out) == maxList || !in.ReadASN1(&line, cbasn1.UTF8String) {
			return false
		}
		*out = append(*out, string(line))
	}
	return true
}
