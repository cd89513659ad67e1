package store

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"

	"hufu/audit"
	"hufu/internal/fault"
	"hufu/internal/gm"
	"hufu/keys"
)

// FieldKeys are the data keys of the database, wrapped by the device's master key and opened at the start ("HSM-wrapped").
// Call UseFieldKeys before anything that seals a column or records an act.
type FieldKeys struct {
	Version  uint32            // the key that seals from now on
	Sealing  map[uint32][]byte // SM4 keys, 16 octets, by version: older ones still open
	Index    []byte            // HMAC-SM3 key of the blind indexes, 32 octets
	Subjects []byte            // SM4 key that wraps each subject's audit key, 16 octets
	Rows     []byte            // HMAC-SM3 key of the audit rows' tags, 32 octets

	OtherIndex      []byte            // while the index key is being rotated: the one of soon or of before; else nil
	SubjectsVersion uint32            // of Subjects; 0 is 1
	OtherSubjects   map[uint32][]byte // by version
	OtherRows       [][]byte          // row keys whose tags still count
	Turn            int64             // of the database when these were read

	sealers map[uint32]*gm.Sealer // of Sealing
	record  audit.Keys
}

// FieldKeysOf arranges the data keys that the key service opened.
func FieldKeysOf(opened map[string]keys.DataKeys) FieldKeys {
	field, index, subjects, rows := opened[keys.DataField], opened[keys.DataIndex], opened[keys.DataSubjects], opened[keys.DataRows]
	k := FieldKeys{
		Version: field.Current.Version, Sealing: field.All, Index: index.Current.Key, Rows: rows.Current.Key,
		Subjects: subjects.Current.Key, SubjectsVersion: subjects.Current.Version, OtherSubjects: subjects.All,
	}
	for version, key := range index.All { // two at the most: keys refuses a third
		if version != index.Current.Version {
			k.OtherIndex = key
		}
	}
	for version, key := range rows.All {
		if version != rows.Current.Version {
			k.OtherRows = append(k.OtherRows, key)
		}
	}
	return k
}

// ErrLocked tells that the database's data keys are not opened.
var ErrLocked = fault.New(fault.Unavailable, "store.locked",
	"The data keys are not open. Open the key store, then try again.", "数据密钥尚未打开。请先打开密钥库，再试一次。")

// UseFieldKeys sets the data keys. It refuses keys of a wrong size.
func (db *DB) UseFieldKeys(k FieldKeys) error {
	if len(k.Sealing[k.Version]) != gm.KeySize || len(k.Subjects) != gm.KeySize || len(k.Index) != 32 || len(k.Rows) != 32 {
		return ErrLocked.With("field keys, version %d: a key is missing or of a wrong size", k.Version)
	}
	if k.SubjectsVersion == 0 {
		k.SubjectsVersion = 1
	}
	k.OtherSubjects = maps.Clone(k.OtherSubjects)
	if k.OtherSubjects == nil {
		k.OtherSubjects = map[uint32][]byte{}
	}
	k.OtherSubjects[k.SubjectsVersion] = k.Subjects
	if err := k.prepare(); err != nil {
		return ErrLocked.With("field keys, version %d: %w", k.Version, err)
	}
	db.fields.Store(&k)
	return nil
}

// prepare expands the keys that nearly every transaction uses.
func (k *FieldKeys) prepare() (err error) {
	k.sealers = map[uint32]*gm.Sealer{}
	for version, key := range k.Sealing {
		if k.sealers[version], err = gm.NewSealer(key); err != nil {
			return err
		}
	}
	k.record, err = audit.NewKeys(k.Subjects, k.Rows, k.OtherRows...)
	return err
}

// FollowFieldKeys sets where the data keys come from when they have changed, on this node or another, and opens them now.
// Whatever transaction notices a change is rolled back, the keys are opened anew, and it runs again: no transaction uses
// keys of before.
func (db *DB) FollowFieldKeys(ctx context.Context, open func(context.Context) (FieldKeys, error)) error {
	db.follow.Lock()
	db.source = open
	db.fields.Store(nil)
	db.follow.Unlock()
	return db.Refresh(ctx)
}

// Refresh opens the data keys anew if they have changed.
func (db *DB) Refresh(ctx context.Context) error {
	db.follow.Lock()
	defer db.follow.Unlock()
	turn, err := db.Turn(ctx)
	if err != nil {
		return err
	}
	if k := db.fields.Load(); k != nil && k.Turn == turn {
		return nil
	}
	if db.source == nil {
		return ErrLocked.With("the data keys have changed, and nobody told where from to open them")
	}
	fresh, err := db.source(ctx)
	if err != nil {
		return fmt.Errorf("open the data keys that have changed: %w", err)
	}
	fresh.Turn = turn // read before the keys: if they changed in between, they are opened once more
	return db.UseFieldKeys(fresh)
}

// Turn returns how often the keys in force have changed.
func (db *DB) Turn(ctx context.Context) (turn int64, err error) {
	err = db.view(ctx, func(t *tx) error {
		turn, err = t.turn()
		return err
	})
	return turn, err
}

const turnQuery = `SELECT number FROM key_turn WHERE id = 1`

func (t *tx) turn() (turn int64, err error) {
	if t.began != nil {
		return *t.began, nil
	}
	if err := t.aside([]any{&turn}, turnQuery); err != nil {
		return 0, fmt.Errorf("read the turn of the keys: %w", err)
	}
	return turn, nil
}

// nextTurn tells all nodes that the keys in force change with this transaction. On PostgreSQL it first waits for the
// transactions that use the keys of before, since these hold the table by having read it, and lets no other begin; on
// SQLite there are none beside.
func (t *tx) nextTurn() error {
	if _, err := t.fieldKeys(); err != nil && !errors.Is(err, ErrLocked) {
		return err
	}
	if t.db.engine == PostgreSQL {
		if _, err := t.exec(`SET LOCAL lock_timeout = '1s'`); err != nil { // as long as others may be kept waiting behind us
			return err
		}
		if _, err := t.exec(`LOCK TABLE key_turn IN ACCESS EXCLUSIVE MODE`); err != nil {
			return fmt.Errorf("wait for transactions that use the keys of before: %w", err)
		}
	}
	_, err := t.exec(`UPDATE key_turn SET number = number + 1 WHERE id = 1`)
	return err
}

// errStale tells that a transaction found the keys in force changed. It is given up, the keys are opened anew, and it runs
// again; the error leaves the package only when there are no new keys.
var errStale = errors.New("the data keys have changed")

// fieldKeys returns the data keys. A transaction that changes something is held against the turn of the keys first.
func (t *tx) fieldKeys() (*FieldKeys, error) {
	if t.readonly {
		return t.opened()
	}
	return t.current()
}

func (t *tx) opened() (*FieldKeys, error) {
	if t.fields != nil {
		return t.fields, nil
	}
	k := t.db.fields.Load()
	if k == nil {
		return nil, ErrLocked.With("field keys are not set")
	}
	return k, nil
}

// current returns the data keys when they are those in force, and else gives the transaction up.
func (t *tx) current() (*FieldKeys, error) {
	k, err := t.opened()
	if err != nil || t.fields != nil {
		return k, err
	}
	turn, err := t.turn()
	if err != nil {
		return nil, err
	}
	if turn != k.Turn {
		t.stale = errStale
		return nil, errStale
	}
	t.fields = k
	return k, nil
}

// seal encrypts a sensitive value for one column of one row. The result is key version (4 octets) ‖ gm.Seal; column and
// row are bound to it, so that a value moved elsewhere does not open. An empty value stays empty. The column stands in
// sealedTables.
func (t *tx) seal(column, row, value string) ([]byte, error) {
	if value == "" {
		return nil, nil
	}
	if !isSealed[column] {
		return nil, fmt.Errorf("seal %s: the column is not in sealedTables, so that its key could never be rotated", column)
	}
	k, err := t.fieldKeys()
	if err != nil {
		return nil, err
	}
	prefix := binary.BigEndian.AppendUint32(make([]byte, 0, 4+gm.SealedSize(len(value))), k.Version)
	sealed, err := k.sealers[k.Version].Seal(prefix, []byte(value), []byte(column+"\x00"+row))
	if err != nil {
		return nil, fmt.Errorf("seal %s: %w", column, err)
	}
	return sealed, nil
}

// open is the inverse of seal.
func (t *tx) open(column, row string, sealed []byte) (string, error) {
	if len(sealed) == 0 {
		return "", nil
	}
	k, err := t.opened() // and asks nothing of the database, which may be in the middle of a query
	if err != nil {
		return "", err
	}
	if len(sealed) < 4 {
		return "", fmt.Errorf("open %s of row %s: %w", column, row, gm.ErrOpen)
	}
	key, ok := k.sealers[binary.BigEndian.Uint32(sealed)]
	if !ok { // made since this node opened its keys, perhaps
		t.stale = fmt.Errorf("open %s of row %s: no key of version %d: %w", column, row, binary.BigEndian.Uint32(sealed), gm.ErrOpen)
		return "", t.stale
	}
	value, err := key.Open(sealed[4:], []byte(column+"\x00"+row))
	if err != nil {
		return "", fmt.Errorf("open %s of row %s: %w", column, row, err)
	}
	return string(value), nil
}

// index returns the blind index of a value, to be stored: equal values of one column have equal indexes, and without the
// key nobody can tell which value an index stands for.
func (t *tx) index(column, value string) ([]byte, error) {
	k, err := t.current()
	if err != nil {
		return nil, err
	}
	return blind(k.Index, column, value), nil
}

// indexes returns what a row with the value may stand under, to be looked up: the index of now, and the one of before or
// of soon while the key is being rotated, else the same once more.
func (t *tx) indexes(column, value string) (now, other []byte, err error) {
	k, err := t.current()
	if err != nil {
		return nil, nil, err
	}
	now = blind(k.Index, column, value)
	other = now
	if k.OtherIndex != nil {
		other = blind(k.OtherIndex, column, value)
	}
	return now, other, nil
}

func blind(key []byte, column, value string) []byte {
	tag := gm.HMAC(key, []byte(column), []byte{0}, []byte(value))
	return tag[:]
}
