package store

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Job is a piece of work that must survive a crash.
type Job struct {
	ID       string
	Kind     string
	Key      string
	Payload  []byte
	Attempts int // how often it was claimed before this time
	epoch    int64
}

// FailedJob is a job that has failed many times, for the operator to look at and to run again.
type FailedJob struct {
	Job
	LastError string
	CreatedAt time.Time
	Next      time.Time // when it is tried again; zero when it was given up
}

const (
	// maxAttempts is after how many a job is dead. The delays between them add up to three days, so that an outage over a night or a
	// weekend loses nothing; what the tries take comes on top.
	maxAttempts = 84
	maxDelay    = time.Hour // between two tries, as long after an outage at most

	// JobLease is how long a job is left alone after its worker's last sign of life (HoldJob) before another takes it.
	JobLease = 20 * time.Second
)

// Enqueue stores a job in the transaction of the change that it follows from. While a job of the same kind and key waits,
// enqueuing it again only moves its time forward.
func (t *tx) Enqueue(kind, key string, payload []byte, notBefore time.Time) error {
	if payload == nil {
		payload = []byte{}
	}
	_, err := t.exec(`
		INSERT INTO job (id, kind, key, payload, state, not_before, created_at) VALUES ($1, $2, $3, $4, 'waiting', $5, $6)
		ON CONFLICT (kind, key) WHERE state = 'waiting' DO UPDATE SET payload = excluded.payload,
			not_before = CASE WHEN excluded.not_before < job.not_before THEN excluded.not_before ELSE job.not_before END`,
		rand.Text(), kind, key, payload, micros(notBefore), micros(t.db.now()))
	if err != nil {
		return fmt.Errorf("enqueue %s %s: %w", kind, key, err)
	}
	return nil
}

// ClaimJob takes the job that is due longest and of none of the kinds excepted, or none. A job whose worker died is due again when
// its lease ends.
func (db *DB) ClaimJob(ctx context.Context, except ...string) (*Job, error) {
	return db.claimJob(ctx, "NOT IN", except)
}

// ClaimJobOf is ClaimJob for a worker that takes some kinds alone.
func (db *DB) ClaimJobOf(ctx context.Context, kinds ...string) (*Job, error) {
	return db.claimJob(ctx, "IN", kinds)
}

func (db *DB) claimJob(ctx context.Context, in string, kinds []string) (*Job, error) {
	var j *Job
	err := db.update(ctx, func(t *tx) (err error) {
		j, err = t.claimJob(in, kinds)
		return err
	})
	if errors.Is(err, errNoRow) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("claim job: %w", err)
	}
	return j, nil
}

// claimJob takes a job. Until its lease ends it is due for nobody: not_before says so, for one index to find what is due.
func (t *tx) claimJob(in string, kinds []string) (*Job, error) {
	now := t.db.now()
	args, wanted, skipLocked := []any{micros(now), micros(now.Add(JobLease))}, "", ""
	var marks []string
	for _, kind := range kinds {
		args = append(args, kind)
		marks = append(marks, "$"+strconv.Itoa(len(args)))
	}
	if len(kinds) > 0 {
		wanted = " AND kind " + in + " (" + strings.Join(marks, ", ") + ")"
	}
	if t.db.engine == PostgreSQL {
		skipLocked = "FOR UPDATE SKIP LOCKED"
	}
	var j Job
	err := t.one([]any{&j.ID, &j.Kind, &j.Key, &j.Payload, &j.Attempts, &j.epoch}, `
		UPDATE job SET state = 'running', leased_until = $2, not_before = $2, epoch = epoch + 1, attempts = attempts + 1
		WHERE id = (SELECT id FROM job WHERE state <> 'dead' AND not_before <= $1`+wanted+`
			ORDER BY not_before LIMIT 1 `+skipLocked+`)
		RETURNING id, kind, key, payload, attempts, epoch`, args...)
	j.Attempts--
	return &j, err
}

// HoldJob prolongs the claim on a job by JobLease from now. It reports false when another worker has the job by now.
func (db *DB) HoldJob(ctx context.Context, j *Job) (held bool, err error) {
	err = db.update(ctx, func(t *tx) error {
		n, err := t.exec(`UPDATE job SET leased_until = $3, not_before = $3 WHERE id = $1 AND epoch = $2 AND state = 'running'`,
			j.ID, j.epoch, micros(t.db.now().Add(JobLease)))
		held = n > 0
		return err
	})
	return held, err
}

// FinishJob removes a job that was done.
func (db *DB) FinishJob(ctx context.Context, j *Job) error {
	return db.update(ctx, func(t *tx) error {
		_, err := t.exec(`DELETE FROM job WHERE id = $1 AND epoch = $2`, j.ID, j.epoch)
		return err
	})
}

// FailJob puts a job back with a delay that doubles up to maxDelay, or gives it up after maxAttempts. When the same work was enqueued
// anew meanwhile, this one goes: the newer stands for it.
func (db *DB) FailJob(ctx context.Context, j *Job, cause error) error {
	state, delay := "waiting", min(time.Second<<min(j.Attempts, 30), maxDelay)
	if j.Attempts+1 >= maxAttempts {
		state = "dead"
	}
	return db.update(ctx, func(t *tx) error {
		if state == "waiting" {
			n, err := t.exec(`DELETE FROM job WHERE id = $1 AND epoch = $2
				AND EXISTS (SELECT 1 FROM job AS other WHERE other.kind = $3 AND other.key = $4 AND other.state = 'waiting')`,
				j.ID, j.epoch, j.Kind, j.Key)
			if err != nil || n > 0 {
				return err
			}
		}
		_, err := t.exec(`UPDATE job SET state = $3, not_before = $4, leased_until = 0, last_error = $5 WHERE id = $1 AND epoch = $2`,
			j.ID, j.epoch, state, micros(t.db.now().Add(delay)), cause.Error())
		return err
	})
}

// DeadJobs lists jobs that were given up, oldest first, at most limit.
func (db *DB) DeadJobs(ctx context.Context, limit int) ([]FailedJob, error) {
	return db.failedJobs(ctx, `WHERE state = 'dead' ORDER BY created_at LIMIT $1`, limit)
}

// LateJobs lists jobs that have failed for half an hour (12 times) and are tried on, oldest first, at most limit.
func (db *DB) LateJobs(ctx context.Context, limit int) ([]FailedJob, error) {
	return db.failedJobs(ctx, `WHERE attempts >= 12 AND state <> 'dead' ORDER BY created_at LIMIT $1`, limit)
}

func (db *DB) failedJobs(ctx context.Context, which string, limit int) (all []FailedJob, err error) {
	err = db.view(ctx, func(t *tx) error {
		all, err = t.failedJobs(which, limit)
		return err
	})
	return all, err
}

func (t *tx) failedJobs(which string, limit int) ([]FailedJob, error) {
	return list(t, func(s scanner) (d FailedJob, err error) {
		var created, next int64
		var state string
		err = s.Scan(&d.ID, &d.Kind, &d.Key, &d.Payload, &d.Attempts, &d.LastError, &created, &next, &state)
		if d.CreatedAt = fromMicros(created); state != "dead" {
			d.Next = fromMicros(next)
		}
		return d, err
	}, `SELECT id, kind, key, payload, attempts, last_error, created_at, not_before, state FROM job `+which, limit)
}

// ReviveJob makes a job that was given up, or waits after failures, due at once and lets it begin to count anew. Where the same work
// was enqueued anew meanwhile, that stands for it. It reports false when there is no such job.
func (db *DB) ReviveJob(ctx context.Context, id string) (revived bool, err error) {
	now := micros(db.now())
	err = db.update(ctx, func(t *tx) error {
		n, err := t.exec(`UPDATE job SET attempts = 0, not_before = $2 WHERE state = 'waiting'
			AND (kind, key) = (SELECT kind, key FROM job AS failed WHERE failed.id = $1 AND failed.state <> 'running')`, id, now)
		if err != nil {
			return err
		}
		if n == 0 {
			n, err = t.exec(`UPDATE job SET state = 'waiting', attempts = 0, not_before = $2 WHERE id = $1 AND state = 'dead'`, id, now)
		} else {
			_, err = t.exec(`DELETE FROM job WHERE id = $1 AND state = 'dead'`, id)
		}
		revived = n > 0
		return err
	})
	return revived, err
}
