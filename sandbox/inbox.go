package sandbox

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"mime"
	"net"
	"net/mail"
	"net/textproto"
	"strings"
	"sync"
	"time"
)

// Letter is a mail that came in.
type Letter struct {
	ID      string
	From    string
	To      string
	Subject string
	Text    string
	At      time.Time
}

// maxLetters bounds what an inbox keeps; the oldest go first. maxLetter bounds one mail, octets.
const (
	maxLetters = 200
	maxLetter  = 256 << 10
)

// Inbox is an SMTP server on a loopback address that takes every mail and keeps it in memory, so that a developer sees what
// would be sent.
type Inbox struct {
	listener net.Listener
	now      func() time.Time
	work     sync.WaitGroup
	mu       sync.Mutex
	letters  []Letter
	open     map[net.Conn]bool
}

// NewInbox listens on a free port of the loopback address.
func NewInbox(now func() time.Time) (*Inbox, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("mail inbox: %w", err)
	}
	i := &Inbox{listener: l, now: now, open: map[net.Conn]bool{}}
	i.work.Go(i.serve)
	return i, nil
}

// Address is where to send, host:port.
func (i *Inbox) Address() string { return i.listener.Addr().String() }

// Close stops the inbox and its connections.
func (i *Inbox) Close() error {
	err := i.listener.Close()
	i.mu.Lock()
	for c := range i.open {
		c.Close()
	}
	i.mu.Unlock()
	i.work.Wait()
	return err
}

// Letters returns what came in, newest first.
func (i *Inbox) Letters() []Letter {
	i.mu.Lock()
	defer i.mu.Unlock()
	all := make([]Letter, 0, len(i.letters))
	for n := len(i.letters) - 1; n >= 0; n-- {
		all = append(all, i.letters[n])
	}
	return all
}

func (i *Inbox) serve() {
	for {
		conn, err := i.listener.Accept()
		if err != nil {
			return // closed
		}
		i.mu.Lock()
		i.open[conn] = true
		i.mu.Unlock()
		i.work.Go(func() {
			_ = conn.SetDeadline(time.Now().Add(time.Minute))
			i.talk(conn)
			conn.Close()
			i.mu.Lock()
			delete(i.open, conn)
			i.mu.Unlock()
		})
	}
}

// talk answers one client until it leaves or breaks the rules.
func (i *Inbox) talk(conn net.Conn) {
	say := func(line string) bool { _, err := io.WriteString(conn, line+"\r\n"); return err == nil }
	in := textproto.NewReader(bufio.NewReader(io.LimitReader(conn, 4*maxLetter)))
	ok := say("220 sandbox ESMTP")
	for ok {
		line, err := in.ReadLine()
		if err != nil {
			return
		}
		verb, _, _ := strings.Cut(strings.ToUpper(line), " ")
		switch verb {
		case "EHLO", "HELO", "MAIL", "RCPT", "RSET", "NOOP":
			ok = say("250 ok")
		case "DATA":
			ok = say("354 go on") && i.data(in, say)
		case "QUIT":
			say("221 bye")
			return
		default:
			ok = say("502 not here")
		}
	}
}

func (i *Inbox) data(in *textproto.Reader, say func(string) bool) bool {
	text, err := io.ReadAll(io.LimitReader(in.DotReader(), maxLetter+1))
	if err != nil || len(text) > maxLetter {
		return false
	}
	letter, err := readLetter(text)
	if err != nil {
		return say("554 not a mail")
	}
	letter.At = i.now()
	i.mu.Lock()
	i.letters = append(i.letters, letter)
	if len(i.letters) > maxLetters {
		i.letters = i.letters[1:]
	}
	i.mu.Unlock()
	return say("250 taken")
}

func readLetter(text []byte) (Letter, error) {
	m, err := mail.ReadMessage(bytes.NewReader(text))
	if err != nil {
		return Letter{}, err
	}
	body := m.Body
	if strings.EqualFold(m.Header.Get("Content-Transfer-Encoding"), "base64") {
		body = base64.NewDecoder(base64.StdEncoding, body)
	}
	content, err := io.ReadAll(body)
	if err != nil {
		return Letter{}, err
	}
	subject, err := (&mime.WordDecoder{}).DecodeHeader(m.Header.Get("Subject"))
	return Letter{
		ID: m.Header.Get("Message-ID"), From: m.Header.Get("From"), To: m.Header.Get("To"), Subject: subject,
		Text: strings.ReplaceAll(string(content), "\r\n", "\n"),
	}, err
}
