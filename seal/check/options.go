package check

import (
	"crypto/ecdsa"
	"time"

	"hufu/certs"
	"hufu/certs/bundle"
	"hufu/internal/fault"
)

// ErrUnknownKind is the one error of Check.
var ErrUnknownKind = fault.New(fault.Invalid, "check.unknown-kind",
	"this file is of no kind that can be checked here; give an OFD document, a seal (.esl), a detached signature or a licence QR text",
	"无法识别该文件；请提供 OFD 文件、电子印章（.esl）、分离签名或证照二维码文本")

// Options is what a check relies on. Only At is required.
type Options struct {
	Name       string         // of the file, for the report
	Bundle     *bundle.Bundle // from bundle.Parse; nil: nothing is trusted
	BundleInfo *bundle.Info
	At         time.Time // the verifier's time
	Strict     bool      // each reachable gap of coverage is FAILED: the policy for what we issue ourselves
	Lang       string    // "zh" or "en" (the default)

	Anchors []*certs.Certificate // certificates trusted besides the bundle, for every purpose
	Signers []*certs.Certificate // candidates for a signature that comes without its certificate
	Content []byte               // what a detached signature signs; nil when it is not at hand

	Reader *LicenceReader // how licences are read; nil: licence steps do not apply
}

// LicenceReader is what package licence/card knows and this floor may not import; whoever wires the program gives it.
type LicenceReader struct {
	File  string // name of the attached data in the container, "licence.json"
	Space string // namespace of the custom tag that binds fields to objects

	// Data reads attached data. Facts may be set beside an error; IdentifierErr tells of a bad identifier alone.
	Data func(raw []byte) (Facts, error)
	// QR reads a QR text, nil when text is none of ours.
	QR func(text string) (QRText, error)
	// IsQR tells whether text claims to be one.
	IsQR func(text string) bool
	// KeyID is how a QR text names the certificate of its signer.
	KeyID func(cert []byte) []byte
}

// Facts are what the attached data of a licence says.
type Facts struct {
	Licence
	IdentifierErr error
	ValidFrom     time.Time // zero: not told
	ValidTo       time.Time // end of the last day; zero: no end
}

// QRText is a parsed QR text.
type QRText interface {
	Facts() Facts
	KeyID() []byte
	Life() (issued, expires time.Time)
	Verify(pub *ecdsa.PublicKey) error
}

// clockSkew is how far honest clocks differ.
const clockSkew = 5 * time.Minute

func (o *Options) zh() bool { return o.Lang == "zh" }
