// Package mail sends plain text mails through one SMTP server (RFC 5321, 5322).
//
// The way to the server is encrypted: by TLS from the first octet (port 465) or
// by STARTTLS, without which nothing is sent. Only a server on a loopback address
// may be spoken to in clear. Addresses and subjects with line ends or other
// control characters are refused, so that no header can be slipped in; text goes
// out in base64.
//
// A mail goes once, or the caller gets an error and tries again. Where the answer
// is lost after the server took the mail, the second one bears the same Message-ID,
// by which mail systems know it for the same.
package mail
