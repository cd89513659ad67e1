package kmc

import (
	"context"
	"fmt"
	"time"

	"hufu/internal/actor"
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
		r.Kind == ForHolder && (speaksFor(by, r.Subject) || by.Is(actor.RoleRegistrar))
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
			if by.Capacity == actor.Entity {
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
