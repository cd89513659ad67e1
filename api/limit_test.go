package api

import (
	"context"
	"strconv"
	"testing"
)

func TestOneCallerDoesNotTakeAllPlaces(t *testing.T) {
	p := newPlaces()
	var leave []func()
	for range maxOwn {
		l, ok := p.take(t.Context(), "a")
		if !ok {
			t.Fatal("no place")
		}
		leave = append(leave, l)
	}
	if _, ok := p.take(t.Context(), "a"); ok {
		t.Error("one caller took more than its part")
	}
	if l, ok := p.take(t.Context(), "b"); !ok {
		t.Error("another caller found no place")
	} else {
		l()
	}
	for i := range maxBodies - maxOwn {
		if _, ok := p.take(t.Context(), strconv.Itoa(i)); !ok {
			t.Fatal("no place")
		}
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, ok := p.take(gone, "c"); ok {
		t.Error("a place beyond the last")
	}
	for _, l := range leave {
		l()
	}
	if _, ok := p.take(t.Context(), "a"); !ok || p.held["a"] != 1 {
		t.Errorf("places that were left are not free: %v", p.held)
	}
}
