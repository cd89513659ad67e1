package main

import (
	"testing"
	"time"

	"hufu/certs"
	"hufu/internal/actor"
)

func TestReadyTellsOfAnAuthorityThatIsRevoked(t *testing.T) {
	r := newRoom(t)
	if _, err := r.hold(&desk{}, "transcript"); err != nil {
		t.Fatal(err)
	}
	s := r.open()
	defer s.Close()
	if n := s.foreignNotes(t.Context()); len(n) != 0 {
		t.Errorf("told of %+v", n)
	}
	_, chain := s.ca.Issuers()
	must(t, s.ca.Revoke(t.Context(), actor.ForSystem("test"), chain["issuing"].Serial, certs.ReasonSuperseded, time.Time{}))
	if n := s.foreignNotes(t.Context()); len(n) != 1 || n[0].Code != "authority-revoked" || n[0].About != "issuing" || n[0].ZH == "" {
		t.Errorf("told of %+v", n)
	}
}
