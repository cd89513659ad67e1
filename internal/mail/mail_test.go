package mail_test

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"math/big"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"hufu/internal/mail"
)

var now = time.Date(2026, 9, 1, 8, 0, 0, 0, time.UTC)

// server is an SMTP server of one page: it offers STARTTLS or not, keeps what it is told, and may fall silent.
type server struct {
	net.Listener
	roots  *x509.CertPool
	offers bool
	silent atomic.Bool
	mu     sync.Mutex
	heard  []string
	secure bool
}

func newServer(t *testing.T, offers bool) *server {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &server{Listener: l, roots: x509.NewCertPool(), offers: offers}
	s.roots.AddCert(cert)
	t.Cleanup(func() { l.Close() })
	config := &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go s.talk(conn, config)
		}
	}()
	return s
}

func (s *server) talk(conn net.Conn, config *tls.Config) {
	defer func() { conn.Close() }()
	if s.silent.Load() {
		time.Sleep(time.Second)
		return
	}
	in := bufio.NewReader(conn)
	say := func(text string) { conn.Write([]byte(text + "\r\n")) }
	say("220 ready")
	body := false
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimRight(line, "\r\n")
		s.mu.Lock()
		s.heard = append(s.heard, line)
		s.mu.Unlock()
		switch verb, _, _ := strings.Cut(line, " "); {
		case body && line == ".":
			body = false
			say("250 taken")
		case body:
		case verb == "EHLO" && s.offers && !s.secure:
			say("250-here\r\n250 STARTTLS")
		case verb == "EHLO":
			say("250-here\r\n250 AUTH PLAIN")
		case verb == "STARTTLS":
			say("220 go")
			secured := tls.Server(conn, config)
			conn, in = secured, bufio.NewReader(secured)
			s.secure = true
		case verb == "AUTH":
			say("235 known")
		case verb == "DATA":
			body = true
			say("354 go on")
		case verb == "QUIT":
			say("221 bye")
			return
		default:
			say("250 ok")
		}
	}
}

func (s *server) said() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.heard, "\n")
}

func sender(t *testing.T, c mail.Config) *mail.Sender {
	t.Helper()
	c.From, c.Now = "虎符 <no-reply@example.com>", func() time.Time { return now }
	s, err := mail.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

var letter = mail.Mail{ID: "abc-7", To: "wang@example.com", Subject: "证书即将到期 / expiring", Text: strings.Repeat("您好。\n.\n", 40)}

func TestPasswordsAndMailsGoOverTLS(t *testing.T) {
	safe := newServer(t, true)
	s := sender(t, mail.Config{Server: safe.Addr().String(), Username: "hufu", Password: "secret", Roots: safe.roots})
	if err := s.Send(t.Context(), letter); err != nil {
		t.Fatal(err)
	}
	said := safe.said()
	if !safe.secure || !strings.Contains(said, "AUTH PLAIN") || !strings.Contains(said, "RCPT TO:<wang@example.com>") ||
		!strings.Contains(said, "Message-ID: <abc-7@example.com>") || strings.Contains(said, "您好") {
		t.Errorf("secure %v:\n%s", safe.secure, said)
	}
	for line := range strings.SplitSeq(said, "\n") {
		if len(line) > 998 {
			t.Errorf("a line of %d octets", len(line))
		}
	}
	// A server whose certificate nobody vouches for gets nothing.
	strange := newServer(t, true)
	if err := sender(t, mail.Config{Server: strange.Addr().String()}).Send(t.Context(), letter); err == nil || strings.Contains(strange.said(), "RCPT") {
		t.Errorf("%v: %s", err, strange.said())
	}
	// No STARTTLS: a loopback server gets the mail and never the password.
	clear := newServer(t, false)
	if err := sender(t, mail.Config{Server: clear.Addr().String(), Username: "hufu", Password: "secret"}).Send(t.Context(), letter); err == nil {
		t.Error("the password went in clear")
	}
	if err := sender(t, mail.Config{Server: clear.Addr().String()}).Send(t.Context(), letter); err != nil {
		t.Error(err)
	}
	if strings.Contains(clear.said(), "AUTH") {
		t.Error(clear.said())
	}
}

func TestHeadersCannotBeSlippedIn(t *testing.T) {
	s := sender(t, mail.Config{Server: "127.0.0.1:1"})
	for _, change := range []func(*mail.Mail){
		func(m *mail.Mail) { m.To = "a@b.c\r\nBcc: x@y.z" },
		func(m *mail.Mail) { m.To = "a@b.c, x@y.z" },
		func(m *mail.Mail) { m.To = "" },
		func(m *mail.Mail) { m.Subject = "x\nBcc: x@y.z" },
		func(m *mail.Mail) { m.Subject = "x\x00" },
		func(m *mail.Mail) { m.ID = "x>\r\nBcc: x@y.z" },
		func(m *mail.Mail) { m.ID = "" },
	} {
		m := letter
		change(&m)
		if err := s.Send(t.Context(), m); !errors.Is(err, mail.ErrMail) {
			t.Errorf("%+v: %v", m, err)
		}
	}
}

func TestASilentServerIsLeft(t *testing.T) {
	silent := newServer(t, false)
	silent.silent.Store(true)
	s := sender(t, mail.Config{Server: silent.Addr().String(), Timeout: 50 * time.Millisecond})
	begun := time.Now()
	if err := s.Send(t.Context(), letter); err == nil || time.Since(begun) > 800*time.Millisecond {
		t.Errorf("%v after %s", err, time.Since(begun))
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := sender(t, mail.Config{Server: silent.Addr().String()}).Send(ctx, letter); err == nil {
		t.Error("sent after the caller gave up")
	}
}

func TestSettings(t *testing.T) {
	clock := func() time.Time { return now }
	for name, c := range map[string]mail.Config{
		"no port":     {Server: "mail.example.com", From: "a@b.c", Now: clock},
		"no address":  {Server: "mail.example.com:587", From: "nobody", Now: clock},
		"line end":    {Server: "mail.example.com:587", From: "a@b.c\r\nX: y", Now: clock},
		"no password": {Server: "mail.example.com:587", From: "a@b.c", Username: "x", Now: clock},
		"no clock":    {Server: "mail.example.com:587", From: "a@b.c"},
	} {
		if _, err := mail.New(c); !errors.Is(err, mail.ErrConfig) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
