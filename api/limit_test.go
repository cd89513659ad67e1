package api

import (
	"context"
	"strconv"
	"testing"
	"time"
)

func TestTheLimiterRemembersABoundedNumber(t *testing.T) {
	now := time.Unix(0, 0)
	l := newLimiter(Rate{PerSecond: 1, Burst: 2}, func() time.Time { return now })
	for i, want := range []time.Duration{0, 0, time.Second, time.Second} {
		if got := l.take("a", 1); got != want {
			t.Errorf("call %d waits %v, want %v", i, got, want)
		}
	}
	now = now.Add(time.Second)
	if got := l.take("a", 1); got != 0 {
		t.Errorf("a second later: %v", got)
	}
	if got := l.take("b", 100); got != 0 { // dearer than the whole budget: all of it
		t.Errorf("a dear call: %v", got)
	}
	for i := range maxCallers + 10 {
		l.take(strconv.Itoa(i), 1)
	}
	if len(l.known) != maxCallers || l.order.Len() != maxCallers {
		t.Errorf("%d callers are remembered", len(l.known))
	}
	if off := newLimiter(Rate{PerSecond: -1}, time.Now); off.take("a", 1000) != 0 || len(off.known) != 0 {
		t.Error("no limit limits")
	}
}

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

func TestNetworks(t *testing.T) {
	for ip, want := range map[string]string{
		"192.0.2.7": "192.0.2.7", "::ffff:192.0.2.7": "192.0.2.7", "2001:db8:1:2:3::4": "2001:db8:1:2::/64", "fe80::1%eth0": "fe80::/64", "@": "@",
	} {
		if got := network(ip); got != want {
			t.Errorf("%s: %s, want %s", ip, got, want)
		}
	}
}
