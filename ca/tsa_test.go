package ca_test

import (
	"bytes"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"hufu/ca"
	"hufu/ca/kmc/kmctest"
	"hufu/certs"
	"hufu/configs"
	"hufu/internal/fault"
)

// doubtful is a time source that says what it is told to.
type doubtful struct{ err error }

func (d *doubtful) Check() error { return d.err }

// stamping opens another authority on the world's database with settings for time-stamps.
func (w *world) stamping(clock ca.TimeSource, policy certs.OID, accuracy time.Duration) *ca.Authority {
	w.t.Helper()
	profiles, err := ca.ParseProfiles(configs.Files, "profiles")
	if err != nil {
		w.t.Fatal(err)
	}
	now := func() time.Time { return w.now }
	centre := kmctest.Local(w.t, w.db.KMC(), now)
	a, err := ca.New(w.t.Context(), ca.Config{
		Store: w.store, Registry: registry{}, Keys: w.keys, Encryption: centre, Profiles: profiles, BaseURL: "http://localhost:8480/pki", Instance: 1, Now: now,
		Time: clock, TimeStampPolicy: policy, TimeStampAccuracy: accuracy,
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return a
}

func askForStamp(t *testing.T, a *ca.Authority, q certs.TimeStampRequest) *certs.TimeStampResponse {
	t.Helper()
	der, err := q.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodPost, "/pki/tsa", bytes.NewReader(der))
	r.Header.Set("Content-Type", "application/timestamp-query")
	answer := httptest.NewRecorder()
	a.Handler().ServeHTTP(answer, r)
	if answer.Code != http.StatusOK {
		t.Fatalf("status %d: %s", answer.Code, answer.Body)
	}
	parsed, err := certs.ParseTimeStampResponse(answer.Body.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

func TestNoTimeStampWithoutConfirmedTime(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		clock := &doubtful{}
		a := w.stamping(clock, "", 0)
		message := []byte("受理回执")
		if _, err := a.TimeStamp(t.Context(), message); err != nil {
			t.Fatal(err)
		}
		clock.err = fault.New(fault.Unavailable, "time.untrusted", "The clock is off.", "时钟不准。")
		if _, err := a.TimeStamp(t.Context(), message); !errors.Is(err, clock.err) {
			t.Errorf("stamped with a clock that nobody confirms: %v", err)
		}
		if r := askForStamp(t, a, certs.NewTimeStampRequest(message)); r.Granted || r.Failure != certs.TimeStampTimeNotAvailable {
			t.Errorf("answer %+v", r)
		}
		clock.err = nil
		if r := askForStamp(t, a, certs.NewTimeStampRequest(message)); !r.Granted {
			t.Errorf("refused although the clock is confirmed again: %+v", r)
		}
	})
}

func TestTimeStampPolicyAndAccuracyAreTheOperators(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		const ours certs.OID = "2.999.7.8"
		a := w.stamping(nil, ours, 250*time.Millisecond)
		q := certs.NewTimeStampRequest([]byte("m"))
		q.Policy = ours
		r := askForStamp(t, a, q)
		if !r.Granted {
			t.Fatalf("refused: %+v", r)
		}
		token, err := certs.ParseTimeStamp(r.Token)
		if err != nil {
			t.Fatal(err)
		}
		if token.Info.Policy != ours || token.Info.Accuracy != 250*time.Millisecond {
			t.Errorf("policy %s, accuracy %s", token.Info.Policy, token.Info.Accuracy)
		}
		q.Policy = "2.999.156.1.5.1" // offered only where nothing is configured
		if r := askForStamp(t, a, q); r.Granted || r.Failure != certs.TimeStampUnacceptedPolicy {
			t.Errorf("another policy: %+v", r)
		}
	})
}
