package ca

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"regexp"
	"time"
	"unicode"
	"unicode/utf8"

	"hufu/audit"
	"hufu/internal/actor"
	"hufu/internal/gm"
)

// Evidence is a document that speaks for an application: an identity card, a business licence, an authorization. Name, remark
// and, where it is kept, the document itself are sealed at rest.
type Evidence struct {
	ID          string
	Application string
	Kind        string // a word of the profile's, "id-card"
	Name        string // of the file, as people call it
	SM3         []byte // of the document, 32 octets
	Size        int64  // of the document, octets
	Media       string // media type, as whoever added it says
	By          string // capacity:subject of who added it
	At          time.Time
	Remark      string
	Kept        bool // the document is kept here; else its digest alone
}

// Limits of evidence.
const (
	MaxDocument  = 8 << 20  // octets of one document that is kept
	MaxDocuments = 20       // of one application
	MaxKept      = 32 << 20 // octets kept for one application
)

// EvidenceR looks evidence up.
type EvidenceR interface {
	// EvidenceOf lists an application's evidence, oldest first.
	EvidenceOf(application string) ([]Evidence, error)
	// Document returns a kept document; ErrUnknown where it is not there, or not kept.
	Document(application, id string) (Evidence, []byte, error)
}

// EvidenceW keeps evidence.
type EvidenceW interface {
	AddEvidence(e Evidence, document []byte) error
}

var (
	evidenceKind = regexp.MustCompile(`^[a-z][a-z0-9-]{0,39}$`)
	mediaType    = regexp.MustCompile(`^[a-z0-9][a-z0-9.+-]{0,60}/[a-z0-9][a-z0-9.+-]{0,60}$`)
)

// AddEvidence attaches evidence to a draft or a submitted application. The maker may, and an officer, who then cannot be its
// checker. With the document, its digest and size are taken of it; without, of e. No document that is empty.
func (a *Authority) AddEvidence(ctx context.Context, by actor.Actor, e Evidence, document []byte) (Evidence, error) {
	app, err := a.Application(ctx, by, e.Application)
	if err != nil {
		return Evidence{}, err
	}
	if app.madeBy(by) != nil && by.Require(officers...) != nil {
		return Evidence{}, ErrNotMaker.With("%s may not add evidence to application %s", by, app.ID)
	}
	if err := e.fill(document); err != nil {
		return Evidence{}, err
	}
	e.ID, e.By, e.At = rand.Text(), by.String(), a.Now().UTC()
	err = a.Store.Update(ctx, func(w W) (err error) {
		if app, err = w.Application(e.Application); err != nil {
			return err
		}
		if app.State != Draft && app.State != Submitted {
			return ErrState.With("application %s is %s", app.ID, app.State)
		}
		if err := room(w, e); err != nil {
			return err
		}
		// Counting the revision on makes a decision at the same moment, which did not see this, fail.
		app.note(step("evidence", by, e.At, e.Kind))
		if err := changed(w.ChangeApplication(app, app.State)); err != nil {
			return err
		}
		if err := w.AddEvidence(e, document); err != nil {
			return err
		}
		return w.Record(audit.Entry{
			At: e.At, Actor: by, Action: "application.evidence", Object: audit.Object{Kind: "application", ID: app.ID},
			Public:  map[string]string{"evidence": e.ID, "kind": e.Kind},
			Subject: app.Holder, Personal: map[string]string{"sm3": hex.EncodeToString(e.SM3)}, // of a short text, a digest tells it
		})
	})
	if err != nil {
		return Evidence{}, fmt.Errorf("add evidence: %w", err)
	}
	return e, nil
}

// fill takes digest and size from the document, or checks those stated.
func (e *Evidence) fill(document []byte) error {
	e.Kept = document != nil
	if e.Kept {
		digest := gm.SM3(document)
		if e.SM3 != nil && !bytes.Equal(e.SM3, digest[:]) {
			return ErrDocument.With("the document's SM3 is %x, not %x", digest, e.SM3)
		}
		e.SM3, e.Size = digest[:], int64(len(document))
	}
	switch {
	case !evidenceKind.MatchString(e.Kind):
		return ErrDocument.With("kind %q", e.Kind)
	case !mediaType.MatchString(e.Media):
		return ErrDocument.With("media type %q", e.Media)
	case len(e.SM3) != 32 || e.Size < 1:
		return ErrDocument.With("SM3 of %d octets, size %d", len(e.SM3), e.Size)
	case len(document) > MaxDocument:
		return ErrDocuments.With("%d octets", len(document))
	case len(e.Name) > 600 || len(e.Remark) > 2000 || !plain(e.Name) || !plain(e.Remark):
		return ErrDocument.With("name or remark is too long or has control characters")
	}
	return nil
}

// plain tells text that a person can read on one line.
func plain(s string) bool {
	if !utf8.ValidString(s) {
		return false
	}
	for _, r := range s {
		if unicode.IsControl(r) {
			return false
		}
	}
	return true
}

// room refuses more evidence than an application may have.
func room(r R, e Evidence) error {
	all, err := r.EvidenceOf(e.Application)
	if err != nil {
		return err
	}
	kept := int64(0)
	for _, other := range append(all, e) {
		if other.Kept {
			kept += other.Size
		}
	}
	if len(all) >= MaxDocuments || kept > MaxKept {
		return ErrDocuments.With("%d documents, %d octets kept", len(all)+1, kept)
	}
	return nil
}

// Evidence lists an application's evidence, oldest first, to the maker, the holder and officers.
func (a *Authority) Evidence(ctx context.Context, by actor.Actor, application string) (all []Evidence, err error) {
	if _, err := a.Application(ctx, by, application); err != nil {
		return nil, err
	}
	err = a.Store.View(ctx, func(r R) error {
		all, err = r.EvidenceOf(application)
		return err
	})
	return all, err
}

// Document returns a document that is kept, to the maker, the holder and officers. It is compared with its digest first.
func (a *Authority) Document(ctx context.Context, by actor.Actor, application, id string) (e Evidence, document []byte, err error) {
	if _, err := a.Application(ctx, by, application); err != nil {
		return e, nil, err
	}
	err = a.Store.View(ctx, func(r R) error {
		e, document, err = r.Document(application, id)
		return err
	})
	if err != nil {
		return Evidence{}, nil, err
	}
	if digest := gm.SM3(document); !bytes.Equal(digest[:], e.SM3) {
		return Evidence{}, nil, fmt.Errorf("evidence %s: the document is not the one that was added", id)
	}
	return e, document, nil
}
