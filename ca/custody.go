package ca

import (
	"context"
	"strings"
	"time"

	"hufu/certs"
)

// custody begins the key label of an authority whose key custodians share; the id of the key follows.
const custody = "custodians:"

// Custody is the key label of an authority whose key custodians share.
func Custody(key string) string { return custody + key }

// Offline tells whether custodians share the authority's key, so that it signs in ceremonies alone.
func (i Issuer) Offline() bool { return strings.HasPrefix(i.KeyLabel, custody) }

// Offline lists the names of the authorities whose keys are not in the device.
func (a *Authority) Offline() (names []string) {
	all, _ := a.Issuers()
	for _, name := range all {
		if a.issuer(name).Offline() {
			names = append(names, name)
		}
	}
	return names
}

// OfflineList is how the list of an authority stands whose key custodians share.
type OfflineList struct {
	Issuer  string
	Until   time.Time // its nextUpdate; zero when there is no list
	Waiting int       // revocations that the list does not name yet
	Due     bool      // call the custodians together: less than a third of its life is left, or something is waiting
	Over    bool      // there is no list that still counts
}

// OfflineLists tells how the lists stand that only a ceremony can renew. It reads the store alone, for programs that open
// no key.
func OfflineLists(ctx context.Context, store Store, now time.Time) (all []OfflineList, err error) {
	err = store.View(ctx, func(r R) error {
		all = nil
		issuers, err := r.Issuers()
		for _, i := range issuers {
			if err != nil || !i.Offline() {
				continue
			}
			var one OfflineList
			one, err = offlineList(r, i.Name, now.UTC())
			all = append(all, one)
		}
		return err
	})
	return all, err
}

func offlineList(r R, name string, now time.Time) (OfflineList, error) {
	out := OfflineList{Issuer: name, Due: true, Over: true}
	stored, err := r.List(name, FullShard)
	if isUnknown(err) {
		return out, nil
	}
	if err != nil {
		return out, err
	}
	der, err := readBlob(r, stored.Complete)
	if err != nil {
		return out, err
	}
	list, err := certs.ParseCRL(der)
	if err != nil {
		return out, err
	}
	err = r.Revocations(name, FullShard, now, func(v Revocation) error {
		if _, named := list.Find(v.Serial); !named {
			out.Waiting++
		}
		return nil
	})
	out.Until = stored.NextUpdate
	life := stored.NextUpdate.Sub(stored.ThisUpdate)
	out.Due = out.Waiting > 0 || stored.NextUpdate.Sub(now) < life/3
	out.Over = !stored.NextUpdate.After(now)
	return out, err
}
