package webhook

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"
	"time"

	"hufu/audit"
	"hufu/internal/actor"
)

// Headers of a message. The signature is SM2 with SM3 over the body, identifier 1234567812345678, as DER in base64; the
// key is named by the SM3 digest of its SubjectPublicKeyInfo in hexadecimal.
const (
	HeaderSignature = "Hufu-Signature"
	HeaderKey       = "Hufu-Signature-Key"
)

// Message is what a receiver gets.
type Message struct {
	Subscription string    `json:"subscription"`
	Delivery     string    `json:"delivery"` // of this try; another one at each
	Sent         time.Time `json:"sent"`     // refuse what is older than some minutes: it is a replay
	First        uint64    `json:"first"`    // the part of the log that was looked through: from First …
	Next         uint64    `json:"next"`     // … up to Next, exclusive; the following message begins here
	Events       []Event   `json:"events"`   // those that were asked for; none in a trial message
}

// Event is an entry of the log.
type Event struct {
	Index  uint64            `json:"index"` // in the log; GET /pki/log/proof?entry=ID proves it
	ID     string            `json:"id"`
	At     time.Time         `json:"at"`
	Action string            `json:"action"`
	Object Object            `json:"object"`
	Actor  string            `json:"actor"`
	For    string            `json:"for,omitempty"`
	Via    string            `json:"via,omitempty"`
	Public map[string]string `json:"public,omitempty"`
}

// Object is what an act was done to.
type Object struct {
	Kind string `json:"kind"`
	ID   string `json:"id"`
}

// Config is what a Service is made of; every field must be set.
type Config struct {
	Store Store
	// Sign signs a message with the key of the service; key is what HeaderKey names.
	Sign func(ctx context.Context, message []byte) (signature []byte, key string, err error)
	HTTP *http.Client // of internal/outbound
	Now  func() time.Time
}

// Service keeps subscriptions and delivers. It is safe for concurrent use, on any number of nodes.
type Service struct{ Config }

// New checks the configuration.
func New(c Config) (*Service, error) {
	if c.Store == nil || c.Sign == nil || c.HTTP == nil || c.Now == nil {
		return nil, errors.New("webhook: Store, Sign, HTTP and Now are needed")
	}
	return &Service{c}, nil
}

const (
	claimTime  = time.Minute        // longer than any one message takes
	giveUp     = 7 * 24 * time.Hour // of failures without end, then the subscription pauses
	maxPause   = time.Hour          // between two tries
	readAtOnce = 1000               // entries looked through for one message
	maxEvents  = 200                // in one message
	atOnce     = 4                  // receivers spoken to at a time
)

// Round sends what is due, one message to each subscription that is behind, and reports whether any may have more.
func (s *Service) Round(ctx context.Context) (more bool, err error) {
	var due []string
	if err := s.Store.View(ctx, func(r R) error {
		size, err := r.Signed()
		if err == nil {
			due, err = r.Due(size, s.Now(), maxSubscriptions)
		}
		return err
	}); err != nil {
		return false, fmt.Errorf("find subscriptions that are due: %w", err)
	}
	places := make(chan struct{}, atOnce)
	var sending sync.WaitGroup
	failures := make([]error, len(due))
	for i, id := range due {
		places <- struct{}{}
		sending.Go(func() {
			defer func() { <-places }()
			failures[i] = s.serve(ctx, id)
		})
	}
	sending.Wait()
	return len(due) > 0, errors.Join(failures...)
}

// serve claims a subscription, sends its next message and notes the outcome. A crash in between leaves a claim that ends.
func (s *Service) serve(ctx context.Context, id string) error {
	var sub Subscription
	var ok bool
	err := s.Store.Update(ctx, func(w W) (err error) {
		sub, ok, err = w.Claim(id, s.Now(), s.Now().Add(claimTime))
		return err
	})
	if err != nil || !ok {
		return err
	}
	m, err := s.compose(ctx, sub)
	if err != nil {
		return fmt.Errorf("subscription %s: %w", id, err)
	}
	status, refused := 0, error(nil)
	if len(m.Events) > 0 {
		l, err := s.seal(ctx, m)
		if err != nil {
			return fmt.Errorf("subscription %s: %w", id, err) // ours to mend, not the receiver's: the claim ends and it goes out then
		}
		if status, refused = s.post(ctx, sub.URL, l); ctx.Err() != nil {
			return ctx.Err() // stopped in the middle: the claim ends and the message goes out again
		}
	}
	return s.settle(ctx, sub, m, answer{status, refused})
}

// compose reads the log from the cursor on until a message is full or the signed end is reached.
func (s *Service) compose(ctx context.Context, sub Subscription) (Message, error) {
	m := Message{Subscription: sub.ID, Delivery: rand.Text(), Sent: s.Now().UTC().Truncate(time.Millisecond), First: sub.Next, Next: sub.Next, Events: []Event{}}
	var leaves [][]byte
	err := s.Store.View(ctx, func(r R) error {
		size, err := r.Signed()
		if err != nil || size <= sub.Next {
			leaves = nil
			return err
		}
		leaves, err = r.Leaves(sub.Next, int(min(size-sub.Next, readAtOnce)))
		return err
	})
	if err != nil {
		return m, fmt.Errorf("read log from %d: %w", sub.Next, err)
	}
	for _, b := range leaves {
		leaf, err := audit.ParseLeaf(b)
		if err != nil {
			return m, fmt.Errorf("entry %d of the log: %w", m.Next, err)
		}
		if sub.Wants(leaf.Action) {
			m.Events = append(m.Events, event(m.Next, leaf))
		}
		m.Next++
		if len(m.Events) == maxEvents {
			break
		}
	}
	return m, nil
}

func event(index uint64, l audit.Leaf) Event {
	return Event{
		Index: index, ID: l.ID, At: l.At, Action: l.Action, Object: Object{l.Object.Kind, l.Object.ID}, Actor: l.Actor, For: l.For, Via: l.Via, Public: l.Public,
	}
}

// letter is a message ready to be sent.
type letter struct {
	body           []byte
	signature, key string
}

func (s *Service) seal(ctx context.Context, m Message) (l letter, err error) {
	if l.body, err = json.Marshal(m); err != nil {
		return l, err
	}
	signature, key, err := s.Sign(ctx, l.body)
	if err != nil {
		return l, fmt.Errorf("sign message: %w", err)
	}
	l.signature, l.key = base64.StdEncoding.EncodeToString(signature), key
	return l, nil
}

// post sends a letter and returns the status of the answer. What the receiver writes is thrown away: it must not come into
// our records.
func (s *Service) post(ctx context.Context, address string, l letter) (status int, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(l.body))
	if err != nil {
		return 0, ErrAddress.With("subscription's address")
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set(HeaderSignature, l.signature)
	req.Header.Set(HeaderKey, l.key)
	req.Header.Set("User-Agent", "hufu-webhook")
	answer, err := s.HTTP.Do(req)
	if outer, ok := errors.AsType[*url.Error](err); ok {
		return 0, outer.Err // without the address, which may hold a token
	}
	if err != nil {
		return 0, err
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(answer.Body, 64<<10))
	answer.Body.Close()
	return answer.StatusCode, nil
}

// settle notes what came of a message.
func (s *Service) settle(ctx context.Context, sub Subscription, m Message, got answer) error {
	now := s.Now().UTC().Truncate(time.Microsecond)
	taken := len(m.Events) == 0 || got.err == nil && got.status/100 == 2
	after := sub
	if taken {
		after.Next, after.Sent = m.Next, sub.Sent+uint64(len(m.Events))
		after.Failing, after.Tries, after.NotBefore, after.LastError = time.Time{}, 0, now, ""
		if len(m.Events) > 0 {
			after.LastSent = now
		}
	} else {
		if after.Failing.IsZero() {
			after.Failing = now
		}
		after.LastError = got.String()
		after.NotBefore = now.Add(min(maxPause, time.Second<<min(after.Tries, 12)))
		after.Tries++
	}
	return s.Store.Update(ctx, func(w W) error {
		held, err := w.Advance(after)
		if err != nil || !held || taken {
			return err // a claim that was lost: another node has sent the same, or somebody paused it
		}
		if got.status == http.StatusGone || now.Sub(after.Failing) >= giveUp {
			return s.change(w, actor.ForSystem("webhook"), after, move{to: Paused, reason: after.LastError, action: "webhook.pause"})
		}
		return nil
	})
}

// answer is what a receiver did.
type answer struct {
	status int
	err    error // there was none
}

// String tells it in words that hold nothing of the receiver's own.
func (a answer) String() string {
	if a.err != nil {
		return "no answer"
	}
	return fmt.Sprintf("status %d", a.status)
}

// Try sends a message without events at once and returns the status of the answer. Only a business administrator may.
func (s *Service) Try(ctx context.Context, by actor.Actor, id string) (int, error) {
	if err := by.Require(actor.RoleBusinessAdmin); err != nil {
		return 0, err
	}
	sub, err := s.Subscription(ctx, by, id)
	if err != nil {
		return 0, err
	}
	if sub.State == Ended {
		return 0, ErrState.With("subscription %s is %s", id, sub.State)
	}
	m := Message{Subscription: sub.ID, Delivery: rand.Text(), Sent: s.Now().UTC().Truncate(time.Millisecond), First: sub.Next, Next: sub.Next, Events: []Event{}}
	l, err := s.seal(ctx, m)
	if err != nil {
		return 0, err
	}
	status, err := s.post(ctx, sub.URL, l)
	if err != nil {
		return 0, ErrReceiver.With("trial of subscription %s: %w", id, err)
	}
	if status/100 != 2 {
		return status, ErrReceiver.With("trial of subscription %s: status %d", id, status)
	}
	return status, nil
}
