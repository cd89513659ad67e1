package ca

import (
	"context"
	"encoding/hex"
	"slices"
	"time"

	"hufu/audit"
	"hufu/certs"
	"hufu/internal/actor"
	"hufu/internal/fault"
	"hufu/internal/gm"
)

// Refusals about keys.
var (
	ErrBlocked = fault.New(fault.Conflict, "ca.key-blocked",
		"This key is blocked for ever, because it was lost or is known to be weak. Make a new key.", "该密钥已泄露或属于已知弱密钥，已被永久禁用。请生成新的密钥。")
	ErrKeyHash = fault.New(fault.Invalid, "ca.key-hash",
		"Name a key by its SubjectPublicKeyInfo or by the SM3 or SHA-256 of it, 32 octets.", "请以 SubjectPublicKeyInfo，或其 SM3、SHA-256 摘要（32 字节）指明密钥。")
	ErrPossession = fault.New(fault.Denied, "ca.possession",
		"The signature does not show that you have this key. Fetch the challenge again and sign exactly its octets.", "签名不能证明您持有该密钥。请重新获取挑战内容并对其原文签名。")
)

// KeyName names a key: by SPKI, or by a hash of it with its algorithm.
type KeyName struct {
	SPKI      []byte // SubjectPublicKeyInfo, DER
	Hash      []byte // 32 octets; only without SPKI
	Algorithm string // of Hash: HashSM3 or HashSHA256
}

// Blocking asks for keys to be blocked.
type Blocking struct {
	Keys   []KeyName // at most maxBlocking
	Listed bool      // taken over from a published list, and not found here
	Note   string    // where that is known from; no personal data
	Revoke bool      // also revoke the certificates of these keys, for key compromise
	DryRun bool
}

// maxBlocking bounds how many keys are blocked in one call.
const maxBlocking = 1000

// Blocked is what a blocking did, or would do.
type Blocked struct {
	New          int       // keys that were not blocked before
	Certificates []Record  // in force and of these keys; revoked where that was asked for. Hashes in SHA-256 do not find any
	Also         []Related // obtained with these keys, and left alone
	Second       bool      // of a dry run: more than one officer may revoke alone
}

// BlockKeys makes keys unusable for certificates for ever: nothing unblocks one, since a new key costs the holder a minute,
// and a key that was called lost once is not to be trusted again. Officers may; an authority's key they may not.
func (a *Authority) BlockKeys(ctx context.Context, by actor.Actor, b Blocking) (Blocked, error) {
	if err := by.Require(enders...); err != nil {
		return Blocked{}, err
	}
	if len(b.Keys) == 0 || len(b.Keys) > maxBlocking || len(b.Note) > 600 {
		return Blocked{}, ErrKeyHash.With("%d keys, at most %d", len(b.Keys), maxBlocking)
	}
	if err := a.standing(ctx, by); err != nil {
		return Blocked{}, err
	}
	names, err := b.names(by, a.Now().UTC())
	if err != nil {
		return Blocked{}, err
	}
	var out Blocked
	var ended Ended
	second := false
	err = a.Store.Update(ctx, func(w W) error {
		if out, ended, err = a.blockAll(w, by, b, names); err != nil {
			return err
		}
		err = a.takeAlone(w, by, len(ended.Revoked), enders)
		if b.DryRun {
			second, err = tried(err)
		}
		return err
	})
	if err != nil && !isDry(err) {
		return Blocked{}, err
	}
	if out.Second = second; !b.DryRun {
		a.statusesChanged(ended)
	}
	return out, nil
}

// names are the keys as they are kept.
func (b Blocking) names(by actor.Actor, now time.Time) ([]BlockedKey, error) {
	names := make([]BlockedKey, len(b.Keys))
	source := BlockedByOfficer
	if b.Listed {
		source = BlockedByList
	}
	for i, k := range b.Keys {
		hash, algorithm, err := k.hash()
		if err != nil {
			return nil, err
		}
		names[i] = BlockedKey{Hash: hash, Algorithm: algorithm, Source: source, Note: b.Note, By: by.String(), At: now}
	}
	return names, nil
}

// blockAll blocks keys in the caller's transaction.
func (a *Authority) blockAll(w W, by actor.Actor, b Blocking, names []BlockedKey) (out Blocked, ended Ended, err error) {
	r := blockRun{a: a, w: w, by: by, revoke: b.Revoke}
	for _, k := range names {
		if err := r.block(k); err != nil {
			return Blocked{}, Ended{}, err
		}
	}
	r.out.Also = r.ended.Also
	return r.out, r.ended, nil
}

// blockRun is the blocking of keys in one transaction, and what came of it so far.
type blockRun struct {
	a      *Authority
	w      W
	by     actor.Actor
	revoke bool // what is certified for the keys
	out    Blocked
	ended  Ended
}

func (k KeyName) hash() (hash []byte, algorithm string, err error) {
	if len(k.SPKI) > 0 {
		if _, err := certs.ParsePublicKey(k.SPKI); err != nil {
			return nil, "", ErrKeyHash.With("%w", err)
		}
		sum := gm.SM3(k.SPKI)
		return sum[:], HashSM3, nil
	}
	if len(k.Hash) != 32 || k.Algorithm != HashSM3 && k.Algorithm != HashSHA256 {
		return nil, "", ErrKeyHash.With("%d octets of %q", len(k.Hash), k.Algorithm)
	}
	return k.Hash, k.Algorithm, nil
}

func (r *blockRun) block(k BlockedKey) error {
	var all []Record
	if k.Algorithm == HashSM3 {
		if err := r.w.BlockKey(k.Hash, k.At); err != nil { // locks the row first: see ending.key
			return err
		}
		var err error
		if all, err = r.w.CertificatesOfKeys([][]byte{k.Hash}, maxFollowed); err != nil {
			return err
		}
		r.ended.More = r.ended.More || len(all) == maxFollowed
	}
	if r.a.ownKey(k) || slices.ContainsFunc(all, r.a.isAuthority) { // what blocks it for ever, and revokes it, is not an officer's act
		if err := r.by.Require(actor.RoleSuperAdmin); err != nil {
			return err
		}
	}
	added, err := r.w.AddBlockedKey(k)
	if err != nil {
		return err
	}
	if added {
		r.out.New++
		if err := recordBlock(r.w, r.by, k); err != nil {
			return err
		}
	}
	for _, c := range all {
		if c.NotAfter.After(k.At) {
			r.out.Certificates = append(r.out.Certificates, c)
		}
	}
	if !r.revoke || k.Algorithm != HashSM3 {
		return nil
	}
	e := ending{a: r.a, w: r.w, by: r.by, Ending: Ending{Reason: certs.ReasonKeyCompromise}, now: k.At}
	if err := e.all(all, &r.ended); err != nil {
		return err
	}
	if err := e.reserved([][]byte{k.Hash}, &r.ended); err != nil || len(all) == 0 {
		return err
	}
	return e.obtained(all[0], &r.ended)
}

// ownKey tells whether a name is that of one of our authorities' keys, by either hash.
func (a *Authority) ownKey(k BlockedKey) bool {
	names, chain := a.Issuers()
	return slices.ContainsFunc(names, func(name string) bool {
		own := foreseen(chain[name].RawSPKI)
		return slices.Equal(k.Hash, own.SM3) || slices.Equal(k.Hash, own.SHA256)
	})
}

func recordBlock(w W, by actor.Actor, k BlockedKey) error {
	return w.Record(audit.Entry{
		At: k.At, Actor: by, Action: "key.block", Object: audit.Object{Kind: "public-key", ID: hex.EncodeToString(k.Hash)},
		Public: map[string]string{"algorithm": k.Algorithm, "source": k.Source},
	})
}

// BlockedKeys lists keys that are blocked, newest first, at most 100, behind the given one. Officers of every kind may.
func (a *Authority) BlockedKeys(ctx context.Context, by actor.Actor, after BlockedKey, limit int) (all []BlockedKey, err error) {
	if err := by.Require(actor.RoleRegistrar, actor.RoleApprover, actor.RoleBusinessAdmin, actor.RoleAuditAdmin); err != nil {
		return nil, err
	}
	if limit <= 0 || limit > 100 {
		limit = 100
	}
	err = a.Store.View(ctx, func(r R) error {
		all, err = r.BlockedKeys(after.At, after.Hash, limit)
		return err
	})
	return all, err
}

// keyNotBlocked refuses a key that is blocked, by either hash.
func keyNotBlocked(r R, spki []byte) error {
	_, err := keyState(r, spki)
	return err
}

// keyState is keyNotBlocked that tells whose key it is.
func keyState(r R, spki []byte) (*KeyOwner, error) {
	hashes := foreseen(spki)
	k, err := r.Key(hashes.SM3, hashes.SHA256)
	if err == nil && k.Block != nil {
		err = ErrBlocked.With("key %x, %s since %s", k.Block.Hash, k.Block.Source, k.Block.At.Format(time.RFC3339))
	}
	return k.Owner, err
}
