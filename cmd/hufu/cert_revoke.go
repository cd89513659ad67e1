package main

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"hufu/certs"
	"hufu/internal/fault"
)

// revokedCertificates is what a revocation did.
type revokedCertificates struct {
	Revoked []struct{ Serial, Reason string }
	Also    []struct{ Serial, Profile, Why, Under string }
	More    bool
	Second  bool `json:"second_officer"`
}

func (r revokedCertificates) print(con *console, dry bool) error {
	done := fault.Text{EN: "revoked", ZH: "已吊销"}
	if dry {
		done = fault.Text{EN: "would be revoked", ZH: "将被吊销"}
	}
	for _, v := range r.Revoked {
		fmt.Fprintf(con.out, "%s %s (%s) / %s\n", v.Serial, done.EN, v.Reason, done.ZH)
	}
	for _, v := range r.Also {
		why := v.Why
		if v.Under != "" {
			why = "obtained with " + v.Under + " (--obtained takes it along) 凭该证书取得"
		}
		fmt.Fprintf(con.out, "%s is left alone: %s, %s / 未处理\n", v.Serial, why, v.Profile)
	}
	if r.More {
		fmt.Fprintln(con.out, "More was obtained with the key than is named here; run the command again when these are revoked. 还有其他凭该密钥取得的证书，处理完后请再次执行。")
	}
	if r.Second {
		fmt.Fprintln(con.out, "This is more than one officer may revoke alone: propose it with --propose REASON. 超出单人可吊销的数量，请用 --propose 提出批量吊销。")
	}
	return nil
}

var (
	errRevokeWhich = fault.New(fault.Invalid, "cert.revoke-which",
		"Name serial numbers, a file of them with --list, or a search by --holder, --profile, --issuer, --from, --to.",
		"请给出证书序列号、--list 列表文件，或用 --holder、--profile、--issuer、--from、--to 指定范围。")
	errRevokeLost = fault.New(fault.Invalid, "cert.revoke-lost",
		"--lost names one certificate, which is revoked at once: give it without serial numbers, --list, a search or --propose.", "--lost 只指定一张证书并立即吊销，不能与序列号、--list、查询条件或 --propose 同用。请分开执行。")
	errCertFile = fault.New(fault.Invalid, "cert.file",
		"The file cannot be used. Name a readable file in PEM with a certificate, or where a key is named a request or a public key.", "无法使用该文件。请指定可读的 PEM 文件：证书；指明密钥时也可以是证书请求或公钥。")
	errRevokeYes = fault.New(fault.Invalid, "cert.revoke-yes",
		"This revokes many certificates for ever. Try with --dry-run first, then give --yes.", "此操作将永久吊销多张证书。请先用 --dry-run 试行，再加 --yes 执行。")
	errRevokeSome = fault.New(fault.Conflict, "cert.revoke-some",
		"Some certificates could not be revoked. Run the same command again: what is revoked already is passed over.", "部分证书吊销失败。请重新执行同一命令，已吊销的将自动跳过。")
)

type certRevokeCommand struct {
	remote
	which
	Serial  []string  `arg:"" optional:"" help:"Serial numbers, hexadecimal."`
	List    string    `help:"File with one serial number a line; # begins a remark." type:"existingfile" placeholder:"FILE"`
	Lost    string    `help:"File with a certificate of ours, PEM, that the record may have lost with the newest rows of the database." type:"existingfile" placeholder:"FILE"`
	Reason  string    `required:"" enum:"unspecified,keyCompromise,cACompromise,affiliationChanged,superseded,cessationOfOperation,privilegeWithdrawn" placeholder:"REASON" help:"keyCompromise, affiliationChanged, superseded, cessationOfOperation, privilegeWithdrawn or unspecified; cACompromise of an authority."`
	Invalid time.Time `help:"Since when the key is known or suspected to be lost." placeholder:"TIME"`
	Pair    bool      `help:"The other certificate of the same application too."`

	Obtained bool   `help:"For keyCompromise: also what was obtained with the key by CMP, EST or renewal."`
	Propose  string `help:"Propose it as mass revocations, of up to 1000 certificates each, for this reason; another officer decides." placeholder:"TEXT"`

	DryRun bool `help:"Tell what would be revoked; change nothing."`
	Yes    bool `help:"It is meant: many certificates at once."`
}

func (c *certRevokeCommand) Run(con *console) error {
	s, err := c.open()
	if err != nil {
		return err
	}
	serials, err := c.serials(con, s)
	if err != nil {
		return err
	}
	if c.Lost != "" {
		return c.lost(con, s, serials)
	}
	if len(serials) == 0 {
		return errRevokeWhich
	}
	if c.Propose != "" && !c.DryRun {
		return c.propose(con, s, serials)
	}
	if len(serials) > 1 && !c.Yes && !c.DryRun {
		return errRevokeYes.With("%d certificates", len(serials))
	}
	return c.all(con, s, serials)
}

func (c *certRevokeCommand) serials(con *console, s *session) ([]string, error) {
	serials := c.Serial
	if c.List != "" {
		text, err := os.ReadFile(c.List)
		if err != nil {
			return nil, err
		}
		for line := range strings.Lines(string(text)) {
			line, _, _ = strings.Cut(line, "#")
			if line = strings.TrimSpace(line); line != "" {
				serials = append(serials, line)
			}
		}
	}
	if !c.any() {
		return serials, nil
	}
	for _, state := range []string{"valid", "held"} {
		found, err := s.find(con, c.values(state), 0)
		if err != nil {
			return nil, err
		}
		for _, f := range found {
			serials = append(serials, f.Serial)
		}
	}
	return serials, nil
}

// all revokes one after another. A certificate that is revoked already is passed over, so that the command can be run again.
func (c *certRevokeCommand) all(con *console, s *session, serials []string) error {
	body := map[string]any{"reason": c.Reason, "pair": c.Pair, "obtained": c.Obtained, "dry_run": c.DryRun}
	if !c.Invalid.IsZero() {
		body["invalid_since"] = c.Invalid.UTC()
	}
	show, failed := newProgress(con.err, "revoke"), 0
	for i, serial := range serials {
		var out revokedCertificates
		err := s.ask(con.ctx, http.MethodPost, certificatesPath+"/"+url.PathEscape(serial)+"/revocation", body, &out)
		switch {
		case con.ctx.Err() != nil:
			return con.ctx.Err()
		case err != nil && len(serials) > 1 && isRevoked(err):
		case err != nil && len(serials) == 1:
			return err
		case err != nil:
			failed++
			fmt.Fprintf(con.err, "%s: %s\n", serial, oneLine(err))
		default:
			if err := out.print(con, c.DryRun); err != nil {
				return err
			}
		}
		show(int64(i+1), int64(len(serials)))
	}
	if failed > 0 {
		return errRevokeSome.With("%d of %d", failed, len(serials))
	}
	return nil
}

// lost revokes a certificate that is presented, whether the record knows it or not.
func (c *certRevokeCommand) lost(con *console, s *session, others []string) error {
	if len(others) > 0 || c.Propose != "" {
		return errRevokeLost
	}
	text, serial, err := certificateIn(c.Lost)
	if err != nil {
		return errCertFile.With("%s: %w", c.Lost, err)
	}
	body := map[string]any{"reason": c.Reason, "pair": c.Pair, "obtained": c.Obtained, "dry_run": c.DryRun, "certificate": string(text)}
	if !c.Invalid.IsZero() {
		body["invalid_since"] = c.Invalid.UTC()
	}
	var out revokedCertificates
	if err := s.ask(con.ctx, http.MethodPost, certificatesPath+"/"+serial+"/revocation", body, &out); err != nil {
		return err
	}
	return out.print(con, c.DryRun)
}

// certificateIn reads a certificate in PEM, and tells its serial number.
func certificateIn(file string) (text []byte, serial string, err error) {
	if text, err = readSmall(file); err != nil {
		return nil, "", err
	}
	der, err := certs.DecodePEM(text, "CERTIFICATE")
	if err != nil {
		return nil, "", err
	}
	cert, err := certs.ParseLenient(der)
	if err != nil {
		return nil, "", err
	}
	return text, cert.SerialHex(), nil
}

// isRevoked tells the server's refusal of a second revocation.
func isRevoked(err error) bool {
	said, ok := errors.AsType[*fault.Error](err)
	return ok && said.Code == "ca.revoked"
}
