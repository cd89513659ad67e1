package cmp

import (
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"hufu/certs"
)

func (h *Header) parse(s *cryptobyte.String) error {
	var in cryptobyte.String
	if !s.ReadASN1(&in, cbasn1.SEQUENCE) || !in.ReadASN1Integer(&h.Version) {
		return malformed("version")
	}
	var err error
	if h.Sender, err = readDirectoryName(&in); err != nil {
		return fmt.Errorf("sender: %w", err)
	}
	if h.Recipient, err = readDirectoryName(&in); err != nil {
		return fmt.Errorf("recipient: %w", err)
	}
	fields := [...]func(*cryptobyte.String) bool{
		func(s *cryptobyte.String) (ok bool) { h.Time, ok = certs.ReadGeneralizedTime(s); return ok },
		func(s *cryptobyte.String) bool { return certs.ReadAlgorithm(s, &h.Algorithm) },
		octets(&h.SenderKID, 255),
		octets(&h.RecipientKID, 255),
		octets(&h.TransactionID, maxNonce),
		octets(&h.SenderNonce, maxNonce),
		octets(&h.RecipientNonce, maxNonce),
		func(s *cryptobyte.String) bool { return readFreeText(s, &h.Text) },
		func(s *cryptobyte.String) bool { return readInfos(s, &h.General) && len(h.General) > 0 },
	}
	for i, read := range fields {
		var field cryptobyte.String
		var present bool
		if !in.ReadOptionalASN1(&field, &present, explicit(i)) || present && (!read(&field) || !field.Empty()) {
			return malformed(fmt.Sprintf("field %d", i))
		}
	}
	if !in.Empty() {
		return malformed("unknown field")
	}
	return nil
}

// octets reads an OCTET STRING of 1 to limit octets.
func octets(out *[]byte, limit int) func(*cryptobyte.String) bool {
	return func(s *cryptobyte.String) bool {
		var content cryptobyte.String
		*out = nil
		if !s.ReadASN1(&content, cbasn1.OCTET_STRING) || content.Empty() || len(content) > limit {
			return false
		}
		*out = content
		return true
	}
}

// readDirectoryName reads a GeneralName, of which only the directoryName is used in messages.
func readDirectoryName(s *cryptobyte.String) (certs.Name, error) {
	var content cryptobyte.String
	var tag cbasn1.Tag
	if !s.ReadAnyASN1(&content, &tag) {
		return certs.Name{}, malformed("general name")
	}
	if tag != explicit(4) {
		return certs.Name{}, fmt.Errorf("general name that is no directory name: %w", ErrUnsupported)
	}
	return certs.ParseName(content)
}

func (h *Header) add(b *cryptobyte.Builder) {
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(h.Version)
		addDirectoryName(b, h.Sender)
		addDirectoryName(b, h.Recipient)
		if !h.Time.IsZero() {
			b.AddASN1(explicit(0), func(b *cryptobyte.Builder) { certs.AddGeneralizedTime(b, h.Time) })
		}
		if h.Algorithm.Raw != nil {
			b.AddASN1(explicit(1), func(b *cryptobyte.Builder) { b.AddBytes(h.Algorithm.Raw) })
		}
		for i, value := range [][]byte{h.SenderKID, h.RecipientKID, h.TransactionID, h.SenderNonce, h.RecipientNonce} {
			if value != nil {
				b.AddASN1(explicit(2+i), func(b *cryptobyte.Builder) { b.AddASN1OctetString(value) })
			}
		}
		if len(h.Text) > 0 {
			b.AddASN1(explicit(7), func(b *cryptobyte.Builder) { addFreeText(b, h.Text) })
		}
		if len(h.General) > 0 {
			b.AddASN1(explicit(8), func(b *cryptobyte.Builder) { addInfos(b, h.General) })
		}
	})
}

func addDirectoryName(b *cryptobyte.Builder, n certs.Name) {
	der, err := n.Marshal()
	if err != nil {
		b.SetError(err)
		return
	}
	b.AddASN1(explicit(4), func(b *cryptobyte.Builder) { b.AddBytes(der) })
}

func readInfos(s *cryptobyte.String, out *[]Info) bool {
	var list cryptobyte.String
	if !s.ReadASN1(&list, cbasn1.SEQUENCE) {
		return false
	}
	for !list.Empty() {
		var one, value cryptobyte.String
		var tag cbasn1.Tag
		var i Info
		if len(*out) == maxList || !list.ReadASN1(&one, cbasn1.SEQUENCE) || !certs.ReadOID(&one, &i.Type) {
			return false
		}
		if !one.Empty() {
			if !one.ReadAnyASN1Element(&value, &tag) || !one.Empty() || len(value) > maxInfo {
				return false
			}
			i.Value = value
		}
		*out = append(*out, i)
	}
	return true
}

func addInfos(b *cryptobyte.Builder, all []Info) {
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		for _, i := range all {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				certs.AddOID(b, i.Type)
				b.AddBytes(i.Value)
			})
		}
	})
}
