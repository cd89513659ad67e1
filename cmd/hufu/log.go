package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"hufu/audit"
	"hufu/audit/tree"
	"hufu/hsm"
	"hufu/internal/fault"
	"hufu/internal/outbound"
)

type auditVerifyCommand struct {
	Log       string   `arg:"" help:"Exported folder, or the address of a log: http://localhost:8480/pki/log."`
	LogKey    string   `required:"" help:"File with the log's public key (name+id+base64)." type:"existingfile" placeholder:"FILE"`
	Earlier   []string `help:"Checkpoint of this log that was seen earlier; may be given several times." type:"existingfile" placeholder:"FILE"`
	Witness   []string `help:"Public key of a witness (name+id+base64); may be given several times." placeholder:"KEY"`
	Quorum    int      `help:"How many witnesses must have cosigned."`
	AllowHost []string `help:"Address range that may be called, besides public ones and this machine." placeholder:"CIDR"`
}

var (
	errLog = fault.New(fault.Invalid, "audit.log-broken",
		"The log does not hold. Keep this copy as evidence and tell the auditors.", "日志校验未通过。请保留此副本作为证据并通知审计人员。")
	errLogRead = fault.New(fault.Unavailable, "audit.unreadable",
		"The log cannot be read. Check the folder or address, and that its server runs; then try again.", "日志无法读取。请检查目录或地址以及服务是否在运行，然后重试。")
	errLogKey = fault.New(fault.Invalid, "audit.key",
		"The key cannot be read. Give the written form name+id+base64, as in log.vkey.", "密钥无法读取。请提供 name+id+base64 形式的公钥，例如 log.vkey。")
	errOtherLog = fault.New(fault.Invalid, "audit.other-log",
		"What answers there is not signed by the key of --log-key. Check that key and address belong to one log.", "该地址的日志不是由 --log-key 所指的密钥签名的。请核对公钥与地址是否属于同一日志。")
)

func (c *auditVerifyCommand) Run(con *console) error {
	key, err := readKey(c.LogKey)
	if err != nil {
		return err
	}
	expect := audit.Expect{Log: key, Quorum: c.Quorum}
	for _, text := range c.Witness {
		w, err := tree.ParseKey(text)
		if err != nil {
			return errLogKey.With("witness %q: %w", text, err)
		}
		expect.Witnesses = append(expect.Witnesses, w)
	}
	for _, file := range c.Earlier {
		note, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		expect.Earlier = append(expect.Earlier, note)
	}
	bar := newProgress(con.err, "checking")
	expect.Progress = func(done, total uint64) { bar(int64(done), int64(total)) }
	fetch, err := fetchFrom(c.Log, c.AllowHost)
	if err != nil {
		return err
	}
	report, err := audit.VerifyExport(con.ctx, c.cosigned(fetch), expect)
	if err != nil {
		return errLogRead.With("read log %s: %w", c.Log, err)
	}
	for _, f := range report.Findings {
		fmt.Fprintf(con.out, "FAILED %s: %s / %s\n", f.Code, f.Text.EN, f.Text.ZH)
	}
	if !report.OK() {
		return errLog.With("%s: %d findings", c.Log, len(report.Findings))
	}
	fmt.Fprintf(con.out, "PASSED %s: %d entries, root %s, %d cosignatures\n", report.Origin, report.Entries, report.Head.Root, len(report.Cosignatures))
	return nil
}

// cosigned asks a running log for the newest checkpoint that witnesses have cosigned, where that is wanted: the newest of all is
// a second old, and they are still on their way to it.
func (c *auditVerifyCommand) cosigned(fetch audit.Fetch) audit.Fetch {
	if c.Quorum == 0 || !isAddress(c.Log) {
		return fetch
	}
	return func(ctx context.Context, path string) ([]byte, error) {
		if path == "checkpoint" {
			path = "cosigned"
		}
		return fetch(ctx, path)
	}
}

func isAddress(log string) bool {
	return strings.HasPrefix(log, "http://") || strings.HasPrefix(log, "https://")
}

func readKey(file string) (*tree.Key, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, errLogKey.With("%w", err)
	}
	key, err := tree.ParseKey(strings.TrimSpace(string(text)))
	if err != nil {
		return nil, errLogKey.With("%s: %w", file, err)
	}
	return key, nil
}

// fetchFrom reads a log from a folder or by HTTP, from public hosts, this machine, and the ranges that are allowed.
func fetchFrom(where string, allow []string) (audit.Fetch, error) {
	if !isAddress(where) {
		if info, err := os.Stat(where); err != nil {
			return nil, errLogRead.With("%w", err)
		} else if !info.IsDir() {
			return nil, errLogRead.With("%s is not a folder", where)
		}
		return audit.FetchFolder(os.DirFS(where)), nil
	}
	client, err := logClient(allow)
	if err != nil {
		return nil, err
	}
	return audit.FetchHTTP(client, strings.TrimSuffix(where, "/")), nil
}

func logClient(allow []string) (*http.Client, error) {
	ranges := outbound.Loopback()
	for _, text := range allow {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, errConfig.With("address range %q: %w", text, err)
		}
		ranges = append(ranges, p)
	}
	return outbound.NewClient(outbound.Options{Allow: ranges, Timeout: 20 * time.Second, MaxBody: 16 << 20}), nil
}

type witnessCommand struct {
	Log       string        `required:"" help:"Address of the log, http://localhost:8480/pki/log." placeholder:"URL"`
	LogKey    string        `required:"" help:"File with the log's public key (name+id+base64)." type:"existingfile" placeholder:"FILE"`
	State     string        `required:"" help:"Folder for the witness's own key and what it saw last; made on the first run." type:"path" placeholder:"DIR"`
	Name      string        `help:"The witness's name, a host name by custom." default:"witness.localhost"`
	Every     time.Duration `help:"How often to look." default:"10s"`
	Once      bool          `help:"Look once and end."`
	AllowHost []string      `help:"Address range that may be called, besides public ones and this machine." placeholder:"CIDR"`
}

// Run follows the log. Its key is its own, in a key store under its state folder; it prints the written public key, which
// the operator of the log and verifiers must be given.
func (c *witnessCommand) Run(con *console) error {
	logKey, err := readKey(c.LogKey)
	if err != nil {
		return err
	}
	client, err := logClient(c.AllowHost)
	if err != nil {
		return err
	}
	device, err := openWitnessKey(con.ctx, c.State)
	if con.stopped(err) && !c.Once {
		return nil
	}
	if err != nil {
		return err
	}
	defer device.Close()
	signer, err := device.Signer(con.ctx, "witness")
	if err != nil {
		return err
	}
	own, err := tree.NewKey(c.Name, tree.Witness, signer.Public())
	if err != nil {
		return errLogKey.With("name %q: %w", c.Name, err)
	}
	w, err := audit.NewWitness(audit.WitnessConfig{
		Log: logKey, Key: own, Signer: signer, Fetch: audit.FetchHTTP(client, strings.TrimSuffix(c.Log, "/")),
		State: audit.FileState(filepath.Join(c.State, "seen")), Now: time.Now,
	})
	if err != nil {
		return err
	}
	fmt.Fprintln(con.out, "witness key:", own)
	return c.follow(con, w, client)
}

func (c *witnessCommand) follow(con *console, w *audit.Witness, client *http.Client) error {
	taken := uint64(0) // the size that the log took a cosignature of
	for {
		seen, err := w.Round(con.ctx)
		if breach, ok := errors.AsType[*audit.BreachError](err); ok {
			return c.keepEvidence(breach)
		}
		fresh := err == nil && seen.Size > taken
		if fresh {
			err = postCosignature(con.ctx, client, c.Log, seen)
		}
		switch {
		case con.ctx.Err() != nil && !c.Once:
			return nil
		case errors.Is(err, tree.ErrSignature) && c.Once:
			return errOtherLog.With("follow %s: %w", c.Log, err)
		case err != nil && c.Once:
			return errLogRead.With("follow %s: %w", c.Log, err)
		case err != nil:
			fmt.Fprintln(con.err, "hufu: witness:", oneLine(err), "(trying again)")
		case fresh:
			taken = seen.Size
			fmt.Fprintf(con.out, "cosigned %d entries, root %s\n", seen.Size, seen.Root)
		}
		if c.Once || !sleep(con.ctx, c.Every) {
			return nil
		}
	}
}

// keepEvidence writes both signed checkpoints of a log that contradicts itself, and refuses.
func (c *witnessCommand) keepEvidence(breach *audit.BreachError) error {
	for name, note := range map[string][]byte{"breach-before": breach.Last, "breach-now": breach.Now} {
		if err := os.WriteFile(filepath.Join(c.State, name), note, 0o600); err != nil {
			return errors.Join(err, errLog.With("%w", breach))
		}
	}
	return errLog.With("evidence kept in %s: %w", c.State, breach)
}

func postCosignature(ctx context.Context, client *http.Client, log string, seen audit.Seen) error {
	where := strings.TrimSuffix(log, "/") + "/cosignature?" + url.Values{"size": {fmt.Sprint(seen.Size)}}.Encode()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, where, bytes.NewReader(seen.Line))
	if err != nil {
		return err
	}
	answer, err := client.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode/100 != 2 {
		return fmt.Errorf("the log did not take the cosignature: %s (is this witness's key in its configuration?)", answer.Status)
	}
	return nil
}

// openWitnessKey opens the witness's own key store, making it on the first run.
func openWitnessKey(ctx context.Context, state string) (hsm.Device, error) {
	cfg := Config{Data: state, PassphraseFile: filepath.Join(state, "passphrase")}
	if err := makePassphrase(cfg); err != nil {
		return nil, err
	}
	passphrase, err := hsm.PassphraseFile(cfg.PassphraseFile)
	if err != nil {
		return nil, err
	}
	defer clear(passphrase)
	dir := filepath.Join(state, "keys")
	device, err := hsm.OpenSoft(dir, passphrase, hsm.Options{})
	if errors.Is(err, hsm.ErrNoStore) {
		device, err = hsm.CreateSoft(dir, passphrase, hsm.Options{})
	}
	if err != nil {
		return nil, fmt.Errorf("key store %s: %w", dir, err)
	}
	if _, err := device.Generate(ctx, hsm.Spec{Label: "witness", Algorithm: hsm.SM2, Use: hsm.UseSign, Purpose: "witness"}); err != nil && !errors.Is(err, hsm.ErrExists) {
		return nil, errors.Join(err, device.Close())
	}
	return device, nil
}
