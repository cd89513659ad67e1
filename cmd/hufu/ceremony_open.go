package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"hufu/ca"
	"hufu/internal/gm/selftest"
)

// openForCeremony opens as much of a server as a ceremony needs: device, database, keys, record, authority. It makes no
// authority. The server itself must be stopped where the key store has one holder.
func openForCeremony(ctx context.Context, cfg Config, o openOptions) (*server, error) {
	if err := selftest.Check(); err != nil {
		return nil, errSelfTest.With("%w", err)
	}
	s := &server{cfg: cfg, log: o.log, now: time.Now, name: rand.Text()}
	s.life, s.end = context.WithCancel(context.WithoutCancel(ctx))
	var alive sync.WaitGroup
	s.onClose(func() error { alive.Wait(); return nil })
	for _, floor := range []func(context.Context, openOptions) error{
		s.openDevice, s.openStore, s.joinNodes, s.openKeys, s.openAudit, s.openIdentity, s.readAuthority,
	} {
		if err := floor(ctx, o); err != nil {
			return nil, errors.Join(err, s.Close())
		}
	}
	alive.Go(func() { s.stayAlive(s.life) }) // people type slowly
	return s, nil
}

// tellRoot says where the root's key is.
func (s *server) tellRoot(ctx context.Context, out io.Writer) error {
	c, begun, err := s.ca.Ceremony(ctx)
	if err != nil {
		return err
	}
	if begun && c.State == ca.CeremonyDone {
		fmt.Fprintf(out, "root key: %d of %d custodians of ceremony %s share it; the server works without it\n", c.Threshold, c.Holders, c.ID)
		return nil
	}
	if under, err := s.ca.IsSubordinate(ctx); err != nil || under {
		fmt.Fprintln(out, "root key: another's; our authority stands under it")
		return err
	}
	fmt.Fprintln(out, "root key: in the device of this server, which signs with it alone; for custodians hold a ceremony on a fresh installation (hufu ca ceremony)")
	return nil
}
