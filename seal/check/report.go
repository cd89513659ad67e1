package check

import (
	"encoding/json"
	"time"
)

// Result is what a check or a step came to.
type Result string

// Results.
const (
	Passed        Result = "PASSED"
	Failed        Result = "FAILED"
	Indeterminate Result = "INDETERMINATE"
	NotApplicable Result = "NOT_APPLICABLE"
)

// rank orders results from harmless to bad.
func (r Result) rank() int {
	switch r {
	case Failed:
		return 3
	case Indeterminate:
		return 2
	case Passed:
		return 1
	}
	return 0
}

func worse(a, b Result) Result {
	if b.rank() > a.rank() {
		return b
	}
	return a
}

// Kind is what a file is.
type Kind string

// Kinds of files.
const (
	KindOFD      Kind = "ofd"
	KindSeal     Kind = "seal"
	KindQR       Kind = "qr"
	KindDetached Kind = "detached"
)

// Report is the answer for one file. Its JSON is fixed: fields are added, never renamed.
type Report struct {
	File        string      `json:"file"`
	Kind        Kind        `json:"kind"`
	Result      Result      `json:"result"`
	Reasons     []Reason    `json:"reasons"`
	CheckedAt   time.Time   `json:"checkedAt"`
	Bundle      *Bundle     `json:"bundle"`
	Coverage    Coverage    `json:"coverage"`
	Licence     *Licence    `json:"licence"`
	NonStandard []string    `json:"nonStandard"`
	Signatures  []Signature `json:"signatures"`
}

// Reason is a code and its words.
type Reason struct {
	Code string `json:"code"`
	Text string `json:"text"`
}

// Bundle is which trust bundle the check relied on.
type Bundle struct {
	ID         string    `json:"id"`
	Sequence   uint64    `json:"sequence"`
	IssuedAt   time.Time `json:"issuedAt"`
	NextUpdate time.Time `json:"nextUpdate"`
	Signer     string    `json:"signer"`      // subject
	Key        string    `json:"fingerprint"` // SM3 of the signer's public key
	Pinned     bool      `json:"pinned"`      // false: the signer was taken as given; compare the fingerprint
}

// Coverage is which bytes no sound signature protects.
type Coverage struct {
	Complete  bool     `json:"complete"`
	Uncovered []string `json:"uncovered"`
	Problems  []Reason `json:"problems"`
}

// Licence is what a licence in the file says of itself.
type Licence struct {
	Identifier string  `json:"identifier"`
	Title      string  `json:"title"`
	Holder     string  `json:"holder"`
	Issuer     string  `json:"issuer"`
	Fields     []Field `json:"fields"`
}

// Field is one fact of a licence.
type Field struct {
	Name  string `json:"name"`
	Label string `json:"label"`
	Text  string `json:"text"` // as it must be printed
}

// Signature is the check of one signature, seal or QR text.
type Signature struct {
	ID          string   `json:"id"`
	Type        string   `json:"type"`   // Seal or Sign
	Format      string   `json:"format"` // v1, v4, v5, cms, bare, cose; "" when it cannot be told
	Result      Result   `json:"result"`
	Reasons     []Reason `json:"reasons"`
	Orphan      bool     `json:"orphan,omitempty"`
	Pages       []int    `json:"pages,omitempty"` // where its stamps are
	Signer      *Signer  `json:"signer"`
	Seal        *Seal    `json:"seal"`
	Time        Time     `json:"time"`
	Steps       []Step   `json:"steps"`
	NonStandard []string `json:"nonStandard"`
}

// Signer is whose certificate it is.
type Signer struct {
	Subject   string    `json:"subject"`
	Issuer    string    `json:"issuer"`
	Serial    string    `json:"serial"`
	NotBefore time.Time `json:"notBefore"`
	NotAfter  time.Time `json:"notAfter"`
}

// Seal is which seal was used.
type Seal struct {
	ESID       string    `json:"esID"`
	Name       string    `json:"name"`
	Version    string    `json:"version"`
	ValidStart time.Time `json:"validStart"`
	ValidEnd   time.Time `json:"validEnd"`
	Picture    Picture   `json:"picture"`
}

// Picture is the seal's picture; its octets are not part of a report.
type Picture struct {
	Type   string `json:"type"`
	Width  int    `json:"width"` // mm
	Height int    `json:"height"`
}

// Time is the time of signing and how far it is trusted.
type Time struct {
	Used    *time.Time `json:"used"` // null when none is known
	Source  string     `json:"source"`
	Claimed *time.Time `json:"claimed,omitempty"`
}

// Sources of time, from the best to the least.
const (
	SourceTimeStamp = "timestamp"
	SourceLog       = "log"
	SourceClaimed   = "claimed"
)

// Step is one line of the check.
type Step struct {
	Name     StepName `json:"name"`
	Result   Result   `json:"result"`
	Code     string   `json:"code"` // stable; "" when passed without remark
	Evidence string   `json:"evidence"`
	Age      *int64   `json:"age_s"` // of the evidence, seconds; null where it has no age
	Detail   string   `json:"detail"`
}

// StepName names a step.
type StepName string

// The steps in the order of the report.
const (
	StepParse             StepName = "parse"
	StepDigests           StepName = "digests"
	StepCoverage          StepName = "coverage"
	StepDataHash          StepName = "dataHash"
	StepSignature         StepName = "signature"
	StepSignerCertificate StepName = "signerCertificate"
	StepSignerRevocation  StepName = "signerRevocation"
	StepSealSignature     StepName = "sealSignature"
	StepSealMaker         StepName = "sealMakerCertificate"
	StepSignerInSeal      StepName = "signerInSeal"
	StepSealValidity      StepName = "sealValidity"
	StepSealStatus        StepName = "sealStatus"
	StepTimeStamp         StepName = "timestamp"
	StepSigningTime       StepName = "signingTime"
	StepLogProof          StepName = "logProof"
	StepLicenceIdentifier StepName = "licenceIdentifier"
	StepLicenceStatus     StepName = "licenceStatus"
	StepLicenceData       StepName = "licenceData"
)

var stepOrder = []StepName{
	StepParse, StepDigests, StepCoverage, StepDataHash, StepSignature, StepSignerCertificate, StepSignerRevocation,
	StepSealSignature, StepSealMaker, StepSignerInSeal, StepSealValidity, StepSealStatus, StepTimeStamp, StepSigningTime,
	StepLogProof, StepLicenceIdentifier, StepLicenceStatus, StepLicenceData,
}

// Step returns the step of that name; the zero Step when there is none.
func (s *Signature) Step(name StepName) Step {
	for _, x := range s.Steps {
		if x.Name == name {
			return x
		}
	}
	return Step{}
}

// JSON writes the report as one line.
func (r *Report) JSON() ([]byte, error) { return json.Marshal(r) }
