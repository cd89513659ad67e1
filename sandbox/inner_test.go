package sandbox

import (
	"fmt"
	"net/url"
	"testing"
	"time"
)

func TestShelfIsBounded(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	s := newShelf[int](3, time.Minute)
	for i := range 5 {
		s.put(fmt.Sprint(i), i, now)
	}
	for i := range 5 {
		if _, ok := s.get(fmt.Sprint(i), now); ok != (i >= 2) {
			t.Errorf("%d kept: %v; the oldest have to go first", i, ok)
		}
	}
	if len(s.items) != 3 {
		t.Errorf("%d things on a shelf for 3", len(s.items))
	}
	later := now.Add(time.Minute)
	if _, ok := s.take("4", later); ok {
		t.Error("taken after its end")
	}
	s.put("new", 9, later)
	if v, ok := s.newest(later, func(int) bool { return true }); !ok || v != 9 || len(s.items) != 1 {
		t.Errorf("newest %d, %d things; what has ended has to go when the shelf is full", v, len(s.items))
	}
	if _, ok := s.takeIf("new", later, func(int) bool { return false }); ok {
		t.Error("taken though it does not fit")
	}
	if _, ok := s.take("new", later); !ok {
		t.Error("a thing that did not fit was dropped")
	}
}

func TestEmptySecretsAreNeverTheSame(t *testing.T) {
	if same("", "") || same("a", "") || same("a", "b") || !same("a", "a") {
		t.Error("same")
	}
}

func FuzzAnswer(f *testing.F) {
	for _, seed := range []string{
		"state=s&code=c&iss=https%3A%2F%2Fid.example", "state=s&error=access_denied&iss=x", "state=s&code=c&code=d", "code=c", "%zz", "state=s&code=c;d", "",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, query string) {
		a, err := parseAnswer(query)
		if err != nil {
			return
		}
		q, err := url.ParseQuery(query)
		if err != nil || a.state == "" || (a.code == "") == (a.err == "") || len(q["state"]) != 1 || len(q["code"]) > 1 || len(q["iss"]) > 1 ||
			q.Get("state") != a.state || q.Get("code") != a.code || q.Get("iss") != a.iss {
			t.Errorf("took %q as %+v", query, a)
		}
	})
}

func TestStrays(t *testing.T) {
	for _, c := range []struct {
		asked, ours string
		want        bool
	}{
		{"127.0.0.1:8480", "localhost:8480", true},
		{"[::1]:8480", "localhost:8480", true},
		{"localhost:1", "localhost:2", true},
		{"localhost:8480", "localhost:8480", false},
		{"127.0.0.1:8480", "hall.example", false},
		{"evil.example", "localhost:8480", false},
		{"", "localhost", false},
	} {
		if strays(c.asked, c.ours) != c.want {
			t.Errorf("%s for %s: want %v", c.asked, c.ours, c.want)
		}
	}
}
