package outbound

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"syscall"
	"time"

	"hufu/internal/fault"
)

// Refusals of outgoing calls.
var (
	ErrAddress = fault.New(fault.Denied, "outbound.address",
		"The address is not one that this server may call. Ask the operator to allow it.", "服务器不允许访问该地址，请联系运维人员放行。")
	ErrTooLarge = fault.New(fault.Limited, "outbound.too-large",
		"The answer is larger than is taken.", "对方返回的内容过大。")
)

// Options say what a client may do.
type Options struct {
	Allow   []netip.Prefix // inner addresses that may be called all the same
	Timeout time.Duration  // of a whole call; 5 s when zero
	MaxBody int64          // octets of an answer; 1 MiB when zero
	TLS     *tls.Config    // whom to believe, and the own certificate; nil is the system's trust and none
}

// Loopback allows calls to this machine, for the demonstration and for simulators.
func Loopback() []netip.Prefix {
	return []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
}

// NewClient returns a client under the options.
func NewClient(o Options) *http.Client {
	if o.Timeout == 0 {
		o.Timeout = 5 * time.Second
	}
	if o.MaxBody == 0 {
		o.MaxBody = 1 << 20
	}
	dialer := &net.Dialer{Timeout: o.Timeout, ControlContext: func(_ context.Context, _, address string, _ syscall.RawConn) error {
		return check(address, o.Allow)
	}}
	transport := &http.Transport{
		DialContext: dialer.DialContext, TLSClientConfig: o.TLS.Clone(), ForceAttemptHTTP2: true, TLSHandshakeTimeout: o.Timeout, MaxIdleConns: 32,
		IdleConnTimeout: time.Minute, ResponseHeaderTimeout: o.Timeout, MaxResponseHeaderBytes: 64 << 10,
		Proxy: nil, // a proxy from the environment would be reached in place of the address that was checked
	}
	return &http.Client{
		Timeout: o.Timeout, Transport: bounded{transport, o.MaxBody},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// check refuses an address that is not public unless it is allowed. address is what was resolved, host:port.
func check(address string, allow []netip.Prefix) error {
	where, err := netip.ParseAddrPort(address)
	if err != nil {
		return ErrAddress.With("address %q: %w", address, err)
	}
	ip := where.Addr().Unmap().WithZone("")
	if slices.ContainsFunc(allow, func(p netip.Prefix) bool { return p.Contains(ip) }) {
		return nil
	}
	if !ip.IsGlobalUnicast() || ip.IsPrivate() || slices.ContainsFunc(special, func(p netip.Prefix) bool { return p.Contains(ip) }) {
		return ErrAddress.With("address %s", ip)
	}
	return nil
}

// special are further ranges that lead to no public host (RFC 6890).
var special = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("198.18.0.0/15"), netip.MustParsePrefix("198.51.100.0/24"),
	netip.MustParsePrefix("203.0.113.0/24"), netip.MustParsePrefix("240.0.0.0/4"), netip.MustParsePrefix("64:ff9b::/96"),
	netip.MustParsePrefix("2001:db8::/32"), netip.MustParsePrefix("2002::/16"),
}

// bounded cuts an answer that is larger than max with ErrTooLarge.
type bounded struct {
	next http.RoundTripper
	max  int64
}

func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := b.next.RoundTrip(r)
	if err != nil {
		return nil, fmt.Errorf("call %s: %w", r.URL.Host, err)
	}
	answer.Body = &boundedBody{answer.Body, b.max}
	return answer, nil
}

type boundedBody struct {
	io.ReadCloser
	left int64
}

func (b *boundedBody) Read(p []byte) (int, error) {
	if b.left < 0 {
		return 0, ErrTooLarge
	}
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.ReadCloser.Read(p)
	if b.left -= int64(n); b.left < 0 && (err == nil || errors.Is(err, io.EOF)) {
		return n - 1, ErrTooLarge
	}
	return n, err
}
