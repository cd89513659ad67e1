package enrol

import (
	"container/list"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// maxCallers is of how many callers the rate is remembered; the longest silent one is forgotten first.
const maxCallers = 8192

// limiter bounds the rate of each caller.
type limiter struct {
	rate  float64
	now   func() time.Time
	mu    sync.Mutex
	known map[string]*list.Element // of *bucket
	order *list.List               // the last to call first
}

type bucket struct {
	caller string
	*rate.Limiter
}

func newLimiter(perSecond float64, now func() time.Time) *limiter {
	return &limiter{rate: perSecond, now: now, known: map[string]*list.Element{}, order: list.New()}
}

// take takes one from the caller's budget; if none is left it takes nothing and tells how long to wait.
func (l *limiter) take(caller string) (wait time.Duration) {
	now := l.now()
	r := l.bucket(caller).ReserveN(now, 1)
	if wait = r.DelayFrom(now); wait > 0 {
		r.CancelAt(now)
	}
	return wait
}

func (l *limiter) bucket(caller string) *bucket {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e := l.known[caller]; e != nil {
		l.order.MoveToFront(e)
		return e.Value.(*bucket)
	}
	b := &bucket{caller, rate.NewLimiter(rate.Limit(l.rate), int(max(1, 10*l.rate)))}
	l.known[caller] = l.order.PushFront(b)
	if l.order.Len() > maxCallers {
		oldest := l.order.Remove(l.order.Back()).(*bucket)
		delete(l.known, oldest.caller)
	}
	return b
}

// network is what an address is limited by: itself, or its /64, of which one caller has many.
func network(ip string) string {
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
