package main

import (
	"crypto/tls"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"hufu/ca/enrol"
)

// openEnrolment opens CMP and EST.
func (s *server) openEnrolment() (err error) {
	s.enrol, err = enrol.New(enrol.Config{
		Store: s.db.Enrol(), CA: s.ca, Now: s.now, Rate: s.cfg.Enrolment.Rate, MustConfirm: s.cfg.Enrolment.MustConfirm,
		PollTime: time.Duration(s.cfg.Enrolment.Poll) * time.Second,
		RemoteIP: remoteIP(s.cfg.proxies()), Confidential: confidential(s.cfg.proxies()), Log: s.log,
	})
	return err
}

// confidential returns a function that tells whether a request came where nobody can listen: by TLS, from this machine itself,
// or through a proxy of ours that says https.
func confidential(proxies []netip.Prefix) func(*http.Request) bool {
	return func(r *http.Request) bool {
		if r.TLS != nil {
			return true
		}
		host, _, err := net.SplitHostPort(r.RemoteAddr)
		if err != nil {
			return false
		}
		ip, err := netip.ParseAddr(host)
		if err != nil {
			return false
		}
		if slices.ContainsFunc(proxies, func(p netip.Prefix) bool { return p.Contains(ip.Unmap()) }) {
			said := r.Header.Values("X-Forwarded-Proto")
			return len(said) == 1 && strings.EqualFold(said[0], "https")
		}
		return ip.IsLoopback()
	}
}

// tlsConfig asks peers for a certificate where the configuration says so: devices re-enrol with the one they hold. Nobody must
// have one, and what is shown is looked up among our own by whoever uses it; nothing else is concluded from it.
func (c *Config) tlsConfig() *tls.Config {
	out := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.TLS.AskClient {
		out.ClientAuth = tls.RequestClientCert
	}
	return out
}
