package certs

import (
	"fmt"
	"time"
)

// Outcome is what a step of a check came to, in the words of the verification report.
type Outcome string

// Passed: the step holds. Failed: something is wrong. Indeterminate: nothing is wrong, but something needed is not known.
const (
	Passed        Outcome = "PASSED"
	Failed        Outcome = "FAILED"
	Indeterminate Outcome = "INDETERMINATE"
	NotApplicable Outcome = "NOT_APPLICABLE"
)

// Names of the steps of a path validation.
const (
	StepPath        = "path"        // a chain to a trusted root was found
	StepSignature   = "signature"   // each certificate is signed with the key of the next
	StepValidity    = "validity"    // each was valid at the time
	StepConstraints = "constraints" // each issuer is a CA, path lengths hold, no critical extension is unknown
	StepNames       = "names"       // names lie within the name constraints
	StepPolicy      = "policy"      // certificate policies
	StepUsage       = "usage"       // key usage and extended key usage fit the purpose
	StepRevocation  = "revocation"  // none was revoked
	StepTrust       = "trust"       // the terms under which the CAs of the path are trusted
)

// Step is the result of one step for one certificate of the path.
type Step struct {
	Name        string
	Outcome     Outcome
	Code        string       // stable, such as "path.no-root"; "" when passed without remark. CodeText gives the words
	Evidence    string       // what was looked at: names, times, source of the status
	Index       int          // of the certificate in Path; -1 when the step concerns the whole path
	Certificate *Certificate // Path[Index]; for "signature.invalid" the certificate whose signature is wrong
	Age         time.Duration
	RevokedAt   time.Time
	Reason      Reason
}

// Validation is the report of Validate. All steps that can be made are made, also after one has failed.
type Validation struct {
	Outcome  Outcome // FAILED if any step failed, else INDETERMINATE if any is, else PASSED
	Path     []*Certificate
	Trusted  bool // Path ends in one of the roots
	Steps    []Step
	Policies []OID // certificate policies under which the path is valid; OIDAnyPolicy when any is
}

// Step returns the worst result under a name, FAILED before INDETERMINATE before PASSED, the lowest index first.
func (v *Validation) Step(name string) Step {
	worst := Step{Name: name, Outcome: NotApplicable, Index: -1}
	for _, s := range v.Steps {
		if s.Name == name && rank(s.Outcome) > rank(worst.Outcome) {
			worst = s
		}
	}
	return worst
}

func rank(o Outcome) int {
	switch o {
	case Failed:
		return 3
	case Indeterminate:
		return 2
	case Passed:
		return 1
	}
	return 0
}

func (v *Validation) add(steps ...Step) {
	for _, s := range steps {
		v.Steps = append(v.Steps, s)
		if rank(s.Outcome) > rank(v.Outcome) {
			v.Outcome = s.Outcome
		}
	}
}

// RevocationState is what is known of a certificate's status. The zero value is unknown: never good.
type RevocationState int

// States of revocation.
const (
	RevocationUnknown RevocationState = iota
	RevocationGood
	RevocationRevoked
)

// RevocationStatus is the answer of a source of revocation status, with its evidence.
type RevocationStatus struct {
	State        RevocationState
	Code         string // for an unknown one: why, for example "revocation.stale"
	Evidence     string // which CRL or answer it was
	Produced     time.Time
	RevokedAt    time.Time
	InvalidSince time.Time // invalidity date, zero when absent
	Reason       Reason
}

// Revocation asks a source for the status of c, which issuer issued, at the time of the validation. It must have verified what it answers from.
type Revocation func(c, issuer *Certificate) RevocationStatus

// Options say against what a path is validated.
type Options struct {
	Roots         []*Certificate // trust anchors: taken as they are, their own signature is not verified
	Intermediates []*Certificate // certificates of CAs that may help to build a path; not trusted
	At            time.Time      // the time at which all must be valid
	Purpose       Purpose

	// Revocation is asked for every certificate but the root; nil leaves the step out (NOT_APPLICABLE).
	Revocation Revocation
	// TimeProven says that At is proven (by a time-stamp), so that a revocation after it does not count. When it is only
	// claimed, a later revocation makes the step INDETERMINATE.
	TimeProven bool

	// Policies is the user-initial-policy-set. When it is not empty, one of them must be valid for the path.
	Policies              []OID
	RequireExplicitPolicy bool
	InhibitPolicyMapping  bool
	InhibitAnyPolicy      bool

	// Terms bound the trust in CAs of the path, roots and others. A path that does not hold them is not trusted.
	Terms []Terms

	MaxLength int // of a path, counting leaf and root; 0: 10
}

// Purpose is what the key of the leaf is to be used for.
type Purpose struct {
	Name        string
	KeyUsage    KeyUsage // at least one of these bits, when the certificate has the extension
	ExtKeyUsage OID      // "" for no requirement; CAs of the path that list extended usages must list it too
	// RequireExt: the extension must be present and name the usage itself, any-usage does not do.
	RequireExt bool
	// OnlyExt: the extension must be critical and name this usage alone (RFC 3161, 2.3).
	OnlyExt bool
	CA      bool // the leaf itself must be a CA certificate
}

// Purposes in use.
var (
	PurposeAny         = Purpose{Name: "any"}
	PurposeSeal        = Purpose{Name: "seal", KeyUsage: UsageDigitalSignature | UsageNonRepudiation}
	PurposeEncryption  = Purpose{Name: "encryption", KeyUsage: UsageKeyEncipherment | UsageDataEncipherment | UsageKeyAgreement}
	PurposeTimeStamp   = Purpose{Name: "time-stamp", KeyUsage: UsageDigitalSignature | UsageNonRepudiation, ExtKeyUsage: OIDTimeStamping, RequireExt: true, OnlyExt: true}
	PurposeOCSP        = Purpose{Name: "ocsp", KeyUsage: UsageDigitalSignature | UsageNonRepudiation, ExtKeyUsage: OIDOCSPSigning, RequireExt: true}
	PurposeServer      = Purpose{Name: "server", KeyUsage: UsageDigitalSignature | UsageKeyEncipherment | UsageKeyAgreement, ExtKeyUsage: OIDServerAuth}
	PurposeClient      = Purpose{Name: "client", KeyUsage: UsageDigitalSignature | UsageKeyAgreement, ExtKeyUsage: OIDClientAuth}
	PurposeCertificate = Purpose{Name: "certificate", KeyUsage: UsageCertSign, CA: true}
	PurposeCRL         = Purpose{Name: "crl", KeyUsage: UsageCRLSign}
)

// Limits of the search. Beyond them the answer is INDETERMINATE, "path.budget".
const (
	defaultPathLength = 10
	maxPathLength     = 32
	maxSignatures     = 200
	maxExpansions     = 2000
	maxPaths          = 32
)

// Validate looks for a path from leaf to a root and checks it (RFC 5280, section 6). Where several paths lead to a root,
// the report is that of the best. Where none does, it is that of the longest chain that was found, with the step "path"
// INDETERMINATE; if the only thing that kept a chain from going on is a signature that does not verify
// with the key of the issuer that the certificate names, the step "signature" is FAILED besides.
func Validate(leaf *Certificate, o Options) *Validation {
	if o.MaxLength <= 0 || o.MaxLength > maxPathLength {
		o.MaxLength = defaultPathLength
	}
	s := &search{
		options: &o,
		links:   make(map[link]error),
		status:  make(map[link]RevocationStatus),
	}
	s.walk([]*Certificate{leaf})
	if s.best != nil {
		return s.best
	}
	return s.partial()
}

func describe(c *Certificate) string {
	return fmt.Sprintf("%s (serial %s)", c.Subject, c.SerialHex())
}
