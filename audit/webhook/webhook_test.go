package webhook_test

import (
	"context"
	"crypto/ecdsa"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"hufu/audit"
	"hufu/audit/tree"
	"hufu/audit/webhook"
	"hufu/internal/actor"
	"hufu/internal/gm"
	"hufu/internal/outbound"
	"hufu/store"
	"hufu/store/storetest"
)

var (
	business = actor.Actor{Subject: "P-BUSINESS", Capacity: actor.Official, Roles: []actor.Role{actor.RoleBusinessAdmin}}
	auditor  = actor.Actor{Subject: "P-AUDIT", Capacity: actor.Official, Roles: []actor.Role{actor.RoleAuditAdmin}}
	citizen  = actor.Actor{Subject: "P-0", Capacity: actor.Person}
)

// world is a log that grows, a service that tells of it, and a receiver.
type world struct {
	*webhook.Service
	t         *testing.T
	db        *store.DB
	sequencer *audit.Sequencer
	key       *gm.PrivateKey
	receiver  *receiver

	mu  sync.Mutex
	now time.Time
}

// receiver is another system; it says what status is set to.
type receiver struct {
	*httptest.Server
	mu     sync.Mutex
	status int
	got    []webhook.Message
	wrong  []string // messages that it would have refused
}

func (r *receiver) say(status int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.status = status
}

func (r *receiver) events() (all []webhook.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, m := range r.got {
		all = append(all, m.Events...)
	}
	return all
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) later(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

func each(t *testing.T, f func(t *testing.T, w *world)) {
	t.Helper()
	w := &world{}
	storetest.EachWith(t, store.Options{Now: w.clock}, func(t *testing.T, db *store.DB) {
		w.t, w.db, w.now = t, db, time.Date(2026, 11, 1, 8, 0, 0, 0, time.UTC)
		var err error
		if w.key, err = gm.GenerateKey(); err != nil {
			t.Fatal(err)
		}
		logKey, err := tree.NewKey("ca.example.cn/log", tree.Log, w.key.Public())
		if err != nil {
			t.Fatal(err)
		}
		w.sequencer, err = audit.NewSequencer(audit.SequencerConfig{Store: db.Audit(), Key: logKey, Signer: w.key, Holder: "n1", Now: w.clock})
		if err != nil {
			t.Fatal(err)
		}
		w.receive()
		w.Service, err = webhook.New(webhook.Config{
			Store: db.Webhooks(), Sign: w.sign, HTTP: outbound.NewClient(outbound.Options{Allow: outbound.Loopback()}), Now: w.clock,
		})
		if err != nil {
			t.Fatal(err)
		}
		f(t, w)
	})
}

func (w *world) sign(_ context.Context, message []byte) ([]byte, string, error) {
	sig, err := w.key.Sign(nil, message, gm.Message)
	return sig, hex.EncodeToString([]byte("key")), err
}

// receive starts a receiver that judges each message as its author should: signature, age.
func (w *world) receive() {
	r := &receiver{status: http.StatusOK}
	r.Server = httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, q *http.Request) {
		body, err := io.ReadAll(q.Body)
		var m webhook.Message
		if err == nil {
			err = json.Unmarshal(body, &m)
		}
		sig, err2 := base64.StdEncoding.DecodeString(q.Header.Get(webhook.HeaderSignature))
		r.mu.Lock()
		defer r.mu.Unlock()
		if err := errors.Join(err, err2); err != nil || !gm.Verify(w.key.Public().(*ecdsa.PublicKey), body, sig) || w.clock().Sub(m.Sent).Abs() > time.Minute {
			r.wrong = append(r.wrong, fmt.Sprint(err))
		}
		if r.status/100 == 2 {
			r.got = append(r.got, m)
		}
		out.WriteHeader(r.status)
		fmt.Fprint(out, "secret words of the receiver")
	}))
	w.t.Cleanup(func() {
		r.Close()
		for _, wrong := range r.wrong {
			w.t.Errorf("a message that a careful receiver refuses: %s", wrong)
		}
	})
	w.receiver = r
}

// record writes n entries under an action, and signs the log.
func (w *world) record(action string, n int) {
	w.t.Helper()
	err := w.db.Audit().Update(w.t.Context(), func(a audit.W) error {
		for i := range n {
			if err := a.Record(audit.Entry{
				Actor: citizen, Action: action, Object: audit.Object{Kind: "certificate", ID: fmt.Sprintf("%02x", i)}, Public: map[string]string{"profile": "person-sign"},
			}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.grow()
}

func (w *world) grow() {
	w.t.Helper()
	for range 20 {
		more, err := w.sequencer.Round(w.t.Context())
		if err != nil {
			w.t.Fatal(err)
		}
		if !more {
			return
		}
	}
}

func (w *world) subscribe(o webhook.Order) webhook.Subscription {
	w.t.Helper()
	if o.URL == "" {
		o.URL = w.receiver.URL
	}
	o.Name = "办件系统"
	s, err := w.Subscribe(w.t.Context(), business, o)
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

// rounds delivers until nothing is due, at most twenty times.
func (w *world) rounds() {
	w.t.Helper()
	for range 20 {
		more, err := w.Round(w.t.Context())
		if err != nil {
			w.t.Fatal(err)
		}
		if !more {
			return
		}
		w.later(time.Millisecond)
	}
}

func (w *world) look(id string) webhook.Subscription {
	w.t.Helper()
	s, err := w.Subscription(w.t.Context(), auditor, id)
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

func TestWhatTheLogRecordsIsToldInOrder(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.record("certificate.issue", 3) // before: not asked for
		s := w.subscribe(webhook.Order{Actions: []string{"certificate."}})
		w.record("seal.use", 2)
		w.record("certificate.issue", 450)
		w.record("certificate.revoke", 1)
		w.rounds()
		events := w.receiver.events()
		if len(events) != 451 {
			t.Fatalf("%d events, want 451", len(events))
		}
		for i, e := range events[1:] {
			if e.Index <= events[i].Index {
				t.Fatalf("entry %d after entry %d", e.Index, events[i].Index)
			}
		}
		if last := events[450]; last.Action != "certificate.revoke" || last.Public["profile"] != "person-sign" || last.Object.Kind != "certificate" {
			t.Errorf("last event %+v", last)
		}
		if got := w.look(s.ID); got.Sent != 451 || got.Tries != 0 || got.LastSent.IsZero() {
			t.Errorf("subscription %+v", got)
		}
		all := w.subscribe(webhook.Order{FromStart: true})
		before := len(w.receiver.events())
		w.rounds()
		if got := len(w.receiver.events()) - before; got < 456 {
			t.Errorf("from the start: %d events", got)
		}
		if w.look(all.ID).Next < 456 {
			t.Errorf("cursor at %d", w.look(all.ID).Next)
		}
	})
}

func TestNothingIsLostWhileTheReceiverIsAway(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		s := w.subscribe(webhook.Order{Actions: []string{"certificate.issue"}})
		w.receiver.say(http.StatusInternalServerError)
		w.record("certificate.issue", 2)
		w.rounds()
		got := w.look(s.ID)
		if got.Tries != 1 || got.LastError != "status 500" || !got.NotBefore.After(w.clock()) || got.Next != s.Next {
			t.Fatalf("after a refusal: %+v", got)
		}
		for range 5 {
			w.later(time.Hour)
			w.rounds()
		}
		if got = w.look(s.ID); got.Tries != 6 || strings.Contains(fmt.Sprint(got), "secret") {
			t.Errorf("after six: %+v", got)
		}
		w.record("certificate.issue", 1)
		w.receiver.say(http.StatusNoContent)
		w.later(time.Hour)
		w.rounds()
		if n := len(w.receiver.events()); n != 3 {
			t.Errorf("%d events came, want 3", n)
		}
		if got = w.look(s.ID); got.Tries != 0 || !got.Failing.IsZero() || got.LastError != "" {
			t.Errorf("after success: %+v", got)
		}
	})
}

func TestAReceiverThatIsGoneIsLeftAlone(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		gone := w.subscribe(webhook.Order{})
		w.receiver.say(http.StatusGone)
		w.record("certificate.issue", 1)
		w.rounds()
		if got := w.look(gone.ID); got.State != webhook.Paused || got.Reason != "status 410" {
			t.Errorf("after 410: %+v", got)
		}
		dead := w.subscribe(webhook.Order{URL: "http://127.0.0.1:1/"})
		w.record("certificate.issue", 1)
		for range 200 { // a pause of at most an hour each
			w.rounds()
			w.later(time.Hour)
		}
		if got := w.look(dead.ID); got.State != webhook.Paused || got.LastError != "no answer" {
			t.Errorf("after a week: %+v", got)
		}
		w.receiver.say(http.StatusOK)
		if err := w.Resume(t.Context(), business, gone.ID); err != nil {
			t.Fatal(err)
		}
		w.rounds()
		if n := len(w.receiver.events()); n == 0 {
			t.Error("nothing came after it was resumed")
		}
	})
}

func TestACrashSendsTwiceRatherThanNever(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		s := w.subscribe(webhook.Order{Actions: []string{"certificate.issue"}})
		w.record("certificate.issue", 1)
		dying := *w.Service
		dying.Store = dies{w.db.Webhooks()}
		if _, err := dying.Round(t.Context()); !errors.Is(err, errDead) {
			t.Fatalf("the store lived: %v", err)
		}
		if n := len(w.receiver.events()); n != 1 {
			t.Fatalf("%d events before the crash", n)
		}
		w.rounds()
		if n := len(w.receiver.events()); n != 1 {
			t.Errorf("the dead node's claim was taken at once: %d events", n)
		}
		w.later(2 * time.Minute)
		w.rounds()
		if n := len(w.receiver.events()); n != 2 {
			t.Errorf("%d events after the claim ended, want 2", n)
		}
		if got := w.look(s.ID); got.Sent != 1 || got.Next != s.Next+2 { // the record of the subscription itself stands between
			t.Errorf("subscription %+v, began at %d", got, s.Next)
		}
	})
}

var errDead = errors.New("the node died")

// dies is a store that never learns what the receiver said.
type dies struct{ webhook.Store }

func (d dies) Update(ctx context.Context, f func(webhook.W) error) error {
	return d.Store.Update(ctx, func(w webhook.W) error { return f(dying{w}) })
}

type dying struct{ webhook.W }

func (dying) Advance(webhook.Subscription) (bool, error) { return false, errDead }

func TestTwoNodesSendOnce(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.subscribe(webhook.Order{Actions: []string{"certificate.issue"}})
		w.record("certificate.issue", 20)
		var both sync.WaitGroup
		for range 4 {
			both.Go(func() { _, _ = w.Round(t.Context()) })
		}
		both.Wait()
		if n := len(w.receiver.events()); n != 20 {
			t.Errorf("%d events, want 20", n)
		}
	})
}

func TestWhoMaySubscribeAndWhereTo(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		good := webhook.Order{Name: "n", URL: "https://bureau.example.cn/hook"}
		for _, by := range []actor.Actor{{}, citizen, auditor} {
			if _, err := w.Subscribe(ctx, by, good); err == nil {
				t.Errorf("%s subscribed", by)
			}
			if by.Subject != auditor.Subject {
				if _, err := w.Subscriptions(ctx, by); err == nil {
					t.Errorf("%s lists", by)
				}
			}
		}
		s := w.subscribe(webhook.Order{})
		for _, by := range []actor.Actor{{}, citizen, auditor} {
			_, err := w.Try(ctx, by, s.ID)
			if err == nil || w.Pause(ctx, by, s.ID, "") == nil || w.End(ctx, by, s.ID) == nil {
				t.Errorf("%s acts on a subscription", by)
			}
		}
		for _, address := range []string{
			"", "ftp://a/b", "http://bureau.example.cn/", "https://user:word@bureau.example.cn/", "https://", "https://a/#f", "javascript:alert(1)",
			"http://localhost.example.cn/", "https://a/" + strings.Repeat("x", 3000),
		} {
			if _, err := w.Subscribe(ctx, business, webhook.Order{Name: "n", URL: address}); !errors.Is(err, webhook.ErrAddress) {
				t.Errorf("address %.40q: %v", address, err)
			}
		}
		for _, o := range []webhook.Order{
			{URL: good.URL},
			{Name: "a\nb", URL: good.URL},
			{Name: "n", URL: good.URL, Actions: []string{"Certificate.issue"}},
			{Name: "n", URL: good.URL, Actions: []string{"x"}},
			{Name: "n", URL: good.URL, Actions: make([]string, 51)},
		} {
			if _, err := w.Subscribe(ctx, business, o); !errors.Is(err, webhook.ErrForm) {
				t.Errorf("%+v: %v", o, err)
			}
		}
		inner := w.subscribe(webhook.Order{URL: "https://10.1.2.3/"}) // a name may lead there too: the address is checked when it is called
		if _, err := w.Try(ctx, business, inner.ID); !errors.Is(err, webhook.ErrReceiver) || strings.Contains(err.Error(), "https://") {
			t.Errorf("an inner address: %v", err)
		}
		if status, err := w.Try(ctx, business, s.ID); err != nil || status != 200 {
			t.Errorf("trial: %d, %v", status, err)
		}
		if err := w.End(ctx, business, s.ID); err != nil {
			t.Fatal(err)
		}
		if err := w.Resume(ctx, business, s.ID); !errors.Is(err, webhook.ErrState) {
			t.Errorf("an ended subscription was resumed: %v", err)
		}
	})
}
