package ca_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"hufu/ca"
	"hufu/certs"
	"hufu/internal/actor"
)

// post keeps mails, or fails.
type post struct {
	sent []ca.Mail
	err  error
}

func (p *post) Send(_ context.Context, m ca.Mail) error {
	if p.err != nil {
		return p.err
	}
	p.sent = append(p.sent, m)
	return nil
}

// deliver does the waiting reminder jobs as the server does, and returns how many there were.
func (w *world) deliver() (n int) {
	w.t.Helper()
	for {
		job, err := w.db.ClaimJob(w.t.Context())
		w.must(err)
		if job == nil {
			return n
		}
		if job.Kind == ca.JobReminder {
			n++
			w.must(w.SendReminder(w.t.Context(), job.Key))
		}
		w.must(w.db.FinishJob(w.t.Context(), job))
	}
}

func TestHoldersAreRemindedOnceForEachThreshold(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		mailbox := &post{}
		w.People, w.Mailer = people{}, mailbox
		_, app := w.issued()
		end := w.chain(app.Certificates[0])[0].NotAfter
		_, gone := w.issued()
		w.must(w.Revoke(t.Context(), w.citizen, serialOf(t, gone), certs.ReasonSuperseded, time.Time{}))
		remind := func() {
			t.Helper()
			if _, err := w.Remind(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		remind()
		for i, days := range []int{31, 30, 29, 8, 7, 6, 2, 1} {
			w.now = end.AddDate(0, 0, -days)
			remind()
			remind()
			w.deliver()
			if want := []int{0, 1, 1, 1, 2, 2, 2, 3}[i]; len(mailbox.sent) != want {
				t.Fatalf("%d days before the end: %d mails, want %d", days, len(mailbox.sent), want)
			}
		}
		m := mailbox.sent[0]
		if m.To != "wang@example.com" || !strings.Contains(m.Text, app.Certificates[0]) || !strings.Contains(m.Text, "个人签名证书") ||
			strings.Contains(m.Text+m.Subject, "110101") || m.ID == mailbox.sent[1].ID {
			t.Errorf("%+v", m)
		}
		w.now = start // the clock goes back, and on again
		remind()
		w.now = end.AddDate(0, 0, -1)
		remind()
		if n := w.deliver(); n != 0 {
			t.Errorf("%d mails again", n)
		}
	})
}

func TestAServerThatStoodStillRemindsOnce(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		mailbox := &post{}
		w.People, w.Mailer = people{}, mailbox
		_, app := w.issued()
		key, replaced := w.issued()
		_, fresh := newCSR(t)
		if _, err := w.Renew(t.Context(), w.citizen, w.replacement(key, serialOf(t, replaced), ca.ActRekey, fresh)); err != nil {
			t.Fatal(err)
		}
		w.now = w.chain(app.Certificates[0])[0].NotAfter.AddDate(0, 0, -5)
		if n, err := w.Remind(t.Context()); n != 1 || err != nil {
			t.Errorf("after a long pause %d mails, %v; the one that is replaced needs none", n, err)
		}
		// What was revoked after the mail was enqueued is not written about.
		w.must(w.Revoke(t.Context(), w.citizen, serialOf(t, app), certs.ReasonSuperseded, time.Time{}))
		if w.deliver(); len(mailbox.sent) != 0 {
			t.Errorf("%+v", mailbox.sent)
		}
	})
}

// TestCrashesOfReminders breaks the round and the sending at each step: no mail is lost, and none is sent twice but with the same
// ID, after the mail server's answer was lost.
func TestCrashesOfReminders(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		mailbox := &post{}
		reopen := func() { w.open(); w.People, w.Mailer = people{}, mailbox }
		reopen()
		_, app := w.issued()
		key := app.Certificates[0] + "/30"
		w.now = w.chain(app.Certificates[0])[0].NotAfter.AddDate(0, 0, -30)
		for _, n := range []int{1, 2, 3} {
			for _, before := range []bool{true, false} {
				w.store.failAt(n, before)
				_, _ = w.Remind(t.Context()) // each number of days has a transaction of its own
				reopen()
			}
		}
		w.store.failAt(0, false)
		if _, err := w.Remind(t.Context()); err != nil {
			t.Fatal(err)
		}
		mailbox.err = errCrash
		if err := w.SendReminder(t.Context(), key); !errors.Is(err, errCrash) {
			t.Errorf("the mail server is down: %v", err)
		}
		mailbox.err = nil
		w.store.failAt(1, true) // sent, and not noted
		if err := w.SendReminder(t.Context(), key); !errors.Is(err, errCrash) {
			t.Fatal(err)
		}
		reopen()
		if n := w.deliver(); n != 1 {
			t.Errorf("%d jobs", n)
		}
		w.must(w.SendReminder(t.Context(), key))
		if len(mailbox.sent) != 2 || mailbox.sent[0] != mailbox.sent[1] {
			t.Errorf("%+v", mailbox.sent)
		}
	})
}

func TestHoldersMayRefuseReminders(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.People, w.Mailer = people{}, &post{}
		_, app := w.issued()
		if err := w.RefuseReminders(t.Context(), actor.Actor{Subject: "p2", Capacity: actor.Person}, "p1", true); !errors.Is(err, ca.ErrNotHolder) {
			t.Errorf("a stranger: %v", err)
		}
		w.must(w.RefuseReminders(t.Context(), w.citizen, "p1", true))
		w.now = w.chain(app.Certificates[0])[0].NotAfter.AddDate(0, 0, -30)
		if n, err := w.Remind(t.Context()); n != 0 || err != nil {
			t.Errorf("%d mails to who wants none, %v", n, err)
		}
		w.must(w.RefuseReminders(t.Context(), w.citizen, "p1", false))
		w.now = w.now.AddDate(0, 0, 23)
		if n, err := w.Remind(t.Context()); n != 1 || err != nil {
			t.Errorf("%d mails to who wants them again, %v", n, err)
		}
	})
}
