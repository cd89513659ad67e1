package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"hufu/audit"
	"hufu/audit/tree"
	"hufu/certs/bundle"
	"hufu/seal/check"
)

// fetchBundle waits for the bundle that knows the licence, and for the document to carry its proof from the log.
func (t *tour) fetchBundle(ctx context.Context) (string, error) {
	key, err := t.get(ctx, "/trust/bundle-key.pem")
	if err != nil {
		return "", err
	}
	pin, err := bundle.ParsePin(key)
	if err != nil {
		return "", err
	}
	var data []byte
	var known *bundle.Bundle
	err = await(ctx, func() (bool, error) {
		if data, err = t.get(ctx, "/trust/bundle"); err != nil {
			return false, nil //nolint:nilerr // not published yet
		}
		if known, _, err = bundle.Parse(data, pin); err != nil {
			return false, err
		}
		state, ok := known.Licence(t.licence.ID)
		return ok && state.State == bundle.Active, nil
	})
	if err != nil {
		return "", err
	}
	if err := errors.Join(t.save("trust bundle", "trust/trust.bundle", data), t.save("key to pin", "trust/bundle-key.pem", key)); err != nil {
		return "", err
	}
	return fmt.Sprintf("sequence %d, until %s", known.Sequence, known.NextUpdate.Format(time.DateOnly)), await(ctx, func() (bool, error) {
		if err := t.fetchDocument(ctx); err != nil {
			return false, err
		}
		r, err := t.judgeGenuine()
		return err == nil && logProof(r) != check.NotApplicable, err
	})
}

// judge verifies a file offline, with what was saved before and nothing else.
func (t *tour) judge(name, as, report string) (check.Report, error) {
	file, err1 := t.load(name)
	trust, err2 := t.load("trust/trust.bundle")
	key, err3 := t.load("trust/bundle-key.pem")
	if err := errors.Join(err1, err2, err3); err != nil {
		return check.Report{}, err
	}
	pin, err := bundle.ParsePin(key)
	if err != nil {
		return check.Report{}, err
	}
	found, err := verify(file, trust, pin, check.Options{Name: as, At: time.Now(), Lang: "en"})
	if err != nil {
		return found, err
	}
	text, err := found.JSON()
	if err != nil {
		return found, err
	}
	return found, t.save("report on "+as, report, append(bytes.TrimSpace(text), '\n'))
}

func (t *tour) judgeGenuine() (check.Report, error) {
	return t.judge(t.licenceFile(), t.licence.ID+".ofd", "report/licence.json")
}

// logProof is what the first signature's proof from the log came to.
func logProof(r check.Report) check.Result {
	for _, signature := range r.Signatures {
		for _, step := range signature.Steps {
			if step.Name == check.StepLogProof {
				return step.Result
			}
		}
	}
	return check.NotApplicable
}

func (t *tour) verifyGenuine(context.Context) (string, error) {
	r, err := t.judgeGenuine()
	if err != nil {
		return "", err
	}
	proof := logProof(r)
	if r.Result != check.Passed || proof != check.Passed {
		return "", fmt.Errorf("the licence is %s, its log proof %s: %v", r.Result, proof, r.Reasons)
	}
	return string(r.Result) + ", proven by the log", nil
}

func (t *tour) verifyForged(context.Context) (string, error) {
	r, err := t.judge("licence/tampered.ofd", "tampered.ofd", "report/tampered.json")
	if err != nil {
		return "", err
	}
	var reasons []string
	for _, x := range r.Reasons {
		reasons = append(reasons, x.Text)
	}
	words := strings.Join(reasons, "; ")
	if r.Result != check.Failed || !strings.Contains(strings.ToLower(words), "page 1") {
		return "", fmt.Errorf("the forged copy is %s: %s", r.Result, words)
	}
	return words, nil
}

// checkLog fetches the whole log, checks it with the key from the trust bundle, and finds the sealing in it.
func (t *tour) checkLog(ctx context.Context) (string, error) {
	key, err := t.logKey()
	if err != nil {
		return "", err
	}
	if err := t.mirror(ctx, key); err != nil {
		return "", err
	}
	fetch, err := fetchFrom(filepath.Join(t.out, "audit"), nil)
	if err != nil {
		return "", err
	}
	report, err := audit.VerifyExport(ctx, fetch, audit.Expect{Log: key})
	if err != nil {
		return "", err
	}
	if !report.OK() {
		return "", fmt.Errorf("the log does not hold: %v", report.Findings)
	}
	text, err := t.get(ctx, "/pki/log/proof?kind=seal&object="+sampleSeal)
	if err != nil {
		return "", err
	}
	if err := t.save("proofs of the seal's uses", "audit/proofs.txt", text); err != nil {
		return "", err
	}
	return fmt.Sprintf("%d entries, root %s", report.Entries, report.Head.Root), nil
}

func (t *tour) logKey() (*tree.Key, error) {
	data, err1 := t.load("trust/trust.bundle")
	pinned, err2 := t.load("trust/bundle-key.pem")
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	pin, err := bundle.ParsePin(pinned)
	if err != nil {
		return nil, err
	}
	b, _, err := bundle.Parse(data, pin)
	if err != nil {
		return nil, err
	}
	if len(b.Logs) != 1 {
		return nil, fmt.Errorf("the trust bundle names %d logs", len(b.Logs))
	}
	return tree.ParseKey(b.Logs[0].Key)
}

// mirror copies the log's checkpoint and tiles, as any witness does.
func (t *tour) mirror(ctx context.Context, key *tree.Key) error {
	note, err := t.get(ctx, "/pki/log/checkpoint")
	if err != nil {
		return err
	}
	seen, err := tree.VerifyCheckpoint(note, key, nil, 0)
	if err != nil {
		return err
	}
	if err := errors.Join(t.save("log checkpoint", "audit/checkpoint", note), t.save("log key", "audit/log.vkey", []byte(key.String()+"\n"))); err != nil {
		return err
	}
	for level := tree.Entries; level <= tree.MaxLevel; level++ {
		for tile := range tree.Tiles(level, 0, seen.Size) {
			data, err := t.get(ctx, "/pki/log/"+tile.Path())
			if err == nil {
				err = t.save("", "audit/"+tile.Path(), data)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}
