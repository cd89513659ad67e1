package main

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"hufu/audit/tree"
	"hufu/ca"
	"hufu/ca/enrol"
	"hufu/identity"
	"hufu/identity/login"
	"hufu/internal/fault"
	"hufu/keys"
	"hufu/licence"
	"hufu/store"
)

// work starts what runs by itself until ctx ends: this node's claim, the log's rounds, durable jobs, and the schedule.
func (s *server) work(ctx context.Context, background *sync.WaitGroup) {
	background.Go(func() { s.stayAlive(ctx) })
	background.Go(func() { s.rounds(ctx) })
	background.Go(func() { s.follow(ctx) })
	if s.kmc != nil {
		background.Go(func() { s.kmc.Run(ctx, s.log) })
	}
	if s.roles == rolesKMC {
		background.Go(func() { s.jobs(ctx) })
		background.Go(func() { s.schedule(ctx) })
		return
	}
	background.Go(func() { s.followStatus(ctx) })
	background.Go(func() { s.followProfiles(ctx) })
	background.Go(func() { s.jobs(ctx) })
	background.Go(func() { s.jobs(ctx, ca.JobReminder, ca.JobExternal) }) // so that these, which may be many and slow, hold up no other
	background.Go(func() { s.jobsOf(ctx, ca.JobList) })                   // and nothing holds up a list
	background.Go(func() { s.schedule(ctx) })
	background.Go(func() { s.tell(ctx) })
}

// rounds grows the log about each second, and at once while rows wait.
func (s *server) rounds(ctx context.Context) {
	for {
		var more bool
		err := s.guarded(func() (err error) { more, err = s.sequencer.Round(ctx); return err })
		if err != nil && ctx.Err() == nil {
			s.log.Error("the log could not be grown; the next round tries again", "error", err)
		}
		if more && err == nil {
			continue
		}
		if !sleep(ctx, time.Second) {
			return
		}
	}
}

// sleep waits for d; false when ctx has ended.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// jobTime bounds one try of a job.
const jobTime = 90 * time.Second

// jobs takes due jobs one after another, but for some kinds.
func (s *server) jobs(ctx context.Context, except ...string) {
	s.takeJobs(ctx, func() (*store.Job, error) { return s.db.ClaimJob(ctx, except...) })
}

// jobsOf takes due jobs of some kinds alone.
func (s *server) jobsOf(ctx context.Context, kinds ...string) {
	s.takeJobs(ctx, func() (*store.Job, error) { return s.db.ClaimJobOf(ctx, kinds...) })
}

func (s *server) takeJobs(ctx context.Context, claim func() (*store.Job, error)) {
	handlers := s.jobHandlers()
	for {
		job, err := claim()
		if err != nil && ctx.Err() == nil {
			s.log.Error("jobs cannot be claimed", "error", err)
		}
		if job == nil {
			if !sleep(ctx, 500*time.Millisecond) {
				return
			}
			continue
		}
		s.do(ctx, handlers, job)
	}
}

type jobHandler func(ctx context.Context, job *store.Job) error

var errNoHandler = errors.New("no handler for this kind of job: it was enqueued by a newer version")

func (s *server) do(ctx context.Context, handlers map[string]jobHandler, job *store.Job) {
	handle := handlers[job.Kind]
	if handle == nil {
		handle = func(context.Context, *store.Job) error { return errNoHandler }
	}
	bounded, cancel := context.WithTimeout(ctx, jobTime)
	var holding sync.WaitGroup
	holding.Go(func() { s.hold(bounded, cancel, job) })
	err := s.guarded(func() error { return handle(bounded, job) })
	cancel()
	holding.Wait()
	if err != nil && ctx.Err() != nil {
		return // stopped in the middle: the job's lease ends and it comes again
	}
	if err != nil {
		s.log.Warn("job failed and will be tried again", "kind", job.Kind, "key", job.Key, "tries", job.Attempts+1, "error", err)
		err = s.db.FailJob(ctx, job, err)
	} else {
		err = s.db.FinishJob(ctx, job)
	}
	if err != nil && ctx.Err() == nil {
		s.log.Error("the result of a job could not be stored; it will run again", "kind", job.Kind, "error", err)
	}
}

// hold prolongs the claim on a job while it is worked on. When that does not succeed for so long that another worker may soon
// have the job, or has it already, the work ends: two never do the same at once.
func (s *server) hold(ctx context.Context, end context.CancelFunc, job *store.Job) {
	for held := s.now(); sleep(ctx, store.JobLease/4); {
		ours, err := s.db.HoldJob(ctx, job)
		switch {
		case err == nil && ours:
			held = s.now()
		case err == nil || s.now().Sub(held) > store.JobLease/2:
			end()
			return
		}
	}
}

// guarded makes an error of a panic: one poisoned job or task must not end the server, at each start anew.
func (s *server) guarded(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			s.log.Error("panic in the background", "panic", p, "stack", string(debug.Stack()))
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return f()
}

// jobHandlers maps kinds of durable jobs to what they do. Each may run more than once.
func (s *server) jobHandlers() map[string]jobHandler {
	if s.roles == rolesKMC {
		return s.jobsAlone()
	}
	return map[string]jobHandler{
		ca.JobExternal: func(ctx context.Context, job *store.Job) error { return s.ca.RevokeExternal(ctx, job.Key) },
		ca.JobTrust: func(ctx context.Context, _ *store.Job) error {
			return errors.Join(s.ca.Follow(ctx), s.ca.Refresh(ctx), s.publishBundle(ctx))
		},
		ca.JobList: func(ctx context.Context, job *store.Job) error {
			full, err := s.ca.PublishShard(ctx, job.Key)
			if errors.Is(err, ca.ErrOffline) {
				s.log.Warn("a revocation waits for the root's custodians: hufu ca ceremony sign-crl", "issuer", job.Key)
				return nil
			}
			if err != nil || !full {
				return err // the bundle takes long lists along when its time comes
			}
			return s.publishBundle(ctx)
		},
		ca.JobSupersede: func(ctx context.Context, job *store.Job) error { return s.ca.Supersede(ctx, job.Key) },
		ca.JobReminder:  func(ctx context.Context, job *store.Job) error { return s.ca.SendReminder(ctx, job.Key) },
		ca.JobBatch:     func(ctx context.Context, job *store.Job) error { return s.ca.WorkBatch(ctx, job.Key) },
		ca.JobCertified: func(ctx context.Context, job *store.Job) error {
			return s.ca.EncryptionCertified(ctx, job.Key, job.Payload)
		},
		ca.JobBatchDecision: func(ctx context.Context, job *store.Job) error { return s.ca.WorkBatchDecision(ctx, job.Key) },
		identity.JobChanged: func(ctx context.Context, job *store.Job) error {
			return errors.Join(s.login.SubjectChanged(ctx, job.Payload), s.oidc.SubjectChanged(ctx, job.Payload), s.seals.SubjectChanged(ctx, job.Payload))
		},
		licence.JobProof: func(ctx context.Context, job *store.Job) error {
			proof, err := s.awaitProof(ctx, string(job.Payload))
			if err != nil {
				return err
			}
			if err := s.licences.AttachProof(ctx, job.Key, proof.Text()); err != nil {
				return err
			}
			return s.refreshBundle(ctx)
		},
		enrol.JobSettle: func(ctx context.Context, job *store.Job) error { return s.enrol.Settle(ctx, job.Key) },
		keys.JobRotate:  func(ctx context.Context, job *store.Job) error { return s.keys.Advance(ctx, job.Key) },
		login.JobEnded:  func(ctx context.Context, job *store.Job) error { return s.oidc.SessionEnded(ctx, job.Payload) },
	}
}

// task is a piece of periodic work that one node at a time does.
type task struct {
	name  string
	every time.Duration
	run   func(context.Context) error
}

func (s *server) tasks() []task {
	if s.roles == rolesKMC {
		return s.tasksAlone()
	}
	return []task{
		{"lists", 10 * time.Minute, s.ca.Refresh},
		{"root-lists", 24 * time.Hour, s.warnOfRootLists},
		{"foreign-lists", time.Minute, s.ca.FetchStatus},
		{"trust-list", time.Hour, s.ca.RefreshTrust},
		{"external-orders", 2 * time.Minute, s.ca.SettleOrders},
		{"bundle", 15 * time.Second, s.refreshBundle},
		{"keys", 10 * time.Minute, s.keys.Resume},
		{"activations", time.Minute, s.keys.Tidy},
		{"holds", 30 * time.Second, func(ctx context.Context) error { _, err := s.ca.ResumeDue(ctx); return err }},
		{"reminders", time.Hour, func(ctx context.Context) error { _, err := s.ca.Remind(ctx); return err }},
		{"recover-issuance", 5 * time.Minute, func(ctx context.Context) error { _, err := s.ca.Recover(ctx, false); return err }},
		{"recover-seals", 5 * time.Minute, func(ctx context.Context) error { _, err := s.seals.Recover(ctx, false); return err }},
		{"recover-licences", 5 * time.Minute, func(ctx context.Context) error { _, err := s.licences.Recover(ctx, false); return err }},
		{"recoveries", 10 * time.Minute, s.tidyCentre},
		{"prune-logins", 24 * time.Hour, s.login.Prune},
		{"prune-enrolment", 24 * time.Hour, s.enrol.Prune},
		{"purge-grants", time.Hour, s.purgeGrants},
	}
}

func (s *server) purgeGrants(ctx context.Context) error {
	for {
		n, err := s.oidc.Purge(ctx, 500)
		if err != nil || n < 500 {
			return err
		}
	}
}

// schedule runs each task when it is due. A lease of the task's length lets one node of many do it.
func (s *server) schedule(ctx context.Context) {
	due := map[string]time.Time{}
	for {
		for _, t := range s.tasks() {
			if s.now().Before(due[t.name]) {
				continue
			}
			due[t.name] = s.now().Add(t.every)
			_, held, err := s.db.Lease(ctx, "task:"+t.name, s.name, t.every)
			if err == nil && held {
				err = s.guarded(func() error { return t.run(ctx) })
			}
			if err != nil && ctx.Err() == nil {
				s.log.Error("scheduled work failed; it will be tried again", "task", t.name, "error", err)
				due[t.name] = s.now().Add(min(t.every, time.Minute))
			}
		}
		if !sleep(ctx, 5*time.Second) {
			return
		}
	}
}

// awaitProof waits for the log to sequence an entry: a second or two.
func (s *server) awaitProof(ctx context.Context, entry string) (tree.Proof, error) {
	ctx, cancel := context.WithTimeout(ctx, 8*time.Second)
	defer cancel()
	for {
		proof, err := s.audit.Proof(ctx, entry)
		if err == nil || fault.KindOf(err) != fault.Unavailable && fault.KindOf(err) != fault.NotFound {
			return proof, err
		}
		if !sleep(ctx, 250*time.Millisecond) {
			return proof, err
		}
	}
}
