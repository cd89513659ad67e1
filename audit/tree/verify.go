package tree

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"golang.org/x/mod/sumdb/note"
)

// Cosignature is a witness's word on a checkpoint.
type Cosignature struct {
	Witness string    // its name
	At      time.Time // when it had seen the checkpoint, by its own clock
}

// Verified is a checkpoint whose signatures were checked.
type Verified struct {
	Checkpoint
	Cosignatures []Cosignature // of the known witnesses, in the order of the note
}

// maxNote bounds a signed checkpoint in bytes.
const maxNote = 64 << 10

// VerifyCheckpoint opens a signed checkpoint: it must be one of log's, signed by log's key, and cosigned by at
// least quorum of the witnesses. Signatures of unknown keys are passed over; a wrong signature under a known key
// refuses the whole note. Witnesses that share a key pair, with each other or with the log, are one.
func VerifyCheckpoint(signed []byte, log *Key, witnesses []*Key, quorum int) (Verified, error) {
	if log == nil || log.use != Log {
		return Verified{}, fmt.Errorf("%w: no log key", ErrKey)
	}
	if len(signed) > maxNote {
		return Verified{}, fmt.Errorf("%w: checkpoint of %d bytes", ErrFormat, len(signed))
	}
	known := []note.Verifier{log}
	for i, w := range witnesses {
		if w == nil || w.use != Witness {
			return Verified{}, fmt.Errorf("%w: witness %d is no witness key", ErrKey, i)
		}
		if !slices.ContainsFunc(append(witnesses[:i:i], log), w.Same) {
			known = append(known, w)
		}
	}
	n, err := note.Open(signed, note.VerifierList(known...))
	if err != nil {
		return Verified{}, fmt.Errorf("%w: %w", ErrSignature, err)
	}
	c, err := ParseCheckpoint(n.Text)
	if err != nil {
		return Verified{}, err
	}
	v := Verified{Checkpoint: c}
	byLog := false
	for _, s := range n.Sigs {
		if s.Name == log.name && s.Hash == log.id {
			byLog = true
			continue
		}
		raw, err := base64.StdEncoding.DecodeString(s.Base64)
		if err != nil || len(raw) < 4+timeSize {
			return Verified{}, fmt.Errorf("%w: cosignature of %s", ErrFormat, s.Name)
		}
		v.Cosignatures = append(v.Cosignatures, Cosignature{s.Name, time.Unix(int64(binary.BigEndian.Uint64(raw[4:])), 0).UTC()})
	}
	switch {
	case !byLog:
		return Verified{}, fmt.Errorf("%w: not signed by %s", ErrSignature, log.name)
	case c.Origin != log.name:
		return Verified{}, fmt.Errorf("%w: a checkpoint of %s, not of %s", ErrSignature, c.Origin, log.name)
	case len(v.Cosignatures) < quorum:
		return Verified{}, fmt.Errorf("%w: %d of %d", ErrQuorum, len(v.Cosignatures), quorum)
	}
	return v, nil
}

// VerifyFork reports whether two notes, both signed by the log's key, prove that the log showed two
// different trees of the same size: evidence that anyone can check. Trees of different sizes need a consistency proof.
func VerifyFork(a, b []byte, log *Key) (bool, error) {
	first, err := VerifyCheckpoint(a, log, nil, 0)
	if err != nil {
		return false, err
	}
	second, err := VerifyCheckpoint(b, log, nil, 0)
	if err != nil {
		return false, err
	}
	return first.Size == second.Size && first.Root != second.Root, nil
}
