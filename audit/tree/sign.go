package tree

import (
	"crypto"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"

	"hufu/internal/gm"
)

// Sign returns the checkpoint as a note signed by the log's key. The signer's public key must be key's.
func Sign(c Checkpoint, key *Key, signer crypto.Signer) ([]byte, error) {
	if _, err := ParseCheckpoint(c.Text()); err != nil {
		return nil, err
	}
	if c.Origin != key.name || key.use != Log {
		return nil, fmt.Errorf("%w: %s cannot sign a checkpoint of %s", ErrKey, key.name, c.Origin)
	}
	return note.Sign(&note.Note{Text: c.Text()}, noteSigner{Key: key, signer: signer})
}

// Cosign returns the signature line by which a witness states that at that time it had seen the log's
// checkpoint and nothing that contradicts it. Whether that is so, the caller has checked; see CheckConsistency.
func Cosign(c Checkpoint, key *Key, signer crypto.Signer, now time.Time) ([]byte, error) {
	if key.use != Witness || now.Unix() < 0 {
		return nil, fmt.Errorf("%w: %s is no witness", ErrKey, key.name)
	}
	signed, err := note.Sign(&note.Note{Text: c.Text()}, noteSigner{key, signer, uint64(now.Unix())})
	if err != nil {
		return nil, fmt.Errorf("cosign %s of %d: %w", c.Origin, c.Size, err)
	}
	return signed[len(c.Text())+1:], nil
}

// AddCosignature returns the signed checkpoint with the signature line in the place of any earlier one of the
// same witness. A line that is not key's cosignature of this very checkpoint is refused.
func AddCosignature(signed, line []byte, key *Key) ([]byte, error) {
	end := strings.LastIndex(string(signed), "\n\n") + 2
	if key.use != Witness || end < 2 || strings.Count(string(line), "\n") != 1 {
		return nil, fmt.Errorf("%w: cosignature", ErrFormat)
	}
	n, err := note.Open(slices.Concat(signed[:end], line), note.VerifierList(key))
	if err != nil || len(n.Sigs) != 1 {
		return nil, fmt.Errorf("%w: cosignature of %s: %w", ErrSignature, key.name, err)
	}
	out := signed[:end:end]
	for old := range strings.Lines(string(signed[end:])) {
		if name, id := lineKey(old); name != key.name || id != key.id {
			out = append(out, old...)
		}
	}
	return append(out, line...), nil
}

// lineKey returns which key a signature line names.
func lineKey(line string) (name string, id uint32) {
	fields := strings.Fields(line)
	if len(fields) != 3 {
		return "", 0
	}
	raw, err := base64.StdEncoding.DecodeString(fields[2])
	if err != nil || len(raw) < 4 {
		return "", 0
	}
	return fields[1], binary.BigEndian.Uint32(raw)
}

// noteSigner signs notes with any SM2 device; time is that of a cosignature.
type noteSigner struct {
	*Key
	signer crypto.Signer
	time   uint64
}

func (s noteSigner) Sign(text []byte) ([]byte, error) {
	if !s.public.Equal(s.signer.Public()) {
		return nil, fmt.Errorf("%w: %s: the signer has another public key", ErrKey, s.name)
	}
	var prefix []byte
	if s.use == Witness {
		prefix = binary.BigEndian.AppendUint64(nil, s.time)
		text = cosigned(text, s.time)
	}
	der, err := gm.SignMessage(s.signer, text)
	if err != nil {
		return nil, err
	}
	raw, err := gm.RawSignature(der)
	return append(prefix, raw...), err
}
