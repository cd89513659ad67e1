package webhook

import (
	"context"
	"crypto/rand"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"hufu/audit"
	"hufu/internal/actor"
	"hufu/internal/fault"
)

// The refusals of this package.
var (
	ErrUnknown = fault.New(fault.NotFound, "webhook.unknown",
		"No such subscription. Check the number.", "没有这个订阅。请核对编号。")
	ErrAddress = fault.New(fault.Invalid, "webhook.address",
		"Give an https address without user name, password and fragment. Plain http is for this machine alone.", "请填写 https 地址，不含用户名、密码和锚点。仅本机地址可使用 http。")
	ErrForm = fault.New(fault.Invalid, "webhook.form",
		`Give a name, and acts such as "certificate.issue", or "certificate." for all of a kind.`, "请填写名称和操作类型，例如 certificate.issue；以点结尾（如 certificate.）表示该类全部操作。")
	ErrState = fault.New(fault.Conflict, "webhook.state",
		"The subscription is not in a state that allows this; look at it again.", "该订阅当前状态不允许此操作，请刷新后查看。")
	ErrMany = fault.New(fault.Limited, "webhook.many",
		"There are as many subscriptions as are allowed. End one that is no longer needed.", "订阅数量已达上限。请先终止不再需要的订阅。")
	ErrReceiver = fault.New(fault.Unavailable, "webhook.receiver",
		"The receiver did not take the message. Look at what it answered, and at its address.", "接收方未接收该消息。请查看其应答和地址。")
)

// State is where a subscription stands.
type State string

// States of subscriptions.
const (
	Active State = "active"
	Paused State = "paused"
	Ended  State = "ended"
)

// Subscription is who wants to know what, and how far it has been told.
type Subscription struct {
	ID      string
	Name    string
	URL     string
	Actions []string // "certificate.issue", or "certificate." for all of a noun; none = all
	State   State
	Reason  string // why it is paused
	Maker   string // capacity and id
	At      time.Time

	Next      uint64    // index of the log entry to look at next
	Sent      uint64    // entries that the receiver has taken
	LastSent  time.Time // zero before the first
	Failing   time.Time // since when the receiver refuses; zero when it does not
	Tries     int       // that failed in a row
	NotBefore time.Time // of the next try
	LastError string    // what the receiver did last; never its text

	epoch int64
}

// Epoch numbers the claims on a subscription; a write under an older one fails.
func (s *Subscription) Epoch() int64 { return s.epoch }

// SetEpoch is for the store that reads a row.
func (s *Subscription) SetEpoch(n int64) { s.epoch = n }

// Wants tells whether an action was asked for.
func (s *Subscription) Wants(action string) bool {
	if len(s.Actions) == 0 {
		return true
	}
	return slices.ContainsFunc(s.Actions, func(a string) bool {
		return a == action || strings.HasSuffix(a, ".") && strings.HasPrefix(action, a)
	})
}

// Order is what a subscription is made from.
type Order struct {
	Name    string
	URL     string
	Actions []string
	// FromStart tells the receiver the whole log; else it begins with what comes next.
	FromStart bool
}

const (
	maxSubscriptions = 100
	maxActions       = 50
	maxURL           = 2000
)

func (s *Service) check(o Order) error {
	u, err := url.Parse(o.URL)
	switch {
	case err != nil || len(o.URL) > maxURL || u.Host == "" || u.User != nil || u.Fragment != "":
		return ErrAddress.With("address of %d octets", len(o.URL)) // it may hold a token: not repeated
	case u.Scheme != "https" && (u.Scheme != "http" || u.Hostname() != "localhost" && !strings.HasPrefix(u.Hostname(), "127.") && u.Hostname() != "::1"):
		return ErrAddress.With("scheme %q", u.Scheme)
	case o.Name == "" || utf8.RuneCountInString(o.Name) > 100 || strings.ContainsAny(o.Name, "\r\n\x00") || !utf8.ValidString(o.Name):
		return ErrForm.With("name of %d octets", len(o.Name))
	case len(o.Actions) > maxActions:
		return ErrForm.With("%d acts", len(o.Actions))
	}
	for _, a := range o.Actions {
		noun, verb, ok := strings.Cut(a, ".")
		if !ok || !word(noun) || verb != "" && !word(verb) {
			return ErrForm.With("act %.60q", a)
		}
	}
	return nil
}

func word(s string) bool {
	return s != "" && len(s) <= 40 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz-") == ""
}

// Subscribe makes a subscription, active at once. Only a business administrator may.
func (s *Service) Subscribe(ctx context.Context, by actor.Actor, o Order) (Subscription, error) {
	if err := by.Require(actor.RoleBusinessAdmin); err != nil {
		return Subscription{}, err
	}
	if err := s.check(o); err != nil {
		return Subscription{}, err
	}
	now := s.Now().UTC().Truncate(time.Microsecond)
	made := Subscription{
		ID: rand.Text(), Name: o.Name, URL: o.URL, Actions: o.Actions, State: Active, Maker: by.String(), At: now, NotBefore: now,
	}
	err := s.Store.Update(ctx, func(w W) error {
		all, err := w.Subscriptions()
		if err != nil {
			return err
		}
		live := slices.DeleteFunc(all, func(x Subscription) bool { return x.State == Ended })
		if len(live) >= maxSubscriptions {
			return ErrMany.With("%d subscriptions", len(live))
		}
		if made.Next, err = w.Signed(); err != nil {
			return err
		}
		if o.FromStart {
			made.Next = 0
		}
		if err := w.AddSubscription(made); err != nil {
			return err
		}
		return s.record(w, by, made, "webhook.subscribe")
	})
	return made, err
}

func (s *Service) record(w W, by actor.Actor, sub Subscription, action string) error {
	return w.Record(audit.Entry{
		At: s.Now(), Actor: by, Action: action, Object: audit.Object{Kind: "subscription", ID: sub.ID},
		Public: map[string]string{"state": string(sub.State)},
	})
}

// Subscriptions lists all, oldest first, to business and audit administrators.
func (s *Service) Subscriptions(ctx context.Context, by actor.Actor) (all []Subscription, err error) {
	if err := by.Require(actor.RoleBusinessAdmin, actor.RoleAuditAdmin); err != nil {
		return nil, err
	}
	err = s.Store.View(ctx, func(r R) error {
		all, err = r.Subscriptions()
		return err
	})
	return all, err
}

// Subscription returns one, to business and audit administrators.
func (s *Service) Subscription(ctx context.Context, by actor.Actor, id string) (sub Subscription, err error) {
	if err := by.Require(actor.RoleBusinessAdmin, actor.RoleAuditAdmin); err != nil {
		return sub, err
	}
	err = s.Store.View(ctx, func(r R) error {
		sub, err = r.Subscription(id)
		return err
	})
	return sub, err
}

// Pause stops a subscription; nothing is lost meanwhile. Only a business administrator may.
func (s *Service) Pause(ctx context.Context, by actor.Actor, id, reason string) error {
	return s.move(ctx, by, id, move{from: []State{Active}, to: Paused, reason: reason, action: "webhook.pause"})
}

// Resume lets a paused subscription go on where it stopped. Only a business administrator may.
func (s *Service) Resume(ctx context.Context, by actor.Actor, id string) error {
	return s.move(ctx, by, id, move{from: []State{Paused}, to: Active, action: "webhook.resume"})
}

// End ends a subscription for ever. Only a business administrator may.
func (s *Service) End(ctx context.Context, by actor.Actor, id string) error {
	return s.move(ctx, by, id, move{from: []State{Active, Paused}, to: Ended, action: "webhook.end"})
}

type move struct {
	from   []State
	to     State
	reason string
	action string
}

func (s *Service) move(ctx context.Context, by actor.Actor, id string, m move) error {
	if err := by.Require(actor.RoleBusinessAdmin); err != nil {
		return err
	}
	return s.Store.Update(ctx, func(w W) error {
		sub, err := w.Subscription(id)
		if err != nil {
			return err
		}
		if !slices.Contains(m.from, sub.State) {
			return ErrState.With("subscription %s is %s", id, sub.State)
		}
		return s.change(w, by, sub, m)
	})
}

func (s *Service) change(w W, by actor.Actor, sub Subscription, m move) error {
	done, err := w.MoveSubscription(sub.ID, sub.State, m.to, m.reason)
	if err == nil && !done {
		err = ErrState.With("subscription %s was changed meanwhile", sub.ID)
	}
	if err != nil {
		return err
	}
	sub.State = m.to
	return s.record(w, by, sub, m.action)
}
