package ca

import (
	"context"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"hufu/audit"
	"hufu/internal/actor"
)

// JobReminder is the kind of the durable job that sends one mail; its key is the serial, hexadecimal, a slash and the days.
const JobReminder = "ca.reminder"

// Mail is a message to one address. ID is the same each time the same mail is tried.
type Mail struct {
	ID      string
	To      string
	Subject string
	Text    string
}

// Mailer sends mails.
type Mailer interface {
	Send(ctx context.Context, m Mail) error
}

// remindPage is how many certificates are looked at in one transaction.
const remindPage = 200

// Remind finds the certificates that come near their end: for each number of days that a profile names, those that have passed
// it since the last round. Each is recorded (certificate.expiring, which subscribers of events get) and gets one mail, ever. It is run each hour; run again after a
// crash it goes on where it stopped. It returns how many mails it enqueued.
func (a *Authority) Remind(ctx context.Context) (mails int, err error) {
	for _, days := range a.thresholds() {
		for more := true; more; {
			var n int
			err := a.Store.Update(ctx, func(w W) (err error) {
				n, more, err = a.remindPage(w, days)
				return err
			})
			if err != nil {
				return mails, fmt.Errorf("remind of what ends in %d days: %w", days, err)
			}
			mails += n
		}
	}
	return mails, nil
}

// thresholds are all numbers of days at which some profile reminds.
func (a *Authority) thresholds() (all []int) {
	for _, p := range a.ProfilesInForce() {
		if p.reminds() {
			all = append(all, p.Reminders()...)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// reminds tells whether the profile's holders get mail: not for encryption certificates, which follow their signing one, and not
// for what the house makes for itself.
func (p *Profile) reminds() bool {
	return p.KeyFrom != "kmc" && slices.Contains([]HolderKind{HolderPerson, HolderEntity, HolderOfficial}, p.Holder)
}

func (a *Authority) remindPage(w W, days int) (mails int, more bool, err error) {
	now := a.Now().UTC()
	until := now.AddDate(0, 0, days)
	from, err := w.ReminderPosition(days)
	if err != nil {
		return 0, false, err
	}
	if from.NotAfter.Before(now) {
		from = EndPosition{NotAfter: now}
	}
	page, err := w.EndingCertificates(from, until, remindPage)
	if err != nil {
		return 0, false, err
	}
	next := EndPosition{NotAfter: until, Serial: []byte{0xff}} // behind all serials of that moment: ours begin with 01 to 7F
	for _, f := range page {
		next = EndPosition{f.NotAfter, f.Serial}
		enqueued, err := a.remind(w, f, days, now)
		if err != nil {
			return 0, false, err
		}
		if enqueued {
			mails++
		}
	}
	more = len(page) == remindPage
	if !more {
		next = EndPosition{NotAfter: until, Serial: []byte{0xff}}
	}
	if next.NotAfter.Before(from.NotAfter) {
		return mails, false, nil // the clock went back
	}
	return mails, more, w.SetReminderPosition(days, next)
}

// remind enqueues the mail about one certificate, unless there is nothing to say: it is revoked, held or replaced, the holder wants
// no mail, or a smaller number of days has come as well, after the server stood still, and says it better.
func (a *Authority) remind(w W, f Found, days int, now time.Time) (bool, error) {
	p := a.profile(f.Profile)
	if p == nil || !p.reminds() || f.Status != nil || !slices.Contains(p.Reminders(), days) {
		return false, nil
	}
	for _, nearer := range p.Reminders() {
		if nearer < days && !f.NotAfter.After(now.AddDate(0, 0, nearer)) {
			return false, nil
		}
	}
	if _, err := w.Successor(hex.EncodeToString(f.Serial)); !isUnknown(err) {
		return false, err
	}
	first, err := w.AddReminder(f.Serial, days, now)
	if err != nil || !first {
		return false, err
	}
	if err := w.Record(audit.Entry{
		At: now, Actor: actor.ForSystem("reminders"), Action: "certificate.expiring",
		Object: audit.Object{Kind: "certificate", ID: hex.EncodeToString(f.Serial)},
		Public: map[string]string{"issuer": f.Issuer, "days": strconv.Itoa(days), "not_after": f.NotAfter.Format(time.RFC3339)},
	}); err != nil {
		return false, err
	}
	if refused, err := w.RefusesReminders(f.Holder); err != nil || refused {
		return false, err
	}
	return true, w.Enqueue(JobReminder, hex.EncodeToString(f.Serial)+"/"+strconv.Itoa(days), nil, time.Time{})
}

// SendReminder does JobReminder. The address is looked up now; a holder without one, or one who may not act, gets none. What has
// been sent is not sent again, but where the mail server's answer was lost: then the second mail has the same ID.
func (a *Authority) SendReminder(ctx context.Context, key string) error {
	serial, days, err := reminderKey(key)
	if err != nil {
		return err
	}
	var f Found
	var due bool
	if err := a.Store.View(ctx, func(r R) (err error) {
		f, due, err = reminderDue(r, serial, days)
		return err
	}); err != nil {
		return fmt.Errorf("reminder %s: %w", key, err)
	}
	p := a.profile(f.Profile)
	if !due || p == nil || a.Mailer == nil || a.People == nil || !f.NotAfter.After(a.Now()) {
		return nil
	}
	address, err := a.People.Address(ctx, f.Holder)
	if err != nil {
		return fmt.Errorf("reminder %s: %w", key, err)
	}
	if address != "" {
		m := a.reminder(f.Record, p)
		m.ID, m.To = "expiry-"+strings.ReplaceAll(key, "/", "-"), address
		if err := a.Mailer.Send(ctx, m); err != nil {
			return fmt.Errorf("reminder %s: %w", key, err)
		}
	}
	return a.Store.Update(ctx, func(w W) error { return w.SetReminded(serial, days, a.Now().UTC()) })
}

func reminderKey(key string) (serial []byte, days int, err error) {
	number, rest, ok := strings.Cut(key, "/")
	if serial, err = parseSerial(number); err != nil {
		return nil, 0, err
	}
	days, err = strconv.Atoi(rest)
	if !ok || err != nil {
		return nil, 0, ErrUnknown.With("reminder %q", key)
	}
	return serial, days, nil
}

// reminderDue tells whether the mail is still to be sent: meanwhile the certificate may have been revoked or replaced.
func reminderDue(r R, serial []byte, days int) (f Found, due bool, err error) {
	if f.Record, err = r.CertificateBySerial(serial); err != nil {
		return f, false, err
	}
	if due, err = r.ReminderDue(serial, days); err != nil || !due {
		return f, false, err
	}
	if _, err = r.Revocation(f.Issuer, serial); !isUnknown(err) {
		return f, false, err
	}
	_, err = r.Successor(hex.EncodeToString(serial))
	if !isUnknown(err) {
		return f, false, err
	}
	return f, true, nil
}

// reminder writes the mail: which certificate, until when, what to do. It holds neither name nor number of the holder.
func (a *Authority) reminder(c Record, p *Profile) Mail {
	serial, portal := hex.EncodeToString(c.Serial), strings.TrimSuffix(a.BaseURL, "/pki")
	beijing := c.NotAfter.In(time.FixedZone("UTC+8", 8*3600)).Format("2006-01-02 15:04")
	utc := c.NotAfter.UTC().Format("2006-01-02 15:04 MST")
	return Mail{
		Subject: fmt.Sprintf("证书将于 %s 到期 / Certificate ends %s", beijing[:10], utc[:10]),
		Text: fmt.Sprintf("您好：\n\n您的“%s”（序列号 %s）将于北京时间 %s 到期。\n请在到期前登录 %s 或到登记机构办理更新；到期后须重新申请。\n\n"+
			"Your certificate %q (serial %s) ends at %s.\nRenew it before, at %s or at the registration office; after that you have to apply again.\n", p.Title.ZH, serial, beijing, portal, p.Title.EN, serial, utc, portal),
	}
}

// RefuseReminders sets whether a holder gets mail before certificates end. The holder may, who represents the entity, and
// registration officers.
func (a *Authority) RefuseReminders(ctx context.Context, by actor.Actor, holder string, refuse bool) error {
	if err := a.standing(ctx, by); err != nil {
		return err
	}
	if by.Require(actor.RoleRegistrar, actor.RoleApprover) != nil && !a.holds(by, Record{Holder: holder}) {
		return ErrNotHolder.With("%s for holder %q", by, holder)
	}
	now := a.Now().UTC()
	return a.Store.Update(ctx, func(w W) error {
		if err := w.RefuseReminders(holder, refuse, now); err != nil {
			return err
		}
		return w.Record(audit.Entry{
			At: now, Actor: by, Action: "reminder.refuse", Object: audit.Object{Kind: "subject", ID: holder},
			Public: map[string]string{"refuse": strconv.FormatBool(refuse)},
		})
	})
}
