package check

import (
	"errors"

	"hufu/certs"
	"hufu/seal/ofd"
	"hufu/seal/ses"
)

var errNoContent = errors.New("the signed content is not at hand")

func isNoSigner(err error) bool { return errors.Is(err, certs.ErrNoSigner) }

// detachedCMS checks SignedData over Options.Content, or over the content inside.
func (o *Options) detachedCMS(r *Report, der []byte) {
	rec := newRecord(o, "", string(ofd.TypeSign))
	rec.out.Format = "cms"
	rec.cms(der, o.Content, false, nil)
	rec.signingTime()
	r.single(rec)
}

func (o *Options) detachedBare(r *Report, der []byte) {
	rec := newRecord(o, "", string(ofd.TypeSign))
	rec.out.Format = "bare"
	rec.remark("remark.bare")
	rec.bare(der, o.Content, nil)
	rec.signingTime()
	r.single(rec)
}

// detachedSeal checks an SES_Signature over Options.Content: what a sealing service returns for an external hash.
func (o *Options) detachedSeal(r *Report, der []byte) {
	sig, err := ses.ParseSignature(der)
	if err != nil {
		return // isSignature has parsed it
	}
	rec := newRecord(o, "", string(ofd.TypeSeal))
	rec.pass(StepParse, "%s", o.text("evidence.octets", len(der)))
	rec.sesSignature(sig, o.Content, "", nil)
	rec.signingTime()
	r.single(rec)
}
