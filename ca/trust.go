package ca

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"hufu/audit"
	"hufu/certs"
	"hufu/certs/bundle"
	"hufu/internal/actor"
)

// Facts are what the trust bundle says beyond the authority's own certificates and lists; cmd gathers them.
type Facts struct {
	Seals    []bundle.StatusEntry
	Licences []bundle.StatusEntry
	Logs     []bundle.LogKey
	Signers  [][]byte // certificates of those who sign without sending theirs along, DER
}

// FactSource gathers Facts.
type FactSource interface {
	Facts(ctx context.Context) (Facts, error)
}

// TrustBundle is a published bundle as kept.
type TrustBundle struct {
	Sequence   uint64
	IssuedAt   time.Time
	NextUpdate time.Time
	Digest     string // SM3 of its JSON, hexadecimal: what the next one names as previous
	Previous   string // digest of the one that it follows; only PutBundle reads it
	Data       []byte
}

// BundleR looks the newest trust bundle up.
type BundleR interface {
	// Bundle returns the newest, or ErrUnknown.
	Bundle() (TrustBundle, error)
}

// BundleW replaces it.
type BundleW interface {
	// PutBundle puts a bundle in the place of the one that it follows, once: false when another node was faster.
	PutBundle(b TrustBundle) (bool, error)
}

// bundleLife is from issuedAt to nextUpdate: how long a counter without a network may go on trusting what it knows.
const bundleLife = 7 * 24 * time.Hour

// bundleID names our series of bundles.
const bundleID = "hufu"

// PublishBundle gathers roots, intermediates, lists and the given facts into the next trust bundle, signs it under the
// service "bundle" and keeps it. Sequence numbers rise, see numberAfter.
func (a *Authority) PublishBundle(ctx context.Context, source FactSource) (TrustBundle, error) {
	facts, err := source.Facts(ctx)
	if err != nil {
		return TrustBundle{}, fmt.Errorf("gather facts for the trust bundle: %w", err)
	}
	service, err := a.Service(ctx, actor.ForSystem("bundle"), "bundle")
	if err != nil {
		return TrustBundle{}, err
	}
	tsa, err := a.Service(ctx, actor.ForSystem("bundle"), "tsa")
	if err != nil {
		return TrustBundle{}, err
	}
	last, lists, err := a.bundleParts(ctx)
	if err != nil {
		return TrustBundle{}, err
	}
	if lists, err = a.bundled(ctx, lists); err != nil {
		return TrustBundle{}, err
	}
	authorities, err := a.authorities(ctx)
	if err != nil {
		return TrustBundle{}, err
	}
	now := a.Now().UTC().Truncate(time.Second)
	if now.Before(last.IssuedAt) {
		now = last.IssuedAt // the clock went back; the bundle must not
	}
	b := bundle.Bundle{
		Version: bundle.Version, ID: bundleID, Sequence: numberAfter(last.Sequence, now), Previous: last.Digest, IssuedAt: now, NextUpdate: now.Add(bundleLife),
		Issuer: service.Certificate.Subject.CommonName(), PolicyVersion: "1",
		Authorities: authorities, TimeStampers: [][]byte{tsa.Certificate.Raw}, Signers: facts.Signers,
		CRLs: lists, Seals: facts.Seals, Licences: facts.Licences, Logs: facts.Logs,
	}
	data, err := bundle.Build(b, service.Signer, service.Certificate)
	if err != nil {
		return TrustBundle{}, fmt.Errorf("build trust bundle: %w", err)
	}
	_, info, err := bundle.Parse(data, bundle.PinKey(service.Certificate.PublicKey))
	if err != nil {
		return TrustBundle{}, fmt.Errorf("read own trust bundle back: %w", err)
	}
	next := TrustBundle{Sequence: b.Sequence, IssuedAt: b.IssuedAt, NextUpdate: b.NextUpdate, Digest: info.Digest, Previous: last.Digest, Data: data}
	err = a.Store.Update(ctx, func(w W) error {
		put, err := w.PutBundle(next)
		if err == nil && !put {
			err = ErrState.With("bundle %d was published by another node meanwhile", next.Sequence)
		}
		if err != nil {
			return err
		}
		return w.Record(audit.Entry{
			At: now, Actor: actor.ForSystem("bundle"), Action: "bundle.publish", Object: audit.Object{Kind: "bundle", ID: bundleID},
			Public: map[string]string{"sequence": strconv.FormatUint(next.Sequence, 10), "sm3": info.Digest},
		})
	})
	return next, err
}

// ownPurposes are what our authorities are trusted for.
func ownPurposes() []bundle.Purpose {
	return []bundle.Purpose{bundle.Person, bundle.Organisation, bundle.Official, bundle.SealSigner, bundle.SealMaker, bundle.TimeStamp}
}

// authorities lists ours, and those of others that are trusted.
func (a *Authority) authorities(ctx context.Context) (all []bundle.Authority, err error) {
	crossed, err := a.crossedOut(ctx)
	if err != nil {
		return nil, err
	}
	names, chain := a.Issuers()
	for _, name := range names {
		// Below one that has certified others, those alone are trusted that stand in the bundle, each for its purposes.
		out := slices.Contains(crossed, name)
		all = append(all, bundle.Authority{
			Certificate: chain[name].Raw, Root: a.issuer(name).Parent == name, Terms: bundle.Terms{Purposes: ownPurposes(), OnlyListed: out},
		})
	}
	others, err := a.bundledAuthorities(ctx)
	for _, o := range others {
		if !slices.ContainsFunc(all, func(b bundle.Authority) bool { return string(b.Certificate) == string(o.Certificate) }) {
			all = append(all, o)
		}
	}
	return all, err
}

// bundleParts returns the last bundle and the lists for the next one.
func (a *Authority) bundleParts(ctx context.Context) (last TrustBundle, lists [][]byte, err error) {
	names, _ := a.Issuers()
	err = a.Store.View(ctx, func(r R) error {
		if last, err = r.Bundle(); err != nil && !isUnknown(err) {
			return err
		}
		lists, err = bundleLists(r, names)
		return err
	})
	return last, lists, err
}

// Bundle returns the newest trust bundle.
func (a *Authority) Bundle(ctx context.Context) (b TrustBundle, err error) {
	err = a.Store.View(ctx, func(r R) error {
		b, err = r.Bundle()
		return err
	})
	return b, err
}

// BundleKey returns the certificate whose key signs the trust bundle: what verifiers pin.
func (a *Authority) BundleKey(ctx context.Context) (*certs.Certificate, error) {
	service, err := a.Service(ctx, actor.ForSystem("bundle"), "bundle")
	return service.Certificate, err
}

func (a *Authority) serveTrustList(w http.ResponseWriter, r *http.Request) {
	l, _, err := a.TrustList(r.Context(), 0)
	if errors.Is(err, ErrUnknown) {
		http.NotFound(w, r)
		return
	}
	if err != nil {
		http.Error(w, "the trust list is not available now", http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Disposition", `attachment; filename="trust.list"`)
	w.Header().Set("Cache-Control", "public, max-age=60")
	w.Header().Set("ETag", `"`+strconv.FormatUint(l.Sequence, 10)+`"`)
	_, _ = w.Write(l.Data)
}

func (a *Authority) serveBundle(w http.ResponseWriter, r *http.Request) {
	b, err := a.Bundle(r.Context())
	if errors.Is(err, ErrUnknown) {
		http.NotFound(w, r)
		return
	}
	if err != nil {
		http.Error(w, "the trust bundle is not available now", http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Disposition", `attachment; filename="trust.bundle"`)
	w.Header().Set("Cache-Control", "public, max-age=60")
	w.Header().Set("ETag", `"`+strconv.FormatUint(b.Sequence, 10)+`"`)
	_, _ = w.Write(b.Data)
}

// serveBundleKey gives the public key that verifiers pin. Whoever pins it must have it from elsewhere too: on paper, from
// the operator, from the installation medium.
func (a *Authority) serveBundleKey(w http.ResponseWriter, r *http.Request) {
	cert, err := a.BundleKey(r.Context())
	if err != nil {
		http.Error(w, "the key is not available now", http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "application/x-pem-file")
	_, _ = w.Write(certs.EncodePEM("PUBLIC KEY", cert.RawSPKI))
}

// numberAfter numbers what others remember the highest number of and refuse an older one: milliseconds since 1970, or one
// more than the last where that is higher. A database that has lost its newest rows, as a replica that takes over can, so
// never gives a number a second time; one that counts by ones would, and who saw the first would refuse or doubt what follows.
func numberAfter(last uint64, now time.Time) uint64 {
	return max(last+1, uint64(max(now.UnixMilli(), 0)))
}
