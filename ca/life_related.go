package ca

import (
	"encoding/hex"
	"slices"
)

// Why a certificate is named beside a revoked one.
const (
	RelatedPair      = "pair"      // issued with it: the encryption certificate of a signing one, and the reverse
	RelatedSuccessor = "successor" // replaced it
)

// Related is a certificate that has to do with a revoked one.
type Related struct {
	Serial  []byte
	Profile string
	Why     string // "pair": issued with it; "successor": replaced it; "obtained": asked for with it
	Under   []byte // of an obtained one: serial of the certificate that authorised it
}

type relative struct {
	record Record
	why    string
}

// relatives finds the other certificates of the same application, and those that replaced it.
func relatives(r R, c Record) (all []relative, err error) {
	app, err := r.Application(c.Application)
	if isUnknown(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	own := hex.EncodeToString(c.Serial)
	for _, serial := range app.Certificates {
		if serial == own {
			continue
		}
		if all, err = appendRelative(r, all, serial, RelatedPair); err != nil {
			return nil, err
		}
	}
	next, err := r.Successor(own)
	if isUnknown(err) {
		return all, nil
	}
	if err != nil {
		return nil, err
	}
	for _, serial := range next.Certificates {
		if all, err = appendRelative(r, all, serial, RelatedSuccessor); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func appendRelative(r R, all []relative, serial, why string) ([]relative, error) {
	number, err := parseSerial(serial)
	if err != nil {
		return nil, err
	}
	record, err := r.CertificateBySerial(number)
	if err != nil {
		return nil, err
	}
	if slices.ContainsFunc(all, func(o relative) bool { return slices.Equal(o.record.Serial, record.Serial) }) {
		return all, nil
	}
	return append(all, relative{record, why}), nil
}
