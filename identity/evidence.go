package identity

import (
	"time"

	"hufu/internal/actor"
)

// Method is how a piece of evidence about a subject was had.
type Method string

// The methods, with the highest level each can give.
const (
	ByPhone       Method = "phone"       // a code sent to the phone came back: 1
	ByMatch       Method = "match"       // two or three factors matched with the population register: 2
	ByFace        Method = "face"        // live face compared with the register: 3
	ByBank        Method = "bank"        // a bank card in the person's name: 3
	BySIM         Method = "sim"         // the operator confirmed name and number of the SIM card: 3
	ByRegistry    Method = "registry"    // the business or staffing register: 3; of entities
	ByCounter     Method = "counter"     // in person at the counter, document seen: 4
	ByCertificate Method = "certificate" // a qualified SM2 certificate of a trusted authority: 4
)

var ceilings = map[Method]actor.Level{
	ByPhone: 1, ByMatch: 2, ByFace: 3, ByBank: 3, BySIM: 3, ByRegistry: 3, ByCounter: 4, ByCertificate: 4,
}

// Evidence is one piece of what makes a subject known.
type Evidence struct {
	ID      string
	Subject string
	Method  Method
	Source  string      // who says so: a register, an office, a provider; no personal data
	Level   actor.Level // 1 to 4, at most what the method can give
	At      time.Time
	Expires time.Time // zero: never
	By      string    // actor.String of who entered it
}

// Known returns the level that the evidence gives at a time: that of the best piece that has begun and not expired, else 0.
func Known(evidence []Evidence, now time.Time) actor.Level {
	var best actor.Level
	for _, e := range evidence {
		if !e.At.After(now) && (e.Expires.IsZero() || now.Before(e.Expires)) {
			best = max(best, e.Level)
		}
	}
	return best
}

// checked fills what may be left out (level: the method's ceiling; time: now) and refuses what the method cannot give.
func (e Evidence) checked(kind Kind, now time.Time) (Evidence, error) {
	ceiling, ok := ceilings[e.Method]
	switch {
	case !ok:
		return e, ErrForm.With("unknown evidence method %q", e.Method)
	case kind == Entity && e.Method != ByRegistry && e.Method != ByCounter && e.Method != ByCertificate,
		kind == Person && e.Method == ByRegistry:
		return e, ErrForm.With("evidence method %q is not for kind %s", e.Method, kind)
	case e.Source == "" || len(e.Source) > 200:
		return e, ErrForm.With("evidence source missing or too long")
	}
	if e.Level == 0 {
		e.Level = ceiling
	}
	if e.At.IsZero() {
		e.At = now
	}
	switch {
	case e.Level < 1 || e.Level > ceiling:
		return e, ErrForm.With("evidence by %q cannot give level %d", e.Method, e.Level)
	case e.At.After(now):
		return e, ErrForm.With("evidence from the future, %s", e.At)
	case !e.Expires.IsZero() && !e.Expires.After(e.At):
		return e, ErrForm.With("evidence expires before it begins")
	}
	return e, nil
}
