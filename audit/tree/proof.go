package tree

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
)

// Proof shows offline that an entry stands in a log.
type Proof struct {
	Entry      []byte // the leaf's own bytes
	Index      uint64
	Hashes     []Hash // inclusion proof, from the leaf's sibling up
	Checkpoint []byte // signed note, possibly cosigned
}

const proofHeader = "c2sp.org/tlog-proof@v1"

// Text returns the proof as C2SP tlog-proof writes it, with the entry as extra data.
func (p Proof) Text() []byte {
	b := fmt.Appendf(nil, "%s\nextra %s\nindex %d\n", proofHeader, base64.StdEncoding.EncodeToString(p.Entry), p.Index)
	for _, h := range p.Hashes {
		b = append(b, h.String()+"\n"...)
	}
	return append(append(b, '\n'), p.Checkpoint...)
}

// ParseProof reads what Text writes, and nothing else. It checks nothing but the form; see Verify.
func ParseProof(text []byte) (Proof, error) {
	head, checkpoint, ok := strings.Cut(string(text), "\n\n")
	lines := strings.Split(head, "\n")
	if !ok || len(text) > 2*MaxEntry+maxNote || len(lines) < 3 || len(lines) > 3+64 || lines[0] != proofHeader {
		return Proof{}, fmt.Errorf("%w: proof", ErrFormat)
	}
	p := Proof{Checkpoint: []byte(checkpoint)}
	extra, ok1 := strings.CutPrefix(lines[1], "extra ")
	index, ok2 := strings.CutPrefix(lines[2], "index ")
	var err1, err2 error
	p.Entry, err1 = base64.StdEncoding.Strict().DecodeString(extra)
	p.Index, err2 = strconv.ParseUint(index, 10, 63)
	if !ok1 || !ok2 || err1 != nil || err2 != nil {
		return Proof{}, fmt.Errorf("%w: proof", ErrFormat)
	}
	for _, line := range lines[3:] {
		h, err := ParseHash(line)
		if err != nil {
			return Proof{}, err
		}
		p.Hashes = append(p.Hashes, h)
	}
	if string(p.Text()) != string(text) {
		return Proof{}, fmt.Errorf("%w: proof", ErrFormat)
	}
	return p, nil
}

// Verify checks the checkpoint as VerifyCheckpoint does, and that the entry stands in its tree.
func (p Proof) Verify(log *Key, witnesses []*Key, quorum int) (Verified, error) {
	v, err := VerifyCheckpoint(p.Checkpoint, log, witnesses, quorum)
	if err != nil {
		return Verified{}, err
	}
	if err := CheckInclusion(LeafHash(p.Entry), p.Index, v.Head, p.Hashes); err != nil {
		return Verified{}, err
	}
	return v, nil
}
