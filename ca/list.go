package ca

import (
	"bytes"
	"context"
	"crypto"
	"encoding/hex"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"strings"
	"time"

	"hufu/audit"
	"hufu/certs"
	"hufu/internal/actor"
)

func isUnknown(err error) bool { return errors.Is(err, ErrUnknown) }

// parseSerial reads a serial number in hexadecimal.
func parseSerial(s string) ([]byte, error) {
	number, err := hex.DecodeString(strings.ToLower(s))
	if err != nil || len(number) == 0 || len(number) > 20 {
		return nil, ErrUnknown.With("serial %q is not a hexadecimal number of at most 20 octets", s)
	}
	return number, nil
}

// PublishLists builds the lists (CRL) of an issuer: each shard and the full one. Number and thisUpdate never go back; of
// two builders at once the later one is dropped. Lists are built when something was revoked and, by Refresh, in time
// before the old ones end.
func (a *Authority) PublishLists(ctx context.Context, name string) error {
	i := a.issuer(name)
	if i == nil {
		return ErrIssuer.With("issuer %q does not exist", name)
	}
	key, err := a.key(ctx, i)
	if err != nil {
		return err
	}
	_, err = a.publishLists(ctx, actor.ForSystem("publish-list"), i, key, a.ListLife)
	return err
}

func (a *Authority) publishLists(ctx context.Context, by actor.Actor, i *issuer, key crypto.Signer, life time.Duration) (all []List, err error) {
	for shard := FullShard; shard < shards; shard++ {
		list, err := a.publishList(ctx, by, i, shard, key, life)
		if err != nil {
			return nil, fmt.Errorf("list %d of %q: %w", shard, i.Name, err)
		}
		all = append(all, list)
	}
	return all, nil
}

func (a *Authority) publishList(ctx context.Context, by actor.Actor, i *issuer, shard int, key crypto.Signer, life time.Duration) (List, error) {
	now := a.Now().UTC().Truncate(time.Second)
	var last List
	var entries []certs.CRLEntry
	err := a.Store.View(ctx, func(r R) (err error) {
		if last, err = r.List(i.Name, shard); err != nil && !isUnknown(err) {
			return err
		}
		entries = nil
		return r.Revocations(i.Name, shard, now, func(v Revocation) error {
			entries = append(entries, certs.CRLEntry{Serial: v.Serial, RevokedAt: v.At, Reason: v.Reason, InvalidityDate: v.Invalid})
			return nil
		})
	})
	if err != nil {
		return List{}, err
	}
	if now.Before(last.ThisUpdate) {
		now = last.ThisUpdate // the clock went back; the list must not
	}
	list := List{Issuer: i.Name, Shard: shard, Number: last.Number + 1, ThisUpdate: now, NextUpdate: now.Add(life)}
	var der bytes.Buffer
	t := certs.CRLTemplate{
		Issuer: i.cert, Number: list.Number, ThisUpdate: list.ThisUpdate, NextUpdate: list.NextUpdate,
		Entries: iter.Seq[certs.CRLEntry](func(yield func(certs.CRLEntry) bool) {
			for _, e := range entries {
				if !yield(e) {
					return
				}
			}
		}),
	}
	if shard != FullShard {
		t.Distribution = &certs.IssuingDistributionPoint{URIs: []string{a.listURL(i.Name, shard)}}
	}
	if err := certs.WriteCRL(&der, t, key); err != nil {
		return List{}, err
	}
	list.DER = der.Bytes()
	return list, a.Store.Update(ctx, func(w W) error {
		put, err := w.PutList(list)
		if err != nil || !put {
			return err
		}
		return w.Record(audit.Entry{
			At: list.ThisUpdate, Actor: by, Action: "crl.publish", Object: audit.Object{Kind: "issuer", ID: i.Name},
			Public: map[string]string{"shard": strconv.Itoa(shard), "number": strconv.FormatUint(list.Number, 10), "entries": strconv.Itoa(len(entries))},
		})
	})
}

// Refresh publishes the lists that are missing or have passed half of their life. Those of an authority whose key custodians
// have stay as the last ceremony left them: OfflineLists tells how
// they stand.
func (a *Authority) Refresh(ctx context.Context) error {
	names, _ := a.Issuers()
	for _, name := range names {
		if a.issuer(name).Offline() {
			continue
		}
		var stale bool
		err := a.Store.View(ctx, func(r R) error {
			stale = false
			for shard := FullShard; shard < shards; shard++ {
				l, err := r.List(name, shard)
				if err != nil && !isUnknown(err) {
					return err
				}
				stale = stale || err != nil || a.Now().After(l.ThisUpdate.Add(a.ListLife/2))
			}
			return nil
		})
		if err == nil && stale {
			err = a.PublishLists(ctx, name)
		}
		if err != nil {
			return fmt.Errorf("refresh lists of %q: %w", name, err)
		}
	}
	return nil
}

// List returns a published list.
func (a *Authority) List(ctx context.Context, issuer string, shard int) (l List, err error) {
	err = a.Store.View(ctx, func(r R) error {
		l, err = r.List(issuer, shard)
		return err
	})
	return l, err
}
