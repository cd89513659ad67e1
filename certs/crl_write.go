package certs

import (
	"bufio"
	"bytes"
	"crypto"
	"errors"
	"fmt"
	"io"
	"iter"
	"time"

	"golang.org/x/crypto/cryptobyte"
)

// CRLTemplate is what a CRL is made from.
type CRLTemplate struct {
	Issuer                 *Certificate
	Number                 uint64 // from 1, never falls
	BaseNumber             uint64 // a delta to the complete list of this number; 0 makes a complete list
	ThisUpdate, NextUpdate time.Time
	Distribution           *IssuingDistributionPoint
	FreshestCRL            []string // where the delta of this complete list is

	// Entries is walked once. An entry's Serial is not kept.
	Entries iter.Seq[CRLEntry]
	// Err is asked after the walk whether it came to its end; may be nil. Without it a source that breaks off would make
	// a list that says "not revoked" of the rest.
	Err func() error
}

// Spool keeps octets until the list is written: a file, or memory for a short list. Open reads them from the start, after
// the last Write, once or more.
type Spool interface {
	io.Writer
	Open() (io.Reader, error)
}

// memorySpool is a spool for short lists.
type memorySpool struct{ bytes.Buffer }

func (m *memorySpool) Open() (io.Reader, error) { return bytes.NewReader(m.Bytes()), nil }

// WriteCRL signs a list and writes it to w, with the entries in memory; for long lists there is PrepareCRL. After an error
// what w has got is to be thrown away.
func WriteCRL(w io.Writer, t CRLTemplate, signer crypto.Signer) error {
	u, err := PrepareCRL(t, signer.Public(), new(memorySpool))
	if err != nil {
		return err
	}
	return u.Sign(w, signer)
}

// UnsignedCRL is a list whose entries are read: nothing is asked of their source any more.
type UnsignedCRL struct {
	t          CRLTemplate
	alg        SignatureAlgorithm
	public     crypto.PublicKey
	algorithm  []byte // AlgorithmIdentifier
	head, tail []byte // what stands before and after the entries
	size       int    // octets of all entries
	count      int
	spool      Spool
}

// PrepareCRL reads the entries, once, into the spool. DER wants lengths first, so what is signed can only be hashed when all
// of them are there. Memory is constant but for the spool.
func PrepareCRL(t CRLTemplate, public crypto.PublicKey, spool Spool) (*UnsignedCRL, error) {
	u, err := t.layout(public)
	if err != nil {
		return nil, fmt.Errorf("write CRL %d: %w", t.Number, err)
	}
	u.spool = spool
	if err := u.collect(); err != nil {
		return nil, fmt.Errorf("write CRL %d of %s: %w", t.Number, t.Issuer.Subject, err)
	}
	return u, nil
}

// Count is how many entries the list has.
func (u *UnsignedCRL) Count() int { return u.count }

func (t CRLTemplate) layout(public crypto.PublicKey) (*UnsignedCRL, error) {
	if err := t.check(public); err != nil {
		return nil, err
	}
	alg, err := SigningAlgorithm(public)
	if err != nil {
		return nil, err
	}
	u := &UnsignedCRL{t: t, alg: alg, public: public}
	var b cryptobyte.Builder
	AddSignatureAlgorithm(&b, alg)
	if u.algorithm, err = b.Bytes(); err != nil {
		return nil, err
	}
	var head cryptobyte.Builder
	head.AddASN1Int64(1)
	head.AddBytes(u.algorithm)
	head.AddBytes(t.Issuer.RawSubject)
	AddTime(&head, t.ThisUpdate)
	AddTime(&head, t.NextUpdate)
	if u.head, err = head.Bytes(); err != nil {
		return nil, err
	}
	u.tail, err = t.extensions()
	return u, err
}

func (t CRLTemplate) check(public crypto.PublicKey) error {
	switch {
	case t.Issuer == nil || t.Entries == nil:
		return errors.New("issuer or entries missing")
	case t.Number == 0:
		return errors.New("the number starts from 1")
	case t.BaseNumber >= t.Number:
		return errors.New("a delta has a greater number than its base")
	case t.BaseNumber > 0 && len(t.FreshestCRL) > 0:
		return errors.New("a delta does not point to a delta")
	case !t.ThisUpdate.Before(t.NextUpdate):
		return errors.New("nextUpdate is not after thisUpdate")
	case !SameKey(public, t.Issuer.PublicKey):
		return fmt.Errorf("signer: %w", ErrWrongIssuer)
	case !maySignCRL(t.Issuer):
		return fmt.Errorf("key usage of the issuer lacks cRLSign: %w", ErrWrongIssuer)
	case t.Distribution != nil && (t.Distribution.Partial || t.Distribution.OnlyUsers && t.Distribution.OnlyCAs):
		return errors.New("this distribution point is never issued")
	}
	return nil
}

// spoolBuffer is how much is gathered before it is written or hashed, in octets.
const spoolBuffer = 64 << 10

// collect walks the entries.
func (u *UnsignedCRL) collect() error {
	out := bufio.NewWriterSize(u.spool, spoolBuffer)
	var buf []byte
	for e := range u.t.Entries {
		var err error
		if buf, err = u.appendEntry(buf[:0], e); err != nil {
			return err
		}
		if _, err := out.Write(buf); err != nil {
			return fmt.Errorf("spool: %w", err)
		}
		u.size += len(buf)
		u.count++
	}
	if u.t.Err != nil {
		if err := u.t.Err(); err != nil {
			return fmt.Errorf("read entries: %w", err)
		}
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("spool: %w", err)
	}
	return nil
}

// tbsContent is the length of the content of the to-be-signed part.
func (u *UnsignedCRL) tbsContent() int {
	size := len(u.head) + len(u.tail)
	if u.size > 0 {
		size += headerSize(u.size) + u.size
	}
	return size
}

// writeTBS writes the to-be-signed part. A spool that gives another length than it took is refused.
func (u *UnsignedCRL) writeTBS(w io.Writer) error {
	start := append(appendHeader(nil, 0x30, u.tbsContent()), u.head...)
	if u.size > 0 {
		start = appendHeader(start, 0x30, u.size)
	}
	if _, err := w.Write(start); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	entries, err := u.spool.Open()
	if err != nil {
		return fmt.Errorf("spool: %w", err)
	}
	// The plain structs keep io.CopyBuffer from ways of its own, which would take larger buffers.
	n, err := io.CopyBuffer(struct{ io.Writer }{w}, struct{ io.Reader }{entries}, make([]byte, spoolBuffer))
	if err != nil {
		return fmt.Errorf("copy entries: %w", err)
	}
	if n != int64(u.size) {
		return ErrEntriesChanged
	}
	if _, err := w.Write(u.tail); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	return nil
}

// Sign hashes and signs the list, verifies the signature, and writes the list to w. After an error what w has got is to be
// thrown away.
func (u *UnsignedCRL) Sign(w io.Writer, signer crypto.Signer) error {
	end, err := u.signature(signer)
	if err == nil {
		header := appendHeader(nil, 0x30, headerSize(u.tbsContent())+u.tbsContent()+len(end))
		if _, err = w.Write(header); err == nil {
			err = u.writeTBS(w)
		}
	}
	if err == nil {
		_, err = w.Write(end)
	}
	if err != nil {
		return fmt.Errorf("write CRL %d of %s: %w", u.t.Number, u.t.Issuer.Subject, err)
	}
	return nil
}

// signature returns what stands behind the to-be-signed part.
func (u *UnsignedCRL) signature(signer crypto.Signer) ([]byte, error) {
	if !SameKey(signer.Public(), u.public) {
		return nil, fmt.Errorf("signer: %w", ErrWrongIssuer)
	}
	h, err := u.alg.NewHash(u.public)
	if err != nil {
		return nil, err
	}
	if err := u.writeTBS(h); err != nil {
		return nil, err
	}
	sig, err := SignDigest(signer, u.alg, h.Sum(nil))
	if err != nil {
		return nil, err
	}
	var tail cryptobyte.Builder
	tail.AddBytes(u.algorithm)
	tail.AddASN1BitString(sig)
	return tail.Bytes()
}
