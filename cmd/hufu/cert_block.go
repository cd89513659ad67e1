package main

import (
	"encoding/hex"
	"fmt"
	"net/http"
	"os"
	"strings"

	"hufu/certs"
	"hufu/internal/fault"
)

var errBlockWhich = fault.New(fault.Invalid, "cert.block-which",
	"Name the keys to block: files, --sm3 or --sha256.", "请指明要封禁的密钥：文件、--sm3 或 --sha256。")

type certBlockKeyCommand struct {
	remote
	File    []string `arg:"" optional:"" help:"Certificates, requests or public keys, PEM." type:"existingfile"`
	SM3     []string `name:"sm3" help:"SM3 of a SubjectPublicKeyInfo, hexadecimal." placeholder:"HASH"`
	SHA256  string   `name:"sha256" help:"File with the SHA-256 of a weak key a line, as published lists have it." type:"existingfile" placeholder:"FILE"`
	Note    string   `required:"" help:"Where that is known from."`
	Revoke  bool     `help:"Revoke the certificates of these keys too."`
	Propose string   `help:"Propose to block them and to revoke their certificates, 1000 keys at a time, for this reason; another officer decides." placeholder:"TEXT"`
	DryRun  bool     `help:"Tell what would happen; change nothing."`
}

func (c *certBlockKeyCommand) Run(con *console) error {
	s, err := c.open()
	if err != nil {
		return err
	}
	keys, err := c.keys()
	if err != nil {
		return err
	}
	if len(keys) == 0 {
		return errBlockWhich
	}
	if c.Propose != "" && !c.DryRun {
		return inParts(keys, func(part []map[string]any) error {
			return proposeMass(con, s, map[string]any{"keys": part, "note": c.Note, "listed": c.SHA256 != "", "reason": c.Propose})
		})
	}
	total, blocked, done := len(keys), 0, "has such a key / 使用该密钥"
	if c.Revoke && !c.DryRun {
		done = "had such a key and is revoked / 使用该密钥，已吊销"
	}
	for len(keys) > 0 {
		part := keys[:min(1000, len(keys))]
		keys = keys[len(part):]
		var out struct {
			New          int
			Certificates []string
		}
		if err := s.ask(con.ctx, http.MethodPost, "/api/v1/blocked-keys", map[string]any{
			"keys": part, "note": c.Note, "listed": c.SHA256 != "", "revoke": c.Revoke, "dry_run": c.DryRun,
		}, &out); err != nil {
			return err
		}
		blocked += out.New
		for _, serial := range out.Certificates {
			fmt.Fprintf(con.out, "certificate %s %s\n", serial, done)
		}
	}
	_, err = fmt.Fprintf(con.out, "%d keys, %d of them new / 共 %[1]d 个密钥，新增 %[2]d 个\n", total, blocked)
	return err
}

func (c *certBlockKeyCommand) keys() (keys []map[string]any, err error) {
	for _, file := range c.File {
		text, err := readSmall(file)
		if err != nil {
			return nil, errCertFile.With("%w", err)
		}
		spki, err := publicKeyIn(text)
		if err != nil {
			return nil, errCertFile.With("%s: %w", file, err)
		}
		keys = append(keys, map[string]any{"spki": spki})
	}
	for _, hash := range c.SM3 {
		keys = append(keys, map[string]any{"hash": hash, "algorithm": "sm3"})
	}
	if c.SHA256 == "" {
		return keys, nil
	}
	text, err := os.ReadFile(c.SHA256)
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		if hash, err := hex.DecodeString(line); err != nil || len(hash) != 32 {
			return nil, errUsage.With("%s: %q is no SHA-256", c.SHA256, line)
		}
		keys = append(keys, map[string]any{"hash": line, "algorithm": "sha256"})
	}
	return keys, nil
}

// publicKeyIn returns the SubjectPublicKeyInfo of a certificate, a request or a public key in PEM.
func publicKeyIn(text []byte) ([]byte, error) {
	if der, err := certs.DecodePEM(text, "CERTIFICATE"); err == nil {
		c, err := certs.Parse(der)
		if err != nil {
			return nil, err
		}
		return c.RawSPKI, nil
	}
	if der, err := certs.DecodePEM(text, "CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"); err == nil {
		r, err := certs.ParseRequest(der)
		if err != nil {
			return nil, err
		}
		return r.RawSPKI, nil
	}
	return certs.DecodePEM(text, "PUBLIC KEY")
}
