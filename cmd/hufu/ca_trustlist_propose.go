package main

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"

	"github.com/goccy/go-yaml"

	"hufu/certs"
	"hufu/certs/bundle"
	"hufu/internal/fault"
)

type trustImportCommand struct {
	remote
	File   string `arg:"" type:"path" help:"Entry as YAML or JSON (files: names its certificates), or a signed list."`
	Key    string `type:"path" help:"Of a signed list: public key or certificate of its signer, PEM; needed for the first list of a series." placeholder:"FILE"`
	Reason string `required:"" help:"It is kept." placeholder:"TEXT"`
	DryRun bool   `help:"Print what would be proposed."`
	JSON   bool   `help:"Print JSON."`
}

func (c *trustImportCommand) Run(con *console) error {
	raw, err := os.ReadFile(c.File)
	if err != nil {
		return errCAFile.With("%w", err)
	}
	path, call := trustPath+"/imports", map[string]any{"list": raw, "reason": c.Reason}
	if _, _, err := bundle.ParseTrustList(raw, bundle.Pin{}); err != nil {
		e, err := readEntry(c.File)
		if err != nil {
			return err
		}
		if c.DryRun {
			return printJSON(con.out, e)
		}
		path, call = trustPath+"/proposals", map[string]any{"put": []bundle.TrustEntry{e}, "reason": c.Reason}
	} else if c.Key != "" {
		if call["key"], err = readText(c.Key); err != nil {
			return err
		}
	}
	if c.DryRun {
		l, info, err := bundle.ParseTrustList(raw, bundle.Pin{})
		if err != nil {
			return err
		}
		return printJSON(con.out, map[string]any{"list": l, "signer_sm3": info.Fingerprint})
	}
	return proposed(con, c.remote, path, call, c.JSON)
}

// entryFile is an entry as people write it: its certificates are files beside it.
type entryFile struct {
	bundle.TrustEntry
	Files []struct {
		File string `json:"file"`
		Root bool   `json:"root,omitempty"`
	} `json:"files,omitempty"`
}

var errEntryFile = fault.New(fault.Invalid, "ca.entry-file",
	"The entry cannot be read. Write id, name, purposes and files (file, root) as docs/ISSUING.md shows.", "无法读取条目文件。请按 docs/ISSUING.md 所示填写 id、name、purposes 和 files。")

// readEntry reads an entry and the certificates that it names, relative to its own folder.
func readEntry(name string) (bundle.TrustEntry, error) {
	text, err := readText(name)
	if err != nil {
		return bundle.TrustEntry{}, err
	}
	converted, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		return bundle.TrustEntry{}, errEntryFile.With("%w", err)
	}
	var e entryFile
	if err := json.Unmarshal(converted, &e); err != nil {
		return bundle.TrustEntry{}, errEntryFile.With("%w", err)
	}
	for _, f := range e.Files {
		pem, err := readText(filepath.Join(filepath.Dir(name), f.File))
		if err != nil {
			return bundle.TrustEntry{}, err
		}
		der, err := certs.DecodePEM([]byte(pem), "CERTIFICATE")
		if err != nil {
			der = []byte(pem)
		}
		e.Certificates = append(e.Certificates, bundle.TrustCertificate{DER: der, Root: f.Root})
	}
	if err := e.Check(); err != nil {
		return bundle.TrustEntry{}, errEntryFile.With("%w", err)
	}
	return e.TrustEntry, nil
}

// proposed sends a proposal and tells what became of it.
func proposed(con *console, r remote, path string, call map[string]any, json bool) error {
	s, err := r.open()
	if err != nil {
		return err
	}
	var m motionLine
	if err := s.ask(con.ctx, http.MethodPost, path, call, &m); err != nil {
		return err
	}
	return m.tell(con, json)
}

type trustRemoveCommand struct {
	remote
	ID     string `arg:"" help:"Of the entry."`
	Reason string `required:"" help:"It is kept." placeholder:"TEXT"`
	JSON   bool   `help:"Print JSON."`
}

func (c *trustRemoveCommand) Run(con *console) error {
	return proposed(con, c.remote, trustPath+"/proposals", map[string]any{"remove": []string{c.ID}, "reason": c.Reason}, c.JSON)
}

type trustUndoCommand struct {
	remote
	Version uint64 `arg:"" help:"Version that comes back, as a new one."`
	Reason  string `required:"" help:"It is kept." placeholder:"TEXT"`
	JSON    bool   `help:"Print JSON."`
}

func (c *trustUndoCommand) Run(con *console) error {
	return proposed(con, c.remote, trustPath+"/undo", map[string]any{"sequence": c.Version, "reason": c.Reason}, c.JSON)
}
