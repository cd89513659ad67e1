package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"text/tabwriter"
	"time"

	"hufu/internal/fault"
	"hufu/store"
)

type jobsCommands struct {
	List  jobsListCommand  `cmd:"" help:"List durable jobs that were given up, and those that have failed for half an hour. Example: hufu jobs list --config hufu.yaml"`
	Retry jobsRetryCommand `cmd:"" help:"Make such jobs due at once: those named, or all. Example: hufu jobs retry --config hufu.yaml"`
}

var (
	errDeadJobs = fault.New(fault.Unavailable, "dead-jobs",
		"Work was given up after three days of tries. See `hufu jobs list`, mend what its last error says, then run `hufu jobs retry`.",
		"有任务重试三天后已放弃。请用 hufu jobs list 查看，处理其最后的错误后运行 hufu jobs retry。")
	errLateJobs = fault.New(fault.Unavailable, "late-jobs",
		"Work has failed for more than half an hour; it is tried each hour, for three days. See `hufu jobs list` and mend what its last error says; `hufu jobs retry` does not wait for the hour.",
		"有任务持续失败超过半小时，将每小时重试，最长三天。请用 hufu jobs list 查看并处理其最后的错误；hufu jobs retry 可立即重试。")
	errNoJob = fault.New(fault.NotFound, "no-job",
		"No job that failed has this id; none was run again. See `hufu jobs list`.",
		"没有该编号的失败任务，未重试任何任务。请用 hufu jobs list 查看。")
)

// maxJobs bounds how many are dealt with in one call, of each kind.
const maxJobs = 100

type jobsListCommand struct{ place }

func (c *jobsListCommand) Run(con *console) error {
	db, all, err := c.failed(con)
	if err != nil {
		return err
	}
	defer db.Close()
	w := tabwriter.NewWriter(con.out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tKIND\tKEY\tTRIES\tSINCE\tNEXT\tERROR")
	for _, j := range all {
		next := "given up / 已放弃"
		if !j.Next.IsZero() {
			next = j.Next.Local().Format(time.DateTime)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%s\t%s\t%.160q\n", j.ID, j.Kind, j.Key, j.Attempts, j.CreatedAt.Local().Format(time.DateTime), next, j.LastError)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	tellOfMore(con, len(all))
	return nil
}

// tellOfMore says that a list of n jobs may not be all.
func tellOfMore(con *console, n int) {
	if n >= maxJobs {
		fmt.Fprintf(con.out, "At most %d of each kind at once; when these are through, call again. / 每类一次最多 %d 项，处理后请再次运行。\n", maxJobs, maxJobs)
	}
}

type jobsRetryCommand struct {
	place
	IDs []string `arg:"" optional:"" name:"id" help:"Ids of jobs; all that list shows without."`
}

func (c *jobsRetryCommand) Run(con *console) error {
	db, all, err := c.failed(con)
	if err != nil {
		return err
	}
	defer db.Close()
	if all, err = chosen(all, c.IDs); err != nil {
		return err
	}
	for _, job := range all {
		revived, err := db.ReviveJob(con.ctx, job.ID)
		if err != nil {
			return err
		}
		if revived {
			fmt.Fprintf(con.out, "due again / 将立即重试: %s %s\n", job.Kind, job.Key)
		} else { // it runs
			fmt.Fprintf(con.out, "being tried / 正在重试: %s %s\n", job.Kind, job.Key)
		}
	}
	tellOfMore(con, len(all))
	return nil
}

// chosen returns the jobs with the ids, without any all of them. One that is not there is refused before any is run again.
func chosen(all []store.FailedJob, ids []string) ([]store.FailedJob, error) {
	for _, id := range ids {
		if !slices.ContainsFunc(all, func(j store.FailedJob) bool { return j.ID == id }) {
			return nil, errNoJob.With("%q", id)
		}
	}
	return slices.DeleteFunc(all, func(j store.FailedJob) bool { return len(ids) > 0 && !slices.Contains(ids, j.ID) }), nil
}

// failed opens the database alone, which a running server shares, and lists what failed in it.
func (p place) failed(con *console) (*store.DB, []store.FailedJob, error) {
	cfg, err := loadConfig(p.Config, p.Data)
	if err != nil {
		return nil, nil, err
	}
	db, err := openCurrent(con.ctx, cfg)
	if err != nil {
		return nil, nil, err
	}
	all, err := failedJobs(con.ctx, db)
	if err != nil {
		db.Close()
		return nil, nil, err
	}
	return db, all, nil
}

// openCurrent opens a database that is there and has the schema of this version.
func openCurrent(ctx context.Context, cfg Config) (*store.DB, error) {
	if err := databaseFile(cfg); err != nil {
		return nil, err
	}
	db, err := store.Open(ctx, cfg.dsn(), store.Options{})
	if err != nil {
		return nil, err
	}
	if err := db.CheckVersion(ctx); err != nil {
		db.Close()
		return nil, err
	}
	return db, nil
}

// failedJobs lists the given up ones first.
func failedJobs(ctx context.Context, db *store.DB) ([]store.FailedJob, error) {
	dead, err1 := db.DeadJobs(ctx, maxJobs)
	late, err2 := db.LateJobs(ctx, maxJobs)
	return append(dead, late...), cmp.Or(err1, err2)
}

// checkJobs tells the first that an operator has to look at.
func checkJobs(ctx context.Context, db *store.DB) error {
	all, err := failedJobs(ctx, db)
	if err != nil || len(all) == 0 {
		return err
	}
	first, kind := all[0], errDeadJobs
	if !first.Next.IsZero() {
		kind = errLateJobs
	}
	return kind.With("%d, the oldest %s %s: %s", len(all), first.Kind, first.Key, first.LastError)
}
