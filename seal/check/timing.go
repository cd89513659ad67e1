package check

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"hufu/audit/tree"
	"hufu/certs"
)

// claim sets the time that signer or file claim.
func (r *record) claim(t time.Time) {
	r.claimed = t
	if r.used.IsZero() && !t.IsZero() {
		r.used = t
		r.out.Time.Source = SourceClaimed
	}
}

// prove sets a time that others than the signer vouch for. The first, best source wins.
func (r *record) prove(t time.Time, source string) {
	if r.proven {
		return
	}
	r.used, r.proven, r.out.Time.Source = t, true, source
}

// timeStamp checks a token over the octets of a signature value. of says whose time it is: only a token on the signature proves its time.
func (r *record) timeStamp(token, over []byte, proves bool) {
	const n = StepTimeStamp
	ts, err := certs.ParseTimeStamp(token)
	if err != nil {
		r.fail(n, "timestamp.not-a-token", "", err.Error())
		return
	}
	var known []*certs.Certificate
	if r.o.Bundle != nil {
		known = r.o.Bundle.TimeStampCertificates()
	}
	cert, notes, err := ts.Verify(over, r.o.At.Add(clockSkew), append(known, r.o.Anchors...)...)
	switch {
	case errors.Is(err, certs.ErrNoSigner):
		r.doubt(n, "timestamp.unknown", "", err.Error())
		return
	case ts.Info.Time.After(r.o.At.Add(clockSkew)):
		r.doubt(n, "time.future", "", stamp(ts.Info.Time))
		return
	case err != nil:
		r.fail(n, "timestamp.wrong", "", err.Error())
		return
	}
	for _, s := range notes {
		r.remark("remark.timestamp", s)
	}
	v := r.o.validate(question{cert: cert, at: ts.Info.Time, proven: true, purposes: stampPurposes, purpose: certs.PurposeTimeStamp, more: ts.Signed.Certificates})
	r.stampPath(v, cert)
	if r.result(n) == Passed && proves {
		r.prove(ts.Info.Time.UTC(), SourceTimeStamp)
	}
}

// stampPath judges the authority of a token: its path, and a status that is known.
func (r *record) stampPath(v verdict, cert *certs.Certificate) {
	const n = StepTimeStamp
	r.pass(n, "%s", cert.Subject)
	for _, s := range v.Steps {
		switch {
		case s.Name == certs.StepRevocation:
		case s.Outcome == certs.Failed:
			r.fail(n, "timestamp.wrong", s.Evidence, r.o.text(s.Code))
		case s.Outcome == certs.Indeterminate:
			r.doubt(n, "timestamp.unknown", s.Evidence, r.o.text(s.Code))
		}
	}
	r.revocationStep(n, v)
}

// LogFact is the name of the public fact of an audit entry "seal.use" that binds it to a signature, and LogValue its
// value: SM3 in hex over the octets of the signature value (for seals the BIT STRING's, before a time-stamp is added).
const (
	LogAction = "seal.use"
	LogFact   = "signature"
)

// LogValue is the value of LogFact.
func LogValue(signatureValue []byte) string { return hexSum(signatureValue) }

// logProof checks our side file: the entry is about this signature, stands in the log's tree, and enough witnesses saw that tree.
func (r *record) logProof(text, signatureValue []byte) {
	const n = StepLogProof
	if text == nil {
		return
	}
	p, err := tree.ParseProof(text)
	if err != nil {
		r.fail(n, "log.malformed", "", err.Error())
		return
	}
	var leaf struct {
		At     time.Time         `json:"at"`
		Action string            `json:"action"`
		Public map[string]string `json:"public"`
	}
	if err := json.Unmarshal(p.Entry, &leaf); err != nil {
		r.fail(n, "log.malformed", "", err.Error())
		return
	}
	if leaf.Action != LogAction || leaf.Public[LogFact] != LogValue(signatureValue) {
		r.fail(n, "log.other", leaf.Action)
		return
	}
	v, ok := r.inclusion(p)
	if !ok {
		return
	}
	r.pass(n, "%s, %d / %d, %d", v.Origin, p.Index, v.Size, len(v.Cosignatures))
	if leaf.At.After(r.o.At.Add(clockSkew)) {
		r.doubt(n, "time.future", "", stamp(leaf.At))
		return
	}
	r.prove(leaf.At.UTC().Truncate(time.Second), SourceLog)
}

// inclusion verifies a proof under the logs of the bundle.
func (r *record) inclusion(p tree.Proof) (tree.Verified, bool) {
	const n = StepLogProof
	origin, _, _ := strings.Cut(string(p.Checkpoint), "\n")
	if r.o.Bundle == nil {
		r.doubt(n, "log.unknown", clean(origin))
		return tree.Verified{}, false
	}
	for _, l := range r.o.Bundle.Logs {
		key, err := tree.ParseKey(l.Key)
		if err != nil || key.Name() != origin {
			continue
		}
		var witnesses []*tree.Key
		for _, w := range l.Witnesses {
			if k, err := tree.ParseKey(w); err == nil {
				witnesses = append(witnesses, k)
			}
		}
		v, err := p.Verify(key, witnesses, l.Quorum)
		switch {
		case errors.Is(err, tree.ErrQuorum):
			r.doubt(n, "log.quorum", clean(origin))
			return v, false
		case err != nil:
			r.fail(n, "log.wrong", clean(origin), err.Error())
			return v, false
		}
		for _, known := range l.Checkpoints {
			if forked, err := tree.VerifyFork(p.Checkpoint, []byte(known), key); err == nil && forked {
				r.fail(n, "log.forked", clean(origin))
				return v, false
			}
		}
		return v, true
	}
	r.doubt(n, "log.unknown", clean(origin))
	return tree.Verified{}, false
}

// signingTime sums up what is known of the time. It runs last of what concerns time.
func (r *record) signingTime() {
	const n = StepSigningTime
	if r.used.IsZero() {
		r.doubt(n, "time.none", "")
		return
	}
	r.pass(n, "%s, %s", stamp(r.used), r.out.Time.Source)
	if r.outside {
		r.fail(n, "time.outside", "")
	}
	if r.claimed.After(r.o.At.Add(clockSkew)) {
		r.doubt(n, "time.future", "", stamp(r.claimed))
	}
	if r.proven && r.claimed.After(r.used.Add(clockSkew)) {
		r.fail(n, "time.order", "", stamp(r.claimed), stamp(r.used))
	}
	if r.ended && !r.proven {
		r.doubt(n, "time.claimed-only", "")
	}
}

// beijing is the zone of times that are written without one.
var beijing = time.FixedZone("CST", 8*3600)

// xmlTime reads SignatureDateTime in the forms met. It is a claim, and "Z" is often Beijing time in it.
func xmlTime(s string) time.Time {
	for _, f := range []string{time.RFC3339, "20060102150405Z", "20060102150405.999Z"} {
		if t, err := time.Parse(f, s); err == nil {
			return t.UTC()
		}
	}
	for _, f := range []string{"2006-01-02 15:04:05", "20060102150405", "2006-01-02T15:04:05"} {
		if t, err := time.ParseInLocation(f, s, beijing); err == nil {
			return t.UTC()
		}
	}
	return time.Time{}
}

// zPrefixed tells whether hash is SM3(Z ‖ message) under the signer's key: a form that some makers are said to use.
func zPrefixed(c *certs.Certificate, message, hash []byte) bool {
	e, ok := digestWithZ(c, message)
	return ok && bytes.Equal(e, hash)
}
