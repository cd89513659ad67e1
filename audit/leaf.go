package audit

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"time"

	"hufu/internal/gm"
)

// Leaf is what the tree keeps of an entry, for ever and for everybody: opaque ids, public facts and a commitment
// to the sealed part. Its bytes are canonical JSON (RFC 8785).
type Leaf struct {
	ID         string
	At         time.Time // UTC, to the microsecond
	Action     string
	Object     Object
	Actor      string // capacity and opaque id: "person:7Q…", "system:crl-schedule"
	For        string // opaque id of whom the actor acted for, "" = itself
	Via        string // opaque id of the application through which it acted, "" = our own pages
	Public     map[string]string
	Commitment []byte // SM3(salt ‖ sealed plaintext), 32 bytes; nil when nothing was sealed
}

// timeForm has a fixed width, so that equal instants are equal bytes.
const timeForm = "2006-01-02T15:04:05.000000Z"

const leafVersion = 1

// Bytes returns the leaf in its written form.
func (l Leaf) Bytes() []byte {
	by := object{"id": l.Actor}
	if l.For != "" {
		by["for"] = l.For
	}
	if l.Via != "" {
		by["via"] = l.Via
	}
	o := object{
		"v": leafVersion, "id": l.ID, "at": l.At.UTC().Format(timeForm), "action": l.Action, "actor": by,
		"object": object{"kind": l.Object.Kind, "id": l.Object.ID},
	}
	if len(l.Public) > 0 {
		o["public"] = l.Public
	}
	if l.Commitment != nil {
		o["commitment"] = base64.StdEncoding.EncodeToString(l.Commitment)
	}
	return canonical(o)
}

// ParseLeaf reads what Bytes writes, and nothing else.
func ParseLeaf(b []byte) (Leaf, error) {
	var in struct {
		V          int                           `json:"v"`
		ID         string                        `json:"id"`
		At         string                        `json:"at"`
		Action     string                        `json:"action"`
		Object     struct{ Kind, ID string }     `json:"object"`
		Actor      struct{ ID, For, Via string } `json:"actor"`
		Public     map[string]string             `json:"public"`
		Commitment []byte                        `json:"commitment"`
	}
	if err := decode(b, &in); err != nil || in.V != leafVersion {
		return Leaf{}, fmt.Errorf("leaf: %w", errNotCanonical)
	}
	at, err := time.Parse(timeForm, in.At)
	if err != nil {
		return Leaf{}, fmt.Errorf("leaf: %w", errNotCanonical)
	}
	l := Leaf{
		ID: in.ID, At: at, Action: in.Action, Object: Object(in.Object), Actor: in.Actor.ID, For: in.Actor.For, Via: in.Actor.Via,
		Public: in.Public, Commitment: in.Commitment,
	}
	if !bytes.Equal(l.Bytes(), b) || l.Commitment != nil && len(l.Commitment) != 32 {
		return Leaf{}, fmt.Errorf("leaf: %w", errNotCanonical)
	}
	return l, nil
}

// detail is the sealed part of an entry: what is about a person, and how the actor came in.
type detail struct {
	Personal                 map[string]string `json:"personal"`
	Session, Peer            string
	Roles                    []string
	IdentityLevel, AuthLevel int
}

func (d detail) bytes() []byte {
	o := object{}
	for k, v := range map[string]string{"session": d.Session, "peer": d.Peer} {
		if v != "" {
			o[k] = v
		}
	}
	if len(d.Roles) > 0 {
		o["roles"] = d.Roles
	}
	if d.IdentityLevel != 0 || d.AuthLevel != 0 {
		o["identityLevel"], o["authLevel"] = d.IdentityLevel, d.AuthLevel
	}
	if len(d.Personal) > 0 {
		o["personal"] = d.Personal
	}
	return canonical(o)
}

// commit returns the commitment to a plaintext under its salt.
func commit(salt, plaintext []byte) []byte {
	sum := gm.SM3(salt, plaintext)
	return sum[:]
}
