package certs

import (
	"fmt"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// readCRLEntry reads one revoked certificate.
func readCRLEntry(s *cryptobyte.String) (CRLEntry, error) {
	var fields, serial, extensions cryptobyte.String
	var e CRLEntry
	var ok bool
	if !s.ReadASN1(&fields, cbasn1.SEQUENCE) || !readSerial(&fields, &serial) {
		return e, malformed("serial number")
	}
	e.Serial = serial
	if e.RevokedAt, ok = quickUTCTime(&fields); !ok {
		if e.RevokedAt, ok = ReadTime(&fields); !ok {
			return e, malformed("revocation date")
		}
	}
	if fields.Empty() {
		return e, nil
	}
	if !fields.ReadASN1Element(&extensions, cbasn1.SEQUENCE) || !fields.Empty() {
		return e, malformed("entry extensions")
	}
	if string(extensions[:len(extensions)-1]) == "\x30\x0c"+reasonHead {
		e.Reason = Reason(extensions[len(extensions)-1])
		return e, checkReason(e.Reason)
	}
	all, err := readExtensions(extensions, "CRL entry")
	if err != nil {
		return e, err
	}
	for _, x := range all {
		if err := e.extension(x); err != nil {
			return e, err
		}
	}
	return e, nil
}

func (e *CRLEntry) extension(x Extension) error {
	value := cryptobyte.String(x.Value)
	switch x.ID {
	case OIDReasonCode:
		var reason int
		if !value.ReadASN1Enum(&reason) || !value.Empty() {
			return malformed("reason")
		}
		e.Reason = Reason(reason)
		return checkReason(e.Reason)
	case OIDInvalidityDate:
		var ok bool
		if e.InvalidityDate, ok = ReadGeneralizedTime(&value); !ok || !value.Empty() {
			return malformed("invalidity date")
		}
	default:
		if x.Critical {
			return fmt.Errorf("critical extension %s: %w", x.ID, ErrUnsupported)
		}
	}
	return nil
}

func checkReason(r Reason) error {
	if !r.Valid() {
		return malformed("%s", r)
	}
	return nil
}

// readSerial reads the content octets of a minimal INTEGER of at most 20 octets (and the sign octet).
func readSerial(s, out *cryptobyte.String) bool {
	if !s.ReadASN1(out, cbasn1.INTEGER) || len(*out) == 0 || len(*out) > maxSerialOctets+1 {
		return false
	}
	n := *out
	return len(n) == 1 || !(n[0] == 0 && n[1]&0x80 == 0 || n[0] == 0xff && n[1]&0x80 != 0)
}

// quickUTCTime reads YYMMDDHHMMSSZ without package time's general parser, which would take most of the time of a large list.
func quickUTCTime(s *cryptobyte.String) (time.Time, bool) {
	b := *s
	if len(b) < 15 || b[0] != byte(cbasn1.UTCTime) || b[1] != 13 || b[14] != 'Z' {
		return time.Time{}, false
	}
	var n [6]int
	for i := range n {
		hi, lo := b[2+2*i]-'0', b[3+2*i]-'0'
		if hi > 9 || lo > 9 {
			return time.Time{}, false
		}
		n[i] = int(hi)*10 + int(lo)
	}
	year := 1900 + n[0]
	if n[0] < 50 {
		year += 100
	}
	t := time.Date(year, time.Month(n[1]), n[2], n[3], n[4], n[5], 0, time.UTC)
	if t.Month() != time.Month(n[1]) || t.Day() != n[2] || n[3] > 23 || n[4] > 59 || n[5] > 59 {
		return time.Time{}, false
	}
	*s = b[15:]
	return t, true
}
