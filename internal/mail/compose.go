package mail

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"mime"
	"net/mail"
	"strings"
	"time"

	"hufu/internal/fault"
)

// ErrMail refuses a mail that cannot be written.
var ErrMail = fault.New(fault.Invalid, "mail.message",
	"This mail cannot be sent: its address or subject is not one.", "该邮件无法发送：收件地址或主题不正确。")

var errControl = errors.New("a control character")

// clean refuses what could end a header line.
func clean(s string) error {
	if strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return errControl
	}
	return nil
}

// compose writes a message (RFC 5322) in 7-bit lines of at most 76 octets, and returns the bare address it goes to.
func (s *Sender) compose(m Mail) (message []byte, to string, err error) {
	address, err := mail.ParseAddress(m.To)
	if err == nil {
		err = errors.Join(clean(m.To), clean(m.Subject))
	}
	if err != nil {
		return nil, "", ErrMail.With("mail %s: %w", m.ID, err)
	}
	if m.ID == "" || strings.Trim(m.ID, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.") != "" {
		return nil, "", ErrMail.With("id %q", m.ID)
	}
	domain := s.from.Address[strings.LastIndex(s.from.Address, "@")+1:]
	var b bytes.Buffer
	for _, h := range [][2]string{
		{"From", s.from.String()},
		{"To", (&mail.Address{Address: address.Address}).String()},
		{"Subject", mime.BEncoding.Encode("utf-8", m.Subject)},
		{"Date", s.Now().Format(time.RFC1123Z)},
		{"Message-ID", "<" + m.ID + "@" + domain + ">"},
		{"MIME-Version", "1.0"},
		{"Content-Type", "text/plain; charset=utf-8"},
		{"Content-Transfer-Encoding", "base64"},
		{"Auto-Submitted", "auto-generated"}, // no machine answers it (RFC 3834)
	} {
		fmt.Fprintf(&b, "%s: %s\r\n", h[0], h[1])
	}
	b.WriteString("\r\n")
	text := base64.StdEncoding.EncodeToString([]byte(strings.ReplaceAll(m.Text, "\n", "\r\n")))
	for len(text) > 76 {
		b.WriteString(text[:76] + "\r\n")
		text = text[76:]
	}
	b.WriteString(text + "\r\n")
	return b.Bytes(), address.Address, nil
}
