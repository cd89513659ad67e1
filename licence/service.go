package licence

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"net/url"
	"time"

	"hufu/audit"
	"hufu/identity"
	"hufu/internal/actor"
	"hufu/internal/font"
	"hufu/seal"
)

// Registry tells who an active person or entity is; an unknown, frozen or closed one is a fault.
type Registry interface {
	Holder(ctx context.Context, subject string) (identity.Holder, error)
}

// Seals stamps documents with the seals of the organisation that the actor acts for; who may not is refused, and so is a stamp
// without the consent of the seal's owner. A document comes back sealed or not at all.
type Seals interface {
	Get(ctx context.Context, by actor.Actor, code string) (seal.Seal, error)
	List(ctx context.Context, by actor.Actor, f seal.Filter) ([]seal.Seal, error)
	Stamp(ctx context.Context, by actor.Actor, o seal.Order) (seal.Stamped, error)
}

// QRSigner gives the certificate and the SM2 key that sign QR texts; verifiers find the certificate in the trust bundle.
type QRSigner interface {
	QRSigner(ctx context.Context) (cert []byte, key crypto.Signer, err error)
}

// Config is what a Service is made of; every field must be set but those marked optional.
type Config struct {
	Store     Store
	Catalogue Catalogue
	Registry  Registry
	Seals     Seals
	QR        QRSigner   // optional: without it nothing can be shown by QR text
	VerifyURL string     // page that a licence's printed QR code leads to; the identifier is added as "licence"
	Regular   *font.Font // optional: nil is the built-in Song face
	Bold      *font.Font // optional, as Regular
	Now       func() time.Time
}

// Service issues and keeps licences. It is safe for concurrent use.
type Service struct {
	Config
	faces faces
}

// New checks the configuration, and that the fonts have every character of the templates.
func New(c Config) (*Service, error) {
	if c.Store == nil || len(c.Catalogue) == 0 || c.Registry == nil || c.Seals == nil || c.Now == nil {
		return nil, errors.New("licence service: store, catalogue, registry, seals and clock must be set")
	}
	if u, err := url.Parse(c.VerifyURL); err != nil || u.Host == "" || u.RawQuery != "" {
		return nil, fmt.Errorf("licence service: verify URL %q", c.VerifyURL)
	}
	f, err := openFaces(c.Regular, c.Bold)
	if err != nil {
		return nil, fmt.Errorf("licence service: %w", err)
	}
	for _, t := range c.Catalogue.All() {
		for _, m := range t.Template.Objects {
			if m.Text == nil {
				continue
			}
			if err := f.of(m.Text.Bold).Check(m.Text.Value); err != nil {
				return nil, ErrCatalogue.With("type %s, text %q: %w", t.Code, m.Text.Value, err)
			}
		}
	}
	return &Service{c, f}, nil
}

// Types lists the catalogue.
func (s *Service) Types() []*Type { return s.Catalogue.All() }

func (s *Service) link(id string) string {
	return s.VerifyURL + "?" + url.Values{"licence": {id}}.Encode()
}

// inOffice refuses everyone but licence officers acting for an organisation.
func inOffice(by actor.Actor) error {
	if err := by.Known(); err != nil {
		return err
	}
	if by.Capacity != actor.Official || by.For == "" || !by.Is(actor.RoleLicenceOfficer) {
		return ErrNotIssuer.With("%s for %q with roles %v", by, by.For, by.Roles)
	}
	return nil
}

// issues tells whether the actor is a licence officer of the licence's issuer.
func issues(by actor.Actor, l *Licence) bool { return inOffice(by) == nil && by.For == l.Issuer }

// holds tells whether the actor is the holder, or acts for the entity that is.
func holds(by actor.Actor, l *Licence) bool {
	switch by.Capacity {
	case actor.Person:
		return by.Subject != "" && by.Subject == l.Holder && by.For == ""
	case actor.Entity:
		return by.For != "" && by.For == l.Holder
	default:
		return false
	}
}

func (s *Service) entry(by actor.Actor, action string, l *Licence, public map[string]string) audit.Entry {
	return audit.Entry{At: s.Now(), Actor: by, Action: action, Object: audit.Object{Kind: "licence", ID: l.ID}, Public: public}
}

// about puts personal data into an entry, under the holder's key.
func about(e audit.Entry, l *Licence, facts map[string]string) audit.Entry {
	e.Subject, e.Personal = l.Holder, facts
	return e
}
