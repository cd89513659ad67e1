package kmc

import (
	"context"
	"crypto/ecdsa"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"hufu/audit"
	"hufu/certs"
	"hufu/internal/actor"
	"hufu/internal/gm"
)

// Kind tells the two flows of recovery apart.
type Kind string

// The kinds.
const (
	ForHolder Kind = "holder"   // the holder lost the signing key that opens the envelopes
	Judicial  Kind = "judicial" // 司法恢复: by order of a court or an authority
)

// Progress is the state of a recovery.
type Progress string

// The states of recoveries.
const (
	Requested Progress = "requested"
	Approved  Progress = "approved"
	Delivered Progress = "delivered"
	Rejected  Progress = "rejected"
	Cancelled Progress = "cancelled"
	Expired   Progress = "expired"
)

const (
	recoveryLife = 7 * 24 * time.Hour
	// repeatFor is how long a hand-out whose answer was lost may be asked for again, by the same person with the same receipt.
	repeatFor    = 10 * time.Minute
	maxRecovered = 64 // keys of one recovery
)

// Legal is the document that a judicial recovery rests on.
type Legal struct {
	Number    string `json:"number"`
	Authority string `json:"authority"`
	SM3       string `json:"sm3"` // of the document, hexadecimal
}

// Approval is one officer's decision.
type Approval struct {
	Officer actor.Actor `json:"officer"`
	Witness bool        `json:"witness"` // of a judicial recovery: approves as super or audit administrator
	At      time.Time   `json:"at"`
}

// Recovered is a key as handed out again.
type Recovered struct {
	Key      string `json:"key"`
	Serial   string `json:"serial"`
	Public   []byte `json:"public"`   // 04 ‖ x ‖ y
	Envelope []byte `json:"envelope"` // SM2EnvelopedKey to the recipient, DER
}

// Recovery is a request that keys be handed out again.
type Recovery struct {
	ID      string
	Client  string
	Kind    Kind
	Subject string // the holder
	State   Progress
	Version int64
	Detail
	Keys  []Recovered // for whoever took them, and only for a short time
	At    time.Time
	Until time.Time // when it expires, or when Keys are erased
}

// Detail is what of a recovery is sealed in the database.
type Detail struct {
	Pairs       []string    `json:"pairs"`   // ids of the keys
	Serials     []string    `json:"serials"` // of their certificates, in the same order
	Why         string      `json:"why"`
	Recipient   []byte      `json:"recipient"`             // 04 ‖ x ‖ y of the key that receives
	Certificate []byte      `json:"certificate,omitempty"` // of the authority that receives, DER
	Order       Legal       `json:"order,omitzero"`
	Maker       actor.Actor `json:"maker"`
	Key         string      `json:"key,omitempty"` // idempotency key, scoped to the maker
	Approvals   []Approval  `json:"approvals,omitempty"`
	Reason      string      `json:"reason,omitempty"` // of a rejection
	Decided     time.Time   `json:"decided,omitzero"`
	Taker       string      `json:"taker,omitempty"`
	Receipt     string      `json:"receipt,omitempty"`
	Delivered   time.Time   `json:"delivered,omitzero"`
}

// RecoveryFilter narrows a list; zero fields do not.
type RecoveryFilter struct {
	Subject string
	State   Progress
	Kind    Kind
	Before  time.Time // exclusive, for paging
	Limit   int
}

// Ask is a request for recovery.
type Ask struct {
	Kind        Kind     `json:"kind"`
	Subject     string   `json:"subject"`               // the holder
	Serials     []string `json:"serials,omitempty"`     // of encryption certificates, hexadecimal; empty: all of the holder's keys
	Why         string   `json:"why"`                   // 1 to 600 octets
	Recipient   []byte   `json:"recipient,omitempty"`   // for the holder: 04 ‖ x ‖ y of the new signing key
	Certificate []byte   `json:"certificate,omitempty"` // judicial: of the authority, DER, with an SM2 key
	Order       Legal    `json:"order,omitzero"`        // judicial
	Key         string   `json:"key,omitempty"`         // idempotency key
}

// Request asks for recovery. For the holder: the holder, whoever acts for it, or a registrar, to the holder's new signing
// key; that it is one is for the authority to check (Front does). Judicial: a business administrator.
func (d *Desk) Request(ctx context.Context, by actor.Actor, a Ask) (Recovery, error) {
	if err := mayAsk(by, a); err != nil {
		return Recovery{}, err
	}
	recipient, err := d.c.recipient(a)
	if err != nil {
		return Recovery{}, err
	}
	now := d.c.Now().UTC()
	r := Recovery{
		ID: rand.Text(), Client: d.client, Kind: a.Kind, Subject: a.Subject, State: Requested, At: now, Until: now.Add(recoveryLife),
		Detail: Detail{Why: a.Why, Recipient: recipient, Certificate: a.Certificate, Order: a.Order, Maker: by, Key: a.Key},
	}
	err = d.c.Store.Update(ctx, func(w W) error {
		if err := servedIn(w, d.client); err != nil {
			return err
		}
		if a.Key != "" {
			if was, err := w.RecoveryByKey(d.client, by.String(), a.Key); err == nil || !errors.Is(err, ErrUnknown) {
				r = was
				return err
			}
		}
		if err := choose(w, &r, a.Serials); err != nil {
			return err
		}
		if err := w.AddRecovery(r); err != nil {
			return err
		}
		return w.Record(r.entry(by, "request", now, nil))
	})
	if err != nil {
		return Recovery{}, fmt.Errorf("request recovery: %w", err)
	}
	return r.shown(), nil
}

func mayAsk(by actor.Actor, a Ask) error {
	if err := by.Known(); err != nil {
		return err
	}
	if a.Subject == "" || len(a.Why) == 0 || len(a.Why) > 600 || len(a.Serials) > maxRecovered || len(a.Key) > 100 {
		return ErrAsk.With("subject %q, why of %d octets, %d serials", a.Subject, len(a.Why), len(a.Serials))
	}
	switch a.Kind {
	case ForHolder:
		if by.Subject == "" || by.Subject != a.Subject && by.For != a.Subject && !by.Is(actor.RoleRegistrar) {
			return ErrNotAllowed.With("%s for %s", by, a.Subject)
		}
		return nil
	case Judicial:
		if by.Subject == "" || !by.Is(actor.RoleBusinessAdmin) {
			return actor.ErrRole.With("%s asks for judicial recovery", by)
		}
		return nil
	}
	return ErrAsk.With("kind %q", a.Kind)
}

// recipient checks the key to which the recovered ones will be enveloped.
func (c *Centre) recipient(a Ask) ([]byte, error) {
	if a.Kind == ForHolder {
		if _, err := gm.PublicKey(a.Recipient); err != nil || len(a.Certificate) != 0 || a.Order != (Legal{}) {
			return nil, ErrAsk.With("recipient of %d octets, certificate of %d", len(a.Recipient), len(a.Certificate))
		}
		return a.Recipient, nil
	}
	digest, err := hex.DecodeString(a.Order.SM3)
	if err != nil || len(digest) != 32 || a.Order.Number == "" || a.Order.Authority == "" || len(a.Order.Number)+len(a.Order.Authority) > 400 {
		return nil, ErrOrder.With("order %+v", a.Order)
	}
	cert, err := certs.ParseLenient(a.Certificate)
	if err != nil {
		return nil, ErrOrder.With("certificate: %w", err)
	}
	key, ok := cert.PublicKey.(*ecdsa.PublicKey)
	if now := c.Now(); !ok || !gm.IsSM2(key) || now.Before(cert.NotBefore) || now.After(cert.NotAfter) || len(a.Recipient) != 0 {
		return nil, ErrOrder.With("certificate %s, until %s", cert.Subject, cert.NotAfter)
	}
	return gm.Point(key), nil
}

// choose finds the keys that a recovery is about.
func choose(r R, rec *Recovery, serials []string) error {
	all, err := r.Pairs(rec.Client, rec.Subject, 10*maxRecovered)
	if err != nil {
		return err
	}
	wanted := map[string]bool{}
	for _, s := range serials {
		wanted[strings.ToLower(s)] = true
	}
	for _, p := range all {
		named := false
		for _, s := range p.Serials {
			named = named || wanted[s]
			delete(wanted, s)
		}
		if named || len(serials) == 0 && len(p.Wrapped) > 0 {
			rec.Pairs, rec.Serials = append(rec.Pairs, p.ID), append(rec.Serials, p.serial())
		}
	}
	if len(rec.Pairs) == 0 || len(wanted) > 0 {
		return ErrUnknown.With("keys of %s: %d found, not found: %v", rec.Subject, len(rec.Pairs), wanted)
	}
	if len(rec.Pairs) > maxRecovered {
		return ErrAsk.With("%d keys; name at most %d", len(rec.Pairs), maxRecovered)
	}
	return nil
}

// serial is the newest certificate of a pair, "" when none was told.
func (p Pair) serial() string {
	if len(p.Serials) == 0 {
		return ""
	}
	return p.Serials[len(p.Serials)-1]
}

// entry is the record of a step. A judicial recovery is an act of another name.
func (r Recovery) entry(by actor.Actor, step string, at time.Time, more map[string]string) audit.Entry {
	noun := "key-recovery"
	if r.Kind == Judicial {
		noun = "judicial-recovery"
	}
	print := gm.SM3(r.Recipient)
	public := map[string]string{
		"authority": r.Client, "keys": strconv.Itoa(len(r.Pairs)), "recipient_sm3": hex.EncodeToString(print[:]), "state": string(r.State),
	}
	if r.Kind == Judicial {
		public["order_sm3"] = strings.ToLower(r.Order.SM3)
	}
	for k, v := range more {
		public[k] = v
	}
	return audit.Entry{At: at, Actor: by, Action: noun + "." + step, Object: audit.Object{Kind: "recovery", ID: r.ID}, Public: public}
}

// shown leaves out what is for the taker alone.
func (r Recovery) shown() Recovery {
	r.Keys, r.Receipt = nil, ""
	return r
}

// mayLook tells who may see a recovery: whoever asked, the officers who decide, the auditor; and of one that is for the
// holder, the holder. A judicial one is not the holder's to know.
func (r Recovery) mayLook(by actor.Actor) bool {
	if by.Known() != nil {
		return false
	}
	return by.Capacity == actor.System || by.Subject == r.Maker.Subject || sees(by) ||
		r.Kind == ForHolder && (by.Subject == r.Subject || by.For != "" && by.For == r.Subject || by.Is(actor.RoleRegistrar))
}

// sees tells the roles that see all recoveries.
func sees(by actor.Actor) bool {
	return by.Is(actor.RoleRecoveryOfficer) || by.Is(actor.RoleSuperAdmin) || by.Is(actor.RoleAuditAdmin)
}

// Recovery returns one; to whom it is none of their business, it is not there.
func (d *Desk) Recovery(ctx context.Context, by actor.Actor, id string) (r Recovery, err error) {
	err = d.c.Store.View(ctx, func(s R) error {
		r, err = s.Recovery(d.client, id)
		return err
	})
	if err == nil && !r.mayLook(by) {
		err = ErrUnknown.With("recovery %s for %s", id, by)
	}
	if err != nil {
		return Recovery{}, err
	}
	return r.at(d.c.Now()).shown(), nil
}

// at shows a recovery as expired as soon as it is, also before that was written.
func (r Recovery) at(now time.Time) Recovery {
	if (r.State == Requested || r.State == Approved) && !now.Before(r.Until) {
		r.State = Expired
	}
	return r
}

// Recoveries lists newest first: all for officers who decide and auditors, else the own ones.
func (d *Desk) Recoveries(ctx context.Context, by actor.Actor, f RecoveryFilter) (out []Recovery, err error) {
	if err := by.Known(); err != nil {
		return nil, err
	}
	if f.Limit <= 0 || f.Limit > 100 {
		f.Limit = 100
	}
	if !sees(by) && by.Capacity != actor.System {
		switch {
		case by.Is(actor.RoleBusinessAdmin):
			f.Kind = Judicial
		case by.Is(actor.RoleRegistrar):
			f.Kind = ForHolder
		default:
			f.Kind, f.Subject = ForHolder, by.Subject
			if by.For != "" {
				f.Subject = by.For
			}
		}
	}
	err = d.c.Store.View(ctx, func(r R) error {
		out, err = r.Recoveries(d.client, f)
		return err
	})
	for i := range out {
		out[i] = out[i].at(d.c.Now()).shown()
	}
	return out, err
}

// expire writes what time has done: recoveries that ran out, and enveloped keys that nobody needs any more.
func (c *Centre) expire(ctx context.Context) error {
	now := c.Now().UTC()
	err := c.Store.Update(ctx, func(w W) error {
		due, err := w.Due(now, 100)
		if err != nil {
			return err
		}
		for _, r := range due {
			if err := c.expireOne(w, r, now); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("expire recoveries: %w", err)
	}
	return nil
}

func (c *Centre) expireOne(w W, r Recovery, now time.Time) error {
	ran := r.State != Delivered
	r.Version++
	r.Keys, r.Until = nil, time.Time{}
	if ran {
		r.State, r.Decided = Expired, now
	}
	ok, err := w.PutRecovery(r)
	if err != nil || !ok || !ran {
		return err
	}
	return w.Record(r.entry(actor.ForSystem("recoveries"), "expire", now, nil))
}
