package main

import (
	"net/http/httptest"
	"net/netip"
	"testing"
)

func TestOnlyOurProxiesAreBelieved(t *testing.T) {
	tell := remoteIP([]netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")})
	for name, c := range map[string]struct {
		peer    string
		headers []string
		want    string
	}{
		"no proxy":                        {"203.0.113.5:99", []string{"1.2.3.4"}, "203.0.113.5"},
		"through our proxy":               {"10.0.0.1:99", []string{"203.0.113.5"}, "203.0.113.5"},
		"through two of ours":             {"10.0.0.1:99", []string{"203.0.113.5, 10.0.0.2"}, "203.0.113.5"},
		"a visitor writes the header too": {"10.0.0.1:99", []string{"1.2.3.4, 203.0.113.5"}, "203.0.113.5"},
		"in a header of its own":          {"10.0.0.1:99", []string{"1.2.3.4", "203.0.113.5"}, "203.0.113.5"},
		"garbage before":                  {"10.0.0.1:99", []string{"<script>, 203.0.113.5"}, "203.0.113.5"},
		"garbage last":                    {"10.0.0.1:99", []string{"203.0.113.5, <script>"}, "10.0.0.1"},
		"no header":                       {"10.0.0.1:99", nil, "10.0.0.1"},
		"IPv6 with a mapped address":      {"[::ffff:10.0.0.1]:99", []string{"2001:db8::1"}, "2001:db8::1"},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = c.peer
		for _, h := range c.headers {
			r.Header.Add("X-Forwarded-For", h)
		}
		if got := tell(r); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}
