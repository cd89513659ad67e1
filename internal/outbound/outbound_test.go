package outbound

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestInnerAddressesAreRefusedUnlessAllowed(t *testing.T) {
	for _, address := range []string{
		"127.0.0.1:80", "[::1]:80", "10.0.0.1:80", "172.16.0.1:443", "192.168.1.1:80", "169.254.169.254:80", "[fe80::1%eth0]:80", "[fd00::1]:80",
		"0.0.0.0:80", "100.64.0.1:80", "[::ffff:127.0.0.1]:80", "[::ffff:10.0.0.1]:80", "224.0.0.1:80", "255.255.255.255:80", "[64:ff9b::a00:1]:80", "localhost:80", "",
	} {
		if err := check(address, nil); !errors.Is(err, ErrAddress) {
			t.Errorf("%s: %v, want a refusal", address, err)
		}
	}
	for _, address := range []string{"8.8.8.8:443", "[2400:3200::1]:443"} {
		if err := check(address, nil); err != nil {
			t.Errorf("%s: %v", address, err)
		}
	}
	if err := check("127.0.0.1:80", Loopback()); err != nil {
		t.Error(err)
	}
}

func TestAClientIsBounded(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/slow":
			select {
			case <-r.Context().Done():
			case <-time.After(5 * time.Second):
			}
		case "/redirect":
			http.Redirect(w, r, "/elsewhere", http.StatusFound)
		default:
			_, _ = io.WriteString(w, strings.Repeat("x", 100))
		}
	}))
	defer server.Close()
	if _, err := NewClient(Options{}).Get(server.URL); !errors.Is(err, ErrAddress) {
		t.Errorf("loopback was called: %v", err)
	}
	c := NewClient(Options{Allow: Loopback(), MaxBody: 100, Timeout: 300 * time.Millisecond})
	read := func(c *http.Client, path string) (int, string, error) {
		answer, err := c.Get(server.URL + path)
		if err != nil {
			return 0, "", err
		}
		defer answer.Body.Close()
		body, err := io.ReadAll(answer.Body)
		return answer.StatusCode, string(body), err
	}
	if _, body, err := read(c, "/"); err != nil || len(body) != 100 {
		t.Errorf("an answer of the largest size: %d octets, %v", len(body), err)
	}
	if _, body, err := read(NewClient(Options{Allow: Loopback(), MaxBody: 99}), "/"); !errors.Is(err, ErrTooLarge) || len(body) > 99 {
		t.Errorf("a larger answer: %d octets, %v", len(body), err)
	}
	if status, _, err := read(c, "/redirect"); err != nil || status != http.StatusFound {
		t.Errorf("a redirect was followed: %d, %v", status, err)
	}
	if _, _, err := read(c, "/slow"); err == nil {
		t.Error("a slow answer had no deadline")
	}
}
