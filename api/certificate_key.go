package api

import (
	"context"
	"encoding/hex"
	"strconv"
	"time"

	"hufu/ca"
	"hufu/internal/actor"
)

type keyChallengeView struct {
	Text []byte `json:"text" doc:"Sign these octets as a message: SM2 with the identifier 1234567812345678, other keys with SHA-256. They hold today and tomorrow (UTC)"`
}

func (a *API) challengeKey(_ context.Context, _ actor.Actor, in *SerialInput) (*body[keyChallengeView], error) {
	return &body[keyChallengeView]{keyChallengeView{a.CA.Challenge(in.octets())}}, nil
}

type reportInput struct {
	SerialInput
	Body struct {
		Signature []byte `json:"signature" doc:"Over the challenge, DER in base64"`
	}
}

func (a *API) reportKey(ctx context.Context, by actor.Actor, in *reportInput) (*body[revokedView], error) {
	ended, err := a.CA.EndByKey(ctx, by, ca.KeyReport{Serial: in.octets(), Signature: in.Body.Signature, From: callOf(ctx).network})
	return viewRevoked(ended), err
}

type blockedKeyView struct {
	Hash      string    `json:"hash" doc:"Of the SubjectPublicKeyInfo, hexadecimal"`
	Algorithm string    `json:"algorithm" enum:"sm3,sha256"`
	Source    string    `json:"source" enum:"revocation,possession,officer,list"`
	Note      string    `json:"note,omitempty"`
	By        string    `json:"by,omitempty"`
	At        time.Time `json:"at"`
}

func (a *API) listBlockedKeys(ctx context.Context, by actor.Actor, in *Paging) (*body[page[blockedKeyView]], error) {
	at, hash, err := in.behind()
	if err != nil {
		return nil, err
	}
	rows, err := a.CA.BlockedKeys(ctx, by, ca.BlockedKey{At: at, Hash: hash}, in.Limit)
	if err != nil {
		return nil, err
	}
	return pageOf(rows, in.Limit, func(k ca.BlockedKey) blockedKeyView {
		return blockedKeyView{hex.EncodeToString(k.Hash), k.Algorithm, k.Source, k.Note, k.By, k.At}
	}, func(k ca.BlockedKey) string {
		return strconv.FormatInt(k.At.UnixMicro(), 10) + "." + hex.EncodeToString(k.Hash)
	}), nil
}

type keyName struct {
	SPKI      []byte `json:"spki,omitempty" doc:"SubjectPublicKeyInfo, DER in base64"`
	Hash      string `json:"hash,omitempty" pattern:"^([0-9a-fA-F]{64})?$" doc:"Of it, hexadecimal, instead"`
	Algorithm string `json:"algorithm,omitempty" enum:"sm3,sha256" doc:"Of the hash"`
}

func keyNames(all []keyName) (out []ca.KeyName) {
	for _, k := range all {
		hash, _ := hex.DecodeString(k.Hash) // the pattern has been checked
		out = append(out, ca.KeyName{SPKI: k.SPKI, Hash: hash, Algorithm: k.Algorithm})
	}
	return out
}

type blockInput struct {
	Body struct {
		Keys   []keyName `json:"keys" minItems:"1" maxItems:"1000"`
		Listed bool      `json:"listed,omitempty" doc:"Taken over from a published list"`
		Note   string    `json:"note" maxLength:"600" doc:"Where that is known from; no personal data"`
		Revoke bool      `json:"revoke,omitempty" doc:"Revoke the certificates of these keys too"`
		DryRun bool      `json:"dry_run,omitempty" doc:"Tell what would happen; change nothing"`
	}
}

type blockedView struct {
	New          int           `json:"new" doc:"Keys that were not blocked before"`
	Certificates []string      `json:"certificates" doc:"Serials in force of these keys; revoked if that was asked for. A SHA-256 finds none"`
	Also         []relatedItem `json:"also,omitempty" doc:"Obtained with these keys, and left alone"`
	Second       bool          `json:"second_officer,omitempty" doc:"Of a dry run: more than one officer may revoke alone; propose a mass revocation"`
}

func (a *API) blockKeys(ctx context.Context, by actor.Actor, in *blockInput) (*body[blockedView], error) {
	b := ca.Blocking{Keys: keyNames(in.Body.Keys), Listed: in.Body.Listed, Note: in.Body.Note, Revoke: in.Body.Revoke, DryRun: in.Body.DryRun}
	done, err := a.CA.BlockKeys(ctx, by, b)
	out := &body[blockedView]{blockedView{New: done.New, Certificates: []string{}, Second: done.Second}}
	for _, r := range done.Also {
		out.Body.Also = append(out.Body.Also, relatedItem{hex.EncodeToString(r.Serial), r.Profile, r.Why, hex.EncodeToString(r.Under)})
	}
	for _, c := range done.Certificates {
		out.Body.Certificates = append(out.Body.Certificates, hex.EncodeToString(c.Serial))
	}
	return out, err
}

type remindersInput struct {
	IDInput
	Body struct {
		Refuse bool `json:"refuse" doc:"No mail before certificates end"`
	}
}

func (a *API) setReminders(ctx context.Context, by actor.Actor, in *remindersInput) (*none, error) {
	return nil, a.CA.RefuseReminders(ctx, by, in.ID, in.Body.Refuse)
}
