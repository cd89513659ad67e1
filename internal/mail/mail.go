package mail

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/mail"
	"net/smtp"
	"strings"
	"time"

	"hufu/internal/fault"
)

// ErrConfig refuses settings that cannot send.
var ErrConfig = fault.New(fault.Invalid, "mail.config",
	"The settings for mail are not usable. Correct the field named.", "邮件设置不可用，请更正所指字段。")

// Config is how mails go out.
type Config struct {
	Server   string         // host:port; port 465 is TLS from the first octet, any other STARTTLS
	From     string         // address, or "Name <address>"
	Username string         // optional
	Password string         // with Username; sent only over TLS
	Roots    *x509.CertPool // who may vouch for the server; nil: the system's
	Timeout  time.Duration  // for a whole mail; optional: 30 s
	Now      func() time.Time
}

// Mail is a message to one address.
type Mail struct {
	ID      string // tells this mail from all others: letters, digits, - and .
	To      string
	Subject string
	Text    string // lines end in \n
}

// Sender sends mails. It is safe for concurrent use.
type Sender struct {
	Config
	host  string
	from  *mail.Address
	plain bool // loopback: no TLS is needed
}

// New checks the settings; it does not call the server.
func New(c Config) (*Sender, error) {
	host, port, err := net.SplitHostPort(c.Server)
	if err != nil || host == "" || port == "" {
		return nil, ErrConfig.With("server %q is not host:port", c.Server)
	}
	from, err := mail.ParseAddress(c.From)
	if err != nil || clean(c.From) != nil {
		return nil, ErrConfig.With("from %q is no address", c.From)
	}
	if (c.Username == "") != (c.Password == "") || c.Now == nil {
		return nil, ErrConfig.With("username, password and clock go together")
	}
	if c.Timeout <= 0 {
		c.Timeout = 30 * time.Second
	}
	ip := net.ParseIP(host)
	return &Sender{Config: c, host: host, from: from, plain: host == "localhost" || ip != nil && ip.IsLoopback()}, nil
}

// Send hands a mail to the server.
func (s *Sender) Send(ctx context.Context, m Mail) error {
	text, to, err := s.compose(m)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, s.Timeout)
	defer cancel()
	if err := s.send(ctx, to, text); err != nil {
		return fmt.Errorf("mail by %s: %w", s.Server, err)
	}
	return nil
}

func (s *Sender) send(ctx context.Context, to string, text []byte) error {
	conn, err := s.dial(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	deadline, _ := ctx.Deadline()
	if err := conn.SetDeadline(deadline); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() }) // also when the caller gives up before
	defer stop()
	client, err := smtp.NewClient(conn, s.host)
	if err != nil {
		return err
	}
	defer client.Close()
	if err := s.secure(client); err != nil {
		return err
	}
	if err := client.Mail(s.from.Address); err != nil {
		return err
	}
	if err := client.Rcpt(to); err != nil {
		return err
	}
	body, err := client.Data()
	if err != nil {
		return err
	}
	if _, err := body.Write(text); err != nil {
		return err
	}
	if err := body.Close(); err != nil { // here the server takes the mail
		return err
	}
	_ = client.Quit() // the mail is taken; how the talk ends does not matter
	return nil
}

func (s *Sender) tls() *tls.Config {
	return &tls.Config{ServerName: s.host, RootCAs: s.Roots, MinVersion: tls.VersionTLS12}
}

func (s *Sender) dial(ctx context.Context) (net.Conn, error) {
	if strings.HasSuffix(s.Server, ":465") {
		return (&tls.Dialer{Config: s.tls()}).DialContext(ctx, "tcp", s.Server)
	}
	return (&net.Dialer{}).DialContext(ctx, "tcp", s.Server)
}

var (
	errClear = errors.New("the server offers no STARTTLS, and nothing is sent in clear")
	errLogin = errors.New("the password is not sent in clear")
)

// secure makes the connection an encrypted one and logs in.
func (s *Sender) secure(client *smtp.Client) error {
	_, safe := client.TLSConnectionState()
	if offered, _ := client.Extension("STARTTLS"); !safe && offered {
		if err := client.StartTLS(s.tls()); err != nil {
			return err
		}
		safe = true
	}
	if !safe && !s.plain {
		return errClear
	}
	if s.Username == "" {
		return nil
	}
	if !safe {
		return errLogin
	}
	return client.Auth(smtp.PlainAuth("", s.Username, s.Password, s.host))
}
