package api

import (
	"context"
	"encoding/pem"
	"time"

	"hufu/certs"
	"hufu/internal/actor"
	"hufu/keys"
)

type versionView struct {
	Key       string     `json:"key" doc:"Label of a device key, or data: and a purpose"`
	Version   uint32     `json:"version"`
	Purpose   string     `json:"purpose"`
	Algorithm string     `json:"algorithm,omitempty" doc:"Of a device key"`
	State     keys.State `json:"state" enum:"making,published,active,retired,destroying,destroyed,void"`
	Master    string     `json:"master,omitempty" doc:"What wraps a data key: label and version"`
	Public    string     `json:"public,omitempty" doc:"SM3 of the public key as the record has it, hexadecimal"`
	Way       keys.Way   `json:"way,omitempty" enum:"once,published,accepted,resealed,rewrapped" doc:"How it is rotated; absent where it is not"`
	Fixed     string     `json:"fixed,omitempty" doc:"Why it is not rotated"`
	Made      time.Time  `json:"made"`
	Activated time.Time  `json:"activated,omitzero"`
	Retired   time.Time  `json:"retired,omitzero"`
	Destroyed time.Time  `json:"destroyed,omitzero"`
}

func viewVersion(lang string, v keys.Version) versionView {
	out := versionView{
		Key: v.Label, Version: v.Number, Purpose: v.Purpose, Algorithm: v.Algorithm, State: v.State, Made: v.Made, Activated: v.Activated,
		Retired: v.Retired, Destroyed: v.Destroyed, Public: v.Fingerprint(),
	}
	return out.rotated(lang, v.Purpose)
}

func viewDataVersion(lang string, d keys.DataVersion) versionView {
	key := keys.DataPrefix + d.Purpose
	v := versionView{Key: key, Version: d.Number, Purpose: d.Purpose, State: d.State, Made: d.Made, Retired: d.Retired}
	if d.State != keys.Destroyed { // then nothing is wrapped any more
		v.Master = keys.Version{Label: d.Master, Number: d.MasterVersion}.String()
	}
	return v.rotated(lang, key)
}

func (v versionView) rotated(lang, purpose string) versionView {
	way, why := keys.WayOf(purpose)
	v.Way = way
	if why != nil {
		v.Fixed = in(lang, why.Text)
	}
	return v
}

func (a *API) listKeys(ctx context.Context, by actor.Actor, _ *struct{}) (*body[page[versionView]], error) {
	device, err := a.Keys.List(ctx, by)
	if err != nil {
		return nil, err
	}
	data, err := a.Keys.ListData(ctx, by)
	if err != nil {
		return nil, err
	}
	lang := callOf(ctx).lang
	out := pageOf(device, 0, func(v keys.Version) versionView { return viewVersion(lang, v) }, nil)
	for _, d := range data {
		out.Body.Items = append(out.Body.Items, viewDataVersion(lang, d))
	}
	return out, nil
}

type keyInput struct {
	Body struct {
		Key       string `json:"key" minLength:"1" maxLength:"64" doc:"Label: a-z, 0-9, '.' and '-', beginning with a letter"`
		Purpose   string `json:"purpose" minLength:"1" maxLength:"40"`
		Algorithm string `json:"algorithm" minLength:"1" maxLength:"20" enum:"sm2,p256,rsa2048,rsa3072,sm4,aes256"`
		Check     bool   `json:"check,omitempty" doc:"Refuse what would be refused, and make nothing"`
	}
}

func (a *API) makeKey(ctx context.Context, by actor.Actor, in *keyInput) (*body[versionView], error) {
	make := a.Keys.Ensure
	if in.Body.Check {
		make = a.Keys.CheckEnsure
	}
	v, err := make(ctx, by, in.Body.Key, in.Body.Purpose, in.Body.Algorithm)
	if err != nil {
		return nil, err
	}
	return &body[versionView]{viewVersion(callOf(ctx).lang, v)}, nil
}

// KeyInput names a key.
type KeyInput struct {
	Key string `path:"key" maxLength:"80" doc:"Label of a device key, or data: and a purpose"`
}

type rotationView struct {
	ID        string     `json:"id,omitempty" doc:"Absent of a plan"`
	Key       string     `json:"key"`
	Way       keys.Way   `json:"way" enum:"once,published,accepted,resealed,rewrapped"`
	Phase     keys.Phase `json:"phase" enum:"making,published,working,waiting,fading,done"`
	From      uint32     `json:"from" doc:"Version"`
	To        uint32     `json:"to,omitempty" doc:"Version"`
	Stage     string     `json:"stage,omitempty" doc:"Table or sort of keys at work"`
	Done      int64      `json:"done" doc:"Rows"`
	Total     int64      `json:"total" doc:"Rows, about"`
	Held      int64      `json:"held,omitempty" doc:"Rows that still stand under the old version"`
	NotBefore time.Time  `json:"not_before,omitzero" doc:"Of the next step"`
	By        string     `json:"by,omitempty"`
	Begun     time.Time  `json:"begun,omitzero"`
	Changed   time.Time  `json:"changed,omitzero"`
	Ended     time.Time  `json:"ended,omitzero"`
}

func viewRotation(p keys.Progress) rotationView {
	return rotationView{
		ID: p.ID, Key: p.Key, Way: p.Way, Phase: p.Phase, From: p.From, To: p.To, Stage: p.Stage, Done: p.Done, Total: p.Total, Held: p.Held,
		NotBefore: p.NotBefore, By: p.By, Begun: p.Begun, Changed: p.Changed, Ended: p.Ended,
	}
}

func (a *API) listRotations(ctx context.Context, by actor.Actor, _ *struct{}) (*body[page[rotationView]], error) {
	all, err := a.Keys.Progress(ctx, by)
	return pageOf(all, 0, viewRotation, nil), err
}

func (a *API) planRotation(ctx context.Context, by actor.Actor, in *KeyInput) (*body[rotationView], error) {
	p, err := a.Keys.Plan(ctx, by, in.Key)
	return &body[rotationView]{viewRotation(p)}, err
}

func (a *API) beginRotation(ctx context.Context, by actor.Actor, in *KeyInput) (*body[rotationView], error) {
	p, err := a.Keys.BeginRotation(ctx, by, in.Key)
	return &body[rotationView]{viewRotation(p)}, err
}

type versionInput struct {
	KeyInput
	Version uint32 `path:"version" minimum:"1"`
	Check   bool   `query:"check" doc:"Refuse what would be refused, and destroy nothing"`
}

func (a *API) destroyKey(ctx context.Context, by actor.Actor, in *versionInput) (*none, error) {
	if in.Check {
		return nil, a.Keys.CheckDestroy(ctx, by, in.Key, in.Version)
	}
	return nil, a.Keys.DestroyVersion(ctx, by, in.Key, in.Version)
}

type publicInput struct {
	KeyInput
	Version uint32 `query:"version" doc:"The one at work, if left out"`
}

const pemFile = "application/x-pem-file"

// exportPublic gives the SubjectPublicKeyInfo (RFC 5280) as PEM.
func (a *API) exportPublic(ctx context.Context, by actor.Actor, in *publicInput) (*file, error) {
	v, err := a.Keys.Public(ctx, by, in.Key, in.Version)
	if err != nil {
		return nil, err
	}
	pub, err := v.PublicKey()
	if err != nil {
		return nil, err
	}
	if pub == nil {
		return nil, keys.ErrSecret.With("key %s", v)
	}
	spki, err := certs.MarshalPublicKey(pub)
	if err != nil {
		return nil, err
	}
	return &file{Type: pemFile, Body: pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: spki})}, nil
}
