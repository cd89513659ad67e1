package keys_test

import (
	"testing"
	"time"

	"hufu/hsm"
	"hufu/hsm/hsmtest"
	"hufu/internal/gm"
	"hufu/keys"
	"hufu/store"
	"hufu/store/storetest"
)

// BenchmarkSign compares a resident key of the soft device with a key that stands in the database and signs under a standing
// activation, each use of which is recorded before it is made.
func BenchmarkSign(b *testing.B) {
	for engine, dsn := range storetest.DSNs(b) {
		b.Run(engine, func(b *testing.B) { benchSign(b, dsn) })
	}
}

func benchSign(b *testing.B, dsn string) {
	ctx := b.Context()
	db, err := store.Open(ctx, dsn, store.Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { db.Close() })
	if err := db.UseFieldKeys(storetest.Keys()); err != nil {
		b.Fatal(err)
	}
	device := hsmtest.Soft(b)
	k, err := keys.New(keys.Config{Store: db.Keys(), Device: device})
	if err != nil {
		b.Fatal(err)
	}
	if _, err := k.Unlock(ctx); err != nil {
		b.Fatal(err)
	}
	m, err := k.Many(system, keys.ManySeal, "master")
	if err != nil {
		b.Fatal(err)
	}
	id, _, err := m.Generate(ctx, "seal", ownerHalf)
	if err != nil {
		b.Fatal(err)
	}
	_, err = m.Stand(ctx, clerk, id, byHalf, keys.Bounds{Kinds: []string{"document"}, Count: 1_000_000, Until: time.Now().Add(time.Hour)})
	if err != nil {
		b.Fatal(err)
	}
	if _, err := device.Generate(ctx, hsm.Spec{Label: "resident", Algorithm: hsm.SM2}); err != nil {
		b.Fatal(err)
	}
	e := make([]byte, 32)
	b.Run("resident", func(b *testing.B) {
		for b.Loop() {
			s, err := device.Signer(ctx, "resident")
			if err != nil {
				b.Fatal(err)
			}
			if _, err := s.Sign(nil, e, gm.Digest); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("resident-parallel", func(b *testing.B) {
		b.SetParallelism(128)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				s, err := device.Signer(ctx, "resident")
				if err != nil {
					b.Error(err)
					return
				}
				if _, err := s.Sign(nil, e, gm.Digest); err != nil {
					b.Error(err)
				}
			}
		})
	})
	sign := func(b *testing.B) {
		s, err := m.Signer(ctx, id, clerk, keys.Consent{Kind: "document"})
		if err != nil {
			b.Error(err)
			return
		}
		if _, err := s.Sign(nil, e, gm.Digest); err != nil {
			b.Error(err)
		}
	}
	b.Run("standing", func(b *testing.B) {
		for b.Loop() {
			sign(b)
		}
	})
	b.Run("standing-parallel", func(b *testing.B) {
		b.SetParallelism(128)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				sign(b)
			}
		})
	})
}
