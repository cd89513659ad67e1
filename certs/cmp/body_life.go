package cmp

import (
	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"hufu/certs"
)

func readRevocations(s *cryptobyte.String) ([]Revocation, error) {
	raw, err := readElements(s, "revocation requests")
	if err != nil {
		return nil, err
	}
	var all []Revocation
	for _, one := range raw {
		var in, template cryptobyte.String
		outer := cryptobyte.String(one)
		if !outer.ReadASN1(&in, cbasn1.SEQUENCE) || !in.ReadASN1Element(&template, cbasn1.SEQUENCE) {
			return nil, malformed("revocation request")
		}
		var r Revocation
		if r.Template, err = certs.ParseRequestTemplate(template); err != nil {
			return nil, err
		}
		if !in.Empty() && !readExtensions(&in, &r.Extensions) || !in.Empty() {
			return nil, malformed("revocation request")
		}
		all = append(all, r)
	}
	return all, nil
}

func readExtensions(s *cryptobyte.String, out *[]certs.Extension) bool {
	var list cryptobyte.String
	if !s.ReadASN1(&list, cbasn1.SEQUENCE) || list.Empty() {
		return false
	}
	for !list.Empty() {
		var one cryptobyte.String
		var value cryptobyte.String
		var e certs.Extension
		if len(*out) == maxList || !list.ReadASN1(&one, cbasn1.SEQUENCE) || !certs.ReadOID(&one, &e.ID) {
			return false
		}
		if one.PeekASN1Tag(cbasn1.BOOLEAN) && (!one.ReadASN1Boolean(&e.Critical) || !e.Critical) {
			return false
		}
		if !one.ReadASN1(&value, cbasn1.OCTET_STRING) || !one.Empty() {
			return false
		}
		e.Value = value
		*out = append(*out, e)
	}
	return true
}

func readConfirmations(s *cryptobyte.String) ([]Confirmation, error) {
	var list cryptobyte.String
	if !s.ReadASN1(&list, cbasn1.SEQUENCE) || !s.Empty() {
		return nil, malformed("confirmation")
	}
	var all []Confirmation
	for !list.Empty() {
		var one, hash, algorithm cryptobyte.String
		var c Confirmation
		var present bool
		if len(all) == maxList || !list.ReadASN1(&one, cbasn1.SEQUENCE) || !one.ReadASN1(&hash, cbasn1.OCTET_STRING) || !one.ReadASN1Integer(&c.ID) {
			return nil, malformed("confirmation")
		}
		c.Hash = hash
		if one.PeekASN1Tag(cbasn1.SEQUENCE) {
			c.Status = &StatusInfo{}
			if !readStatusInfo(&one, c.Status) {
				return nil, malformed("confirmation")
			}
		}
		if !one.ReadOptionalASN1(&algorithm, &present, explicit(0)) || !one.Empty() ||
			present && (!certs.ReadAlgorithm(&algorithm, &c.Algorithm) || !algorithm.Empty()) {
			return nil, malformed("confirmation")
		}
		all = append(all, c)
	}
	return all, nil
}
