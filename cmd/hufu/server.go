package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"hufu/api"
	"hufu/audit"
	"hufu/audit/tree"
	"hufu/audit/webhook"
	"hufu/ca"
	"hufu/ca/enrol"
	"hufu/ca/kmc"
	"hufu/hsm"
	"hufu/identity"
	"hufu/identity/login"
	"hufu/internal/fault"
	"hufu/internal/gm/selftest"
	"hufu/internal/timesource"
	"hufu/keys"
	"hufu/licence"
	"hufu/oidc"
	"hufu/sandbox"
	"hufu/seal"
	"hufu/store"
	"hufu/web"
)

// server is the whole program while it runs. Open makes it, Run serves until its context ends, Close gives everything
// back in reverse order.
type server struct {
	cfg  Config
	log  *slog.Logger
	now  func() time.Time
	name string // of this process among the nodes, anew at each start
	// alone: no other node was alive at the start, so that whatever is unfinished is nobody's work any more.
	alone bool
	// firstSample: this start is the first of a demonstration in this data folder.
	firstSample bool

	roles     roles
	tls       *tls.Config // of the listener, where it asks for certificates; else what the configuration names
	device    hsm.Device  // all devices as one
	watch     *watch      // how each of them is
	db        *store.DB
	keys      *keys.Keys
	audit     *audit.Log
	sequencer *audit.Sequencer
	time      *timesource.Watch // nil where the operator vouches for the clock
	logKey    *tree.Key

	identity *identity.Service
	login    *login.Service
	oidc     *oidc.Provider
	kmc      *kmc.Centre // nil when the centre is elsewhere
	front    *kmc.Front  // this authority's side of the centre
	ca       *ca.Authority
	seals    *seal.Service
	licences *licence.Service
	webhooks *webhook.Service
	enrol    *enrol.Service

	site    *web.Site
	api     *api.API
	demo    *demo          // nil unless --demo
	inbox   *sandbox.Inbox // where mails of a demonstration go; else nil
	handler http.Handler

	life    context.Context // ends when the server closes: signers are asked for under it
	end     context.CancelFunc
	closers []func() error
}

// openOptions say how a server is opened.
type openOptions struct {
	roles   roles         // empty: all that the configuration has here
	create  bool          // make data folder and key store when they are missing
	migrate bool          // bring the schema up to date; else an older one is refused
	demo    bool          // fill with the sample province
	wait    time.Duration // for devices that are away
	log     *slog.Logger

	subordinate bool // make no root: another's is to certify our authority
}

var errSelfTest = fault.New(fault.Unavailable, "selftest",
	"The cryptographic self-test failed, so the server does not start. Do not use this build or this machine; run `hufu doctor`.",
	"密码算法自检未通过，服务不会启动。请勿使用本程序或本机，并运行 hufu doctor 查看。")

// open builds a server from the lowest floor up. Whatever fails gives back what was opened before.
func open(ctx context.Context, cfg Config, o openOptions) (*server, error) {
	if err := selftest.Check(); err != nil {
		return nil, errSelfTest.With("%w", err)
	}
	s := &server{cfg: cfg, log: o.log, now: time.Now, name: rand.Text(), roles: o.roles}
	_, err := os.Stat(sampleFile(cfg))
	s.firstSample = o.demo && errors.Is(err, os.ErrNotExist)
	s.life, s.end = context.WithCancel(context.WithoutCancel(ctx))
	if err := s.build(ctx, o); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *server) build(ctx context.Context, o openOptions) error {
	floors := []func(context.Context, openOptions) error{
		s.claimSample, s.openDevice, s.openStore, s.joinNodes, s.openKeys, s.openAudit, s.openIdentity, s.openAuthority, s.openSeals, s.openLicences,
		s.recoverAll, s.openDemo, s.openEdges,
	}
	if s.roles == rolesKMC {
		floors = s.floorsAlone()
	}
	for _, floor := range floors {
		if err := floor(ctx, o); err != nil {
			return err
		}
	}
	return nil
}

// recoverAll completes or voids what a crash left, before anything new begins. What other nodes have under way is left to
// the schedule, which takes it when it is too old to be alive.
func (s *server) recoverAll(ctx context.Context, _ openOptions) error {
	certificates, err := s.ca.Recover(ctx, true)
	if err != nil {
		return err
	}
	stamps, err := s.seals.Recover(ctx, s.alone)
	if err != nil {
		return err
	}
	licences, err := s.licences.Recover(ctx, s.alone)
	if err != nil {
		return err
	}
	if certificates+stamps+licences > 0 {
		s.log.Info("settled what the last run left unfinished", "certificates", certificates, "stamps", stamps, "licences", licences)
	}
	return nil
}

func (s *server) onClose(f func() error) { s.closers = append(s.closers, f) }

// Close gives everything back. It may be called on a server that was opened in part.
func (s *server) Close() error {
	s.end()
	var errs []error
	for i := len(s.closers) - 1; i >= 0; i-- {
		errs = append(errs, s.closers[i]())
	}
	s.closers = nil
	return errors.Join(errs...)
}

// shutdownTime is how long requests under way may take to finish after the stop was asked for.
const shutdownTime = 10 * time.Second

var errListen = fault.New(fault.Unavailable, "listen",
	"The address cannot be listened on. Stop the program that uses it, or choose another with --listen.",
	"该地址无法监听。请停止占用它的程序，或用 --listen 另选地址。")

// listen takes the configured address, so that a port in use is told before anything is opened.
func listen(cfg Config) (net.Listener, error) {
	l, err := net.Listen("tcp", cfg.Listen)
	if err != nil {
		return nil, errListen.With("listen on %s: %w", cfg.Listen, err)
	}
	return l, nil
}

// Run serves on the listener and works in the background until ctx ends, then lets what is under way finish.
func (s *server) Run(ctx context.Context, l net.Listener) error {
	var background sync.WaitGroup
	ctx, stop := context.WithCancel(ctx)
	defer background.Wait()
	defer stop()
	s.work(ctx, &background)
	background.Go(func() { s.watch.run(ctx) })
	if s.time != nil {
		background.Go(func() { s.time.Run(ctx) })
	}

	web := &http.Server{
		Handler: s.handler, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Minute, WriteTimeout: 2 * time.Minute,
		IdleTimeout: 2 * time.Minute, TLSConfig: cmp.Or(s.tls, s.cfg.tlsConfig()), MaxHeaderBytes: 64 << 10, ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	done := make(chan error, 1)
	go func() {
		if s.tls != nil {
			done <- web.ServeTLS(l, "", "")
		} else if s.cfg.TLS.Certificate != "" {
			done <- web.ServeTLS(l, s.cfg.TLS.Certificate, s.cfg.TLS.Key)
		} else {
			done <- web.Serve(l)
		}
	}()
	select {
	case err := <-done:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	rest, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTime)
	defer cancel()
	if err := web.Shutdown(rest); err != nil {
		return fmt.Errorf("some requests did not finish in %s: %w", shutdownTime, web.Close())
	}
	return nil
}
