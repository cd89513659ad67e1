package limit

import (
	"strconv"
	"testing"
	"time"
)

func TestTheLimiterRemembersABoundedNumber(t *testing.T) {
	now := time.Unix(0, 0)
	l := New(Rate{PerSecond: 1, Burst: 2}, func() time.Time { return now })
	for i, want := range []time.Duration{0, 0, time.Second, time.Second} {
		if got := l.Take("a", 1); got != want {
			t.Errorf("call %d waits %v, want %v", i, got, want)
		}
	}
	now = now.Add(time.Second)
	if got := l.Take("a", 1); got != 0 {
		t.Errorf("a second later: %v", got)
	}
	if got := l.Take("b", 100); got != 0 { // dearer than the whole budget: all of it
		t.Errorf("a dear call: %v", got)
	}
	for i := range maxCallers + 10 {
		l.Take(strconv.Itoa(i), 1)
	}
	if len(l.known) != maxCallers || l.order.Len() != maxCallers {
		t.Errorf("%d callers are remembered", len(l.known))
	}
	if off := New(Rate{PerSecond: -1}, time.Now); off.Take("a", 1000) != 0 || len(off.known) != 0 {
		t.Error("no limit limits")
	}
}

func TestNetworks(t *testing.T) {
	for ip, want := range map[string]string{
		"192.0.2.7": "192.0.2.7", "::ffff:192.0.2.7": "192.0.2.7", "2001:db8:1:2:3::4": "2001:db8:1:2::/64", "fe80::1%eth0": "fe80::/64", "@": "@",
	} {
		if got := Network(ip); got != want {
			t.Errorf("%s: %s, want %s", ip, got, want)
		}
	}
}

func TestSharedLeavesRoomForOthersAndHasACeiling(t *testing.T) {
	now := time.Unix(0, 0)
	l := NewShared(Rate{PerSecond: 1, Burst: 2}, Rate{PerSecond: 1, Burst: 5}, func() time.Time { return now })
	for range 100 {
		l.Take("loud", 1)
	}
	if wait := l.Take("loud", 1); wait == 0 {
		t.Error("one caller takes what it likes")
	}
	for i, from := range []string{"a", "b", "c"} {
		if wait := l.Take(from, 1); wait != 0 {
			t.Errorf("%s, the %d. of the others, waits %s", from, i+1, wait)
		}
	}
	if wait := l.Take("d", 1); wait == 0 {
		t.Error("no ceiling for all")
	}
	if r := Seconds(0.01, 10); r.Burst != 1 {
		t.Errorf("a burst of %d", r.Burst)
	}
}
