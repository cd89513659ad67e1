package ca_test

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"testing"

	"hufu/certs"
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
