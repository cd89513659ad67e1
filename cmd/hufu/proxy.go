package main

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// remoteIP returns a function that tells the visitor's address: the peer's, or, where the peer is a proxy of ours, the last
// address in X-Forwarded-For that is not one. Whatever a visitor writes there himself stands before it and is not believed.
func remoteIP(proxies []netip.Prefix) func(*http.Request) string {
	ours := func(ip netip.Addr) bool {
		return slices.ContainsFunc(proxies, func(p netip.Prefix) bool { return p.Contains(ip.Unmap()) })
	}
	return func(r *http.Request) string {
		host, _, err := net.SplitHostPort(r.RemoteAddr)
		if err != nil {
			return r.RemoteAddr
		}
		ip, err := netip.ParseAddr(host)
		if err != nil || !ours(ip) {
			return host
		}
		hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
		for _, hop := range slices.Backward(hops) {
			next, err := netip.ParseAddr(strings.TrimSpace(hop))
			if err != nil {
				break // the header says nothing that can be believed
			}
			ip = next
			if !ours(ip) {
				break
			}
		}
		return ip.Unmap().WithZone("").String()
	}
}
