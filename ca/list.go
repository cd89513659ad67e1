package ca

import (
	"context"
	"crypto"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"hufu/internal/actor"
)

// JobList is the kind of the durable job that rebuilds a list; its key is issuer/shard.
const JobList = "ca.list"

// listDelay is how long a revocation waits for others, so that one list names them all.
const listDelay = 5 * time.Second

// maxShards bounds how many lists an issuer has.
const maxShards = 4096

// shortList is up to how many entries an issuer's full list is built anew with each revocation; a longer one twice a day.
const shortList = 20_000

// enqueueList lets the list of a changed status be built, in the transaction of the change.
func enqueueList(w W, r Revocation, now time.Time) error {
	if strings.HasPrefix(r.Issuer, externalMark) {
		return w.Enqueue(JobExternal, hex.EncodeToString(r.Serial), nil, now)
	}
	return w.Enqueue(JobList, r.Issuer+"/"+strconv.Itoa(r.Shard), nil, now.Add(listDelay))
}

// shardsOf is into how many lists the certificates that an issuer signs from now on are divided. A root signs few.
func (a *Authority) shardsOf(i Issuer) int {
	if i.Parent == i.Name {
		return 1
	}
	return a.Shards
}

// shardOf picks the shard of a new certificate by random octets of its serial. It goes into the certificate and its row; the
// setting may change, the certificate keeps its shard.
func (a *Authority) shardOf(i *issuer, serial []byte) int {
	return int(binary.BigEndian.Uint16(serial[len(serial)-2:])) % a.shardsOf(i.Issuer)
}

// ensureLists makes room for the shards that the setting asks for, before a certificate names one.
func (a *Authority) ensureLists(ctx context.Context, issuers []Issuer) error {
	var there map[string]bool
	err := a.Store.View(ctx, func(r R) error {
		lists, err := r.Lists()
		there = make(map[string]bool, len(lists))
		for _, l := range lists {
			there[l.Issuer+"/"+strconv.Itoa(l.Shard)] = true
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("read lists: %w", err)
	}
	for _, i := range issuers {
		var missing []int
		for shard := FullShard; shard < a.shardsOf(i); shard++ {
			if !there[i.Name+"/"+strconv.Itoa(shard)] {
				missing = append(missing, shard)
			}
		}
		if len(missing) == 0 {
			continue
		}
		err := a.Store.Update(ctx, func(w W) error {
			for _, shard := range missing {
				if err := w.EnsureList(i.Name, shard); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("make room for lists of %q: %w", i.Name, err)
		}
	}
	return nil
}

func (a *Authority) listURL(issuer string, shard int) string {
	return a.listFile(issuer, shard, ".crl")
}

// deltaURL is where the delta of a shard is.
func (a *Authority) deltaURL(issuer string, shard int) string {
	return a.listFile(issuer, shard, "-delta.crl")
}

func (a *Authority) listFile(issuer string, shard int, end string) string {
	name := "full"
	if shard != FullShard {
		name = strconv.Itoa(shard)
	}
	return a.BaseURL + "/crl/" + issuer + "/" + name + end
}

func isUnknown(err error) bool { return errors.Is(err, ErrUnknown) }

// parseSerial reads a serial number in hexadecimal.
func parseSerial(s string) ([]byte, error) {
	number, err := hex.DecodeString(strings.ToLower(s))
	if err != nil || len(number) == 0 || len(number) > 20 {
		return nil, ErrUnknown.With("serial %q is not a hexadecimal number of at most 20 octets", s)
	}
	return number, nil
}

// PublishLists builds all lists (CRL) of an issuer: each shard with its delta, and the full one. Number and thisUpdate never
// go back; of two builders at once the later one waits for the first.
func (a *Authority) PublishLists(ctx context.Context, name string) error {
	i, key, err := a.listSigner(ctx, name)
	if err != nil {
		return err
	}
	_, err = a.publishLists(ctx, actor.ForSystem("publish-list"), i, key, a.ListLife)
	return err
}

// listSigner returns an issuer whose key is in the device.
func (a *Authority) listSigner(ctx context.Context, name string) (*issuer, crypto.Signer, error) {
	i := a.issuer(name)
	if i == nil {
		return nil, nil, ErrIssuer.With("issuer %q does not exist", name)
	}
	key, err := a.key(ctx, i)
	return i, key, err
}

func (a *Authority) publishLists(ctx context.Context, by actor.Actor, i *issuer, key crypto.Signer, life time.Duration) (all []List, err error) {
	stands, err := a.listsOf(ctx, i.Name)
	if err != nil {
		return nil, err
	}
	for _, l := range stands {
		list, err := a.publishList(ctx, by, listOrder{issuer: i, shard: l.Shard, key: key, life: life})
		if err != nil {
			return nil, err
		}
		all = append(all, list)
	}
	return all, nil
}

// listsOf tells how the lists of an issuer stand, the full one first.
func (a *Authority) listsOf(ctx context.Context, issuer string) (all []List, err error) {
	err = a.Store.View(ctx, func(r R) error {
		all = nil
		lists, err := r.Lists()
		for _, l := range lists {
			if l.Issuer == issuer {
				all = append(all, l)
			}
		}
		return err
	})
	return all, err
}

// PublishShard builds what the durable job named: the list of the shard, its delta, and the full list if it is short. It
// tells whether it did the latter, so that what follows from the full list can follow.
func (a *Authority) PublishShard(ctx context.Context, key string) (full bool, err error) {
	name, number, _ := strings.Cut(key, "/")
	shard, err := strconv.Atoi(number)
	if err != nil || shard < FullShard || shard >= maxShards {
		return false, ErrIssuer.With("job for the list %q, which is none", key)
	}
	i, signer, err := a.listSigner(ctx, name)
	if err != nil {
		return false, err
	}
	order := listOrder{issuer: i, shard: shard, key: signer, life: a.ListLife}
	by := actor.ForSystem("publish-list")
	if _, err := a.publishList(ctx, by, order); err != nil || shard == FullShard {
		return shard == FullShard, err
	}
	last, err := a.List(ctx, name, FullShard)
	if err != nil && !isUnknown(err) || last.Entries > shortList {
		return false, err
	}
	order.shard = FullShard
	_, err = a.publishList(ctx, by, order)
	return true, err
}

// Refresh publishes the lists that are missing, that have passed half of their life, or that lack a change for longer than a
// durable job should take. Those of an authority whose key custodians have stay as the last ceremony left them: OfflineLists
// tells how they stand. What fails does not keep the others from being built.
func (a *Authority) Refresh(ctx context.Context) error {
	now := a.Now()
	var due []List
	err := a.Store.View(ctx, func(r R) error {
		lists, err := r.Lists()
		if err != nil {
			return err
		}
		due = nil
		for _, l := range lists {
			if l.Number == 0 || now.After(l.ThisUpdate.Add(a.ListLife/2)) || now.After(l.NextUpdate) {
				due = append(due, l)
			}
		}
		late, err := r.Unlisted(now.Add(-lateAfter))
		due = append(due, late...)
		return err
	})
	if err != nil {
		return fmt.Errorf("look for lists that are due: %w", err)
	}
	var failed []error
	done := map[string]bool{}
	for _, l := range due {
		i := a.issuer(l.Issuer)
		name := l.Issuer + "/" + strconv.Itoa(l.Shard)
		if i == nil || i.Offline() || done[name] {
			continue
		}
		done[name] = true
		key, err := a.key(ctx, i)
		if err == nil {
			_, err = a.publishList(ctx, actor.ForSystem("publish-list"), listOrder{issuer: i, shard: l.Shard, key: key, life: a.ListLife})
		}
		if err != nil {
			failed = append(failed, fmt.Errorf("refresh list %s: %w", name, err))
		}
	}
	return errors.Join(failed...)
}

// List returns how a published list stands; ListDER its octets.
func (a *Authority) List(ctx context.Context, issuer string, shard int) (l List, err error) {
	err = a.Store.Look(ctx, func(r R) error {
		l, err = r.List(issuer, shard)
		return err
	})
	return l, err
}

// maxWhole bounds a list that is read into memory as a whole, in octets.
const maxWhole = 64 << 20

// ListDER returns the octets of a published list.
func (a *Authority) ListDER(ctx context.Context, issuer string, shard int) (der []byte, err error) {
	err = a.Store.View(ctx, func(r R) error {
		l, err := r.List(issuer, shard)
		if err == nil {
			der, err = readBlob(r, l.Complete)
		}
		return err
	})
	return der, err
}

// readBlob reads a blob into memory.
func readBlob(r R, b Blob) ([]byte, error) {
	if b.Size > maxWhole {
		return nil, ErrIssuer.With("list of %d octets is read in pieces only", b.Size)
	}
	der := make([]byte, 0, b.Size)
	for int64(len(der)) < b.Size {
		p, err := r.ListPart(b.ID, int64(len(der)))
		if err != nil {
			return nil, err
		}
		if p.Start != int64(len(der)) || len(p.DER) == 0 {
			return nil, fmt.Errorf("list %s: a piece is missing at %d", b.ID, len(der))
		}
		der = append(der, p.DER...)
	}
	return der, nil
}
