package login

import (
	"net/netip"
	"time"

	"hufu/internal/fault"
)

// Wait is an ErrTooOften that knows when the next try will be taken. errors.As finds it, errors.Is finds ErrTooOften.
type Wait struct {
	Until time.Time
	cause *fault.Error
}

// Error returns the text of the cause.
func (w *Wait) Error() string { return w.cause.Error() }

// Unwrap returns ErrTooOften with its detail.
func (w *Wait) Unwrap() error { return w.cause }

// limit says how many tries a bucket takes freely, how the delay grows after that, and when it forgets.
type limit struct {
	what   string
	free   int
	most   time.Duration // the longest delay: no lasting lock
	forget time.Duration // after the last try
}

var (
	perAccount = limit{what: "account", free: 10, most: 15 * time.Minute, forget: 24 * time.Hour}
	perAddress = limit{what: "address", free: 60, most: time.Minute, forget: time.Hour}
)

// delay after the n-th try: nothing while free, then 1 s, doubling.
func (l limit) delay(n int) time.Duration {
	over := n - l.free
	if over < 0 {
		return 0
	}
	return min(time.Second<<min(over, 20), l.most)
}

// count counts one try in the bucket, before anything is compared. *Wait: the bucket takes none yet.
func (l limit) count(w Tries, bucket string, now time.Time) error {
	tries, freeAt, err := w.CountTry(bucket, now, now.Add(-l.forget))
	if err != nil {
		return err
	}
	if tries == 0 {
		return &Wait{Until: freeAt, cause: ErrTooOften.With("tries per %s, free again at %s", l.what, freeAt.Format(time.RFC3339))}
	}
	if d := l.delay(tries); d > 0 {
		return w.SetDelay(bucket, now.Add(d))
	}
	return nil
}

// prefixOf returns what of an address counts as one place: an IPv4 address, the /64 of an IPv6 address.
func prefixOf(ip string) string {
	addr, err := netip.ParseAddr(ip)
	if err != nil {
		return "unknown"
	}
	addr = addr.Unmap().WithZone("")
	bits := 32
	if addr.Is6() {
		bits = 64
	}
	prefix, err := addr.Prefix(bits)
	if err != nil {
		return "unknown"
	}
	return prefix.String()
}

// buckets are where a try is counted.
type buckets struct {
	address string
	account string // of the account, or of account and place where it is familiar
	place   string
}

func bucketsOf(r R, account, ip string) (buckets, error) {
	prefix := prefixOf(ip)
	b := buckets{address: "address\x00" + prefix, account: "account\x00" + account, place: "place\x00" + prefix + "\x00" + account}
	familiar, err := r.Familiar(b.place)
	if familiar {
		b.account = b.place
	}
	return b, err
}

// count takes one try in both, in one order for all.
func (b buckets) count(w W, now time.Time) error {
	if err := perAddress.count(w, b.address, now); err != nil {
		return err
	}
	return perAccount.count(w, b.account, now)
}
