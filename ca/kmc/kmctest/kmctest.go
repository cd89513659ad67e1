package kmctest

import (
	"context"
	"encoding/binary"
	"testing"
	"time"

	"hufu/ca/kmc"
	"hufu/internal/actor"
	"hufu/internal/gm"
)

// Master is a master key in memory, in version 1.
type Master struct{ Key []byte }

// NewMaster returns a master key that is the same in each test.
func NewMaster() *Master { return &Master{[]byte("0123456789abcdef")} }

// Wrap implements kmc.Master.
func (m *Master) Wrap(_ context.Context, data, aad []byte) ([]byte, error) {
	sealed, err := gm.Seal(m.Key, data, aad)
	return append(binary.BigEndian.AppendUint32(nil, 1), sealed...), err
}

// Unwrap implements kmc.Master.
func (m *Master) Unwrap(_ context.Context, wrapped, aad []byte) ([]byte, error) {
	data, err := gm.Open(m.Key, wrapped[4:], aad)
	if err != nil {
		return nil, kmc.ErrDamaged.With("%w", err)
	}
	return data, nil
}

// Local returns the counter of the authority in the same process, without a pool.
func Local(t testing.TB, store kmc.Store, now func() time.Time) *kmc.Desk {
	t.Helper()
	centre, err := kmc.New(kmc.Config{Store: store, Master: NewMaster(), Now: now})
	if err != nil {
		t.Fatal(err)
	}
	if err := centre.Serve(context.Background(), actor.ForSystem("test"), []kmc.Client{{Name: kmc.Local}}); err != nil {
		t.Fatal(err)
	}
	return centre.Desk(kmc.Local)
}
