package audit

import (
	"crypto/hmac"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"
	"unicode/utf8"

	"hufu/audit/tree"
	"hufu/internal/gm"
)

// Row is an entry as it is stored. All but Index is written once, with the act.
type Row struct {
	Leaf      []byte // the tree's leaf, public; see ParseLeaf
	ID        string // from here on to Actor: the leaf's own fields, once more, to search by
	At        time.Time
	Action    string
	Object    Object
	Actor     string
	Subject   string // whose key seals Sealed; "" = nobody's
	Sealed    []byte // SM4-GCM of salt ‖ plaintext under the subject's key; nil when nothing is sealed
	Tag       []byte // HMAC-SM3 over Leaf, Subject and Sealed
	Index     uint64 // in the tree, when Sequenced
	Sequenced bool
}

// Keys are the two data keys of the record, from the key store, ready for use.
type Keys struct {
	wrap    *gm.Sealer               // wraps the subjects' keys
	tag     *gm.MAC                  // of the rows
	oldTags []*gm.MAC                // earlier ones, whose tags still count: while the key is being rotated
	opened  map[sealedKey]*gm.Sealer // of subjects; nil where none are kept, see ForTransaction
}

// sealedKey is a subject's key as it is stored.
type sealedKey struct{ subject, wrapped string }

// NewKeys prepares the keys: wrap has gm.KeySize bytes, the others at least 16.
func NewKeys(wrap, tag []byte, oldTags ...[]byte) (k Keys, err error) {
	if k.wrap, err = gm.NewSealer(wrap); err != nil || len(tag) < 16 {
		return Keys{}, fmt.Errorf("audit keys: %d bytes to wrap, %d to tag", len(wrap), len(tag))
	}
	k.tag = gm.NewMAC(tag)
	for _, old := range oldTags {
		k.oldTags = append(k.oldTags, gm.NewMAC(old))
	}
	return k, nil
}

// ForTransaction returns the keys for one transaction, for as long as it lasts: they keep the subjects' keys that they open.
func (k Keys) ForTransaction() Keys {
	k.opened = map[sealedKey]*gm.Sealer{}
	return k
}

// open returns the key of a subject.
func (k Keys) open(subject string, wrapped []byte) (*gm.Sealer, error) {
	if s := k.opened[sealedKey{subject, string(wrapped)}]; s != nil {
		return s, nil
	}
	key, err := k.wrap.Open(wrapped, wrapContext(subject))
	if err != nil {
		return nil, err
	}
	defer clear(key)
	s, err := gm.NewSealer(key)
	if err == nil && k.opened != nil {
		k.opened[sealedKey{subject, string(wrapped)}] = s
	}
	return s, err
}

// Rows is what Write needs of the transaction that also makes the change.
type Rows interface {
	// Keys returns the data keys of the record, or refuses while they are not open.
	Keys() (Keys, error)
	// SubjectKey returns the wrapped key of a subject; found and empty means that it was destroyed.
	SubjectKey(subject string) (wrapped []byte, found bool, err error)
	// AddSubjectKey keeps a wrapped key, unless the subject has one by now or had one that was destroyed.
	AddSubjectKey(subject string, wrapped []byte, at time.Time) error
	// AddRow inserts a row that is not sequenced yet.
	AddRow(Row) error
}

// Write records an entry: it is what every store's Record does. The sealed part stands under the key of Subject, or of
// the actor's own subject when the entry has none. Of an erased subject nothing is sealed any more.
func Write(w Rows, now time.Time, e Entry) error {
	if e.ID == "" {
		e.ID = rand.Text()
	}
	if e.At.IsZero() {
		e.At = now
	}
	if err := e.Check(); err != nil {
		return err
	}
	keys, err := w.Keys()
	if err != nil {
		return fmt.Errorf("record %s: %w", e.Action, err)
	}
	if e.Subject == "" && hasDetail(e) {
		e.Subject = e.Actor.Subject
	}
	key, err := subjectKey(w, keys, now, e.Subject)
	if err != nil {
		return fmt.Errorf("record %s: %w", e.Action, err)
	}
	row, err := seal(e, key, keys)
	if err != nil {
		return fmt.Errorf("record %s: %w", e.Action, err)
	}
	if err := w.AddRow(row); err != nil {
		return fmt.Errorf("record %s: %w", e.Action, err)
	}
	return nil
}

// subjectKey returns the subject's key, made now if need be; nil for no subject and for an erased one.
func subjectKey(w Rows, keys Keys, now time.Time, subject string) (*gm.Sealer, error) {
	if subject == "" {
		return nil, nil
	}
	wrapped, found, err := w.SubjectKey(subject)
	if err == nil && !found {
		if wrapped, err = keys.wrap.Seal(nil, randomBytes(gm.KeySize), wrapContext(subject)); err == nil {
			err = w.AddSubjectKey(subject, wrapped, now)
		}
		if err == nil { // another transaction may have been first
			wrapped, _, err = w.SubjectKey(subject)
		}
	}
	if err != nil || len(wrapped) == 0 {
		return nil, err
	}
	return keys.open(subject, wrapped)
}

func hasDetail(e Entry) bool {
	return e.Actor.Subject != "" && (e.Actor.Session != "" || e.Actor.Peer != "" || len(e.Actor.Roles) > 0 || e.Actor.AuthLevel != 0 || e.Actor.IdentityLevel != 0)
}

// seal turns an entry into its row. A nil key seals nothing and commits to nothing.
func seal(e Entry, key *gm.Sealer, keys Keys) (Row, error) {
	leaf := Leaf{
		ID: e.ID, At: e.At.UTC().Truncate(time.Microsecond), Action: e.Action, Object: e.Object, Actor: e.Actor.String(),
		For: e.Actor.For, Via: e.Actor.Client, Public: e.Public,
	}
	row := Row{ID: leaf.ID, At: leaf.At, Action: leaf.Action, Object: leaf.Object, Actor: leaf.Actor, Subject: e.Subject}
	if key != nil {
		salt, plaintext := randomBytes(saltSize), detailOf(e).bytes()
		sealed, err := key.Seal(nil, slices.Concat(salt, plaintext), sealContext(e.ID))
		if err != nil {
			return Row{}, err
		}
		leaf.Commitment, row.Sealed = commit(salt, plaintext), sealed
	}
	row.Leaf = leaf.Bytes()
	text := utf8.ValidString(leaf.Actor) && utf8.ValidString(leaf.For) && utf8.ValidString(leaf.Via)
	if y := leaf.At.Year(); !text || y < 0 || y > 9999 || len(row.Leaf) > tree.MaxEntry { // else ParseLeaf would refuse it
		return Row{}, ErrEntry.With("a leaf of %d bytes: %+v", len(row.Leaf), leaf)
	}
	row.Tag = row.tag(keys.tag)
	return row, nil
}

const saltSize = 32

func detailOf(e Entry) detail {
	d := detail{Personal: e.Personal, Session: e.Actor.Session, Peer: e.Actor.Peer, IdentityLevel: int(e.Actor.IdentityLevel), AuthLevel: int(e.Actor.AuthLevel)}
	for _, r := range e.Actor.Roles {
		d.Roles = append(d.Roles, string(r))
	}
	return d
}

// errRow is a row that its tag or its own leaf contradicts.
var errRow = errors.New("the stored row was changed")

// open returns the sealed part, checked against the leaf's commitment.
func (r Row) open(key *gm.Sealer) (detail, error) {
	leaf, err := ParseLeaf(r.Leaf)
	if err != nil {
		return detail{}, err
	}
	plaintext, err := key.Open(r.Sealed, sealContext(r.ID))
	if err != nil {
		return detail{}, err
	}
	if len(plaintext) < saltSize || !hmac.Equal(commit(plaintext[:saltSize], plaintext[saltSize:]), leaf.Commitment) {
		return detail{}, fmt.Errorf("row %s: %w: the sealed part is not what the leaf commits to", r.ID, errRow)
	}
	var d detail
	return d, decode(plaintext[saltSize:], &d)
}

// check refuses a row whose tag is wrong or whose columns differ from its leaf.
func (r Row) check(keys Keys) error {
	right := hmac.Equal(r.Tag, r.tag(keys.tag))
	for _, old := range keys.oldTags {
		right = right || hmac.Equal(r.Tag, r.tag(old))
	}
	if !right {
		return fmt.Errorf("row %s: %w: wrong tag", r.ID, errRow)
	}
	l, err := ParseLeaf(r.Leaf)
	if err != nil {
		return err
	}
	if l.ID != r.ID || !l.At.Equal(r.At) || l.Action != r.Action || l.Object != r.Object || l.Actor != r.Actor {
		return fmt.Errorf("row %s: %w: columns and leaf differ", r.ID, errRow)
	}
	return nil
}

// Retag returns the tag of a row under a new key, unless its tag under the old one is wrong.
func Retag(r Row, old, now []byte) ([]byte, bool) {
	if !hmac.Equal(r.Tag, r.tag(gm.NewMAC(old))) {
		return nil, false
	}
	return r.tag(gm.NewMAC(now)), true
}

// Rewrap returns a subject's key, wrapped under an old key, wrapped under a new one.
func Rewrap(old, now []byte, subject string, wrapped []byte) ([]byte, error) {
	key, err := gm.Open(old, wrapped, wrapContext(subject))
	if err != nil {
		return nil, fmt.Errorf("key of subject %s: %w", subject, err)
	}
	defer clear(key)
	return gm.Seal(now, key, wrapContext(subject))
}

// tag is the row's HMAC-SM3 (GB/T 39786, integrity of stored records). Each part has its length, 8 octets, before it.
func (r Row) tag(key *gm.MAC) []byte {
	lengths := make([]byte, 0, 4*8)
	for _, n := range []int{len(rowLabel), len(r.Leaf), len(r.Subject), len(r.Sealed)} {
		lengths = binary.BigEndian.AppendUint64(lengths, uint64(n))
	}
	tag := key.Sum(lengths[:8], []byte(rowLabel), lengths[8:16], r.Leaf, lengths[16:24], []byte(r.Subject), lengths[24:], r.Sealed)
	return tag[:]
}

const rowLabel = "hufu audit row 1"

func wrapContext(subject string) []byte { return []byte("hufu audit subject key\x00" + subject) }
func sealContext(id string) []byte      { return []byte("hufu audit entry\x00" + id) }

func randomBytes(n int) []byte {
	b := make([]byte, n)
	rand.Read(b) // never fails, by its contract
	return b
}
