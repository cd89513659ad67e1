package ca_test

import (
	"bytes"
	"errors"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"

	"hufu/ca"
	"hufu/certs"
	"hufu/internal/actor"
)

// Every time-stamp is an entry of the log, for ever: strangers must not be able to write as many as their line carries.
func TestStrangersCannotFloodTheLogWithTimeStamps(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		der, err := certs.NewTimeStampRequest([]byte("x")).Marshal()
		if err != nil {
			t.Fatal(err)
		}
		ask := func() int {
			r := httptest.NewRequest(http.MethodPost, "/pki/tsa", bytes.NewReader(der))
			r.Header.Set("Content-Type", "application/timestamp-query")
			rec := httptest.NewRecorder()
			w.Handler().ServeHTTP(rec, r)
			return rec.Code
		}
		given, code := 0, http.StatusOK
		for ; given < 1000 && code == http.StatusOK; given++ {
			code = ask()
		}
		if code != http.StatusTooManyRequests {
			t.Errorf("%d time-stamps in one instant, then %d", given, code)
		}
		if _, err := w.TimeStamp(t.Context(), []byte("our own seal")); err != nil {
			t.Errorf("our own sealing is shut out: %v", err)
		}
		w.now = w.now.Add(1e9)
		if code := ask(); code != http.StatusOK {
			t.Errorf("a second later: %d", code)
		}
	})
}

// TestOneAddressDoesNotUseUpWhatIsThereForAll: neither the reports of lost keys nor the time-stamps; behind the bound of each there is
// one for all together.
func TestOneAddressDoesNotUseUpWhatIsThereForAll(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		_, app := w.issued()
		report := func(from string) error {
			_, err := w.EndByKey(t.Context(), actor.Actor{}, ca.KeyReport{Serial: serialOf(t, app), Signature: []byte("junk"), From: from})
			return err
		}
		last := func(from string) (err error) {
			for range 60 {
				err = report(from)
			}
			return err
		}
		if err := last("192.0.2.1"); !errors.Is(err, ca.ErrTooMany) {
			t.Errorf("sixty reports of one address in one instant: %v", err)
		}
		if err := report("192.0.2.2"); !errors.Is(err, ca.ErrPossession) {
			t.Errorf("another address is shut out: %v", err)
		}
		for i := range 10 {
			_ = last("198.51.100." + strconv.Itoa(i))
		}
		if err := report("203.0.113.1"); !errors.Is(err, ca.ErrTooMany) {
			t.Errorf("there is no ceiling for all: %v", err)
		}
		der, err := certs.NewTimeStampRequest([]byte("x")).Marshal()
		if err != nil {
			t.Fatal(err)
		}
		stamp := func(from string) int {
			r := httptest.NewRequest(http.MethodPost, "/pki/tsa", bytes.NewReader(der))
			r.Header.Set("Content-Type", "application/timestamp-query")
			r.RemoteAddr = from
			rec := httptest.NewRecorder()
			w.Handler().ServeHTTP(rec, r)
			return rec.Code
		}
		for i := 0; i < 1000 && stamp("192.0.2.1:1") == http.StatusOK; i++ {
		}
		if code := stamp("192.0.2.1:2"); code != http.StatusTooManyRequests {
			t.Errorf("another port of the same address: %d", code)
		}
		if code := stamp("192.0.2.2:1"); code != http.StatusOK {
			t.Errorf("another address is shut out: %d", code)
		}
	})
}
