package check

import (
	"bytes"
	"slices"
	"time"

	"hufu/certs"
	"hufu/internal/gm"
)

// cms checks SignedData: over content itself, or over its SM3 digest. inDocument: content is a Signature.xml.
func (r *record) cms(der, content []byte, inDocument bool, proof []byte) {
	sd, err := certs.ParseSignedData(der)
	if err != nil {
		r.fail(StepParse, "parse.value", "", clean(err.Error()))
		r.unreadable()
		return
	}
	r.pass(StepParse, "%s", sd.Type)
	who, hashed, err := r.cmsVerify(sd, content, inDocument)
	for _, s := range sd.NonStandard {
		r.remark("remark.cms", s)
	}
	if err != nil || len(who) == 0 {
		r.cmsFailed(sd, err)
		return
	}
	if hashed {
		r.remark("remark.digest-content")
	}
	first := who[0]
	for _, s := range first.NonStandard {
		r.remark("remark.cms", s)
	}
	r.out.Signer = signerOf(first.Certificate)
	r.pass(StepSignature, "%s", first.Certificate.Subject)
	if !first.Info.SigningTime.IsZero() {
		r.used = time.Time{}
		r.claim(first.Info.SigningTime.UTC())
	}
	if token, ok := first.Info.UnsignedAttribute(certs.OIDTimeStampToken); ok {
		r.timeStamp(token, first.Info.Signature, true)
	}
	r.logProof(proof, first.Info.Signature)
	for _, w := range who {
		r.certificate(w.Certificate, personPurposes, sd.Certificates)
	}
}

// cmsVerify finds what the message signs: the content (inside or not), or its digest. hashed tells the second.
func (r *record) cmsVerify(sd *certs.SignedData, content []byte, inDocument bool) (who []certs.VerifiedSigner, hashed bool, err error) {
	const n = StepDataHash
	more := r.outsideSigners()
	sum := gm.SM3(content)
	if !sd.Detached {
		switch {
		case content == nil && !inDocument:
			r.pass(n, "%s", "")
		case bytes.Equal(sd.Content, content):
			r.pass(n, "SM3 %x", sum[:8])
		case bytes.Equal(sd.Content, sum[:]):
			hashed = true
			r.pass(n, "SM3 %x", sum[:8])
		default:
			r.fail(n, "datahash.content", "")
		}
		who, err = sd.Verify(nil, more...)
		return who, hashed, err
	}
	if content == nil {
		r.doubt(n, "datahash.no-content", "")
		return nil, false, errNoContent
	}
	if who, err = sd.Verify(content, more...); err != nil {
		if byDigest, again := sd.Verify(sum[:], more...); again == nil {
			who, err, hashed = byDigest, nil, true
		}
	}
	if err == nil {
		r.pass(n, "SM3 %x", sum[:8])
	}
	return who, hashed, err
}

// cmsFailed says why a message could not be verified.
func (r *record) cmsFailed(sd *certs.SignedData, err error) {
	switch {
	case err == errNoContent:
		r.doubt(StepSignature, "datahash.no-content", "")
	case isNoSigner(err):
		r.doubt(StepSignature, "signer.unknown", "")
		r.doubt(StepDataHash, "signer.unknown", "")
	default:
		r.fail(StepSignature, "signature.wrong", clean(err.Error()))
		if sd.Detached { // content and signature cannot be told apart then
			r.fail(StepDataHash, "datahash.content", "")
		}
	}
	r.doubt(StepSignerCertificate, "not-possible", "")
	r.doubt(StepSignerRevocation, "not-possible", "")
}

// outsideSigners are certificates that a signature without its own may be tried with.
func (r *record) outsideSigners() []*certs.Certificate {
	out := slices.Clone(r.o.Signers)
	if r.o.Bundle != nil {
		out = append(out, r.o.Bundle.SignerCertificates()...)
	}
	return out
}
