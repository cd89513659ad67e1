package limit

import (
	"container/list"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// maxCallers is of how many the rate is remembered.
const maxCallers = 8192

// Rate is a budget: PerSecond calls in the long run, Burst at once. A negative PerSecond is no limit.
type Rate struct {
	PerSecond float64
	Burst     int
}

// Callers bounds the rate of each caller. It is safe for concurrent use.
type Callers struct {
	rate  Rate
	now   func() time.Time
	mu    sync.Mutex
	known map[string]*list.Element // of *bucket
	order *list.List               // the last to call first
}

type bucket struct {
	caller string
	*rate.Limiter
}

// Seconds is a rate with a burst of as many seconds' budget, one call at least.
func Seconds(perSecond float64, seconds int) Rate {
	return Rate{PerSecond: perSecond, Burst: int(max(1, perSecond*float64(seconds)))}
}

// Shared bounds each caller, and behind that all callers together. It is safe for concurrent use.
type Shared struct{ each, all *Callers }

// NewShared returns a limiter of both kinds that has heard of nobody.
func NewShared(each, all Rate, now func() time.Time) *Shared {
	return &Shared{New(each, now), New(all, now)}
}

// Take is Callers.Take, of the caller's budget first: who is over it takes nothing from the others'.
func (s *Shared) Take(caller string, cost int) (wait time.Duration) {
	if wait = s.each.Take(caller, cost); wait > 0 {
		return wait
	}
	return s.all.Take("", cost)
}

// New returns a limiter that has heard of nobody.
func New(r Rate, now func() time.Time) *Callers {
	return &Callers{rate: r, now: now, known: map[string]*list.Element{}, order: list.New()}
}

// Take takes cost from the caller's budget, the whole of it at most; if there is not enough it takes nothing and tells how
// long to wait.
func (l *Callers) Take(caller string, cost int) (wait time.Duration) {
	if l.rate.PerSecond < 0 {
		return 0
	}
	now := l.now()
	r := l.bucket(caller).ReserveN(now, min(cost, l.rate.Burst))
	if wait = r.DelayFrom(now); wait > 0 {
		r.CancelAt(now)
	}
	return wait
}

func (l *Callers) bucket(caller string) *bucket {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e := l.known[caller]; e != nil {
		l.order.MoveToFront(e)
		return e.Value.(*bucket)
	}
	b := &bucket{caller, rate.NewLimiter(rate.Limit(l.rate.PerSecond), l.rate.Burst)}
	l.known[caller] = l.order.PushFront(b)
	if l.order.Len() > maxCallers {
		oldest := l.order.Remove(l.order.Back()).(*bucket)
		delete(l.known, oldest.caller)
	}
	return b
}

// PeerIP is the address at the other end of a request's connection.
func PeerIP(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

// Network is what an address is limited by: itself, or its /64. What is no address stays as it is.
func Network(ip string) string {
	addr, err := netip.ParseAddr(ip)
	if err != nil {
		return ip
	}
	if addr = addr.Unmap().WithZone(""); addr.Is4() {
		return addr.String()
	}
	p, _ := addr.Prefix(64)
	return p.String()
}
