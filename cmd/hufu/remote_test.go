package main

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"hufu/internal/fault"
)

// TestRemoteTellsWhatTheServerSaid reaches a server by an address that no server may call, and hears its words.
func TestRemoteTellsWhatTheServerSaid(t *testing.T) {
	says := map[string]struct {
		status int
		body   string
		want   []string
		kind   fault.Kind
	}{
		"/fields": {
			422, `{"code":"api.fields","zh":"有误","en":"Wrong.","reference":"R1","errors":[{"location":"body.a","message":"is b"},{"location":"body.c","message":"is d"}]}`,
			[]string{"body.a: is b; body.c: is d", "Wrong."},
			fault.Denied,
		},
		"/down":     {503, `{"code":"hsm.unavailable","zh":"设备","en":"Device.","reference":"R2"}`, []string{"R2", "Device."}, fault.Unavailable},
		"/nonsense": {502, `<html>bad gateway`, []string{"502", "bad gateway", "Check --server"}, fault.Unavailable},
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		said := says[r.URL.Path]
		w.WriteHeader(said.status)
		_, _ = io.WriteString(w, said.body)
	}))
	defer server.Close()
	t.Setenv("HUFU_TOKEN", "token")
	s, err := remote{Server: strings.Replace(server.URL, "127.0.0.1", "0.0.0.0", 1)}.open()
	if err != nil {
		t.Fatal(err)
	}
	for path, said := range says {
		err := s.ask(t.Context(), http.MethodGet, path, nil, nil)
		var e *fault.Error
		if !errors.As(err, &e) || e.Kind != said.kind {
			t.Errorf("%s: %v", path, err)
			continue
		}
		for _, want := range said.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %q misses %q", path, err, want)
			}
		}
	}
}
