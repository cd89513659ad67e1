package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"hufu/ca"
	"hufu/certs"
	"hufu/internal/gm"
	"hufu/keys/shares"
)

// laterCeremony is a sitting of custodians whose root exists.
type laterCeremony struct {
	keeping
	Share []string `sep:"none" type:"path" help:"A custodian's share file; as many as the threshold says." placeholder:"FILE"`
}

type signCRLCeremony struct{ laterCeremony }

// Run lets the root sign its lists anew.
func (c *signCRLCeremony) Run(con *console) error {
	life, err := c.life()
	if err != nil {
		return err
	}
	return c.sit(con, "sign-crl", "签发根 CA 吊销列表 / root revocation list", func(t *transcript, s *ca.Sitting) error {
		lists, err := s.SignLists(con.ctx, life)
		t.lists(lists)
		return err
	})
}

type newIssuingCeremony struct {
	laterCeremony
	Profile string `default:"issuing" help:"Profile of the issuing authority." placeholder:"NAME"`
}

// Run makes the next issuing authority; its key is made in the device.
func (c *newIssuingCeremony) Run(con *console) error {
	return c.sit(con, "new-issuing", "新建签发 CA / a new issuing authority", func(t *transcript, s *ca.Sitting) error {
		cert, err := s.NewIssuing(con.ctx, c.Profile)
		if err == nil {
			t.certificate(c.Profile, cert)
		}
		return err
	})
}

type crossCeremony struct {
	laterCeremony
	ID string `arg:"" help:"Of the cross certificate; hufu ca cross list shows it."`
}

// Run signs a cross certificate that was agreed to.
func (c *crossCeremony) Run(con *console) error {
	return c.sit(con, "cross", "签发交叉证书 / a cross certificate", func(t *transcript, s *ca.Sitting) error {
		cert, err := s.Cross(con.ctx, c.ID)
		if err == nil {
			t.certificate("cross "+c.ID, cert)
		}
		return err
	})
}

// sit opens the shares, lets the root do one thing and closes the transcript. A dry run ends where the root would sign.
func (c *laterCeremony) sit(con *console, name, what string, do func(*transcript, *ca.Sitting) error) error {
	cfg, err := loadConfig(c.Config, c.Data)
	if err != nil {
		return err
	}
	files, err := readShares(c.Share)
	if err == nil {
		err = shares.Enough(files...)
	}
	if err != nil {
		return err
	}
	var present []string
	for _, f := range files {
		present = append(present, f.Holder())
	}
	asked, err := newPassphrases(c.PassphraseFile, present, con.err)
	if err != nil {
		return err
	}
	t, err := c.begin(con, what)
	if err != nil {
		return err
	}
	s, err := openForCeremony(con.ctx, cfg, openOptions{log: newLog(con.err, slog.LevelWarn)})
	if err != nil {
		return err
	}
	later := sittingOf{s: s, t: t, asked: asked, files: files, dry: c.DryRun}
	return errors.Join(later.hold(con.ctx, name, do), s.Close())
}

// sittingOf is a later ceremony under way.
type sittingOf struct {
	s     *server
	t     *transcript
	asked *passphrases
	files []*shares.File
	dry   bool
}

func (h *sittingOf) hold(ctx context.Context, name string, do func(*transcript, *ca.Sitting) error) error {
	c, begun, err := h.s.ca.Ceremony(ctx)
	switch {
	case err != nil:
		return err
	case !begun:
		return ca.ErrOnline
	case c.State != ca.CeremonyDone:
		return ca.ErrCeremony.With("ceremony %s is in state %q", c.ID, c.State)
	}
	if err := ofCeremony(c, h.files); err != nil {
		return err
	}
	if err := h.t.program(h.s.cfg); err != nil {
		return err
	}
	all, err := openShares(ctx, h.asked, h.files)
	defer forget(all)
	if err != nil {
		return err
	}
	h.t.step("仪式", "ceremony of the root", "%s, key %s", c.ID, c.Key)
	h.t.present(all)
	root, err := h.s.openRoot(ctx, c.Key, all)
	if err != nil {
		return err
	}
	defer root.clear()
	forget(all)
	sitting, err := h.s.ca.Sit(ceremonyActor(), c, root, "")
	if err != nil {
		return err
	}
	h.t.step("根密钥可用", "the root's key can sign", "public key SM3 %x", gm.SM3(sitting.Root().RawSPKI))
	if h.dry {
		return h.t.keepUnsigned()
	}
	if err := do(h.t, sitting); err != nil {
		return err
	}
	sum, err := h.t.keep(root, sitting.Root().PEM())
	if err != nil {
		return err
	}
	return h.s.ca.RecordSitting(ctx, ceremonyActor(), c, name, len(all), sum)
}

// maxShareFile bounds what is read as a share file, in octets.
const maxShareFile = 16 << 10

// readShares reads share files.
func readShares(names []string) (all []*shares.File, err error) {
	for _, name := range names {
		f, err := os.Open(name)
		if err != nil {
			return nil, shares.ErrForm.With("%w", err)
		}
		text, err := io.ReadAll(io.LimitReader(f, maxShareFile+1))
		_ = f.Close()
		if err != nil {
			return nil, shares.ErrForm.With("%w", err)
		}
		file, err := shares.Parse(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		all = append(all, file)
	}
	return all, nil
}

// ofCeremony refuses files of another ceremony than the one that the database names.
func ofCeremony(c ca.Ceremony, files []*shares.File) error {
	for _, f := range files {
		if digest := f.Set.Digest(); string(digest[:]) != string(c.Shares) {
			return ca.ErrStrangeRoot.With("share of %s is of ceremony %s, the root's is %s", f.Holder(), f.Set.Ceremony, c.ID)
		}
	}
	return nil
}

// openShares lets each custodian open the own share. The caller forgets what was opened, also after an error.
func openShares(ctx context.Context, asked *passphrases, files []*shares.File) (all []*shares.Share, err error) {
	for _, f := range files {
		share, err := asked.open(ctx, f)
		if err != nil {
			return all, err
		}
		all = append(all, share)
	}
	return all, nil
}

// present notes whose shares were opened.
func (t *transcript) present(all []*shares.Share) {
	var names []string
	for _, s := range all {
		names = append(names, s.Holder())
	}
	t.step("到场并打开分量的保管员", "custodians who opened their shares", "%s", strings.Join(names, ", "))
}

// certificate notes an authority.
func (t *transcript) certificate(name string, c *certs.Certificate) {
	t.step("证书", "certificate", "%s, %s, serial %s, from %s to %s, public key SM3 %x, certificate SM3 %x", name, c.Subject, c.SerialHex(),
		c.NotBefore.Format(time.RFC3339), c.NotAfter.Format(time.RFC3339), gm.SM3(c.RawSPKI), c.Fingerprint())
}

// lists notes what the root published.
func (t *transcript) lists(all []ca.List) {
	for _, l := range all {
		name := "full"
		if l.Shard != ca.FullShard {
			name = fmt.Sprint(l.Shard)
		}
		t.step("吊销列表", "revocation list", "%s/%s, number %d, next by %s, SM3 %x", l.Issuer, name, l.Number, l.NextUpdate.Format(time.RFC3339), l.SM3)
	}
}
