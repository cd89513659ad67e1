package store

import (
	"context"
	"errors"
	"testing"

	"hufu/oidc"
)

// over is a request that has ended, whose asker has not noticed yet.
type over struct{ context.Context }

func (over) Err() error { return context.Canceled }

// Whose request ends while its token is looked up is not told that there is no such token: the holder of a living one would be
// logged out.
func TestARequestThatEndsIsNotRefused(t *testing.T) {
	db := &DB{engine: PostgreSQL}
	db.tokens.ask = db.lookAtTokens // which has nothing to ask for this one
	_, _, _, err := db.OIDC().Token(over{t.Context()}, oidc.KindAccess, []byte("hash"))
	if !errors.Is(err, context.Canceled) || errors.Is(err, oidc.ErrNotFound) {
		t.Error(err)
	}
}
