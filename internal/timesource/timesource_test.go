package timesource_test

import (
	"context"
	"encoding/binary"
	"errors"
	"log/slog"
	"net"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"hufu/internal/timesource"
)

// fixed is a source that always says the same.
type fixed struct {
	name                string
	offset, uncertainty time.Duration
	err                 error
}

func (f fixed) Name() string { return f.name }
func (f fixed) Read(context.Context) (time.Duration, time.Duration, error) {
	return f.offset, f.uncertainty, f.err
}

const ms = time.Millisecond

func watch(t *testing.T, now func() time.Time, quorum int, sources ...timesource.Source) *timesource.Watch {
	t.Helper()
	w, err := timesource.New(timesource.Config{
		Sources: sources, Quorum: quorum, Accuracy: time.Second, Every: time.Minute, Now: now, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func TestTheMajorityIsBelieved(t *testing.T) {
	silent := fixed{name: "silent", err: errors.New("no answer")}
	for name, c := range map[string]struct {
		sources  []timesource.Source
		quorum   int
		trusted  bool
		agreeing []string
	}{
		"all agree":                     {[]timesource.Source{fixed{"a", 0, 5 * ms, nil}, fixed{"b", 3 * ms, 5 * ms, nil}, fixed{"c", -2 * ms, 5 * ms, nil}}, 0, true, []string{"a", "b", "c"}},
		"one lies":                      {[]timesource.Source{fixed{"a", 0, 5 * ms, nil}, fixed{"liar", time.Hour, ms, nil}, fixed{"c", 4 * ms, 5 * ms, nil}}, 0, true, []string{"a", "c"}},
		"two lie alike":                 {[]timesource.Source{fixed{"a", 0, 5 * ms, nil}, fixed{"liar", time.Hour, ms, nil}, fixed{"liar2", time.Hour, ms, nil}}, 0, false, []string{"liar", "liar2"}},
		"all disagree":                  {[]timesource.Source{fixed{"a", 0, ms, nil}, fixed{"b", time.Second, ms, nil}, fixed{"c", -time.Second, ms, nil}}, 0, false, nil},
		"half against half":             {[]timesource.Source{fixed{"a", 0, ms, nil}, fixed{"b", 900 * ms, ms, nil}}, 1, false, nil},
		"one silent":                    {[]timesource.Source{fixed{"a", 0, ms, nil}, silent, fixed{"c", 0, ms, nil}}, 0, true, []string{"a", "c"}},
		"two silent":                    {[]timesource.Source{fixed{"a", 0, ms, nil}, silent, silent}, 0, false, []string{"a"}},
		"our clock is off":              {[]timesource.Source{fixed{"a", 2 * time.Second, ms, nil}, fixed{"b", 2 * time.Second, ms, nil}}, 0, false, []string{"a", "b"}},
		"our clock may be off":          {[]timesource.Source{fixed{"a", 0, 1500 * ms, nil}, fixed{"b", 0, 1200 * ms, nil}}, 0, false, []string{"a", "b"}},
		"a vague one narrowed by exact": {[]timesource.Source{fixed{"a", 0, 1500 * ms, nil}, fixed{"b", 10 * ms, 5 * ms, nil}}, 0, true, []string{"a", "b"}},
	} {
		w := watch(t, time.Now, c.quorum, c.sources...)
		got := w.Compare(t.Context())
		if (got.Err == nil) != c.trusted || (w.Check() == nil) != c.trusted {
			t.Errorf("%s: trusted is %v, want %v: %v", name, got.Err == nil, c.trusted, got.Err)
		}
		if !c.trusted && !errors.Is(w.Check(), timesource.ErrTime) {
			t.Errorf("%s: %v", name, w.Check())
		}
		if c.agreeing != nil && !slices.Equal(got.Agreeing, c.agreeing) {
			t.Errorf("%s: agreeing %v, want %v", name, got.Agreeing, c.agreeing)
		}
	}
}

func TestAClockThatIsSetIsNoticed(t *testing.T) {
	var shift atomic.Int64
	now := func() time.Time { return time.Now().Round(0).Add(time.Duration(shift.Load())) }
	w := watch(t, now, 0, fixed{"a", 0, ms, nil})
	if w.Check() == nil {
		t.Error("a clock that was never compared is believed")
	}
	w.Compare(t.Context())
	if err := w.Check(); err != nil {
		t.Fatal(err)
	}
	for _, step := range []time.Duration{-2 * time.Second, 2 * time.Second, -24 * time.Hour} {
		shift.Store(int64(step))
		if !errors.Is(w.Check(), timesource.ErrTime) {
			t.Errorf("the clock was set by %s and nobody noticed", step)
		}
	}
}

func TestConfigurationIsChecked(t *testing.T) {
	good := timesource.Config{Sources: []timesource.Source{fixed{name: "a"}}, Accuracy: time.Second, Now: time.Now, Log: slog.New(slog.DiscardHandler)}
	for name, change := range map[string]func(*timesource.Config){
		"no source":   func(c *timesource.Config) { c.Sources = nil },
		"quorum":      func(c *timesource.Config) { c.Quorum = 2 },
		"no accuracy": func(c *timesource.Config) { c.Accuracy = 0 },
		"no clock":    func(c *timesource.Config) { c.Now = nil },
	} {
		c := good
		change(&c)
		if _, err := timesource.New(c); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

// serveNTP answers as a server of stratum 1 whose clock is off by the given time, at most a hundred times.
func serveNTP(t *testing.T, off time.Duration, stratum byte) string {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	go func() {
		packet := make([]byte, 512)
		for range 100 {
			n, from, err := conn.ReadFrom(packet)
			if err != nil {
				return
			}
			if n < 48 {
				continue
			}
			answer := make([]byte, 48)
			answer[0], answer[1], answer[3] = 4<<3|4, stratum, 0xec
			now := time.Now().Add(off)
			copy(answer[24:32], packet[40:48])
			putNTP(answer[16:], now.Add(-time.Minute))
			putNTP(answer[32:], now)
			putNTP(answer[40:], now)
			_, _ = conn.WriteTo(answer, from)
		}
	}()
	return conn.LocalAddr().String()
}

func putNTP(b []byte, t time.Time) {
	const from1900 = 2208988800
	binary.BigEndian.PutUint32(b, uint32(t.Unix()+from1900))
	binary.BigEndian.PutUint32(b[4:], uint32(uint64(t.Nanosecond())<<32/1e9))
}

func TestServersThatSpeakNTP(t *testing.T) {
	right, right2, wrong := serveNTP(t, 0, 1), serveNTP(t, 0, 1), serveNTP(t, time.Hour, 1)
	w := watch(t, time.Now, 0, timesource.NTP(right), timesource.NTP(right2), timesource.NTP(wrong))
	got := w.Compare(t.Context())
	if got.Err != nil || !slices.Equal(got.Dissenting, []string{"ntp:" + wrong}) {
		t.Errorf("the server that is an hour ahead is not named: %+v", got)
	}
	for _, r := range got.Readings {
		if r.Err != nil {
			t.Errorf("%s: %v", r.Source, r.Err)
		}
	}
	refusing := serveNTP(t, 0, 0) // stratum 0: kiss of death
	if _, _, err := timesource.NTP(refusing).Read(t.Context()); err == nil {
		t.Error("a server that says it has no time was believed")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	late, stop := context.WithTimeout(ctx, 0)
	defer stop()
	if _, _, err := timesource.NTP(right).Read(late); err == nil {
		t.Error("asked after the deadline")
	}
}

func TestAnotherMachinesClock(t *testing.T) {
	s := timesource.Clock("database", time.Now, func(context.Context) (time.Time, error) { return time.Now().Add(time.Minute), nil })
	offset, uncertainty, err := s.Read(t.Context())
	if err != nil || offset < 59*time.Second || offset > 61*time.Second || uncertainty > time.Second {
		t.Errorf("offset %s ± %s, %v", offset, uncertainty, err)
	}
	broken := timesource.Clock("database", time.Now, func(context.Context) (time.Time, error) { return time.Time{}, errors.New("down") })
	if _, _, err := broken.Read(t.Context()); err == nil {
		t.Error("no error of a clock that does not answer")
	}
}
