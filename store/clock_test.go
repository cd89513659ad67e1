package store_test

import (
	"testing"
	"time"

	"hufu/store"
	"hufu/store/storetest"
)

func TestTheDatabaseTellsTheTime(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		at, err := db.Clock(t.Context())
		if db.Engine() == store.SQLite {
			if err == nil {
				t.Error("our own clock was given as another one")
			}
			return
		}
		if err != nil || time.Since(at).Abs() > time.Minute {
			t.Errorf("%s, %v", at, err)
		}
	})
}
