package main

import (
	"context"
	"fmt"
	"io"

	"hufu/internal/fault"
	"hufu/internal/gm/selftest"
	"hufu/store"
)

type doctorCommand struct {
	place
	RetryJobs bool `help:"Make durable jobs that were given up due again, at most 100 a call."`
}

var errDoctor = fault.New(fault.Unavailable, "doctor",
	"Something is not well; the lines above say what.", "存在异常，详见上文。")

// Run checks what a start needs, each thing by itself, and changes nothing unless told to retry jobs.
func (c *doctorCommand) Run(con *console) error {
	cfg, err := loadConfig(c.Config, c.Data)
	if err != nil {
		return err
	}
	if c.RetryJobs {
		if err := retryJobs(con.ctx, cfg, con.out); err != nil {
			return err
		}
	}
	well := true
	tell := func(what string, err error) {
		mark := "ok     "
		if err != nil {
			mark, well = "FAILED ", false
			what += ": " + oneLine(err)
		}
		fmt.Fprintln(con.out, mark+what)
	}
	for _, r := range selftest.Run() {
		tell(r.Name+" ("+r.Standard+")", r.Err)
	}
	held := c.devices(con, cfg, tell)
	tell("database", checkDatabase(con.ctx, cfg))
	checkRootLists(con, cfg, tell)
	checkCentre(con, cfg, tell)
	checkForeignLists(con, cfg, tell)
	checkLists(con, cfg, tell)
	if held != nil {
		checkKeys(con, cfg, held, tell)
	}
	if !well {
		return errDoctor
	}
	return nil
}

func checkDatabase(ctx context.Context, cfg Config) error {
	if err := databaseFile(cfg); err != nil {
		return err
	}
	db, err := store.Open(ctx, cfg.dsn(), store.Options{})
	if err != nil {
		return err
	}
	defer db.Close()
	if err := db.CheckVersion(ctx); err != nil {
		return err
	}
	dead, err := db.DeadJobs(ctx, 100)
	if err == nil && len(dead) > 0 {
		err = errDeadJobs.With("%d, the oldest %s %s: %s", len(dead), dead[0].Kind, dead[0].Key, dead[0].LastError)
	}
	return err
}

var errDeadJobs = fault.New(fault.Unavailable, "dead-jobs",
	"Work was given up after many tries. Mend what its last error says, then run `hufu doctor --retry-jobs`.",
	"有任务多次失败后已放弃。请先处理其最后的错误，再运行 hufu doctor --retry-jobs。")

// retryJobs makes every job that was given up due again.
func retryJobs(ctx context.Context, cfg Config, out io.Writer) error {
	db, err := store.Open(ctx, cfg.dsn(), store.Options{})
	if err != nil {
		return err
	}
	defer db.Close()
	dead, err := db.DeadJobs(ctx, 100)
	if err != nil {
		return err
	}
	for _, job := range dead {
		if _, err := db.ReviveJob(ctx, job.ID); err != nil {
			return err
		}
		fmt.Fprintf(out, "due again: %s %s\n", job.Kind, job.Key)
	}
	return nil
}

// examined opens the database for looking at, if it is there and opens.
func examined(con *console, cfg Config) *store.DB {
	if databaseFile(cfg) != nil {
		return nil
	}
	db, err := store.Open(con.ctx, cfg.dsn(), store.Options{})
	if err != nil {
		return nil
	}
	return db
}
