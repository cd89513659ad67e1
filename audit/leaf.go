package audit

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"strconv"
	"time"
	"unicode/utf8"

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

// Bytes returns the leaf in its written form.
func (l Leaf) Bytes() []byte {
	b := make([]byte, 0, 512)
	b = append(appendMember(append(b, '{'), "action", l.Action), `,"actor":{`...)
	if l.For != "" {
		b = appendMember(b, "for", l.For)
	}
	b = appendMember(b, "id", l.Actor)
	if l.Via != "" {
		b = appendMember(b, "via", l.Via)
	}
	b = appendMember(append(b, '}'), "at", l.At.UTC().Format(timeForm))
	if l.Commitment != nil {
		b = appendMember(b, "commitment", base64.StdEncoding.EncodeToString(l.Commitment))
	}
	b = appendMember(b, "id", l.ID)
	b = appendMember(append(b, `,"object":{`...), "id", l.Object.ID)
	b = append(appendMember(b, "kind", l.Object.Kind), '}')
	if len(l.Public) > 0 {
		b = appendTexts(b, "public", l.Public)
	}
	return append(b, `,"v":1}`...)
}

// ParseLeaf reads what Bytes writes, and nothing else.
func ParseLeaf(b []byte) (Leaf, error) {
	var l Leaf
	c := cursor{rest: b, bad: !utf8.Valid(b)}
	c.skip(`{"action":`)
	l.Action = c.text()
	c.skip(`,"actor":{`)
	if c.has(`"for":`) {
		l.For = c.text()
		c.skip(`,`)
	}
	c.skip(`"id":`)
	l.Actor = c.text()
	if c.has(`,"via":`) {
		l.Via = c.text()
	}
	c.skip(`},"at":`)
	at, err := time.Parse(timeForm, c.text())
	l.At = at
	if c.has(`,"commitment":`) {
		l.Commitment, _ = base64.StdEncoding.DecodeString(c.text()) // what is wrong is not written so again
	}
	c.skip(`,"id":`)
	l.ID = c.text()
	c.skip(`,"object":{"id":`)
	l.Object.ID = c.text()
	c.skip(`,"kind":`)
	l.Object.Kind = c.text()
	c.skip(`}`)
	if c.has(`,"public":{`) {
		l.Public = map[string]string{}
		for more := true; more && !c.bad; more = c.has(`,`) {
			key := c.text()
			c.skip(`:`)
			l.Public[key] = c.text()
		}
		c.skip(`}`)
	}
	if c.bad || err != nil || !bytes.Equal(l.Bytes(), b) || l.Commitment != nil && len(l.Commitment) != 32 {
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

// bytes returns the detail as canonical JSON (RFC 8785), without what is empty.
func (d detail) bytes() []byte {
	b := append(make([]byte, 0, 256), '{')
	if d.IdentityLevel != 0 || d.AuthLevel != 0 {
		b = strconv.AppendInt(appendKey(b, "authLevel"), int64(d.AuthLevel), 10)
		b = strconv.AppendInt(appendKey(b, "identityLevel"), int64(d.IdentityLevel), 10)
	}
	if d.Peer != "" {
		b = appendMember(b, "peer", d.Peer)
	}
	if len(d.Personal) > 0 {
		b = appendTexts(b, "personal", d.Personal)
	}
	if len(d.Roles) > 0 {
		b = append(appendKey(b, "roles"), '[')
		for i, r := range d.Roles {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendString(b, r)
		}
		b = append(b, ']')
	}
	if d.Session != "" {
		b = appendMember(b, "session", d.Session)
	}
	return append(b, '}')
}

// commit returns the commitment to a plaintext under its salt.
func commit(salt, plaintext []byte) []byte {
	sum := gm.SM3(salt, plaintext)
	return sum[:]
}
