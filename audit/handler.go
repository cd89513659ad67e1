package audit

import (
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"

	"hufu/audit/tree"
	"hufu/internal/fault"
)

// Handler serves the log to the world under /pki/log/, after C2SP tlog-tiles:
//
//	GET  /pki/log/log.vkey              the log's public key; compare it with one that came by another way
//	GET  /pki/log/checkpoint            the newest signed checkpoint
//	GET  /pki/log/cosigned              the newest one with the quorum of cosignatures
//	GET  /pki/log/tile/…                hash tiles and bundles of entries, never beyond the checkpoint
//	GET  /pki/log/proof?entry=ID        the proof of one entry (C2SP tlog-proof); ?kind=K&object=ID: of all about an object, newest first
//	POST /pki/log/cosignature?size=N    a witness's signature line; it proves itself
//
// All of it is public and free of personal data, so any site may read it from a browser.
func (l *Log) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /pki/log/checkpoint", l.serveCheckpoint(0))
	mux.HandleFunc("GET /pki/log/cosigned", l.serveCheckpoint(l.Quorum))
	mux.HandleFunc("GET /pki/log/log.vkey", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, plain, briefly, []byte(l.Key.String()+"\n"), nil)
	})
	mux.HandleFunc("GET /pki/log/tile/", l.serveTile)
	mux.HandleFunc("GET /pki/log/proof", l.serveProof)
	mux.HandleFunc("POST /pki/log/cosignature", l.takeCosignature)
	return mux
}

const (
	plain = "text/plain; charset=utf-8"
	// A tile never changes; a checkpoint is replaced each second.
	forEver, briefly = "public, max-age=31536000, immutable", "public, max-age=1"
)

func (l *Log) serveCheckpoint(cosignatures int) http.HandlerFunc {
	return func(w http.ResponseWriter, req *http.Request) {
		var signed Signed
		err := l.Store.View(req.Context(), func(r R) (err error) { signed, err = r.Checkpoint(cosignatures); return err })
		answer(w, plain, briefly, signed.Note, err)
	}
}

func (l *Log) serveTile(w http.ResponseWriter, req *http.Request) {
	t, err := tree.ParseTile(strings.TrimPrefix(req.URL.Path, "/pki/log/"))
	if err != nil {
		answer(w, "", "", nil, ErrUnknown.With("%w", err))
		return
	}
	var signed Signed
	err = l.Store.View(req.Context(), func(r R) (err error) { signed, err = r.Checkpoint(0); return err })
	if have, ok := tree.TileAt(t.Level, t.Index, signed.Head.Size); err == nil && (!ok || t.Width > have.Width) {
		err = ErrUnknown.With("%s lies beyond the checkpoint of %d", t.Path(), signed.Head.Size)
	}
	var data []byte
	if err == nil {
		data, err = l.tile(req.Context(), t)
	}
	answer(w, "application/octet-stream", forEver, data, err)
}

func (l *Log) serveProof(w http.ResponseWriter, req *http.Request) {
	q := req.URL.Query()
	if id := q.Get("entry"); id != "" {
		proof, err := l.Proof(req.Context(), id)
		if err != nil {
			answer(w, "", "", nil, err)
			return
		}
		answer(w, plain, briefly, proof.Text(), nil)
		return
	}
	o := Object{Kind: q.Get("kind"), ID: q.Get("object")}
	if !isName(o.Kind) || !isID(o.ID) {
		answer(w, "", "", nil, ErrUnknown.With("proof of %q %q", o.Kind, o.ID))
		return
	}
	proofs, err := l.Proofs(req.Context(), o)
	if err == nil && len(proofs) == 0 {
		err = ErrUnknown.With("no entry about %s %s", o.Kind, o.ID)
	}
	var all []byte
	for i, p := range proofs {
		if i > 0 {
			all = append(all, '\n')
		}
		all = append(all, p.Text()...)
	}
	answer(w, plain, briefly, all, err)
}

func (l *Log) takeCosignature(w http.ResponseWriter, req *http.Request) {
	size, err := strconv.ParseUint(req.URL.Query().Get("size"), 10, 63)
	line, err2 := io.ReadAll(http.MaxBytesReader(w, req.Body, 4096))
	if err = errors.Join(err, err2); err != nil {
		err = ErrCosignature.With("%w", err)
	} else {
		err = l.AddCosignature(req.Context(), size, line)
	}
	if err != nil {
		answer(w, "", "", nil, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// answer writes a body, or what is wrong in plain text, in English after Chinese. Failures are never cached.
func answer(w http.ResponseWriter, kind, cache string, body []byte, err error) {
	h := w.Header()
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("X-Content-Type-Options", "nosniff")
	if err == nil {
		h.Set("Content-Type", kind)
		h.Set("Cache-Control", cache)
		w.Write(body) // a client that went away is nobody's failure
		return
	}
	status := http.StatusInternalServerError
	switch fault.KindOf(err) {
	case fault.NotFound:
		status = http.StatusNotFound
	case fault.Invalid:
		status = http.StatusBadRequest
	case fault.Unavailable:
		status = http.StatusServiceUnavailable
		h.Set("Retry-After", "2")
	}
	text, ok := fault.TextOf(err)
	if !ok {
		text = fault.Text{ZH: "服务内部错误，请稍后再试。", EN: "Internal error. Try again later."}
	}
	h.Set("Content-Type", plain)
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	io.WriteString(w, text.ZH+"\n"+text.EN+"\n")
}
