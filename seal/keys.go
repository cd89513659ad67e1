package seal

import (
	"context"
	"crypto"
	"strings"
	"time"

	"hufu/internal/actor"
)

// Keys makes and opens the seals' signing keys. A key is under its owner's sole control: nothing is signed with it without
// the owner's consent, also not by the platform. It never leaves its keeper.
type Keys interface {
	// Generate makes a key and puts it under the control of whoever holds what the enrolment names.
	Generate(ctx context.Context, label string, owner Enrolment) (id string, public crypto.PublicKey, err error)
	// Public returns the public half of a key.
	Public(ctx context.Context, id string) (crypto.PublicKey, error)
	// Signer returns a signer for one signature, opened by the owner's consent, or by a standing activation that covers the
	// kind when the consent holds nothing else. Without either it is a fault of kind Denied, after too many wrong PINs Limited.
	Signer(ctx context.Context, id string, by actor.Actor, c Consent) (crypto.Signer, error)
	// Adopt puts a key that was made before there was sole control under its owner's; ChangePIN replaces the PIN.
	Adopt(ctx context.Context, by actor.Actor, id string, owner Enrolment) error
	ChangePIN(ctx context.Context, by actor.Actor, id string, old, new []byte) error
	// Held tells how a key is held.
	Held(ctx context.Context, id string) (Held, error)
	Activations
}

// Activations are what the owner allows for more than one signature, and what proves one without a PIN.
type Activations interface {
	// Challenge asks the owner's SM2 key to consent to the one signature over e; ChallengeStanding, to a standing activation.
	Challenge(ctx context.Context, id string, e []byte, kind string) (Challenge, error)
	ChallengeStanding(ctx context.Context, id string, b Bounds) (Challenge, error)
	// Stand lets the key sign without a further consent, within bounds, each use counted. Withdraw ends that at once; one that
	// has ended already is no error, or a fault of kind Conflict, Denied or NotFound.
	Stand(ctx context.Context, by actor.Actor, id string, c Consent, b Bounds) (Standing, error)
	Standings(ctx context.Context, id string) ([]Standing, error)
	Withdraw(ctx context.Context, by actor.Actor, standing string) error
}

// Kinds of documents. A standing activation names those that it covers; the service that stamps says which one it is.
const (
	KindDocument = "document"            // whatever an officer hands in to be stamped
	KindRequest  = "certificate-request" // the one signature in the making of a seal; no standing activation covers it
)

// KindLicence is the kind of the licences of a type.
func KindLicence(licenceType string) string { return "licence/" + licenceType }

// standable tells whether a standing activation may cover a kind.
func standable(kind string) bool {
	t, licence := strings.CutPrefix(kind, KindLicence(""))
	return kind == KindDocument || licence && t != ""
}

// The values that pass between this package and its keeper of keys are aliases of plain structs, so that either may declare
// them without importing the other.

// Enrolment is how the owner will show that a use of the key is wanted: exactly one way is given.
type Enrolment = struct {
	PIN        []byte
	SignKey    []byte // the owner's SM2 pair, as points 04‖x‖y: signs activations
	EncryptKey []byte // and opens the half that is encrypted to it
	Half       []byte // 32 random octets that others hold
}

// Consent is the owner's will to have something signed. With nothing but Kind, a standing activation must cover it.
type Consent = struct {
	PIN       []byte
	Half      []byte
	Challenge string // id
	Signature []byte // over the challenge's statement
	Kind      string // KindDocument, KindLicence
}

// Challenge is what the owner's SM2 key answers: with a signature over Statement, and the half that Sealed holds.
type Challenge = struct {
	ID        string
	Statement []byte
	Sealed    []byte
	Until     time.Time
}

// Bounds limit a standing activation.
type Bounds = struct {
	Kinds []string
	Count int
	Until time.Time
}

// Standing is a standing activation.
type Standing = struct {
	ID, Key     string
	Kinds       []string
	Count, Used int
	Until       time.Time
	State       string // active, spent, withdrawn, expired
	Made, Ended time.Time
}

// Held is how a key is held.
type Held = struct {
	Method string // pin, sm2, half; empty for a key that nobody has adopted
	Inside bool   // the device opens it within itself: HSM-backed; else HSM-wrapped
	Locked bool   // wrong PINs, until …
	Until  time.Time
}

// bare tells whether a consent leaves the use to a standing activation.
func bare(c Consent) bool {
	return len(c.PIN) == 0 && len(c.Half) == 0 && c.Challenge == "" && len(c.Signature) == 0
}
