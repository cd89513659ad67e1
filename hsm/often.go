package hsm

import (
	"crypto"
	"crypto/ecdsa"
	"sync"
	"sync/atomic"

	"hufu/internal/gm"
)

const (
	// worthATable is the signature at which a key gets its table for verifying. Until then the verifications have cost about
	// what a table saves, so that no key costs more than about twice the least.
	worthATable = 32
	// mostKeys is how many keys of a device are remembered, at 86 KB for each that has a table.
	mostKeys = 64
)

// Signers makes the signers of one device, and remembers which SM2 keys sign often: their signatures are verified with a
// table. The zero value is ready; many may use it at once. It holds only keys of the device, so that no stranger's key
// drives one of them out.
type Signers struct {
	mu   sync.Mutex
	keys map[string]*often // by point
}

// of returns what is remembered of a key, nil when it is not an SM2 key.
func (s *Signers) of(pub crypto.PublicKey) *often {
	if !gm.IsSM2(pub) {
		return nil
	}
	point := string(gm.Point(pub.(*ecdsa.PublicKey)))
	s.mu.Lock()
	defer s.mu.Unlock()
	key := s.keys[point]
	if key == nil {
		if s.keys == nil || len(s.keys) == mostKeys { // all are forgotten: those that sign often are soon back
			s.keys = make(map[string]*often)
		}
		key = new(often)
		s.keys[point] = key
	}
	return key
}

// often counts a key's signatures until it gets a table.
type often struct {
	signed atomic.Int64
	table  atomic.Pointer[gm.Verifier]
}

// verifies reports whether sig is pub's signature of e.
func (o *often) verifies(pub *ecdsa.PublicKey, e, sig []byte) bool {
	if table := o.table.Load(); table != nil {
		return table.VerifyE(e, sig)
	}
	if o.signed.Add(1) == worthATable {
		if table, err := gm.NewVerifier(pub); err == nil { // else it is no key, which VerifyE says too
			o.table.Store(table)
		}
	}
	return gm.VerifyE(pub, e, sig)
}
