package api

import (
	"context"
	"encoding/hex"
	"time"

	"hufu/ca"
	"hufu/internal/actor"
)

type massInput struct {
	Body struct {
		Serials      []string  `json:"serials,omitempty" maxItems:"1000" doc:"Certificates, hexadecimal; instead of keys"`
		Revoked      string    `json:"revocation_reason,omitempty" enum:"unspecified,keyCompromise,cACompromise,affiliationChanged,superseded,cessationOfOperation,privilegeWithdrawn" doc:"Of the certificates named; those of keys are revoked for keyCompromise"`
		InvalidSince time.Time `json:"invalid_since,omitzero" doc:"Since when the keys are known or suspected to be lost"`
		Pair         bool      `json:"pair,omitempty" doc:"The other certificates of the same applications too"`
		Obtained     bool      `json:"obtained,omitempty" doc:"For keyCompromise: also what was obtained with the keys"`
		Keys         []keyName `json:"keys,omitempty" maxItems:"1000" doc:"Keys to block, whose certificates are revoked"`
		Listed       bool      `json:"listed,omitempty" doc:"Keys taken over from a published list"`
		Note         string    `json:"note,omitempty" maxLength:"600" doc:"Where the keys are known from; no personal data"`
		Reason       string    `json:"reason" minLength:"1" maxLength:"500" doc:"Why; it is kept"`
	}
}

// MassView is a mass revocation.
type MassView struct {
	MotionView
	Count    int      `json:"count" doc:"Certificates that it would have revoked when it was proposed"`
	Serials  []string `json:"serials,omitempty"`
	Keys     int      `json:"keys,omitempty" doc:"How many keys it blocks"`
	Revoked  string   `json:"revocation_reason,omitempty"`
	Obtained bool     `json:"obtained,omitempty"`
	Note     string   `json:"note,omitempty"`
	// Ended is what an approval has done.
	Ended *revokedView `json:"ended,omitempty"`
}

func viewMass(p ca.MassProposal) MassView {
	v := MassView{MotionView: viewMotion(p.Motion), Count: p.Count, Keys: len(p.Keys), Obtained: p.Obtained, Note: p.Note}
	for _, serial := range p.Serials {
		v.Serials = append(v.Serials, hex.EncodeToString(serial))
	}
	if len(p.Serials) > 0 {
		v.Revoked = p.Mass.Reason.String()
	}
	return v
}

func (a *API) listMass(ctx context.Context, by actor.Actor, _ *struct{}) (*body[page[MassView]], error) {
	all, err := a.CA.MassProposals(ctx, by, "")
	if err != nil {
		return nil, err
	}
	return pageOf(all, 0, viewMass, nil), nil
}

func (a *API) proposeMass(ctx context.Context, by actor.Actor, in *massInput) (*body[MassView], error) {
	m := ca.Mass{
		Invalid: in.Body.InvalidSince, Pair: in.Body.Pair, Obtained: in.Body.Obtained, Keys: keyNames(in.Body.Keys), Listed: in.Body.Listed, Note: in.Body.Note,
	}
	for _, text := range in.Body.Serials {
		serial, err := hex.DecodeString(text)
		if err != nil || len(serial) == 0 || len(serial) > 20 {
			return nil, ca.ErrMass.With("serial %.60q", text)
		}
		m.Serials = append(m.Serials, serial)
	}
	if len(m.Serials) > 0 {
		var ok bool
		if m.Reason, ok = revocationReason(in.Body.Revoked); !ok {
			return nil, errReason
		}
	}
	p, err := a.CA.ProposeMass(ctx, by, m, in.Body.Reason)
	if err != nil {
		return nil, err
	}
	return &body[MassView]{viewMass(p)}, nil
}

func (a *API) decideMass(ctx context.Context, by actor.Actor, in *MotionDecision) (*body[MassView], error) {
	p, ended, err := a.CA.DecideMass(ctx, by, in.ID, in.Body.Approve, in.Body.Reason)
	if err != nil {
		return nil, err
	}
	v := viewMass(p)
	if in.Body.Approve {
		v.Ended = &viewRevoked(ended).Body
	}
	return &body[MassView]{v}, nil
}
