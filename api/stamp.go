package api

import (
	"context"
	"encoding/hex"
	"time"

	"github.com/danielgtaylor/huma/v2/negotiation"

	"hufu/internal/actor"
	"hufu/seal"
	"hufu/seal/ofd"
)

type positionBody struct {
	Page   int     `json:"page" minimum:"1" maximum:"10000"`
	X      float64 `json:"x" minimum:"0" doc:"Left edge, millimetres from the left of the page"`
	Y      float64 `json:"y" minimum:"0" doc:"Upper edge, millimetres from the top of the page"`
	Width  float64 `json:"width" minimum:"1" maximum:"200" doc:"Millimetres; see diameter of the seal's style"`
	Height float64 `json:"height" minimum:"1" maximum:"200"`
}

type stampInput struct {
	CodeInput
	Body struct {
		Document  []byte         `json:"document" doc:"OFD in base64, at most 32 MiB"`
		Positions []positionBody `json:"positions" minItems:"1" maxItems:"1000"`
		Purpose   string         `json:"purpose" minLength:"1" maxLength:"600" doc:"Why, for the record"`
		Closed    bool           `json:"closed,omitempty" doc:"Forbid further signatures"`
		At        time.Time      `json:"at,omitzero" doc:"Time of the challenge that is answered"`
		ConsentBody
	}
}

func (in *stampInput) order() (seal.Order, error) {
	if len(in.Body.Document) > maxFile {
		return seal.Order{}, errTooLarge
	}
	return stampOrder(in.Code, in.Body.Document, in.Body.Positions, in.Body.Purpose, in.Body.Closed), nil
}

func stampOrder(code string, document []byte, positions []positionBody, purpose string, closed bool) seal.Order {
	o := seal.Order{Seal: code, Document: document, Purpose: purpose, WholeProtected: closed, Kind: seal.KindDocument}
	for _, p := range positions {
		o.Stamps = append(o.Stamps, ofd.Stamp{Page: p.Page, Boundary: ofd.Box{X: p.X, Y: p.Y, W: p.Width, H: p.Height}})
	}
	return o
}

type stampedView struct {
	Document []byte `json:"document" doc:"The stamped OFD in base64"`
	Use      string `json:"use" doc:"Id of this use of the seal"`
	Entry    string `json:"entry" doc:"Id of its entry in the log; see /pki/log/proof?entry="`
	Proof    string `json:"proof_path" doc:"Where the log's proof goes in the document"`
}

const ofdType = "application/ofd"

// stamp returns JSON, or the stamped document alone to whoever accepts application/ofd.
func (a *API) stamp(ctx context.Context, by actor.Actor, in *stampInput) (*choice, error) {
	o, err := in.order()
	if err != nil {
		return nil, err
	}
	o.Consent, o.At = in.Body.consent(), in.Body.At
	done, err := a.Seals.Stamp(ctx, by, o)
	if err != nil {
		return nil, err
	}
	if negotiation.SelectQValue(callOf(ctx).r.Header.Get("Accept"), []string{jsonType, ofdType}) == ofdType {
		return &choice{ofdType, done.Document}, nil
	}
	return &choice{jsonType, stampedView{done.Document, done.Use, done.Entry, done.Proof}}, nil
}

type useView struct {
	ID        string        `json:"id"`
	Purpose   string        `json:"purpose"`
	State     seal.UseState `json:"state" enum:"intended,done,void"`
	Actor     ActorView     `json:"actor"`
	Before    string        `json:"document_sm3" doc:"SM3 of the document before, hexadecimal"`
	After     string        `json:"result_sm3,omitempty" doc:"SM3 of the stamped document, hexadecimal"`
	At        time.Time     `json:"at"`
	Completed time.Time     `json:"completed,omitzero"`
}

type usesInput struct {
	CodeInput
	Paging
}

func (a *API) listUses(ctx context.Context, by actor.Actor, in *usesInput) (*body[page[useView]], error) {
	before, err := in.before()
	if err != nil {
		return nil, err
	}
	uses, err := a.Seals.Uses(ctx, by, in.Code, before, in.Limit)
	if err != nil {
		return nil, err
	}
	return pageOf(uses, in.Limit, viewUse, func(u seal.Use) string { return timed(u.At) }), nil
}

func viewUse(u seal.Use) useView {
	return useView{
		ID: u.ID, Purpose: u.Purpose, State: u.State, Actor: viewActor(u.Actor), Before: hex.EncodeToString(u.Document),
		After: hex.EncodeToString(u.Result), At: u.At, Completed: u.Completed,
	}
}
