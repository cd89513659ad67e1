package ca

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"hash"
	"io"
	"os"

	"hufu/internal/gm"
)

// spoolMemory is up to how many octets of entries stay in memory; more go to a file.
const spoolMemory = 4 << 20

// spool keeps the entries of a list from their reading until they are stored. Lists are public: the file holds no secret.
type spool struct {
	dir    string
	memory bytes.Buffer
	file   *os.File
}

func newSpool(dir string) *spool { return &spool{dir: dir} }

func (s *spool) Write(p []byte) (int, error) {
	if s.file == nil && s.memory.Len()+len(p) <= spoolMemory {
		return s.memory.Write(p)
	}
	if s.file == nil {
		file, err := os.CreateTemp(s.dir, "hufu-list-*")
		if err != nil {
			return 0, err
		}
		s.file = file
		if _, err := s.memory.WriteTo(file); err != nil {
			return 0, err
		}
	}
	return s.file.Write(p)
}

// Open reads from the start.
func (s *spool) Open() (io.Reader, error) {
	if s.file == nil {
		return bytes.NewReader(s.memory.Bytes()), nil
	}
	_, err := s.file.Seek(0, io.SeekStart)
	return s.file, err
}

// reset forgets what was written.
func (s *spool) reset() {
	s.Close()
	s.memory.Reset()
}

// Close gives the file back.
func (s *spool) Close() {
	if s.file != nil {
		_ = errors.Join(s.file.Close(), os.Remove(s.file.Name())) // a file that stays takes room and nothing else
		s.file = nil
	}
}

// partSize is how many octets of a list stand in a row.
const partSize = 1 << 20

// blob stores octets in pieces, each in a transaction of its own; what is left at the end goes into the caller's.
type blob struct {
	ctx  context.Context
	a    *Authority
	list *List
	id   string
	size int64
	part []byte
	sm3  hash.Hash // of all
}

func (a *Authority) newBlob(ctx context.Context, l *List) *blob {
	return &blob{ctx: ctx, a: a, list: l, id: rand.Text(), sm3: gm.NewSM3()}
}

func (b *blob) Write(p []byte) (int, error) {
	b.sm3.Write(p) // never fails (hash.Hash)
	for rest := p; len(rest) > 0; {
		n := min(b.a.listPart-len(b.part), len(rest))
		b.part, rest = append(b.part, rest[:n]...), rest[n:]
		b.size += int64(n)
		if len(b.part) < b.a.listPart {
			continue
		}
		if err := b.a.Store.Update(b.ctx, b.rest); err != nil {
			return 0, err
		}
		b.part = b.part[:0]
	}
	return len(p), nil
}

// rest stores the piece that is begun.
func (b *blob) rest(w W) error {
	if len(b.part) == 0 {
		return nil
	}
	return w.AddListPart(ListPart{Blob: b.id, Start: b.size - int64(len(b.part)), Issuer: b.list.Issuer, Shard: b.list.Shard, DER: b.part})
}
