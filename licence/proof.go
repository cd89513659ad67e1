package licence

import (
	"context"
	"path"
	"unicode/utf8"

	"hufu/seal/ofd"
)

const maxProof = 64 << 10

// WithProof puts the log's proof beside the signature whose folder at names (seal.Stamped.Proof). It is a side file: no
// signature covers it, and none breaks by it.
func WithProof(document []byte, at string, proof []byte) ([]byte, error) {
	if path.Base(at) != ofd.LogProofName || len(proof) == 0 || len(proof) > maxProof || !utf8.Valid(proof) {
		return nil, ErrProof.With("%d octets for %q", len(proof), at)
	}
	c, err := ofd.Open(document)
	if err != nil {
		return nil, ErrProof.With("%w", err)
	}
	if _, signed := c.Read(path.Join(path.Dir(at), "Signature.xml")); !signed {
		return nil, ErrProof.With("no signature at %q", path.Dir(at))
	}
	with, err := c.With(at, proof)
	if err != nil {
		return nil, ErrProof.With("%w", err)
	}
	return with.Bytes(), nil
}

// AttachProof keeps the log's proof (audit's text for Stamp.Entry) of a licence's sealing; a later proof takes the place of an
// earlier one. It is the server's own work, done when the log has sequenced the entry: see JobProof.
func (s *Service) AttachProof(ctx context.Context, id string, proof []byte) error {
	l, err := s.licence(ctx, id)
	if err != nil {
		return err
	}
	var d Document
	if err := s.Store.View(ctx, func(r R) error {
		d, err = r.Document(id)
		return err
	}); err != nil {
		return err
	}
	if _, err := WithProof(d.OFD, l.Stamp.Path, proof); err != nil {
		return err
	}
	return s.Store.Update(ctx, func(w W) error {
		done, err := w.SetProof(id, proof)
		if err == nil && !done {
			err = ErrUnknown.With("document of licence %s", id)
		}
		return err
	})
}
