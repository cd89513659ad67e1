package seal

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"regexp"
	"time"
	"unicode/utf8"

	"hufu/audit"
	"hufu/certs"
	"hufu/internal/actor"
	"hufu/internal/font"
)

// Certifier has a seal's key certified for its owner. Asked again with the same code and key it returns the same
// certificate. The key signs the request before anything else happens, and what it signs depends on code and key alone. Revoke ends the certificate of a seal that ended; one that is revoked already is no error.
type Certifier interface {
	Certify(ctx context.Context, a actor.Actor, owner, code string, key crypto.Signer) (cert []byte, err error)
	Revoke(ctx context.Context, a actor.Actor, cert []byte) error
}

// Maker is the seal maker (制章人): certificate and key that sign seals.
type Maker interface {
	Maker(ctx context.Context) (cert *certs.Certificate, key crypto.Signer, err error)
}

// TimeStamper makes a time-stamp token (RFC 3161, DER) over data.
type TimeStamper interface {
	TimeStamp(ctx context.Context, data []byte) ([]byte, error)
}

// Owners tells of the organisations that seals are for.
type Owners interface {
	// OwnerName tells the name; an unknown or closed organisation is a fault.
	OwnerName(ctx context.Context, subject string) (string, error)
	// ActingFor returns the ways in which a person may act for an organisation now, with the roles of each. Nobody who may
	// not is an empty list; an error means that it could not be found out.
	ActingFor(ctx context.Context, person, organisation string) ([]Way, error)
}

// Way is a way in which a person may act for an organisation. Since is when somebody else last opened it to the person: by a
// post, by its roles, by registering a representative, or by giving the person a password.
type Way struct {
	actor.Actor
	Since time.Time
}

// Config is what a Service is made of; every field must be set but those marked optional.
type Config struct {
	Store      Store
	Keys       Keys
	Certifier  Certifier
	Maker      Maker
	TimeStamps TimeStamper // optional: without it signatures carry a claimed time only
	Owners     Owners
	VendorID   string     // Vid of the seals made here
	Font       *font.Font // optional: nil is the built-in bold Song face
	Now        func() time.Time
}

// Service makes and uses seals. It is safe for concurrent use.
type Service struct{ Config }

// New checks the configuration.
func New(c Config) (*Service, error) {
	if c.Store == nil || c.Keys == nil || c.Certifier == nil || c.Maker == nil || c.Owners == nil || c.Now == nil || c.VendorID == "" {
		return nil, errors.New("seal service: store, keys, certifier, maker, owners, vendor and clock must be set")
	}
	return &Service{c}, nil
}

// Application asks for a seal.
type Application struct {
	Code  string // 14 digits
	Owner string // subject id of the organisation
	Name  string // on the arc; empty: the owner's name
	Line  string // below the centre: "合同专用章"; may be empty
	Style string // of Styles
	Type  int    // property.type
	Years int    // validity; 0 is 5
}

var codeForm = regexp.MustCompile(`^[0-9]{14}$`)

// Apply enters a seal. The maker is a seal officer, or acts for the owner. The picture is tried at once, so that a name
// that does not fit is refused now.
func (s *Service) Apply(ctx context.Context, by actor.Actor, q Application) (Seal, error) {
	if err := by.Known(); err != nil {
		return Seal{}, err
	}
	if by.Require(actor.RoleSealOfficer) != nil && (by.For == "" || by.For != q.Owner) {
		return Seal{}, ErrNotOwner.With("%s for owner %s", by, q.Owner)
	}
	ownerName, err := s.Owners.OwnerName(ctx, q.Owner)
	if err != nil {
		return Seal{}, fmt.Errorf("owner of seal %q: %w", q.Code, err)
	}
	if q.Name == "" {
		q.Name = ownerName
	}
	if q.Years == 0 {
		q.Years = 5
	}
	if !codeForm.MatchString(q.Code) || q.Years < 0 || q.Years > 10 || q.Type < 0 || q.Type > 99 {
		return Seal{}, ErrForm.With("code %q, years %d, type %d", q.Code, q.Years, q.Type)
	}
	now := s.Now().UTC().Truncate(time.Second)
	seal := Seal{
		Code: q.Code, Owner: q.Owner, OwnerName: ownerName, Name: q.Name, Line: q.Line, Style: q.Style, Type: q.Type, State: Applied,
		Maker: by, At: now, ChangedAt: now, ValidFrom: now, ValidUntil: now.AddDate(q.Years, 0, 0),
	}
	if _, err := s.draw(seal); err != nil {
		return Seal{}, err
	}
	err = s.Store.Update(ctx, func(w W) error {
		if err := w.AddSeal(seal); err != nil {
			return err
		}
		return w.Record(s.entry(by, "seal.apply", seal.Code, map[string]string{"owner": seal.Owner, "style": seal.Style}))
	})
	return seal, err
}

func (s *Service) entry(by actor.Actor, action, code string, public map[string]string) audit.Entry {
	return audit.Entry{At: s.Now(), Actor: by, Action: action, Object: audit.Object{Kind: "seal", ID: code}, Public: public}
}

func (s *Service) draw(seal Seal) (*Drawing, error) {
	style, ok := FindStyle(seal.Style)
	if !ok {
		return nil, ErrBadStyle.With("no style %q", seal.Style)
	}
	return Draw(Design{Style: style, Name: seal.Name, Line: seal.Line, Font: s.Font})
}

// Decide approves or rejects a seal that was applied for. The checker is a seal officer and not the maker.
func (s *Service) Decide(ctx context.Context, by actor.Actor, code string, approve bool, reason string) error {
	if err := by.Require(actor.RoleSealOfficer); err != nil {
		return err
	}
	if !approve {
		if err := checkReason(reason); err != nil {
			return err
		}
	}
	return s.Store.Update(ctx, func(w W) error {
		seal, err := w.Seal(code)
		if err != nil {
			return err
		}
		if err := actor.Checker(seal.Maker, by); err != nil {
			return err
		}
		to, action := Approved, "seal.approve"
		if !approve {
			to, action = Rejected, "seal.reject"
		}
		return s.move(w, by, code, to, reason, action, Applied)
	})
}

func (s *Service) move(w W, by actor.Actor, code string, to State, reason, action string, from ...State) error {
	done, err := w.Move(code, to, reason, by, s.Now().UTC(), from...)
	if err == nil && !done {
		err = ErrState.With("seal %s is not in one of %v", code, from)
	}
	if err != nil {
		return err
	}
	return w.Record(s.entry(by, action, code, nil))
}

func checkReason(reason string) error {
	if n := utf8.RuneCountInString(reason); n < 1 || n > 200 {
		return ErrReason.With("%d characters", n)
	}
	return nil
}

// Freeze stops the use of a seal until Resume, and ends its standing activations. A seal officer or whoever may use the seal
// may.
func (s *Service) Freeze(ctx context.Context, by actor.Actor, code, reason string) error {
	if err := s.change(ctx, by, code, Frozen, reason, "seal.freeze", Active); err != nil {
		return err
	}
	seal, err := s.seal(ctx, code)
	if err != nil {
		return err
	}
	return s.endAll(context.WithoutCancel(ctx), by, seal)
}

// Resume lets a frozen seal be used again. Only a seal officer may. The standing activations from before stay ended: those
// that a crash in Freeze may have left end first.
func (s *Service) Resume(ctx context.Context, by actor.Actor, code string) error {
	if err := by.Require(actor.RoleSealOfficer); err != nil {
		return err
	}
	seal, err := s.seal(ctx, code)
	if err != nil {
		return err
	}
	if seal.State == Frozen {
		if err := s.endAll(ctx, by, seal); err != nil {
			return err
		}
	}
	return s.Store.Update(ctx, func(w W) error { return s.move(w, by, code, Active, "", "seal.resume", Frozen) })
}

// Revoke ends a seal for ever, its standing activations and its signing certificate with it. A seal officer may, or who
// represents the entity that owns it; a post at the owner's alone does not suffice.
func (s *Service) Revoke(ctx context.Context, by actor.Actor, code, reason string) error {
	if err := s.change(ctx, by, code, Revoked, reason, "seal.revoke", Applied, Approved, Active, Frozen); err != nil {
		return err
	}
	seal, err := s.seal(ctx, code)
	if err != nil {
		return err
	}
	err = s.endAll(context.WithoutCancel(ctx), by, seal)
	if len(seal.Cert) == 0 {
		return err
	}
	return errors.Join(s.Certifier.Revoke(ctx, actor.ForSystem("seal-revoked"), seal.Cert), err)
}

func (s *Service) change(ctx context.Context, by actor.Actor, code string, to State, reason, action string, from ...State) error {
	if err := checkReason(reason); err != nil {
		return err
	}
	if err := by.Known(); err != nil {
		return err
	}
	return s.Store.Update(ctx, func(w W) error {
		seal, err := w.Seal(code)
		if err != nil {
			return err
		}
		if by.Require(actor.RoleSealOfficer) != nil && (!mayUse(by, seal) || to == Revoked && by.Capacity != actor.Entity) {
			return ErrUnknown.With("%s may not change seal %s", by, code)
		}
		return s.move(w, by, code, to, reason, action, from...)
	})
}

func (s *Service) seal(ctx context.Context, code string) (seal Seal, err error) {
	err = s.Store.View(ctx, func(r R) error {
		seal, err = r.Seal(code)
		return err
	})
	return seal, err
}

// Get returns a seal to seal officers and to whoever acts for its owner.
func (s *Service) Get(ctx context.Context, by actor.Actor, code string) (Seal, error) {
	if err := by.Known(); err != nil {
		return Seal{}, err
	}
	seal, err := s.seal(ctx, code)
	if err != nil {
		return Seal{}, err
	}
	if by.Require(actor.RoleSealOfficer) != nil && (by.For == "" || by.For != seal.Owner) {
		return Seal{}, ErrUnknown.With("%s may not see seal %s", by, code)
	}
	return seal, nil
}

// List lists seals: of all owners for seal officers, of the owner acted for for others; at most 100.
func (s *Service) List(ctx context.Context, by actor.Actor, f Filter) (all []Seal, err error) {
	if err := by.Known(); err != nil {
		return nil, err
	}
	if by.Require(actor.RoleSealOfficer) != nil {
		if by.For == "" || f.Owner != "" && f.Owner != by.For {
			return nil, ErrNotOwner.With("%s lists seals of %q", by, f.Owner)
		}
		f.Owner = by.For
	}
	if f.Limit <= 0 || f.Limit > 100 {
		f.Limit = 100
	}
	err = s.Store.View(ctx, func(r R) error {
		all, err = r.Seals(f)
		return err
	})
	return all, err
}
