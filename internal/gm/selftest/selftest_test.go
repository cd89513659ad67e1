package selftest

import (
	"errors"
	"testing"
)

func TestBothImplementationsAgree(t *testing.T) {
	for range 3 { // the cross-checks draw new keys each time
		for _, r := range Run() {
			if r.Err != nil {
				t.Errorf("%s (%s): %v", r.Name, r.Standard, r.Err)
			}
		}
	}
	if err := Check(); err != nil {
		t.Error(err)
	}
}

func TestAPanicIsAFailureNotACrash(t *testing.T) {
	if err := guarded(func() error { panic("engine") }); err == nil {
		t.Error("a panic passed as success")
	}
}

func TestAWrongAnswerStopsTheStart(t *testing.T) {
	defer func(sound func() error) { checks[0].run = sound }(checks[0].run)
	checks[0].run = func() error { return errAnswer }
	if err := Check(); !errors.Is(err, errAnswer) {
		t.Errorf("%v, want the wrong answer to be told", err)
	}
}
