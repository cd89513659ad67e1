package api

import (
	"context"
	"encoding/hex"
	"time"

	"hufu/ca"
	"hufu/internal/actor"
)

const anyFile = "application/octet-stream"

type documentView struct {
	ID     string    `json:"id"`
	Kind   string    `json:"kind"`
	Name   string    `json:"name,omitempty"`
	SM3    string    `json:"sm3" doc:"Of the document, hexadecimal"`
	Size   int64     `json:"size" doc:"Of the document, octets"`
	Media  string    `json:"media_type"`
	By     string    `json:"by" doc:"Capacity and subject id of who attached it"`
	At     time.Time `json:"at"`
	Remark string    `json:"remark,omitempty"`
	Kept   bool      `json:"kept" doc:"The document is kept; else its SM3 alone"`
}

func viewDocument(e ca.Evidence) documentView {
	return documentView{e.ID, e.Kind, e.Name, hex.EncodeToString(e.SM3), e.Size, e.Media, e.By, e.At, e.Remark, e.Kept}
}

func (a *API) listDocuments(ctx context.Context, by actor.Actor, in *IDInput) (*body[page[documentView]], error) {
	all, err := a.CA.Evidence(ctx, by, in.ID)
	if err != nil {
		return nil, err
	}
	return pageOf(all, 0, viewDocument, nil), nil
}

type documentInput struct {
	IDInput
	Body struct {
		Kind     string `json:"kind" pattern:"^[a-z][a-z0-9-]{0,39}$" example:"id-card" doc:"As the profile names it"`
		Name     string `json:"name,omitempty" maxLength:"200" doc:"Of the file"`
		Media    string `json:"media_type" maxLength:"120" example:"image/png"`
		Document []byte `json:"document,omitempty" doc:"The file in base64, at most 8 MiB, to be kept under seal; leave it out to keep SM3 and size alone"`
		SM3      string `json:"sm3,omitempty" pattern:"^[0-9a-f]{64}$" doc:"Of the file; needed without document, else compared"`
		Size     int64  `json:"size,omitempty" minimum:"0" doc:"Octets; needed without document"`
		Remark   string `json:"remark,omitempty" maxLength:"600"`
	}
}

func (a *API) addDocument(ctx context.Context, by actor.Actor, in *documentInput) (*body[documentView], error) {
	e := ca.Evidence{
		Application: in.ID, Kind: in.Body.Kind, Name: in.Body.Name, Media: in.Body.Media, Size: in.Body.Size, Remark: in.Body.Remark,
	}
	if in.Body.SM3 != "" {
		var err error
		if e.SM3, err = hex.DecodeString(in.Body.SM3); err != nil {
			return nil, errFields.With("sm3: %w", err)
		}
	}
	var document []byte
	if len(in.Body.Document) > 0 {
		document = in.Body.Document
	}
	e, err := a.CA.AddEvidence(ctx, by, e, document)
	return &body[documentView]{viewDocument(e)}, err
}

type oneDocumentInput struct {
	IDInput
	Evidence string `path:"evidence" maxLength:"200"`
}

// getDocument never names the media type that was stated: nothing must make a browser open it.
func (a *API) getDocument(ctx context.Context, by actor.Actor, in *oneDocumentInput) (*file, error) {
	e, document, err := a.CA.Document(ctx, by, in.ID, in.Evidence)
	return &file{Type: anyFile, Disposition: attachment(e.ID), Body: document}, err
}
