package storetest

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"
)

// Proxy stands between a store and PostgreSQL and takes the database away at a commit: before the server hears of it, or after
// it is done and before the store hears that.
type Proxy struct {
	DSN string // of the database, by way of the proxy

	server string
	door   net.Listener
	mu     sync.Mutex
	lines  map[net.Conn]bool
	down   bool
	left   int // commits until it strikes; 0: it does not
	after  bool
}

// NewProxy opens a proxy to the database at dsn, which is closed when the test ends.
func NewProxy(t testing.TB, dsn string) *Proxy {
	t.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{server: u.Host, lines: map[net.Conn]bool{}}
	if p.door, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	u.Host = p.door.Addr().String()
	p.DSN = u.String()
	go p.serve()
	t.Cleanup(func() {
		p.door.Close()
		p.fall()
	})
	return p
}

// CutAt lets the n-th commit from now be the last that goes through, after the server has done it, or does not reach it.
func (p *Proxy) CutAt(n int, after bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.left, p.after = n, after
}

// Restore brings the database back, and tells whether it was away.
func (p *Proxy) Restore() (struck bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	struck, p.down, p.left = p.down, false, 0
	return struck
}

// fall ends every connection, and lets none come.
func (p *Proxy) fall() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.down = true
	for c := range p.lines {
		c.Close()
	}
	clear(p.lines)
}

func (p *Proxy) serve() {
	for {
		client, err := p.door.Accept()
		if err != nil {
			return
		}
		go p.join(client)
	}
}

// join forwards between a client and the server until one of them or the proxy has enough.
func (p *Proxy) join(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", p.server)
	if err != nil {
		return
	}
	defer server.Close()
	p.mu.Lock()
	if p.down {
		p.mu.Unlock()
		return
	}
	p.lines[client], p.lines[server] = true, true
	p.mu.Unlock()
	last := make(chan bool, 1) // holds one when the commit on its way is the one to strike after
	go func() {
		defer client.Close()
		forward(client, server, func(kind byte, body []byte) bool {
			if kind != 'C' || !bytes.HasPrefix(body, []byte("COMMIT")) || len(last) == 0 {
				return true
			}
			p.fall()
			return false
		})
	}()
	if _, err := copyMessage(server, client, false, nil); err != nil { // the first has no kind
		return
	}
	commits := map[string]bool{} // prepared statements of the connection that commit
	forward(server, client, func(kind byte, body []byte) bool {
		if !commitsBy(kind, body, commits) {
			return true
		}
		strike, after := p.commit()
		if strike && after {
			last <- true
			return true
		}
		if strike {
			p.fall()
		}
		return !strike
	})
}

// commitsBy tells whether a message of the client commits: a simple query, or the binding of a prepared one.
func commitsBy(kind byte, body []byte, prepared map[string]bool) bool {
	name, rest, _ := bytes.Cut(body, []byte{0})
	query, _, _ := bytes.Cut(rest, []byte{0})
	switch kind {
	case 'Q':
		return strings.EqualFold(string(name), "commit")
	case 'P': // name, query
		prepared[string(name)] = strings.EqualFold(string(query), "commit")
	case 'B': // portal, name
		return prepared[string(query)]
	}
	return false
}

// commit counts one.
func (p *Proxy) commit() (strike, after bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.left--
	return p.left == 0, p.after
}

// forward copies messages until one end is closed or may says no. A message is a kind and a length with the body behind it
// (PostgreSQL, Frontend/Backend Protocol, 55.2.1).
func forward(to io.Writer, from io.Reader, may func(kind byte, body []byte) bool) {
	for {
		if ok, err := copyMessage(to, from, true, may); err != nil || !ok {
			return
		}
	}
}

func copyMessage(to io.Writer, from io.Reader, kinded bool, may func(byte, []byte) bool) (bool, error) {
	head := make([]byte, 5)
	if !kinded {
		head = head[:4]
	}
	if _, err := io.ReadFull(from, head); err != nil {
		return false, err
	}
	body := make([]byte, max(4, binary.BigEndian.Uint32(head[len(head)-4:]))-4)
	if _, err := io.ReadFull(from, body); err != nil {
		return false, err
	}
	if may != nil && !may(head[0], body) {
		return false, nil
	}
	_, err := to.Write(append(head, body...))
	return err == nil, err
}
