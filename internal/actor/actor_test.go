package actor

import (
	"errors"
	"testing"
)

func TestNobodyMayNothing(t *testing.T) {
	for _, a := range []Actor{{}, {Capacity: Person}, {Subject: "x"}, {Subject: "x", Roles: []Role{RoleApprover}}} {
		if err := a.Require(RoleApprover); !errors.Is(err, ErrUnknown) {
			t.Errorf("%+v: %v, want refusal as unknown", a, err)
		}
	}
}

func TestRequireTakesAnyOfTheRoles(t *testing.T) {
	a := Actor{Subject: "p1", Capacity: Official, Roles: []Role{RoleApprover}}
	if err := a.Require(RoleRegistrar, RoleApprover); err != nil {
		t.Error(err)
	}
	if err := a.Require(RoleSealOfficer); !errors.Is(err, ErrRole) {
		t.Errorf("a foreign role passed: %v", err)
	}
	if err := a.Require(); !errors.Is(err, ErrRole) {
		t.Errorf("no role asked for must let nobody but the system pass: %v", err)
	}
	if err := ForSystem("job").Require(); err != nil {
		t.Error(err)
	}
}

func TestScopesBindTokensOnly(t *testing.T) {
	if !(Actor{}).Allows("seal") || (Actor{Scopes: []string{}}).Allows("seal") || !(Actor{Scopes: []string{"seal"}}).Allows("seal") {
		t.Error("nil scopes mean a session, empty ones mean a token that allows nothing")
	}
}

func TestMakerIsNeverChecker(t *testing.T) {
	maker := Actor{Subject: "p1", Capacity: Official}
	if err := Checker(maker, Actor{Subject: "p1", Capacity: Person}); !errors.Is(err, ErrSameActor) {
		t.Errorf("another capacity hid the same person: %v", err)
	}
	if err := Checker(maker, Actor{Subject: "p2", Capacity: Official}); err != nil {
		t.Error(err)
	}
	if err := Checker(maker, Actor{}); !errors.Is(err, ErrUnknown) {
		t.Errorf("nobody checked: %v", err)
	}
}

func TestQuorumCountsPersonsOnce(t *testing.T) {
	a, b := Actor{Subject: "a"}, Actor{Subject: "b"}
	if (Quorum{2}).Met([]Actor{a, a, {}}) || !(Quorum{2}).Met([]Actor{a, b}) || (Quorum{}).Met([]Actor{a}) {
		t.Error("a quorum must count different known persons, and zero is never enough")
	}
}
