package ca

import (
	"context"
	"encoding/hex"
	"fmt"
	"time"

	"hufu/certs"
	"hufu/internal/actor"
	"hufu/internal/fault"
)

// ErrTooMany tells that keys are reported faster than anybody finds them.
var ErrTooMany = fault.New(fault.Limited, "ca.too-many",
	"Too many reports at once. Try again in a minute.", "报告过于频繁，请一分钟后再试。")

// Challenge returns the text that whoever has the key of a certificate signs in order to have it revoked for key compromise: as
// it is, as a message (SM2: with the identifier 1234567812345678; P-256 and RSA: SHA-256). It names authority, serial and day
// (UTC), and holds that day and the next; nobody signs such a text by accident, so no other signature of the key serves.
func (a *Authority) Challenge(serial []byte) []byte { return a.challenge(serial, a.Now()) }

func (a *Authority) challenge(serial []byte, day time.Time) []byte {
	return fmt.Appendf(nil, "This key is compromised; revoke its certificates.\n%s\n%s\n%s\n",
		a.BaseURL, hex.EncodeToString(serial), day.UTC().Format(time.DateOnly))
}

// KeyReport is the word of whoever has a certificate's key.
type KeyReport struct {
	Serial    []byte
	Signature []byte // over Challenge
	From      string // where it came from, as limit.Network names it; nobody's reports are counted by it
}

// EndByKey revokes a certificate for key compromise on the word of whoever can sign with its key, without any other right: a key
// that a stranger has is lost. All certificates of the key go with it, and it is blocked, even where the certificate was
// revoked before. by may be nobody. Reports are bounded for each who sends them, so that nobody uses up what is there for all.
func (a *Authority) EndByKey(ctx context.Context, by actor.Actor, report KeyReport) (Ended, error) {
	from, serial := report.From, report.Serial
	if by.Known() == nil {
		from = by.String()
	}
	if wait := a.reports.Take(from, 1); wait > 0 {
		return Ended{}, ErrTooMany.With("from %s, for %s", from, wait)
	}
	var c Record
	if err := a.Store.View(ctx, func(r R) (err error) {
		c, err = r.CertificateBySerial(serial)
		return err
	}); err != nil {
		return Ended{}, err
	}
	if a.isAuthority(c) {
		return Ended{}, ErrPossession.With("certificate %x is an authority's: its operator is to be told", serial)
	}
	if err := a.checkPossession(c, report.Signature); err != nil {
		return Ended{}, err
	}
	if by.Known() != nil {
		by = actor.ForSystem("key-possession")
	}
	var out Ended
	err := a.Store.Update(ctx, func(w W) error {
		out = Ended{}
		now := a.Now().UTC()
		e := ending{a: a, w: w, by: by, Ending: Ending{Serial: serial, Reason: certs.ReasonKeyCompromise}, now: now}
		k := BlockedKey{Hash: c.SPKI, Algorithm: HashSM3, Source: BlockedByPossession, By: by.String(), At: now}
		added, err := w.AddBlockedKey(k)
		if err != nil {
			return err
		}
		if added {
			if err := recordBlock(w, by, k); err != nil {
				return err
			}
		}
		if err := w.BlockKey(c.SPKI, now); err != nil {
			return err
		}
		all, err := w.CertificatesOfKeys([][]byte{c.SPKI}, maxFollowed)
		if err != nil {
			return err
		}
		out.More = len(all) == maxFollowed
		if err := e.all(all, &out); err != nil {
			return err
		}
		return e.reserved([][]byte{c.SPKI}, &out)
	})
	if err != nil {
		return Ended{}, err
	}
	a.statusesChanged(out)
	return out, nil
}

func (a *Authority) checkPossession(c Record, signature []byte) error {
	cert, err := certs.Parse(c.DER)
	if err != nil {
		return err
	}
	alg, err := certs.SigningAlgorithm(cert.PublicKey)
	if err != nil {
		return err
	}
	for _, day := range []time.Time{a.Now(), a.Now().AddDate(0, 0, -1)} {
		if certs.CheckSignature(cert.PublicKey, alg, a.challenge(c.Serial, day), signature) == nil {
			return nil
		}
	}
	return ErrPossession.With("certificate %x", c.Serial)
}
