package ca

import (
	"container/list"
	"sync"
	"sync/atomic"
	"time"

	"hufu/certs"
)

// answer is a signed OCSP answer for one certificate under one name, ready to be sent. It never changes.
type answer struct {
	id     certs.CertID
	issuer string
	is     certs.OCSPAnswer // what it says; times are its own
	der    []byte
	length []string // Content-Length
	tag    []string // ETag
	made   []string // Last-Modified
	asked  atomic.Bool

	place *list.Element
}

// fits tells whether the answer may be sent at a time: not before its thisUpdate, as after a clock that went back, and long
// enough before its nextUpdate.
func (n *answer) fits(now time.Time) bool {
	return !now.Before(n.is.ThisUpdate) && now.Before(n.is.ThisUpdate.Add(ocspLife*3/4))
}

// size is what the answer takes in memory, about.
func (n *answer) size() int { return len(n.der) + 2*len(n.id.Raw) + 600 }

// answers keeps ready answers, those asked last, up to a number of octets. What is unknown never comes in: strangers could
// ask for as many serials as they like.
type answers struct {
	limit int

	mu       sync.Mutex
	byID     map[string]*answer              // by the CertID's DER
	bySerial map[string]map[*answer]struct{} // by issuer and serial
	order    list.List                       // of *answer, asked last in front
	size     int
	changes  uint64 // counts changes of any status
}

func newAnswers(limit int) *answers {
	return &answers{limit: limit, byID: map[string]*answer{}, bySerial: map[string]map[*answer]struct{}{}}
}

func serialKey(issuer string, serial []byte) string { return issuer + "\x00" + string(serial) }

// get returns the answer for a CertID, nil if there is none.
func (c *answers) get(id []byte) *answer {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.byID[string(id)]
	if n != nil {
		c.order.MoveToFront(n.place)
	}
	return n
}

// mark is to be taken before a status is looked up and given to put, which refuses when any status has changed since.
func (c *answers) mark() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.changes
}

// put takes an answer in, in the place of an older one.
func (c *answers) put(n *answer, mark uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if mark != c.changes {
		return
	}
	if old := c.byID[string(n.id.Raw)]; old != nil {
		c.remove(old)
	}
	key := serialKey(n.issuer, n.id.Serial)
	if c.bySerial[key] == nil {
		c.bySerial[key] = map[*answer]struct{}{}
	}
	c.bySerial[key][n] = struct{}{}
	c.byID[string(n.id.Raw)] = n
	n.place = c.order.PushFront(n)
	for c.size += n.size(); c.size > c.limit; {
		c.remove(c.order.Back().Value.(*answer))
	}
}

func (c *answers) remove(n *answer) {
	key := serialKey(n.issuer, n.id.Serial)
	if delete(c.bySerial[key], n); len(c.bySerial[key]) == 0 {
		delete(c.bySerial, key)
	}
	delete(c.byID, string(n.id.Raw))
	c.order.Remove(n.place)
	c.size -= n.size()
}

// drop forgets what was said of a serial, whose status has changed.
func (c *answers) drop(issuer string, serial []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.changes++
	for n := range c.bySerial[serialKey(issuer, serial)] {
		c.remove(n)
	}
}

// ageing returns answers past half of their life that were asked for since they were signed, at most limit, and forgets
// those that nobody asked for.
func (c *answers) ageing(now time.Time, limit int) (due []*answer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for place := c.order.Back(); place != nil && len(due) < limit; {
		n := place.Value.(*answer)
		place = place.Prev()
		switch {
		case n.fits(now) && now.Before(n.is.ThisUpdate.Add(ocspLife/2)):
		case n.asked.Load():
			due = append(due, n)
		default:
			c.remove(n)
		}
	}
	return due
}
