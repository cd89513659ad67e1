package keys

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Wards are what stands under master keys. Each reads, by id, at most limit rows behind a position that stand under a version
// of the master below a number.
type Wards interface {
	DataUnder(master string, below uint32, after string, limit int) ([]DataVersion, error)
	WrappedUnder(master string, below uint32, after string, limit int) ([]Wrapped, error)
	OwnersUnder(master string, below uint32, after string, limit int) ([]Owner, error)
	StandingsUnder(master string, below uint32, after string, limit int) ([]StandingRow, error)
	// EscrowUnder is about the pairs of the key management centre, in its pool and in escrow.
	EscrowUnder(master string, below uint32, after string, limit int) ([]Escrow, error)
	// CountUnder counts the rows of a sort ("data", "wrapped", "owner", "standing", "escrow").
	CountUnder(sort, master string, below uint32) (int64, error)
}

// Escrow is an encryption key of the key management centre as far as a rotation needs it.
type Escrow struct {
	ID      string
	Wrapped []byte
	AAD     []byte
}

// ward is one row that stands under a master key: its octets, what they are bound to, and how it is written.
type ward struct {
	id      string
	master  string
	wrapped []byte // begins with the master's version, as Wrap makes it
	aad     []byte
	fixed   bool // made within the device under that version, which alone can open it
	replace func(w W, version uint32, wrapped []byte) (bool, error)
}

// sort is one sort of rows that stand under master keys.
type sort struct {
	name string
	list func(r R, master string, below uint32, after string, limit int) ([]ward, error)
}

func (s sort) count(r R, master string, below uint32) (int64, error) {
	return r.CountUnder(s.name, master, below)
}

// sorts is everything that stands under a master key: what is not in it is lost when a retired master is destroyed. R.Under
// looks at the same rows.
var sorts = []sort{
	{"data", listed(R.DataUnder, func(d DataVersion) ward {
		return ward{id: fmt.Sprintf("%s/%010d", d.Purpose, d.Number), master: d.Master, wrapped: d.Wrapped, aad: dataAAD(d), replace: func(w W, version uint32, wrapped []byte) (bool, error) {
			after := d
			after.MasterVersion, after.Wrapped = version, wrapped
			return w.ReplaceData(d, after)
		}}
	})},
	{"wrapped", listed(R.WrappedUnder, func(m Wrapped) ward {
		return ward{id: m.ID, master: m.Master, wrapped: m.Wrapped, aad: m.aad(), fixed: m.Form == FormInside, replace: func(w W, version uint32, wrapped []byte) (bool, error) {
			after := m
			after.MasterVersion, after.Wrapped = version, wrapped
			return w.ReplaceWrapped(m, after)
		}}
	})},
	{"owner", listed(R.OwnersUnder, func(o Owner) ward {
		return ward{id: o.Key, master: o.Master, wrapped: o.Sealed, aad: o.aad(), replace: func(w W, version uint32, wrapped []byte) (bool, error) {
			after := o
			after.MasterVersion, after.Sealed = version, wrapped
			return w.ReplaceOwner(o, after)
		}}
	})},
	{"standing", listed(R.StandingsUnder, func(s StandingRow) ward {
		return ward{id: s.ID, master: s.Master, wrapped: s.Half, aad: s.aad(), replace: func(w W, version uint32, wrapped []byte) (bool, error) {
			after := s
			after.MasterVersion, after.Half = version, wrapped
			return w.ReplaceHalf(s, after)
		}}
	})},
	{"escrow", listed(R.EscrowUnder, func(e Escrow) ward {
		return ward{id: e.ID, master: KMCMasterLabel, wrapped: e.Wrapped, aad: e.AAD, replace: func(w W, version uint32, wrapped []byte) (bool, error) {
			return w.ReplaceEscrow(e, version, wrapped)
		}}
	})},
}

// listed makes wards of rows.
func listed[T any](read func(r R, master string, below uint32, after string, limit int) ([]T, error), ofRow func(T) ward) func(R, string, uint32, string, int) ([]ward, error) {
	return func(r R, master string, below uint32, after string, limit int) (wards []ward, err error) {
		rows, err := read(r, master, below, after, limit)
		for _, row := range rows {
			wards = append(wards, ofRow(row))
		}
		return wards, err
	}
}

func sortNames() (names []string) {
	for _, s := range sorts {
		names = append(names, s.name)
	}
	return names
}

// rewrap takes the next rows under older versions of a master key, wraps them under the new one, and writes each unless
// somebody else wrote it meanwhile. The device works outside of the transaction.
func (k *Keys) rewrap(ctx context.Context, p Progress) error {
	for _, s := range sorts {
		if s.name == p.Stage {
			return k.rewrapSome(ctx, p, s)
		}
	}
	after := p
	after.Phase, after.Stage, after.Position, after.NotBefore = PhaseWorking, next(sortNames(), ""), "", time.Time{}
	return k.change(ctx, func(w W) (bool, error) { return k.put(w, p, after) })
}

func (k *Keys) rewrapSome(ctx context.Context, p Progress, s sort) error {
	var wards []ward
	err := k.store.View(ctx, func(r R) (err error) {
		wards, err = s.list(r, p.Key, p.To, p.Position, batch)
		return err
	})
	if err != nil {
		return err
	}
	if len(wards) == 0 {
		return k.endStage(ctx, p)
	}
	fresh := make([][]byte, len(wards))
	for i, one := range wards {
		if fresh[i], err = k.rewrapOne(ctx, one, p.To); err != nil {
			return err
		}
	}
	return k.change(ctx, func(w W) (bool, error) {
		after := p
		for i, one := range wards {
			if fresh[i] == nil {
				continue
			}
			ok, err := one.replace(w, p.To, fresh[i])
			if err != nil {
				return false, err
			}
			if ok {
				after.Done++
			}
		}
		after.Position, after.Total = wards[len(wards)-1].id, max(p.Total, after.Done)
		return k.put(w, p, after)
	})
}

// rewrapOne returns nil for a row that cannot be opened here: one that its device alone opens, and one that is damaged, which
// must not keep the others from being brought over. Both keep the old version alive.
func (k *Keys) rewrapOne(ctx context.Context, one ward, to uint32) ([]byte, error) {
	if one.fixed {
		return nil, nil
	}
	secret, err := k.Unwrap(ctx, one.master, one.wrapped, one.aad)
	if errors.Is(err, ErrDamaged) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer clear(secret)
	version, wrapped, err := k.wrap(ctx, one.master, secret, one.aad)
	if err == nil && version != to { // this node did not know the new version yet, or there is a newer one by now
		k.forget(one.master)
		err = errLost
	}
	return wrapped, err
}

// endStage goes on to the next sort of rows. Behind the last one, it ends the rotation when nothing stands under the old
// version any more and no node can wrap under it any more; else it looks again later.
func (k *Keys) endStage(ctx context.Context, p Progress) error {
	after := p
	after.Stage, after.Position = next(sortNames(), p.Stage), ""
	if after.Stage != "" {
		return k.change(ctx, func(w W) (bool, error) { return k.put(w, p, after) })
	}
	v, err := k.version(ctx, p.Key, p.To)
	if err != nil {
		return err
	}
	sure := v.Activated.Add(overlap)
	return k.change(ctx, func(w W) (bool, error) {
		after.Held = 0
		for _, s := range sorts {
			n, err := s.count(w, p.Key, p.To)
			if err != nil {
				return false, err
			}
			after.Held += n
		}
		now := k.time()
		switch {
		case now.Before(sure):
			after.Phase, after.NotBefore = PhaseWaiting, sure
		case after.Held > 0:
			after.Phase, after.NotBefore = PhaseWaiting, now.Add(again)
		default:
			after.Phase, after.Total = PhaseDone, after.Done
		}
		return k.put(w, p, after)
	})
}

// stands reports whether a version of a master key still works, so that something may be put under it.
func stands(r R, label string, number uint32) (bool, error) {
	all, err := r.Versions(label)
	for _, v := range all {
		if v.Number == number && (v.State == Active || v.State == Retired) {
			return true, nil
		}
	}
	return false, err
}
