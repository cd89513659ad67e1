package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"strings"
	"time"

	"hufu/internal/fault"
	"hufu/keys/shares"
)

type caCommands struct {
	List     caListCommand     `cmd:"" help:"List our authorities. Example: hufu ca list"`
	Show     caShowCommand     `cmd:"" help:"Show an authority and print its certificate. Example: hufu ca show issuing"`
	Request  caRequestCommand  `cmd:"" help:"Make a key and a request for a certificate by a superior (上级 CA). Example: hufu ca request --profile issuing --out issuing.csr"`
	Requests caRequestsCommand `cmd:"" help:"List requests to superiors. Example: hufu ca requests"`
	Install  caInstallCommand  `cmd:"" help:"Propose what the superior issued. Example: hufu ca install issuing.pem --chain chain.pem --root 3f1c…"`
	Confirm  caConfirmCommand  `cmd:"" help:"Put in force what another administrator proposed. Example: hufu ca confirm ID --root 3f1c…"`
	Withdraw caWithdrawCommand `cmd:"" help:"Give a request to a superior up. Example: hufu ca withdraw ID"`
	Cross    crossCommands     `cmd:"" help:"Work with cross certificates (交叉证书)."`
	External externalCommands  `cmd:"" help:"Work with CAs of others that issue for us (外部 CA), by CMP."`
	Trust    trustCommands     `cmd:"" help:"Work with the trust list of other CAs (信任清单)."`
	Ceremony ceremonyCommands  `cmd:"" help:"Hold a key ceremony (密钥仪式): a root whose key k of n custodians share."`
	Recovery recoveryCommands  `cmd:"" help:"Recover encryption keys from escrow (密钥恢复), k of n officers approving."`
	Profile  profileCommands   `cmd:"" help:"Work with certificate profiles (证书模板) and their versions."`
}

type ceremonyCommands struct {
	Root       rootCeremony       `cmd:"" default:"withargs" help:"Make the authorities of a fresh installation, the root's key divided among custodians. Example: hufu ca ceremony root --config hufu.yaml --custodian 张三 --custodian 李四 --custodian 王五 --threshold 2 --shares /media/shares --transcript ceremony.txt"`
	SignCRL    signCRLCeremony    `cmd:"" name:"sign-crl" help:"Let the root sign its revocation list anew. Example: hufu ca ceremony sign-crl --config hufu.yaml --share one.share --share two.share --transcript crl.txt"`
	NewIssuing newIssuingCeremony `cmd:"" name:"new-issuing" help:"Let the root certify the next issuing authority. Example: hufu ca ceremony new-issuing --config hufu.yaml --share one.share --share two.share --transcript issuing.txt"`
	Cross      crossCeremony      `cmd:"" help:"Let the root sign a cross certificate (交叉证书) that two agreed to. Example: hufu ca ceremony cross ID --config hufu.yaml --share one.share --share two.share --transcript cross.txt"`
}

// keeping is what all ceremonies take.
type keeping struct {
	place
	PassphraseFile map[string]string `name:"passphrase-file" mapsep:"none" help:"A custodian's passphrase from a file of mode 0600, for scripts; else it is typed without echo." placeholder:"NAME=FILE"`
	Transcript     string            `required:"" type:"path" help:"New file for the transcript; its signature goes into FILE.sig, the root's certificate into FILE.root.pem." placeholder:"FILE"`
	Present        []string          `sep:"none" help:"Name of a further person present: operator, auditor, notary." placeholder:"NAME"`
	ListDays       int               `default:"400" help:"Life of the root's revocation list in days, 1 to 1100."`
	DryRun         bool              `help:"Rehearse: nothing is kept, and the transcript says so."`
}

var errListDays = fault.New(fault.Invalid, "ceremony.list-days",
	"The life of the root's list is 1 to 1100 days. Choose --list-days in between.", "根 CA 吊销列表的有效期为 1 至 1100 天。请调整 --list-days。")

func (k *keeping) life() (time.Duration, error) {
	if k.ListDays < 1 || k.ListDays > 1100 {
		return 0, errListDays.With("%d days", k.ListDays)
	}
	return time.Duration(k.ListDays) * 24 * time.Hour, nil
}

// begin opens the transcript.
func (k *keeping) begin(con *console, what string) (*transcript, error) {
	t, err := newTranscript(k.Transcript, time.Now, con.out, what, k.DryRun)
	if err == nil && len(k.Present) > 0 {
		t.step("其他在场人员", "also present", "%s", flat(strings.Join(k.Present, ", ")))
	}
	return t, err
}

type rootCeremony struct {
	keeping
	Custodian []string `sep:"none" help:"Name of a custodian; once for each, 2 to 16." placeholder:"NAME"`
	Threshold int      `help:"How many custodians the root needs to sign, from 2." placeholder:"K"`
	Shares    string   `type:"path" help:"Folder into which the share files are written." placeholder:"DIR"`
}

var errShares = fault.New(fault.Invalid, "ceremony.shares",
	"Name with --shares a folder, best on a medium of its own, into which the share files can be written.",
	"请用 --shares 指定可写入密钥分量文件的目录，最好位于单独的介质上。")

// Run holds the ceremony, or goes on with one that was interrupted after its shares were confirmed.
func (c *rootCeremony) Run(con *console) error {
	life, err := c.life()
	if err != nil {
		return err
	}
	cfg, err := loadConfig(c.Config, c.Data)
	if err != nil {
		return err
	}
	order := shares.Order{Key: "root", Threshold: c.Threshold, Holders: c.Custodian}
	if err := order.Plan(); err != nil {
		return err
	}
	if c.Shares == "" && !c.DryRun {
		return errShares.With("no --shares")
	}
	asked, err := newPassphrases(c.PassphraseFile, c.Custodian, con.err)
	if err != nil {
		return err
	}
	mark := ""
	if c.DryRun {
		var end func()
		if cfg, end, err = rehearsalPlace(con.ctx, cfg); err != nil {
			return err
		}
		defer end()
		c.Shares, mark, order.Key = filepath.Join(cfg.Data, "shares"), " 演练 REHEARSAL", "rehearsal"
	}
	t, err := c.begin(con, "生成根 CA 与签发 CA / making of root and issuing authority")
	if err != nil {
		return err
	}
	s, err := openForCeremony(con.ctx, cfg, openOptions{create: true, migrate: true, log: newLog(con.err, slog.LevelWarn)})
	if err != nil {
		return err
	}
	h := &holding{s: s, t: t, asked: asked, cost: shares.DefaultCost, by: ceremonyActor(), order: order, dir: c.Shares, life: life, mark: mark}
	err = h.hold(con.ctx)
	if err == nil {
		h.farewell(con.out, c.DryRun, c.again(cfg))
	}
	if c.DryRun {
		err = errors.Join(err, s.tidyTokens(context.WithoutCancel(con.ctx)))
	}
	return errors.Join(err, s.Close())
}

// farewell says what people do next, in the place that they named.
func (h *holding) farewell(out io.Writer, dry bool, place string) {
	if dry {
		fmt.Fprintf(out, "\n演练结束，除记录文件外未保留任何内容。/ The rehearsal is over; nothing of it was kept but %s, its .sig and its .root.pem.\n", h.t.path)
		return
	}
	fmt.Fprintf(out, "\n请将 %[1]s 中的分量文件各自交给保管员（单独介质、分别存放），并从此处删除；随后执行 hufu init %[2]s。\n"+
		"Give each custodian his or her share file from %[1]s, on a medium and at a place of its own, and delete them here. Then run: hufu init %[2]s\n", h.dir, place)
}
