package ca

import (
	"context"
	"crypto/sha256"

	"hufu/internal/gm"
)

type foreseenKey struct{}

// Foreseen is a key that a change will ask for, by the hashes of its SubjectPublicKeyInfo.
type Foreseen struct{ SM3, SHA256 []byte }

// foresee tells the store which keys the changes under the context will ask for (CertificateR.Key), so that what is known of
// them comes with the first round trip to the database. It spares time and changes nothing else.
func foresee(ctx context.Context, keys ...Foreseen) context.Context {
	if len(keys) == 0 {
		return ctx
	}
	return context.WithValue(ctx, foreseenKey{}, append(ForeseenKeys(ctx), keys...))
}

// ForeseenKeys returns the keys that a change under the context will ask for.
func ForeseenKeys(ctx context.Context) []Foreseen {
	all, _ := ctx.Value(foreseenKey{}).([]Foreseen)
	return all[:len(all):len(all)]
}

func foreseen(spki []byte) Foreseen {
	sm3, sha := gm.SM3(spki), sha256.Sum256(spki)
	return Foreseen{sm3[:], sha[:]}
}
