package certs

import (
	"bufio"
	"bytes"
	"crypto"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"iter"
	"time"

	"golang.org/x/crypto/cryptobyte"
)

// spoolLimit is the size up to which a list is kept in memory between signing and writing. A larger one is walked once more.
const spoolLimit = 16 << 20

// CRLTemplate is what a CRL is made from.
type CRLTemplate struct {
	Issuer                 *Certificate
	Number                 uint64 // from 1, never falls
	BaseNumber             uint64 // a delta to the complete list of this number; 0 makes a complete list
	ThisUpdate, NextUpdate time.Time
	Distribution           *IssuingDistributionPoint
	FreshestCRL            []string // where the delta of this complete list is

	// Entries is walked two or three times and must give the same each time: run it in one snapshot. Between lists of
	// up to 16 MiB (about 300,000 entries) two walks suffice.
	Entries iter.Seq[CRLEntry]
	// Err is asked after each walk whether it came to its end; may be nil. Without it a source that breaks off would make
	// a list that says "not revoked" of the rest.
	Err func() error
}

// WriteCRL signs a list and writes it to w. DER wants lengths first: the first walk sums them, the second feeds the
// signature's hash, and the list is written once the signature is known. Memory is constant. After an error what w has
// got is to be thrown away.
func WriteCRL(w io.Writer, t CRLTemplate, signer crypto.Signer) error {
	l, err := t.layout(signer)
	if err != nil {
		return fmt.Errorf("write CRL %d: %w", t.Number, err)
	}
	if err := l.signAndWrite(w, signer); err != nil {
		return fmt.Errorf("write CRL %d of %s: %w", t.Number, t.Issuer.Subject, err)
	}
	return nil
}

// crlLayout is a to-be-signed list whose lengths are known.
type crlLayout struct {
	t          CRLTemplate
	alg        SignatureAlgorithm
	algorithm  []byte // AlgorithmIdentifier
	head, tail []byte // what stands before and after the entries
	entries    int    // octets of all entries
}

func (t CRLTemplate) layout(signer crypto.Signer) (*crlLayout, error) {
	if err := t.check(signer); err != nil {
		return nil, err
	}
	alg, err := SigningAlgorithm(signer.Public())
	if err != nil {
		return nil, err
	}
	l := &crlLayout{t: t, alg: alg}
	var b cryptobyte.Builder
	AddSignatureAlgorithm(&b, alg)
	if l.algorithm, err = b.Bytes(); err != nil {
		return nil, err
	}
	var head cryptobyte.Builder
	head.AddASN1Int64(1)
	head.AddBytes(l.algorithm)
	head.AddBytes(t.Issuer.RawSubject)
	AddTime(&head, t.ThisUpdate)
	AddTime(&head, t.NextUpdate)
	if l.head, err = head.Bytes(); err != nil {
		return nil, err
	}
	if l.tail, err = t.extensions(); err != nil {
		return nil, err
	}
	return l, l.measure()
}

func (t CRLTemplate) check(signer crypto.Signer) error {
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
	case !SameKey(signer.Public(), t.Issuer.PublicKey):
		return fmt.Errorf("signer: %w", ErrWrongIssuer)
	case !maySignCRL(t.Issuer):
		return fmt.Errorf("key usage of the issuer lacks cRLSign: %w", ErrWrongIssuer)
	case t.Distribution != nil && (t.Distribution.Partial || t.Distribution.OnlyUsers && t.Distribution.OnlyCAs):
		return errors.New("this distribution point is never issued")
	}
	return nil
}

// measure is the first walk.
func (l *crlLayout) measure() error {
	var buf []byte
	for e := range l.t.Entries {
		var err error
		if buf, err = l.appendEntry(buf[:0], e); err != nil {
			return err
		}
		l.entries += len(buf)
	}
	return l.sourceErr()
}

func (l *crlLayout) sourceErr() error {
	if l.t.Err == nil {
		return nil
	}
	if err := l.t.Err(); err != nil {
		return fmt.Errorf("read entries: %w", err)
	}
	return nil
}

func (l *crlLayout) tbsContent() int {
	size := len(l.head) + len(l.tail)
	if l.entries > 0 {
		size += headerSize(l.entries) + l.entries
	}
	return size
}

// writeTBS is one further walk; a source that gives another total than at first is refused.
func (l *crlLayout) writeTBS(w io.Writer) error {
	out := bufio.NewWriterSize(w, 64<<10)
	buf := append(appendHeader(nil, 0x30, l.tbsContent()), l.head...)
	if l.entries > 0 {
		buf = appendHeader(buf, 0x30, l.entries)
	}
	out.Write(buf) // bufio keeps the error for Flush
	left := l.entries
	for e := range l.t.Entries {
		var err error
		if buf, err = l.appendEntry(buf[:0], e); err != nil {
			return err
		}
		if left -= len(buf); left < 0 {
			break
		}
		if _, err := out.Write(buf); err != nil {
			return fmt.Errorf("write: %w", err)
		}
	}
	if err := l.sourceErr(); err != nil {
		return err
	}
	if left != 0 {
		return ErrEntriesChanged
	}
	out.Write(l.tail)
	if err := out.Flush(); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	return nil
}

func (l *crlLayout) signAndWrite(w io.Writer, signer crypto.Signer) error {
	h, err := l.alg.NewHash(signer.Public())
	if err != nil {
		return err
	}
	size := headerSize(l.tbsContent()) + l.tbsContent()
	if size <= spoolLimit {
		spool := bytes.NewBuffer(make([]byte, 0, size))
		if err := l.writeTBS(io.MultiWriter(h, spool)); err != nil {
			return err
		}
		return l.finish(w, signer, h.Sum(nil), func(w io.Writer) error {
			_, err := w.Write(spool.Bytes())
			return err
		})
	}
	// The check sum only tells whether the source gave the same again; it protects nothing else.
	var signed, written maphash.Hash
	written.SetSeed(signed.Seed())
	if err := l.writeTBS(io.MultiWriter(h, &signed)); err != nil {
		return err
	}
	return l.finish(w, signer, h.Sum(nil), func(w io.Writer) error {
		if err := l.writeTBS(io.MultiWriter(w, &written)); err != nil {
			return err
		}
		if signed.Sum64() != written.Sum64() {
			return ErrEntriesChanged
		}
		return nil
	})
}

// finish signs the digest and writes the whole list round the to-be-signed part.
func (l *crlLayout) finish(w io.Writer, signer crypto.Signer, digest []byte, tbs func(io.Writer) error) error {
	sig, err := SignDigest(signer, l.alg, digest)
	if err != nil {
		return err
	}
	var tail cryptobyte.Builder
	tail.AddBytes(l.algorithm)
	tail.AddASN1BitString(sig)
	end, err := tail.Bytes()
	if err != nil {
		return err
	}
	header := appendHeader(nil, 0x30, headerSize(l.tbsContent())+l.tbsContent()+len(end))
	if _, err := w.Write(header); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	if err := tbs(w); err != nil {
		return err
	}
	if _, err := w.Write(end); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	return nil
}
