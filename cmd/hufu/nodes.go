package main

import (
	"context"
	"fmt"
	"time"

	"hufu/internal/fault"
	"hufu/store"
)

// A node holds the lease of its instance number, so that no two draw serial numbers in the same space, and so that a
// start knows whether others are alive whose unfinished work is not to be touched.
const (
	nodePrefix = "node:"
	nodeLease  = 10 * time.Second
)

var errInstance = fault.New(fault.Conflict, "instance",
	"Another running server has the same instance number. Give each its own number in the configuration.",
	"另一台正在运行的服务使用了相同的实例编号。请在配置中为每台服务设置不同的编号。")

func (s *server) nodeName() string { return fmt.Sprintf("%s%d", nodePrefix, s.cfg.Instance) }

// joinNodes claims the instance number. After a crash it waits for the dead process's claim to end.
func (s *server) joinNodes(ctx context.Context, _ openOptions) error {
	if s.alone = s.locked(); s.alone {
		return nil
	}
	for began := s.now(); ; {
		_, held, err := s.db.Lease(ctx, s.nodeName(), s.name, nodeLease)
		if err != nil {
			return err
		}
		if held {
			break
		}
		if s.now().Sub(began) > nodeLease+2*time.Second {
			return errInstance.With("instance %d", s.cfg.Instance)
		}
		if !sleep(ctx, 250*time.Millisecond) {
			return ctx.Err()
		}
	}
	s.onClose(func() error { return s.db.Release(context.Background(), s.nodeName(), s.name) })
	others, err := s.db.LiveLeases(ctx, nodePrefix, s.name)
	s.alone = others == 0
	return err
}

// locked tells whether the lock of the software key store keeps every other process away from an embedded database. The kernel drops
// it with the process, so that a start after a crash need not wait for a claim to end.
func (s *server) locked() bool {
	return s.cfg.keptInFiles() && s.db.Engine() == store.SQLite
}

// stayAlive prolongs the claim until ctx ends.
func (s *server) stayAlive(ctx context.Context) {
	if s.locked() {
		return
	}
	for sleep(ctx, nodeLease/4) {
		_, held, err := s.db.Lease(ctx, s.nodeName(), s.name, nodeLease)
		if ctx.Err() == nil && (err != nil || !held) {
			s.log.Error("the instance number could not be kept; if another server has taken it, stop one of them", "instance", s.cfg.Instance, "error", err)
		}
	}
}
