package kmc_test

import (
	"context"
	"crypto/ecdsa"
	"testing"

	"hufu/ca/kmc"
	"hufu/internal/actor"
)

// facts knows that the officer o1 represents the holder p1.
type facts struct{}

func (facts) SigningKey(context.Context, string, *ecdsa.PublicKey) error { return nil }
func (facts) Standing(context.Context, kmc.Approval) (bool, error)       { return true, nil }
func (facts) Officers(context.Context) (int, error)                      { return 3, nil }
func (facts) Represents(_ context.Context, who, whom string) (bool, error) {
	return who == "o1" && whom == "p1", nil
}

// An officer who represents the holder when not in office has no say in the recovery of its keys.
func TestARepresentativeDoesNotDecideInOffice(t *testing.T) {
	each(t, 0, func(t *testing.T, r *rig) {
		r.keep("east", "a", "0a")
		id := r.ask("east", "p1")
		front := kmc.NewFront(r.centre.Desk("east"), facts{})
		_, err := front.Decide(t.Context(), officers[0], id, true, "")
		r.refused(err, actor.ErrSameActor, "who represents the holder")
		for _, o := range officers[1:] {
			_, err := front.Decide(t.Context(), o, id, true, "")
			r.ok(err)
		}
		_, err = front.Take(t.Context(), citizen, id, "x")
		r.ok(err)
	})
}
