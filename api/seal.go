package api

import (
	"cmp"
	"context"
	"time"

	"hufu/audit"
	"hufu/internal/actor"
	"hufu/seal"
)

type styleView struct {
	ID       string    `json:"id"`
	Name     titleView `json:"name"`
	Diameter float64   `json:"diameter" doc:"Millimetres"`
}

func (a *API) listStyles(context.Context, actor.Actor, *struct{}) (*body[page[styleView]], error) {
	out := &body[page[styleView]]{}
	for _, s := range seal.Styles() {
		out.Body.Items = append(out.Body.Items, styleView{s.ID, titleView{s.Name.ZH, s.Name.EN}, s.Diameter})
	}
	return out, nil
}

type sealView struct {
	Code       string     `json:"code"`
	Owner      string     `json:"owner" doc:"Subject id of the organisation"`
	OwnerName  string     `json:"owner_name"`
	Name       string     `json:"name" doc:"On the arc"`
	Line       string     `json:"line,omitempty" doc:"Below the centre"`
	Style      string     `json:"style"`
	Type       int        `json:"type"`
	State      seal.State `json:"state" enum:"applied,approved,active,frozen,revoked,rejected"`
	Reason     string     `json:"reason,omitempty"`
	Maker      ActorView  `json:"maker"`
	Checker    *ActorView `json:"checker,omitempty"`
	At         time.Time  `json:"at"`
	ChangedAt  time.Time  `json:"changed_at"`
	ValidFrom  time.Time  `json:"valid_from"`
	ValidUntil time.Time  `json:"valid_until"`
	Key        *keyView   `json:"key,omitempty" doc:"Of one seal, once it is made"`
}

// keyView says how a seal's key is held.
type keyView struct {
	Method string    `json:"method" enum:"pin,sm2,half,none" doc:"How the owner consents to a use; none: the owner has to set a PIN first"`
	Kept   string    `json:"kept" enum:"wrapped,inside" doc:"wrapped: stands outside the device under its master key and is opened in memory for one signature (HSM-wrapped, if that device is hardware); inside: opened within the device alone (HSM-backed)"`
	Locked time.Time `json:"locked_until,omitzero" doc:"Wrong PINs: no PIN is taken before"`
}

func viewKey(h seal.Held) *keyView {
	v := &keyView{Method: cmp.Or(h.Method, "none"), Kept: "wrapped"}
	if h.Inside {
		v.Kept = "inside"
	}
	if h.Locked {
		v.Locked = h.Until
	}
	return v
}

// sealWithKey is the view of one seal.
func (a *API) sealWithKey(ctx context.Context, by actor.Actor, s seal.Seal) (*body[sealView], error) {
	v := viewSeal(s)
	if s.KeyID != "" {
		held, err := a.Seals.Held(ctx, by, s.Code)
		if err != nil {
			return nil, err
		}
		v.Key = viewKey(held)
	}
	return &body[sealView]{v}, nil
}

func viewSeal(s seal.Seal) sealView {
	v := sealView{
		Code: s.Code, Owner: s.Owner, OwnerName: s.OwnerName, Name: s.Name, Line: s.Line, Style: s.Style, Type: s.Type, State: s.State,
		Reason: s.Reason, Maker: viewActor(s.Maker), At: s.At, ChangedAt: s.ChangedAt, ValidFrom: s.ValidFrom, ValidUntil: s.ValidUntil,
	}
	if s.Checker.Subject != "" {
		checker := viewActor(s.Checker)
		v.Checker = &checker
	}
	return v
}

type CodeInput struct {
	Code string `path:"code" pattern:"^[0-9]{14}$" doc:"Seal code, 14 digits"`
}

type applySealInput struct {
	Body struct {
		Code  string `json:"code" pattern:"^[0-9]{14}$" doc:"Division (6 digits) and number (8 digits)"`
		Owner string `json:"owner,omitempty" maxLength:"200" doc:"Subject id of the organisation; whom you act for, if left out"`
		Name  string `json:"name,omitempty" maxLength:"120" doc:"On the arc; the owner's name, if left out"`
		Line  string `json:"line,omitempty" maxLength:"120" doc:"Below the centre"`
		Style string `json:"style" maxLength:"64" doc:"See /api/v1/seal-styles"`
		Type  int    `json:"type,omitempty" minimum:"0" maximum:"99"`
		Years int    `json:"years,omitempty" minimum:"0" maximum:"10" doc:"Validity; 5, if left out"`
	}
}

func (a *API) applySeal(ctx context.Context, by actor.Actor, in *applySealInput) (*body[sealView], error) {
	q := seal.Application(in.Body)
	if q.Owner == "" {
		q.Owner = by.For
	}
	s, err := a.Seals.Apply(ctx, by, q)
	return &body[sealView]{viewSeal(s)}, err
}

type sealsInput struct {
	Paging
	Owner string     `query:"owner" maxLength:"200"`
	State seal.State `query:"state" enum:"applied,approved,active,frozen,revoked,rejected"`
}

func (a *API) listSeals(ctx context.Context, by actor.Actor, in *sealsInput) (*body[page[sealView]], error) {
	all, err := a.Seals.List(ctx, by, seal.Filter{Owner: in.Owner, State: in.State, After: in.After, Limit: in.Limit})
	if err != nil {
		return nil, err
	}
	return pageOf(all, in.Limit, viewSeal, func(s seal.Seal) string { return s.Code }), nil
}

func (a *API) getSeal(ctx context.Context, by actor.Actor, in *CodeInput) (*body[sealView], error) {
	s, err := a.Seals.Get(ctx, by, in.Code)
	if err != nil {
		return nil, err
	}
	return a.sealWithKey(ctx, by, s)
}

type decideSealInput struct {
	CodeInput
	Body decision
}

func (a *API) decideSeal(ctx context.Context, by actor.Actor, in *decideSealInput) (*none, error) {
	return nil, a.Seals.Decide(ctx, by, in.Code, in.Body.Approve, in.Body.Reason)
}

type makeSealInput struct {
	CodeInput
	Body struct {
		ConsentBody
		SignKey    []byte `json:"sign_key,omitempty" maxLength:"100" doc:"Instead of a PIN, the owner's SM2 pair: point 04‖x‖y of the key that signs challenges, base64"`
		EncryptKey []byte `json:"encrypt_key,omitempty" maxLength:"100" doc:"Point of the key to which the owner's half is encrypted, base64"`
	}
}

// making takes the first call's PIN or pair as the owner's, and what answers a challenge as consent.
func (in *makeSealInput) making() seal.Making {
	m := seal.Making{Consent: in.Body.consent(), Owner: seal.Enrolment{SignKey: in.Body.SignKey, EncryptKey: in.Body.EncryptKey}}
	m.Owner.PIN = m.Consent.PIN
	return m
}

func (a *API) makeSeal(ctx context.Context, by actor.Actor, in *makeSealInput) (*body[sealView], error) {
	s, err := a.Seals.Make(ctx, by, in.Code, in.making())
	if err != nil {
		return nil, err
	}
	return a.sealWithKey(ctx, by, s)
}

type sealReasonInput struct {
	CodeInput
	Body reasonBody
}

func (a *API) freezeSeal(ctx context.Context, by actor.Actor, in *sealReasonInput) (*none, error) {
	return nil, a.Seals.Freeze(ctx, by, in.Code, in.Body.Reason)
}

func (a *API) resumeSeal(ctx context.Context, by actor.Actor, in *CodeInput) (*none, error) {
	return nil, a.Seals.Resume(ctx, by, in.Code)
}

func (a *API) revokeSeal(ctx context.Context, by actor.Actor, in *sealReasonInput) (*none, error) {
	return nil, a.Seals.Revoke(ctx, by, in.Code, in.Body.Reason)
}

// What a made seal consists of.
const (
	svgType = "image/svg+xml"
	pngType = "image/png"
	eslType = "application/octet-stream"
)

func (a *API) sealSVG(ctx context.Context, by actor.Actor, in *CodeInput) (*file, error) {
	return a.sealFile(ctx, by, in.Code, svgType, ".svg", func(s seal.Seal) []byte { return s.SVG })
}

func (a *API) sealPNG(ctx context.Context, by actor.Actor, in *CodeInput) (*file, error) {
	return a.sealFile(ctx, by, in.Code, pngType, ".png", func(s seal.Seal) []byte { return s.PNG })
}

func (a *API) sealESL(ctx context.Context, by actor.Actor, in *CodeInput) (*file, error) {
	return a.sealFile(ctx, by, in.Code, eslType, ".esl", func(s seal.Seal) []byte { return s.ESL })
}

func (a *API) sealFile(ctx context.Context, by actor.Actor, code, kind, ending string, part func(seal.Seal) []byte) (*file, error) {
	s, err := a.Seals.Get(ctx, by, code)
	if err != nil {
		return nil, err
	}
	data := part(s)
	if len(data) == 0 {
		return nil, seal.ErrState.With("seal %s is %s: not made yet", code, s.State)
	}
	return &file{Type: kind, Disposition: attachment("seal-" + code + ending), Body: data}, nil
}

func (a *API) sealProof(ctx context.Context, by actor.Actor, in *CodeInput) (*body[proofsView], error) {
	if _, err := a.Seals.Get(ctx, by, in.Code); err != nil {
		return nil, err
	}
	return a.proofs(ctx, audit.Object{Kind: "seal", ID: in.Code})
}
