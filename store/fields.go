package store

import (
	"encoding/binary"
	"fmt"

	"hufu/internal/fault"
	"hufu/internal/gm"
)

// FieldKeys are the data keys of the database, wrapped by the device's master key and opened at the start ("HSM-wrapped").
// Call UseFieldKeys before anything that seals a column or records an act.
type FieldKeys struct {
	Version  uint32            // the key that seals from now on
	Sealing  map[uint32][]byte // SM4 keys, 16 octets, by version: older ones still open
	Index    []byte            // HMAC-SM3 key of the blind indexes, 32 octets
	Subjects []byte            // SM4 key that wraps each subject's audit key, 16 octets
	Rows     []byte            // HMAC-SM3 key of the audit rows' tags, 32 octets
}

// ErrLocked tells that the database's data keys are not opened.
var ErrLocked = fault.New(fault.Unavailable, "store.locked",
	"The data keys are not open. Open the key store, then try again.", "数据密钥尚未打开。请先打开密钥库，再试一次。")

// UseFieldKeys sets the data keys. It refuses keys of a wrong size.
func (db *DB) UseFieldKeys(k FieldKeys) error {
	if len(k.Sealing[k.Version]) != gm.KeySize || len(k.Subjects) != gm.KeySize || len(k.Index) != 32 || len(k.Rows) != 32 {
		return ErrLocked.With("field keys, version %d: a key is missing or of a wrong size", k.Version)
	}
	db.fields.Store(&k)
	return nil
}

func (t *tx) fieldKeys() (*FieldKeys, error) {
	k := t.db.fields.Load()
	if k == nil {
		return nil, ErrLocked.With("field keys are not set")
	}
	return k, nil
}

// seal encrypts a sensitive value for one column of one row. The result is key version (4 octets) ‖ gm.Seal; column and
// row are bound to it, so that a value moved elsewhere does not open. An empty value stays empty.
func (t *tx) seal(column, row, value string) ([]byte, error) {
	if value == "" {
		return nil, nil
	}
	k, err := t.fieldKeys()
	if err != nil {
		return nil, err
	}
	sealed, err := gm.Seal(k.Sealing[k.Version], []byte(value), []byte(column+"\x00"+row))
	if err != nil {
		return nil, fmt.Errorf("seal %s: %w", column, err)
	}
	return append(binary.BigEndian.AppendUint32(nil, k.Version), sealed...), nil
}

// open is the inverse of seal.
func (t *tx) open(column, row string, sealed []byte) (string, error) {
	if len(sealed) == 0 {
		return "", nil
	}
	k, err := t.fieldKeys()
	if err != nil {
		return "", err
	}
	if len(sealed) < 4 {
		return "", fmt.Errorf("open %s of row %s: %w", column, row, gm.ErrOpen)
	}
	key, ok := k.Sealing[binary.BigEndian.Uint32(sealed)]
	if !ok {
		return "", fmt.Errorf("open %s of row %s: no key of version %d", column, row, binary.BigEndian.Uint32(sealed))
	}
	value, err := gm.Open(key, sealed[4:], []byte(column+"\x00"+row))
	if err != nil {
		return "", fmt.Errorf("open %s of row %s: %w", column, row, err)
	}
	return string(value), nil
}

// index returns the blind index of a value: equal values of one column have equal indexes, and without the key nobody can
// tell which value an index stands for.
func (t *tx) index(column, value string) ([]byte, error) {
	k, err := t.fieldKeys()
	if err != nil {
		return nil, err
	}
	tag := gm.HMAC(k.Index, []byte(column), []byte{0}, []byte(value))
	return tag[:], nil
}
