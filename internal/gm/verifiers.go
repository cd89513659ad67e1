package gm

import (
	"crypto/ecdsa"
	"sync"
	"sync/atomic"
)

const (
	// worthATable is the time at which a key gets its Verifier. Until then its verifications have cost about what a table
	// does, so that no key costs more than about twice the least.
	worthATable = 32
	// mostTables is how many keys have tables at once, of 86 KB each; mostKeys is how many are counted.
	mostTables = 64
	mostKeys   = 2048
)

// Verifiers verifies like VerifyE, and with a Verifier for each key that comes often. It is for keys of our own: strangers'
// keys would drive one another out, and are VerifyE's. The zero value is ready, and many may use it at once.
type Verifiers struct {
	mu     sync.Mutex
	keys   map[[64]byte]*often // by x ‖ y
	tables int
}

// often counts a key's signatures until it has a table.
type often struct {
	times atomic.Int64
	table atomic.Pointer[Verifier]
}

// VerifyE reports whether sig (strict DER) is pub's signature of the digest e, 32 octets. What a table refuses is looked at
// without it: a table that memory has damaged would else refuse all that the key signs until the process ends. It is made anew.
func (v *Verifiers) VerifyE(pub *ecdsa.PublicKey, e, sig []byte) bool {
	if checkKey(pub) != nil {
		return false
	}
	key := v.key([64]byte(Point(pub)[1:]))
	if table := key.table.Load(); table != nil {
		if table.VerifyE(e, sig) {
			return true
		}
		right := VerifyE(pub, e, sig)
		if right && key.table.CompareAndSwap(table, nil) {
			key.times.Store(0)
			v.count(-1)
		}
		return right
	}
	if key.times.Add(1) == worthATable {
		if table, err := NewVerifier(pub); err == nil { // it was checked
			key.table.Store(table)
			v.count(1)
		}
	}
	return VerifyE(pub, e, sig)
}

// count counts tables. When there are too many keys or tables, all are forgotten: those that come often are soon back.
func (v *Verifiers) count(n int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.tables += n; v.tables > mostTables {
		v.keys = nil
	}
}

// key returns what is remembered of a key.
func (v *Verifiers) key(point [64]byte) *often {
	v.mu.Lock()
	defer v.mu.Unlock()
	key := v.keys[point]
	if key == nil {
		if v.keys == nil || len(v.keys) == mostKeys {
			v.keys, v.tables = make(map[[64]byte]*often), 0
		}
		key = new(often)
		v.keys[point] = key
	}
	return key
}
