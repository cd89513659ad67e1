package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hufu/ca"
	"hufu/store"
	"hufu/store/storetest"
)

// An operator sees what fails, late and given up, and runs it again.
func TestAnOperatorSeesAndRetriesJobsThatFail(t *testing.T) {
	for engine, dsn := range storetest.DSNs(t) {
		t.Run(engine, func(t *testing.T) {
			now := time.Now()
			db, err := store.Open(t.Context(), dsn, store.Options{Now: func() time.Time { return now }})
			must(t, err)
			defer db.Close()
			_, err = db.Migrate(t.Context())
			must(t, err)
			config := filepath.Join(t.TempDir(), "hufu.yaml")
			must(t, os.WriteFile(config, []byte("database: \""+dsn+"\"\n"), 0o600))
			run, list := jobsCLI(t, config)
			fail := func(key string, times int) {
				t.Helper()
				must(t, db.CA().Update(t.Context(), func(w ca.W) error { return w.Enqueue(ca.JobReminder, key, nil, now) }))
				for range times {
					now = now.Add(2 * time.Hour)
					job, err := db.ClaimJob(t.Context())
					must(t, err)
					must(t, db.FailJob(t.Context(), job, errors.New("the mail server is away")))
				}
			}
			must(t, checkJobs(t.Context(), db))
			fail("dead/30", 84)
			if err := checkJobs(t.Context(), db); !errors.Is(err, errDeadJobs) {
				t.Errorf("the doctor says %v", err)
			}
			if out, err := run(&jobsRetryCommand{place: place{Config: config}}); err != nil || !strings.Contains(out, "due again / 将立即重试: ca.reminder dead/30\n") {
				t.Errorf("%q, %v", out, err)
			}
			job, err := db.ClaimJob(t.Context())
			must(t, err)
			must(t, db.FinishJob(t.Context(), job))
			fail("late/7", 11)
			if out := list(); strings.Contains(out, "late/7") {
				t.Errorf("a few failures are listed: %s", out)
			}
			fail("late/7", 1)
			if err := checkJobs(t.Context(), db); !errors.Is(err, errLateJobs) {
				t.Errorf("the doctor says %v", err)
			}
			out := list()
			if !strings.Contains(out, "late/7") || !strings.Contains(out, "the mail server is away") || strings.Contains(out, "dead/30") {
				t.Errorf("the list is %s", out)
			}
			late := strings.Fields(strings.Split(out, "\n")[1])[0]
			if _, err := run(&jobsRetryCommand{place{Config: config}, []string{late, "nobody"}}); !errors.Is(err, errNoJob) || !strings.Contains(list(), "late/7") {
				t.Errorf("beside a job that is not there: %v, %s", err, list())
			}
			if _, err := run(&jobsRetryCommand{place{Config: config}, []string{late}}); err != nil || strings.Contains(list(), "late/7") {
				t.Errorf("by its id: %v", err)
			}
		})
	}
}

// jobsCLI runs a command of hufu jobs under a configuration, and lists.
func jobsCLI(t *testing.T, config string) (run func(interface{ Run(*console) error }) (string, error), list func() string) {
	run = func(c interface{ Run(*console) error }) (string, error) {
		var out bytes.Buffer
		err := c.Run(&console{ctx: t.Context(), out: &out, err: &out})
		return out.String(), err
	}
	return run, func() string {
		t.Helper()
		out, err := run(&jobsListCommand{place{Config: config}})
		must(t, err)
		return out
	}
}
