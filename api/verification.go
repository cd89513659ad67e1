package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"mime/multipart"

	"hufu/internal/actor"
	"hufu/seal/check"
)

type verifyInput struct {
	Name    string `query:"name" maxLength:"255" doc:"Of the file, for the report, when it is the whole body"`
	RawBody []byte
}

// verify checks a file: the whole body, or the parts file and bundle of a form.
func (a *API) verify(ctx context.Context, _ actor.Actor, in *verifyInput) (*body[check.Report], error) {
	up, err := readUpload(callOf(ctx).r.Header.Get("Content-Type"), in)
	if err != nil {
		return nil, err
	}
	report, err := a.Verifier.Verify(ctx, up.name, up.file, up.bundle, callOf(ctx).lang)
	return &body[check.Report]{report}, err
}

// upload is a file to be checked, and what to check it against.
type upload struct {
	name         string
	file, bundle []byte
}

func readUpload(contentType string, in *verifyInput) (upload, error) {
	kind, params, err := mime.ParseMediaType(contentType)
	switch {
	case contentType == "" || kind == "application/octet-stream" || kind == "application/ofd" || kind == "text/plain":
		return upload{name: in.Name, file: in.RawBody}, nil
	case err != nil:
		return upload{}, errType.With("%w", err)
	case kind == "multipart/form-data":
		return readForm(multipart.NewReader(bytes.NewReader(in.RawBody), params["boundary"]))
	case kind == jsonType:
		var doc struct {
			Name         string
			File, Bundle []byte
		}
		if err := json.Unmarshal(in.RawBody, &doc); err != nil {
			return upload{}, errUnreadable.With("%w", err)
		}
		return upload{doc.Name, doc.File, doc.Bundle}, nil
	default:
		return upload{}, errType.With("%.80q", kind)
	}
}

func readForm(form *multipart.Reader) (up upload, err error) {
	for range 8 { // a form has two parts; more than a few are no form of ours
		part, err := form.NextPart()
		if errors.Is(err, io.EOF) && up.file != nil {
			return up, nil
		}
		if err != nil {
			return up, errUnreadable.With("%w", err)
		}
		data, err := io.ReadAll(part)
		if err != nil {
			return up, errUnreadable.With("%w", err)
		}
		switch part.FormName() {
		case "file":
			up.name, up.file = part.FileName(), data
		case "bundle":
			up.bundle = data
		default:
			return up, errFields.With("form part %.80q", part.FormName())
		}
	}
	return up, errUnreadable.With("too many parts")
}
