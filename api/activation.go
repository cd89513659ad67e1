package api

import (
	"context"
	"time"

	"hufu/internal/actor"
	"hufu/seal"
)

// ConsentBody is the owner's will to have something signed. It stands in bodies only and is never told again.
type ConsentBody struct {
	PIN       string `json:"pin,omitempty" maxLength:"256" doc:"The owner's; needed unless a standing activation covers the use"`
	Challenge string `json:"challenge,omitempty" maxLength:"64" doc:"Instead of the PIN: id of the challenge that is answered"`
	Half      []byte `json:"half,omitempty" maxLength:"64" doc:"What the challenge's sealed half opens to, base64"`
	Signature []byte `json:"signature,omitempty" maxLength:"200" doc:"SM2 over the challenge's statement, DER in base64"`
}

func (b ConsentBody) consent() seal.Consent {
	return seal.Consent{PIN: []byte(b.PIN), Challenge: b.Challenge, Half: b.Half, Signature: b.Signature}
}

type activationView struct {
	ID    string     `json:"id"`
	State string     `json:"state" enum:"active,spent,withdrawn,expired"`
	Kinds []string   `json:"kinds" doc:"Of documents"`
	Count int        `json:"count"`
	Left  int        `json:"left" doc:"Uses that remain"`
	Until time.Time  `json:"until"`
	At    time.Time  `json:"at"`
	Ended time.Time  `json:"ended,omitzero"`
	By    *ActorView `json:"by,omitempty" doc:"Who made it; it ends when that person may no longer stamp"`
}

func viewActivation(a seal.Activation) activationView {
	v := activationView{ID: a.ID, State: a.State, Kinds: a.Kinds, Count: a.Count, Until: a.Until, At: a.Made, Ended: a.Ended}
	if a.State == seal.ActivationActive {
		v.Left = a.Count - a.Used
	}
	if a.By.Person != "" {
		by := viewActor(actor.Actor{Subject: a.By.Person, Capacity: a.By.Capacity})
		v.By = &by
	}
	return v
}

func (a *API) listActivations(ctx context.Context, by actor.Actor, in *CodeInput) (*body[page[activationView]], error) {
	all, err := a.Seals.Activations(ctx, by, in.Code)
	if err != nil {
		return nil, err
	}
	return pageOf(all, 0, viewActivation, nil), nil
}

type activateInput struct {
	CodeInput
	Body struct {
		Kinds []string  `json:"kinds" minItems:"1" maxItems:"100" doc:"document, licence/ and a type's code"`
		Count int       `json:"count" minimum:"1" maximum:"1000000" doc:"Uses"`
		Until time.Time `json:"until" doc:"End"`
		ConsentBody
	}
}

func (a *API) activate(ctx context.Context, by actor.Actor, in *activateInput) (*body[activationView], error) {
	made, err := a.Seals.Activate(ctx, by, in.Code, in.Body.consent(), seal.Bounds{Kinds: in.Body.Kinds, Count: in.Body.Count, Until: in.Body.Until})
	return &body[activationView]{viewActivation(made)}, err
}

type withdrawActivationInput struct {
	CodeInput
	ID string `path:"id" maxLength:"64"`
}

func (a *API) withdrawActivation(ctx context.Context, by actor.Actor, in *withdrawActivationInput) (*none, error) {
	return nil, a.Seals.Withdraw(ctx, by, in.Code, in.ID)
}

type sealPINInput struct {
	CodeInput
	Body struct {
		Old string `json:"old,omitempty" maxLength:"256" doc:"The PIN until now; left out only for a seal that has none yet"`
		New string `json:"new" minLength:"1" maxLength:"256" doc:"8 to 64 characters, no trivial sequence"`
	}
}

func (a *API) setSealPIN(ctx context.Context, by actor.Actor, in *sealPINInput) (*none, error) {
	return nil, a.Seals.SetPIN(ctx, by, in.Code, []byte(in.Body.Old), []byte(in.Body.New))
}

// What a challenge may be for.
type challengeInput struct {
	CodeInput
	Body struct {
		For        string         `json:"for" enum:"stamp,activation,make" doc:"What the owner is asked to consent to"`
		Document   []byte         `json:"document,omitempty" doc:"stamp: OFD in base64, at most 32 MiB"`
		Positions  []positionBody `json:"positions,omitempty" maxItems:"1000" doc:"stamp: as in the order"`
		Purpose    string         `json:"purpose,omitempty" maxLength:"600" doc:"stamp: as in the order"`
		Closed     bool           `json:"closed,omitempty" doc:"stamp: as in the order"`
		Kinds      []string       `json:"kinds,omitempty" maxItems:"100" doc:"activation: as in the request"`
		Count      int            `json:"count,omitempty" minimum:"1" maximum:"1000000" doc:"activation: as in the request"`
		Until      time.Time      `json:"until,omitzero" doc:"activation: as in the request"`
		SignKey    []byte         `json:"sign_key,omitempty" maxLength:"100" doc:"make: point of the owner's signing key, base64"`
		EncryptKey []byte         `json:"encrypt_key,omitempty" maxLength:"100" doc:"make: point of the owner's encryption key, base64"`
	}
}

type challengeView struct {
	ID        string    `json:"id"`
	Statement string    `json:"statement" doc:"What the owner signs, octet for octet: SM2 with SM3, default identifier"`
	Sealed    []byte    `json:"sealed" doc:"The owner's half, encrypted to the encryption key (GM/T 0009, base64)"`
	Until     time.Time `json:"until" doc:"The answer must be there by then"`
	At        time.Time `json:"at,omitzero" doc:"stamp: repeat it in the order"`
}

func (a *API) challengeSeal(ctx context.Context, by actor.Actor, in *challengeInput) (*body[challengeView], error) {
	var c seal.Challenge
	var at time.Time
	var err error
	switch b := in.Body; b.For {
	case "stamp":
		if len(b.Document) > maxFile {
			return nil, errTooLarge
		}
		c, at, err = a.Seals.ChallengeStamp(ctx, by, stampOrder(in.Code, b.Document, b.Positions, b.Purpose, b.Closed))
	case "activation":
		c, err = a.Seals.ChallengeActivation(ctx, by, in.Code, seal.Bounds{Kinds: b.Kinds, Count: b.Count, Until: b.Until})
	default:
		c, err = a.Seals.ChallengeMaking(ctx, by, in.Code, seal.Enrolment{SignKey: b.SignKey, EncryptKey: b.EncryptKey})
	}
	return &body[challengeView]{challengeView{ID: c.ID, Statement: string(c.Statement), Sealed: c.Sealed, Until: c.Until, At: at}}, err
}
