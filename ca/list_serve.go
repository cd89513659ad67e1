package ca

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// serveList gives a list from the pieces in the database: any range of it, and nothing to whoever has it already. It is
// never compressed: clients check octets, and serial numbers do not shrink.
func (a *Authority) serveList(w http.ResponseWriter, r *http.Request) {
	shard, delta, ok := listName(r.PathValue("file"))
	if !ok {
		http.NotFound(w, r)
		return
	}
	l, err := a.List(r.Context(), r.PathValue("issuer"), shard)
	if err != nil && !isUnknown(err) {
		http.Error(w, "status is not available now", http.StatusServiceUnavailable)
		return
	}
	b, tag := l.Complete, strconv.FormatUint(l.Number, 10)
	if delta {
		b, tag = l.Delta, tag+"-delta"
	}
	if b.ID == "" {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/pkix-crl")
	w.Header().Set("Cache-Control", "public, no-transform, max-age=30, must-revalidate")
	w.Header().Set("ETag", `"`+tag+`"`)
	http.ServeContent(w, r, "", l.ThisUpdate, &blobReader{ctx: r.Context(), store: a.Store, blob: b})
}

// listName reads "full.crl", "7.crl" or "7-delta.crl".
func listName(file string) (shard int, delta, ok bool) {
	name, ok := strings.CutSuffix(file, ".crl")
	if name == "full" {
		return FullShard, false, ok
	}
	name, delta = strings.CutSuffix(name, "-delta")
	shard, err := strconv.Atoi(name)
	return shard, delta, ok && err == nil && shard >= 0 && shard < maxShards && name == strconv.Itoa(shard)
}

// blobReader reads a blob piece by piece, so that a slow client holds no transaction.
type blobReader struct {
	ctx    context.Context
	store  Store
	blob   Blob
	offset int64
	part   ListPart
}

func (b *blobReader) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += b.offset
	case io.SeekEnd:
		offset += b.blob.Size
	}
	if offset < 0 {
		return 0, errors.New("seek before the start of a list")
	}
	b.offset = offset
	return offset, nil
}

func (b *blobReader) Read(p []byte) (int, error) {
	if b.offset >= b.blob.Size {
		return 0, io.EOF
	}
	if at := b.offset - b.part.Start; len(b.part.DER) == 0 || at < 0 || at >= int64(len(b.part.DER)) {
		err := b.store.Look(b.ctx, func(r R) (err error) {
			b.part, err = r.ListPart(b.blob.ID, b.offset)
			return err
		})
		if err != nil {
			return 0, err
		}
	}
	at := b.offset - b.part.Start
	if at >= int64(len(b.part.DER)) {
		return 0, io.ErrUnexpectedEOF
	}
	n := copy(p, b.part.DER[at:])
	b.offset += int64(n)
	return n, nil
}
