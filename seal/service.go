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
	"hufu/seal/ses"
)

// Keys makes and gives the seals' signing keys; a key is opened for one signature at a time and never leaves its keeper.
type Keys interface {
	Generate(ctx context.Context, label string) (id string, public crypto.PublicKey, err error)
	Signer(ctx context.Context, id string) (crypto.Signer, error)
}

// Certifier has a seal's key certified for its owner. Asked again with the same code and key it returns the same
// certificate. Revoke ends the certificate of a seal that ended; one that is revoked already is no error.
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

// Owners tells the name of the organisation that a seal is for; an unknown or closed one is a fault.
type Owners interface {
	OwnerName(ctx context.Context, subject string) (string, error)
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

// Make finishes an approved seal: key, certificate, picture, and the maker's signature over them. It may be called again
// after a failure or a crash and goes on where it stopped; for an active seal it does nothing.
func (s *Service) Make(ctx context.Context, by actor.Actor, code string) (Seal, error) {
	if err := by.Require(actor.RoleSealOfficer); err != nil {
		return Seal{}, err
	}
	seal, err := s.seal(ctx, code)
	if err != nil || seal.State == Active {
		return seal, err
	}
	if seal.State != Approved {
		return seal, ErrState.With("seal %s is %s", code, seal.State)
	}
	for _, step := range []func(context.Context, actor.Actor, *Seal) (Made, error){s.makeKey, s.makeCertificate, s.makeSeal} {
		made, err := step(ctx, by, &seal)
		if err != nil {
			return seal, ErrMake.With("make seal %s: %w", code, err)
		}
		if err := s.Store.Update(ctx, func(w W) error { return w.SetMade(code, made) }); err != nil {
			return seal, fmt.Errorf("keep step of seal %s: %w", code, err)
		}
	}
	err = s.Store.Update(ctx, func(w W) error { return s.move(w, by, code, Active, "", "seal.make", Approved) })
	if err != nil {
		return seal, err
	}
	return s.seal(ctx, code)
}

func (s *Service) makeKey(ctx context.Context, _ actor.Actor, seal *Seal) (Made, error) {
	if seal.KeyID != "" {
		return Made{}, nil
	}
	id, _, err := s.Keys.Generate(ctx, "seal-"+seal.Code)
	seal.KeyID = id
	return Made{KeyID: id}, err
}

func (s *Service) makeCertificate(ctx context.Context, by actor.Actor, seal *Seal) (Made, error) {
	if len(seal.Cert) > 0 {
		return Made{}, nil
	}
	key, err := s.Keys.Signer(ctx, seal.KeyID)
	if err != nil {
		return Made{}, err
	}
	seal.Cert, err = s.Certifier.Certify(ctx, by, seal.Owner, seal.Code, key)
	return Made{Cert: seal.Cert}, err
}

// makeSeal draws the picture and has the maker sign the seal. Its window lies within the certificate's.
func (s *Service) makeSeal(ctx context.Context, _ actor.Actor, seal *Seal) (Made, error) {
	if len(seal.ESL) > 0 {
		return Made{}, nil
	}
	drawing, err := s.draw(*seal)
	if err != nil {
		return Made{}, err
	}
	png, err := drawing.PNG(600)
	if err != nil {
		return Made{}, err
	}
	signer, err := certs.Parse(seal.Cert)
	if err != nil {
		return Made{}, err
	}
	maker, key, err := s.Maker.Maker(ctx)
	if err != nil {
		return Made{}, err
	}
	now := s.Now().UTC().Truncate(time.Second)
	from, until := latest(now, signer.NotBefore), earliest(seal.ValidUntil, signer.NotAfter)
	pending, err := ses.NewSeal(ses.SealSpec{
		VendorID: s.VendorID, ESID: seal.Code, Type: seal.Type, Name: seal.Name, Certs: [][]byte{seal.Cert},
		Created: now, ValidStart: from, ValidEnd: until,
		Picture: ses.Picture{Type: "PNG", Data: png, Width: int(drawing.Diameter()), Height: int(drawing.Diameter())},
	})
	if err != nil {
		return Made{}, err
	}
	_, sig, err := certs.Sign(key, pending.SignedBytes())
	if err != nil {
		return Made{}, err
	}
	esl, err := pending.Finish(maker.Raw, sig)
	return Made{ESL: esl, SVG: drawing.SVG(), PNG: png, ValidFrom: from, ValidUntil: until}, err
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func earliest(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// Freeze stops the use of a seal until Resume. A seal officer or whoever may use the seal may.
func (s *Service) Freeze(ctx context.Context, by actor.Actor, code, reason string) error {
	return s.change(ctx, by, code, Frozen, reason, "seal.freeze", Active)
}

// Resume lets a frozen seal be used again. Only a seal officer may.
func (s *Service) Resume(ctx context.Context, by actor.Actor, code string) error {
	if err := by.Require(actor.RoleSealOfficer); err != nil {
		return err
	}
	return s.Store.Update(ctx, func(w W) error { return s.move(w, by, code, Active, "", "seal.resume", Frozen) })
}

// Revoke ends a seal for ever, and its signing certificate with it. A seal officer may, or who
// represents the entity that owns it; a post at the owner's alone does not suffice.
func (s *Service) Revoke(ctx context.Context, by actor.Actor, code, reason string) error {
	if err := s.change(ctx, by, code, Revoked, reason, "seal.revoke", Applied, Approved, Active, Frozen); err != nil {
		return err
	}
	seal, err := s.seal(ctx, code)
	if err != nil || len(seal.Cert) == 0 {
		return err
	}
	return s.Certifier.Revoke(ctx, actor.ForSystem("seal-revoked"), seal.Cert)
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
