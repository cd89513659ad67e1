package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"hufu/ca"
	"hufu/certs"
	"hufu/internal/actor"
	"hufu/internal/gm"
	"hufu/keys"
	"hufu/keys/shares"
)

// holding is a ceremony under way that makes a root.
type holding struct {
	s     *server
	t     *transcript
	asked *passphrases
	cost  shares.Cost
	by    actor.Actor
	order shares.Order
	dir   string // of the share files
	life  time.Duration
	mark  string // behind names, in a rehearsal
}

// hold begins, begins anew or goes on, by what it finds.
func (h *holding) hold(ctx context.Context) error {
	h.t.step("参加者", "custodians", "%s; %d of %d", strings.Join(h.order.Holders, ", "), h.order.Threshold, len(h.order.Holders))
	if err := h.t.program(h.s.cfg); err != nil {
		return err
	}
	c, begun, err := h.s.ca.Ceremony(ctx)
	if err != nil {
		return err
	}
	if begun && c.State == ca.CeremonyKey {
		if err := h.void(ctx, c); err != nil {
			return err
		}
		begun = false
	}
	if names, _ := h.s.ca.Issuers(); !begun && len(names) > 0 || begun && c.State == ca.CeremonyDone {
		return ca.ErrMade.With("there are %v", names)
	}
	var root *rootKey
	if begun {
		root, err = h.goOn(ctx, c)
	} else {
		c, root, err = h.divide(ctx)
	}
	if err != nil {
		return err
	}
	defer root.clear()
	return h.authorities(ctx, c, root)
}

// void ends what an interrupted ceremony left: a key that nobody can use, since its shares were never confirmed.
func (h *holding) void(ctx context.Context, c ca.Ceremony) error {
	many, err := h.s.rootKeys(ctx)
	if err != nil {
		return err
	}
	if err := many.Destroy(ctx, h.by, c.Key); err != nil && !errors.Is(err, keys.ErrUnknown) {
		return err
	}
	if err := h.s.ca.VoidCeremony(ctx, h.by, c); err != nil {
		return err
	}
	h.t.step("上次仪式中断，分量未确认，已作废，现重新开始", "an interrupted ceremony was voided, since its shares were not confirmed; this one begins anew",
		"%s; destroy its share files %s", c.ID, shareFile(c.ID, "*"))
	return nil
}

// divide makes the root's key, divides its owner's half and proves that the shares can be read back.
func (h *holding) divide(ctx context.Context) (ca.Ceremony, *rootKey, error) {
	var c ca.Ceremony
	if err := os.MkdirAll(h.dir, 0o700); err != nil {
		return c, nil, errShares.With("%w", err)
	}
	many, err := h.s.rootKeys(ctx)
	if err != nil {
		return c, nil, err
	}
	half := make([]byte, shares.Size)
	rand.Read(half) // never fails since Go 1.24
	defer clear(half)
	id, public, err := many.Generate(ctx, "root", keys.Enrolment{Half: half})
	if err != nil {
		return c, nil, fmt.Errorf("make the root's key: %w", err)
	}
	h.order.Made = h.s.now()
	spki, err := certs.MarshalPublicKey(public)
	if err != nil {
		return c, nil, err
	}
	h.order.Public = gm.SM3(spki)
	set, all, err := shares.Split(half, h.order)
	clear(half)
	if err != nil {
		return c, nil, errors.Join(err, many.Destroy(ctx, h.by, id))
	}
	defer forget(all)
	digest := set.Digest()
	c = ca.Ceremony{ID: set.Ceremony, Key: id, Shares: digest[:], Threshold: set.Threshold, Holders: len(set.Holders), State: ca.CeremonyKey}
	if err := h.s.ca.BeginCeremony(ctx, h.by, c); err != nil {
		return c, nil, errors.Join(err, many.Destroy(ctx, h.by, id))
	}
	if err := h.tellKey(ctx, many, c); err != nil {
		return c, nil, err
	}
	if err := h.write(ctx, all); err != nil {
		return c, nil, err
	}
	forget(all)
	root, err := h.readBack(ctx, c)
	if err != nil {
		return c, nil, err
	}
	if c, err = h.s.ca.ConfirmShares(ctx, h.by, c); err != nil {
		root.clear()
	}
	return c, root, err
}

// tellKey notes the root's key and how it is held.
func (h *holding) tellKey(ctx context.Context, many *keys.Many, c ca.Ceremony) error {
	held, err := many.Held(ctx, c.Key)
	if err != nil {
		return err
	}
	how := "由软件密钥库主密钥与保管员分量共同保护，未使用密码机 / under the software key store's master key and the custodians' shares, no hardware"
	switch {
	case held.Inside:
		how = "仅在密码设备内、由保管员分量激活使用 / opened by the custodians' shares within the device alone (HSM-backed)"
	case h.s.cfg.hardware():
		how = "由密码设备主密钥与保管员分量共同保护 / under the device's master key and the custodians' shares (HSM-wrapped)"
	}
	h.t.step("根密钥已生成", "root key made", "ceremony %s, key %s, public key SM3 %x; %s", c.ID, c.Key, h.order.Public, how)
	return nil
}

func forget(all []*shares.Share) {
	for _, s := range all {
		s.Clear()
	}
}

// shareFile names the file of a share, so that those of two ceremonies never meet.
func shareFile(ceremony, number string) string {
	return "root-" + ceremony[:8] + "-" + number + ".share"
}

// write seals each share under its custodian's passphrase into a file.
func (h *holding) write(ctx context.Context, all []*shares.Share) error {
	for _, share := range all {
		passphrase, err := h.asked.choose(ctx, share.Holder())
		if err != nil {
			return err
		}
		file, err := share.Seal(passphrase, h.cost)
		clear(passphrase)
		if err != nil {
			return err
		}
		name := shareFile(file.Set.Ceremony, fmt.Sprint(share.Number))
		if err := writeNew(filepath.Join(h.dir, name), file.Bytes(), 0o600); err != nil {
			return errShares.With("%w", err)
		}
		h.t.step("密钥分量已写入", "share written", "%d for %s, file %s, SM3 %x", share.Number, share.Holder(), name, gm.SM3(file.Bytes()))
	}
	return syncFolder(h.dir)
}

// readBack lets every custodian open the own share as it lies in its file, and puts the root's key together from each run of
// shares that should suffice, so that every share was needed once.
func (h *holding) readBack(ctx context.Context, c ca.Ceremony) (*rootKey, error) {
	files, err := h.files(c)
	if err != nil {
		return nil, err
	}
	if len(files) != c.Holders {
		return nil, shares.ErrMissing.With("%d of %d share files can be read back", len(files), c.Holders)
	}
	all, err := openShares(ctx, h.asked, files)
	defer forget(all)
	if err != nil {
		return nil, err
	}
	var root *rootKey
	for first := range all {
		chosen := append(slices.Clone(all[first:]), all[:first]...)[:c.Threshold]
		if root != nil {
			root.clear()
		}
		if root, err = h.s.openRoot(ctx, c.Key, chosen); err != nil {
			return nil, err
		}
	}
	h.t.step("全部分量已读回并核验，根密钥可由分量合成", "all shares were read back, opened by their holders and put together to the root's key", "%d of %d", c.Threshold, c.Holders)
	return root, nil
}

// files reads the share files of a ceremony that lie in the folder.
func (h *holding) files(c ca.Ceremony) ([]*shares.File, error) {
	names, err := filepath.Glob(filepath.Join(h.dir, shareFile(c.ID, "*")))
	if err != nil {
		return nil, errShares.With("%w", err)
	}
	files, err := readShares(names)
	if err != nil {
		return nil, err
	}
	return files, ofCeremony(c, files)
}

// goOn takes up a ceremony whose shares were confirmed: enough custodians bring theirs.
func (h *holding) goOn(ctx context.Context, c ca.Ceremony) (*rootKey, error) {
	h.t.step("继续已确认分量的仪式", "going on with a ceremony whose shares were confirmed", "%s of %s", c.ID, c.Changed.Format(time.RFC3339))
	files, err := h.files(c)
	if err == nil {
		err = shares.Enough(files...)
	}
	if err != nil {
		return nil, fmt.Errorf("put the share files back into %s: %w", h.dir, err)
	}
	all, err := openShares(ctx, h.asked, files[:c.Threshold])
	defer forget(all)
	if err != nil {
		return nil, err
	}
	h.t.present(all)
	return h.s.openRoot(ctx, c.Key, all)
}

// authorities lets the root sign all that a fresh installation needs of it, and closes the transcript.
func (h *holding) authorities(ctx context.Context, c ca.Ceremony, root *rootKey) error {
	if _, err := h.s.ca.Recover(ctx, true); err != nil { // a certificate that an interrupted sitting may have signed is revoked
		return err
	}
	sitting, err := h.s.ca.Sit(h.by, c, root, h.mark)
	if err != nil {
		return err
	}
	if _, err := sitting.Authorities(ctx); err != nil {
		return err
	}
	names, chain := h.s.ca.Issuers()
	for _, name := range names {
		h.t.certificate(name, chain[name])
	}
	lists, err := sitting.SignLists(ctx, h.life)
	if err != nil {
		return err
	}
	h.t.lists(lists)
	sum, err := h.t.keep(root, sitting.Root().PEM())
	if err != nil {
		return err
	}
	_, err = h.s.ca.FinishCeremony(ctx, h.by, c, sum)
	return err
}
