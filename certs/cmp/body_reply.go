package cmp

import (
	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"hufu/certs"
)

func readReply(s *cryptobyte.String) (*Reply, error) {
	var in, pubs, list cryptobyte.String
	var present bool
	r := &Reply{}
	if !s.ReadASN1(&in, cbasn1.SEQUENCE) || !s.Empty() || !in.ReadOptionalASN1(&pubs, &present, explicit(1)) {
		return nil, malformed("reply")
	}
	if present {
		var err error
		if r.CAPubs, err = readElements(&pubs, "certificates of authorities"); err != nil {
			return nil, err
		}
	}
	if !in.ReadASN1(&list, cbasn1.SEQUENCE) || !in.Empty() {
		return nil, malformed("reply")
	}
	for !list.Empty() {
		var one Response
		if len(r.Responses) == maxList || !readResponse(&list, &one) {
			return nil, malformed("response")
		}
		r.Responses = append(r.Responses, one)
	}
	return r, nil
}

func readResponse(s *cryptobyte.String, out *Response) bool {
	var in, pair cryptobyte.String
	if !s.ReadASN1(&in, cbasn1.SEQUENCE) || !in.ReadASN1Integer(&out.ID) || !readStatusInfo(&in, &out.Status) {
		return false
	}
	if in.Empty() {
		return true
	}
	var which, certificate, envelope cryptobyte.String
	var present bool
	if !in.ReadASN1(&pair, cbasn1.SEQUENCE) || !in.Empty() || !pair.ReadASN1(&which, explicit(0)) ||
		!which.ReadASN1Element(&certificate, cbasn1.SEQUENCE) || !which.Empty() || !pair.ReadOptionalASN1(&envelope, &present, explicit(0)) || !pair.Empty() {
		return false
	}
	out.Certificate = certificate
	if present {
		var tag cbasn1.Tag
		var element cryptobyte.String
		if !envelope.ReadAnyASN1Element(&element, &tag) || !envelope.Empty() {
			return false
		}
		out.Envelope = element
	}
	return true
}

func addReply(b *cryptobyte.Builder, r *Reply) {
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		if len(r.CAPubs) > 0 {
			b.AddASN1(explicit(1), func(b *cryptobyte.Builder) { addElements(b, r.CAPubs) })
		}
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			for _, one := range r.Responses {
				addResponse(b, one)
			}
		})
	})
}

func addResponse(b *cryptobyte.Builder, r Response) {
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(r.ID)
		addStatusInfo(b, r.Status)
		if r.Certificate == nil {
			return
		}
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1(explicit(0), func(b *cryptobyte.Builder) { b.AddBytes(r.Certificate) })
			if r.Envelope != nil {
				b.AddASN1(explicit(0), func(b *cryptobyte.Builder) { b.AddBytes(r.Envelope) })
			}
		})
	})
}

// add writes the body.
func (b *Body) add(out *cryptobyte.Builder) {
	write := map[Kind]func(*cryptobyte.Builder){
		P10CR:    func(o *cryptobyte.Builder) { o.AddBytes(b.PKCS10) },
		RR:       b.addRevocations,
		RP:       b.addRevoked,
		PKIConf:  func(o *cryptobyte.Builder) { o.AddASN1NULL() },
		CertConf: b.addConfirmations,
		Error:    b.addError,
		PollReq:  b.addPolls,
		PollRep:  b.addPolls,
	}[b.Kind]
	switch b.Kind {
	case IR, CR, KUR:
		write = func(o *cryptobyte.Builder) {
			var all [][]byte
			for _, m := range b.Requests {
				all = append(all, m.Raw)
			}
			addElements(o, all)
		}
	case IP, CP, KUP:
		write = func(o *cryptobyte.Builder) { addReply(o, b.Reply) }
	case GenM, GenP:
		write = func(o *cryptobyte.Builder) { addInfos(o, b.General) }
	}
	if write == nil || (b.Kind == IP || b.Kind == CP || b.Kind == KUP) && b.Reply == nil || b.Kind == Error && b.Error == nil {
		out.SetError(errKind)
		return
	}
	out.AddASN1(explicit(int(b.Kind)), write)
}

func (b *Body) addRevocations(o *cryptobyte.Builder) {
	o.AddASN1(cbasn1.SEQUENCE, func(o *cryptobyte.Builder) {
		for _, r := range b.Revocations {
			o.AddASN1(cbasn1.SEQUENCE, func(o *cryptobyte.Builder) {
				o.AddBytes(r.Template.Raw)
				if len(r.Extensions) == 0 {
					return
				}
				o.AddASN1(cbasn1.SEQUENCE, func(o *cryptobyte.Builder) {
					for _, e := range r.Extensions {
						certs.AddExtension(o, e)
					}
				})
			})
		}
	})
}

func (b *Body) addRevoked(o *cryptobyte.Builder) {
	o.AddASN1(cbasn1.SEQUENCE, func(o *cryptobyte.Builder) {
		o.AddASN1(cbasn1.SEQUENCE, func(o *cryptobyte.Builder) {
			for _, s := range b.Revoked {
				addStatusInfo(o, s)
			}
		})
	})
}

func (b *Body) addConfirmations(o *cryptobyte.Builder) {
	o.AddASN1(cbasn1.SEQUENCE, func(o *cryptobyte.Builder) {
		for _, c := range b.Confirm {
			o.AddASN1(cbasn1.SEQUENCE, func(o *cryptobyte.Builder) {
				o.AddASN1OctetString(c.Hash)
				o.AddASN1Int64(c.ID)
				if c.Status != nil {
					addStatusInfo(o, *c.Status)
				}
				if c.Algorithm.Raw != nil {
					o.AddASN1(explicit(0), func(o *cryptobyte.Builder) { o.AddBytes(c.Algorithm.Raw) })
				}
			})
		}
	})
}

func (b *Body) addError(o *cryptobyte.Builder) {
	o.AddASN1(cbasn1.SEQUENCE, func(o *cryptobyte.Builder) {
		addStatusInfo(o, b.Error.Status)
		if b.Error.Code != nil {
			o.AddASN1Int64(*b.Error.Code)
		}
		if len(b.Error.Details) > 0 {
			addFreeText(o, b.Error.Details)
		}
	})
}

func (b *Body) addPolls(o *cryptobyte.Builder) {
	o.AddASN1(cbasn1.SEQUENCE, func(o *cryptobyte.Builder) {
		for _, p := range b.Polls {
			o.AddASN1(cbasn1.SEQUENCE, func(o *cryptobyte.Builder) {
				o.AddASN1Int64(p.ID)
				if b.Kind != PollRep {
					return
				}
				o.AddASN1Int64(p.After)
				if len(p.Reason) > 0 {
					addFreeText(o, p.Reason)
				}
			})
		}
	})
}
