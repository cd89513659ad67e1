package licence

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"math/big"
	"slices"
	"time"

	"hufu/identity"
	"hufu/internal/actor"
	"hufu/internal/gm"
	"hufu/licence/card"
	"hufu/seal"
	"hufu/seal/ofd"
)

// prepared is a licence whose page is set and whose data passed every check. Only prepare makes one.
type prepared struct {
	licence  Licence
	document []byte
	place    ofd.Box // of the seal
}

// prepare checks the order, fills the data and renders the document. base is the identifier to use; nil draws a new one.
func (s *Service) prepare(ctx context.Context, by actor.Actor, o Order, replaces string, base *card.Identifier) (*prepared, error) {
	if err := inOffice(by); err != nil {
		return nil, err
	}
	t := s.Catalogue[o.Type]
	if t == nil {
		return nil, ErrType.With("type %q", o.Type)
	}
	who, err := s.parties(ctx, by, t, o.Holder)
	if err != nil {
		return nil, err
	}
	stamp, place, err := s.sealFor(ctx, by, o.Seal, t)
	if err != nil {
		return nil, err
	}
	now := s.Now().UTC().Truncate(time.Microsecond)
	if base == nil {
		if base, err = newIdentifier(t.Code, who.issuer.Number.Reveal(), now); err != nil {
			return nil, err
		}
	}
	data, err := t.fill(o.Data, who, *base, now)
	if err != nil {
		return nil, err
	}
	sum := gm.SM3([]byte(data.Identifier))
	document, err := t.render(s.faces, &data, hex.EncodeToString(sum[:16]), s.link(data.Identifier), now)
	if err != nil {
		return nil, err
	}
	from, until, err := days(&data)
	if err != nil {
		return nil, err
	}
	digest := gm.SM3(document)
	return &prepared{document: document, place: place, licence: Licence{
		ID: data.Identifier, Type: t.Code, TypeVersion: t.Version, Title: t.Title.ZH, Version: base.Version,
		Issuer: by.For, IssuerName: who.issuer.Name, Holder: o.Holder, HolderName: who.holder.Name, State: Drafted, Data: data,
		Maker: by, Key: o.Key, Replaces: replaces, Draft: digest[:], Seal: stamp.Code, From: from, Until: until, At: now, ChangedAt: now,
	}}, nil
}

// parties asks the registry who both sides are now.
func (s *Service) parties(ctx context.Context, by actor.Actor, t *Type, holder string) (p parties, err error) {
	if p.holder, err = s.Registry.Holder(ctx, holder); err != nil {
		return p, fmt.Errorf("holder of licence: %w", err)
	}
	if p.holder.Kind != t.Holder {
		return p, ErrHolder.With("type %s is for holders of kind %s, %s is %s", t.Code, t.Holder, holder, p.holder.Kind)
	}
	if p.issuer, err = s.Registry.Holder(ctx, by.For); err != nil {
		return p, fmt.Errorf("issuer of licence: %w", err)
	}
	code := p.issuer.Number.Reveal()
	if p.issuer.Kind != identity.Entity || len(t.Issuers) > 0 && !slices.Contains(t.Issuers, code) {
		return p, ErrNotIssuer.With("organisation %s may not issue type %s", by.For, t.Code)
	}
	return p, nil
}

// sealFor finds the seal to use and where its picture goes.
func (s *Service) sealFor(ctx context.Context, by actor.Actor, code string, t *Type) (seal.Seal, ofd.Box, error) {
	var found seal.Seal
	if code != "" {
		var err error
		if found, err = s.Seals.Get(ctx, by, code); err != nil {
			return found, ofd.Box{}, err
		}
	} else {
		all, err := s.Seals.List(ctx, by, seal.Filter{Owner: by.For, State: seal.Active, Limit: 1})
		if err != nil {
			return found, ofd.Box{}, err
		}
		if len(all) == 0 {
			return found, ofd.Box{}, ErrSeal.With("organisation %s", by.For)
		}
		found = all[0]
	}
	style, ok := seal.FindStyle(found.Style)
	if !ok || found.State != seal.Active || found.Owner != by.For {
		return found, ofd.Box{}, ErrSeal.With("seal %s of style %q is %s", found.Code, found.Style, found.State)
	}
	d := style.Diameter
	return found, ofd.Box{X: t.Template.Seal.X - d/2, Y: t.Template.Seal.Y - d/2, W: d, H: d}, nil
}

// newIdentifier draws a serial: the year and ten digits.
func newIdentifier(code, issuer string, now time.Time) (*card.Identifier, error) {
	n, err := rand.Int(rand.Reader, big.NewInt(1e10))
	if err != nil {
		return nil, fmt.Errorf("draw serial: %w", err)
	}
	return &card.Identifier{Type: code, Issuer: issuer, Serial: fmt.Sprintf("%d%010d", now.In(civil).Year(), n), Version: 1}, nil
}
