package main

import (
	"context"
	"os"
	"slices"
	"strings"

	"hufu/ca"
	"hufu/identity"
	"hufu/internal/actor"
	"hufu/internal/fault"
	"hufu/internal/mail"
	"hufu/sandbox"
)

// Mail is how reminders go out. Without a server none do.
type Mail struct {
	// Server is host:port of an SMTP server: port 465 is TLS from the first octet, any other STARTTLS.
	Server string `yaml:"server,omitempty"`
	// From is the sender's address, or "Name <address>".
	From string `yaml:"from,omitempty"`
	// Username logs in with the password, one line, of the file PasswordFile, readable by its owner alone.
	Username     string `yaml:"username,omitempty"`
	PasswordFile string `yaml:"password_file,omitempty"`
}

// check tells what is wrong before anything is opened.
func (m Mail) check() error {
	if m.Server == "" && (m.From != "" || m.Username != "" || m.PasswordFile != "") {
		return errConfig.With("mail needs a server")
	}
	if (m.Username == "") != (m.PasswordFile == "") {
		return errConfig.With("mail needs both username and password_file, or neither")
	}
	return nil
}

// password reads the file; "" without one.
func (m Mail) password() (string, error) {
	if m.PasswordFile == "" {
		return "", nil
	}
	info, err := os.Stat(m.PasswordFile)
	if err != nil {
		return "", errConfig.With("mail password_file: %w", err)
	}
	if info.Mode().IsRegular() && info.Mode().Perm()&0o077 != 0 {
		return "", errConfig.With("mail password_file %s has mode %o; make it 0600", m.PasswordFile, info.Mode().Perm())
	}
	text, err := readSmall(m.PasswordFile)
	if err != nil {
		return "", errConfig.With("mail password_file: %w", err)
	}
	return strings.TrimRight(string(text), "\r\n"), nil
}

// mailer is the authority's way to send mail.
type mailer struct{ *mail.Sender }

func (m mailer) Send(ctx context.Context, l ca.Mail) error {
	return m.Sender.Send(ctx, mail.Mail{ID: l.ID, To: l.To, Subject: l.Subject, Text: l.Text})
}

// openMail returns how mail goes out, nil without a server. A demonstration without one has an inbox that shows what would be sent.
func (s *server) openMail(o openOptions) (ca.Mailer, error) {
	c := s.cfg.Mail
	if c.Server == "" && o.demo {
		inbox, err := sandbox.NewInbox(s.now)
		if err != nil {
			return nil, err
		}
		s.onClose(inbox.Close)
		s.inbox, c.Server, c.From = inbox, inbox.Address(), "虎符 Hufu <no-reply@example.com>"
	}
	if c.Server == "" {
		return nil, nil
	}
	password, err := c.password()
	if err != nil {
		return nil, err
	}
	sender, err := mail.New(mail.Config{Server: c.Server, From: c.From, Username: c.Username, Password: password, Now: s.now})
	if err != nil {
		return nil, err
	}
	return mailer{sender}, nil
}

// people tells the authority who may act, and where mail goes. An actor may have been kept for long, with the maker of an enrolment
// secret, so the roles are looked at too.
type people struct{ *identity.Service }

func (p people) MayAct(ctx context.Context, by actor.Actor) error {
	_, err := p.Act(ctx, by, identity.Capacity{Kind: identity.Kind(by.Capacity), For: by.For})
	if err != nil || len(by.Roles) == 0 {
		return err
	}
	all, err := p.Capacities(ctx, by.Subject)
	if err != nil {
		return err
	}
	for _, c := range all { // one may hold several posts in one place
		now := actor.Actor{Roles: c.Roles}
		lacks := func(r actor.Role) bool { return !now.Is(r) }
		if c.Kind == identity.Kind(by.Capacity) && c.For == by.For && !slices.ContainsFunc(by.Roles, lacks) {
			return nil
		}
	}
	return actor.ErrRole.With("%s no longer holds %v", by, by.Roles)
}

// Address has none for holders that are not active: they hear of it when they come back.
func (p people) Address(ctx context.Context, holder string) (string, error) {
	_, email, err := p.Contact(ctx, holder)
	switch fault.KindOf(err) {
	case fault.NotFound, fault.Denied, fault.Conflict:
		return "", nil
	}
	return email.Reveal(), err
}
