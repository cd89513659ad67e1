package main

import (
	"context"
	"fmt"

	"hufu/internal/fault"
	"hufu/internal/gm/selftest"
	"hufu/store"
)

type doctorCommand struct{ place }

var errDoctor = fault.New(fault.Unavailable, "doctor",
	"Something is not well; the lines above say what.", "存在异常，详见上文。")

// Run checks what a start needs, each thing by itself, and changes nothing.
func (c *doctorCommand) Run(con *console) error {
	cfg, err := loadConfig(c.Config, c.Data)
	if err != nil {
		return err
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
	db, err := openCurrent(ctx, cfg)
	if err != nil {
		return err
	}
	defer db.Close()
	return checkJobs(ctx, db)
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
