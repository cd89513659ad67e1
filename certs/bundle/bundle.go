package bundle

import (
	"slices"
	"strings"
	"time"

	"hufu/certs"
)

// The forms of a bundle. A verifier refuses others: it could not know what they leave out. The second one bounds what
// authorities are trusted for by more than purposes and a date; Build writes it only where that is used.
const (
	Version      = 1
	VersionTerms = 2
)

// Purpose is what an authority's certificates are trusted for.
type Purpose string

// The purposes.
const (
	SealSigner   Purpose = "seal-signer"  // signs with an electronic seal
	SealMaker    Purpose = "seal-maker"   // makes electronic seals
	TimeStamp    Purpose = "time-stamp"   // time-stamp authority
	Person       Purpose = "person"       // natural persons
	Organisation Purpose = "organisation" // legal entities
	Official     Purpose = "official"     // officials in their office
	Log          Purpose = "log"          // operators of transparency logs
	Login        Purpose = "log-in"       // log-in by certificate, of those whom the other purposes name
	Encryption   Purpose = "encryption"   // certificates that others encrypt to
)

var purposes = []Purpose{SealSigner, SealMaker, TimeStamp, Person, Organisation, Official, Log, Login, Encryption}

// State is the state of a seal or a licence.
type State string

// The states. Only Active says that a seal or licence may be used; seals know the first five.
const (
	Active    State = "active"    // 有效
	Suspended State = "suspended" // 冻结, 暂扣
	Revoked   State = "revoked"   // 注销 of a seal, 吊销 of a licence
	Expired   State = "expired"   // 过期
	Replaced  State = "replaced"  // 更换 of a seal, 变更 of a licence: see ReplacedBy
	Cancelled State = "cancelled" // 注销 of a licence
	Withdrawn State = "withdrawn" // 撤销 of a licence, as unlawful from the beginning
)

// sealStates is how many of states, from the first, a seal can have.
const sealStates = 5

var states = []State{Active, Suspended, Revoked, Expired, Replaced, Cancelled, Withdrawn}

// Bundle is what a verifier trusts and knows. Times are UTC and whole seconds; lists with an identifier are sorted by it.
type Bundle struct {
	Version       int       `json:"version"`
	ID            string    `json:"id"`                 // of the series; sequence numbers count within it
	Sequence      uint64    `json:"sequence"`           // from 1, rises with each bundle
	Previous      string    `json:"previous,omitempty"` // SM3 of the bundle before, lower-case hex
	IssuedAt      time.Time `json:"issuedAt"`
	NextUpdate    time.Time `json:"nextUpdate"`
	Issuer        string    `json:"issuer"` // who publishes it, for people
	PolicyVersion string    `json:"policyVersion"`

	Authorities  []Authority   `json:"authorities,omitempty"`
	TimeStampers [][]byte      `json:"timeStampers,omitempty"` // time-stamp certificates, DER
	Signers      [][]byte      `json:"signers,omitempty"`      // certificates of those who sign without sending theirs along (QR texts), DER
	CRLs         [][]byte      `json:"crls,omitempty"`         // DER, as their issuers signed them
	Seals        []SealStatus  `json:"seals,omitempty"`
	Licences     []StatusEntry `json:"licences,omitempty"`
	Logs         []LogKey      `json:"logs,omitempty"`

	crls []*certs.CRL
}

// Authority is a CA with what it is trusted for. A root is trusted by itself, an intermediate only under a root.
type Authority struct {
	Certificate []byte `json:"certificate"` // DER
	Root        bool   `json:"root,omitempty"`
	Entry       string `json:"entry,omitempty"` // of the trust list that it comes from; "" for our own
	Terms
}

// StatusEntry is the state of one licence, by its identifier.
type StatusEntry struct {
	ID         string    `json:"id"`
	State      State     `json:"state"`
	Since      time.Time `json:"since"`
	Reason     string    `json:"reason,omitempty"`
	ReplacedBy string    `json:"replacedBy,omitempty"`
}

// SealStatus is the state of one seal, by its esID.
type SealStatus = StatusEntry

// LogKey is a transparency log with its newest checkpoints and those who watch it. Keys are in the written form of
// signed notes, name+id+base64, and checkpoints are signed notes; package audit/tree reads both.
type LogKey struct {
	Key         string   `json:"key"`
	Witnesses   []string `json:"witnesses,omitempty"`
	Quorum      int      `json:"quorum,omitempty"` // cosignatures of witnesses that a checkpoint needs
	Checkpoints []string `json:"checkpoints,omitempty"`
}

// Roots returns the roots trusted for a purpose.
func (b *Bundle) Roots(p Purpose) []*certs.Certificate { return b.authorities(p, true) }

// Intermediates returns the intermediates that may stand in a path for a purpose.
func (b *Bundle) Intermediates(p Purpose) []*certs.Certificate { return b.authorities(p, false) }

func (b *Bundle) authorities(p Purpose, root bool) []*certs.Certificate {
	var all []*certs.Certificate
	for _, a := range b.Authorities {
		if a.Root != root || !slices.Contains(a.Purposes, p) {
			continue
		}
		if c, err := certs.ParseLenient(a.Certificate); err == nil {
			all = append(all, c)
		}
	}
	return all
}

// TimeStampCertificates returns the certificates of time-stamp authorities.
func (b *Bundle) TimeStampCertificates() []*certs.Certificate { return readable(b.TimeStampers) }

// SignerCertificates returns the certificates of those who sign without sending theirs along. They are not trusted by
// standing here: their path is validated like any other.
func (b *Bundle) SignerCertificates() []*certs.Certificate { return readable(b.Signers) }

func readable(list [][]byte) []*certs.Certificate {
	var all []*certs.Certificate
	for _, der := range list {
		if c, err := certs.ParseLenient(der); err == nil {
			all = append(all, c)
		}
	}
	return all
}

// RevocationLists returns the CRLs of a bundle that came from Parse. Their signatures are not checked.
func (b *Bundle) RevocationLists() []*certs.CRL { return b.crls }

// Seal returns the state of a seal. Without an entry its state is unknown, whatever else is known of its maker.
func (b *Bundle) Seal(esID string) (SealStatus, bool) { return find(b.Seals, esID) }

// Licence returns the state of a licence. Without an entry its state is unknown.
func (b *Bundle) Licence(id string) (StatusEntry, bool) { return find(b.Licences, id) }

func find(all []StatusEntry, id string) (StatusEntry, bool) {
	i, ok := slices.BinarySearchFunc(all, id, func(e StatusEntry, id string) int { return strings.Compare(e.ID, id) })
	if !ok {
		return StatusEntry{}, false
	}
	return all[i], true
}

// Stale tells whether the bundle's statuses are unknown at a time, since a newer one should be there.
func (b *Bundle) Stale(at time.Time) bool { return at.After(b.NextUpdate) }
