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
	return checkJobs(ctx, db)
}

// retryJobs makes every job that was given up due again.
func retryJobs(ctx context.Context, cfg Config, out io.Writer) error {
	db, err := store.Open(ctx, cfg.dsn(), store.Options{})
	if err != nil {
		return err
	}
	defer db.Close()
	dead, err := db.DeadJobs(ctx, maxJobs)
	if err != nil {
		return err
	}
	return revive(ctx, db, out, dead)
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
