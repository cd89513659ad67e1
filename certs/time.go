package certs

import (
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

const (
	utcTimeForm     = "060102150405Z"
	generalTimeForm = "20060102150405Z"
)

// AddTime appends a Time of RFC 5280, 4.1.2.5: UTCTime through 2049, GeneralizedTime from then, whole seconds.
func AddTime(b *cryptobyte.Builder, t time.Time) {
	t = t.UTC().Truncate(time.Second)
	switch year := t.Year(); {
	case year >= 1950 && year < 2050:
		addTimeText(b, cbasn1.UTCTime, t.Format(utcTimeForm))
	case year >= 0 && year <= 9999:
		AddGeneralizedTime(b, t)
	default:
		b.SetError(malformed("time outside the years 0 to 9999"))
	}
}

// AddGeneralizedTime appends a GeneralizedTime in UTC with whole seconds.
func AddGeneralizedTime(b *cryptobyte.Builder, t time.Time) {
	addTimeText(b, cbasn1.GeneralizedTime, t.UTC().Truncate(time.Second).Format(generalTimeForm))
}

func addTimeText(b *cryptobyte.Builder, tag cbasn1.Tag, text string) {
	b.AddASN1(tag, func(b *cryptobyte.Builder) { b.AddBytes([]byte(text)) })
}

// ReadTime reads a Time as RFC 5280 writes it: Z, whole seconds, UTCTime through 2049.
func ReadTime(s *cryptobyte.String) (time.Time, bool) {
	t, odd, ok := readTime(s)
	return t, ok && odd == ""
}

// ReadGeneralizedTime reads a GeneralizedTime of the form YYYYMMDDHHMMSSZ.
func ReadGeneralizedTime(s *cryptobyte.String) (time.Time, bool) {
	var content cryptobyte.String
	if !s.ReadASN1(&content, cbasn1.GeneralizedTime) {
		return time.Time{}, false
	}
	return parseTimeForm(generalTimeForm, string(content))
}

// looseForms are the forms of BER and X.680 that DER or RFC 5280 forbids and that are met.
var looseForms = map[cbasn1.Tag][]string{
	cbasn1.UTCTime: {"0601021504Z", "060102150405-0700", "0601021504-0700"},
	cbasn1.GeneralizedTime: {
		"200601021504Z", "20060102150405.999999999Z", "20060102150405-0700",
		"20060102150405.999999999-0700", "20060102150405",
	},
}

// readTime reads a Time; odd names what is unusual about it, "" when it is as RFC 5280 has it.
func readTime(s *cryptobyte.String) (t time.Time, odd string, ok bool) {
	var content cryptobyte.String
	var tag cbasn1.Tag
	if !s.ReadAnyASN1(&content, &tag) {
		return time.Time{}, "", false
	}
	form := generalTimeForm
	switch tag {
	case cbasn1.UTCTime:
		form = utcTimeForm
	case cbasn1.GeneralizedTime:
	default:
		return time.Time{}, "", false
	}
	text := string(content)
	if t, ok = parseTimeForm(form, text); ok {
		if tag == cbasn1.GeneralizedTime && t.Year() >= 1950 && t.Year() < 2050 {
			odd = "GeneralizedTime before 2050"
		}
		return t, odd, true
	}
	for _, form := range looseForms[tag] {
		if t, err := time.Parse(form, text); err == nil {
			return century(tag, t), "time in the form " + printable(text), true
		}
	}
	return time.Time{}, "", false
}

// parseTimeForm accepts only what would be written back the same.
func parseTimeForm(form, text string) (time.Time, bool) {
	t, err := time.Parse(form, text)
	if err != nil || t.Format(form) != text {
		return time.Time{}, false
	}
	if form == utcTimeForm {
		t = century(cbasn1.UTCTime, t)
	}
	return t, true
}

// century maps two-digit years to 1950–2049 (package time maps to 1969–2068).
func century(tag cbasn1.Tag, t time.Time) time.Time {
	if tag == cbasn1.UTCTime && t.Year() >= 2050 {
		t = t.AddDate(-100, 0, 0)
	}
	return t.UTC()
}
