package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"hufu/ca/kmc"
	kmcremote "hufu/ca/kmc/remote"
	"hufu/internal/actor"
	"hufu/internal/outbound"
	"hufu/keys"
	"hufu/store"
)

// check refuses what is contradictory, whatever the roles.
func (k *KMC) check() error {
	set := 0
	for _, s := range []string{k.URL, k.CAFile, k.Certificate, k.KeyFile} {
		if s != "" {
			set++
		}
	}
	switch {
	case set != 0 && set != 4:
		return errConfig.With("kmc: url, ca_file, certificate and key_file go together")
	case k.URL != "" && !strings.HasPrefix(k.URL, "https://"):
		return errConfig.With("kmc: url %q is not https://", k.URL)
	case k.URL != "" && len(k.Clients) > 0:
		return errConfig.With("kmc: this server has its centre elsewhere and serves no clients")
	}
	return nil
}

// checkAlone refuses what a centre cannot stand alone with.
func (k *KMC) checkAlone(cfg Config) error {
	switch {
	case cfg.TLS.Certificate == "":
		return errConfig.With("a key management centre alone needs tls")
	case len(k.Clients) == 0:
		return errConfig.With("a key management centre alone needs kmc.clients, the authorities that it serves")
	}
	return nil
}

// floorsAlone are those of a key management centre that stands alone: device, database and log of its own.
func (s *server) floorsAlone() []func(context.Context, openOptions) error {
	return []func(context.Context, openOptions) error{
		s.openDevice, s.openStore, s.joinNodes, s.openKeys, s.openAudit, s.openCentreAlone, s.openCentreEdges,
	}
}

func (s *server) openCentreAlone(ctx context.Context, _ openOptions) error {
	var clients []kmc.Client
	for _, c := range s.cfg.KMC.Clients {
		text, err := readSmall(c.Certificate)
		if err != nil {
			return errConfig.With("kmc.clients, %s: %w", c.Name, err)
		}
		block, _ := pem.Decode(text)
		if block == nil || block.Type != "CERTIFICATE" {
			return errConfig.With("kmc.clients, %s: %s holds no certificate", c.Name, c.Certificate)
		}
		client, err := kmcremote.ClientOf(c.Name, block.Bytes)
		if err != nil {
			return err
		}
		clients = append(clients, client)
	}
	return s.openCentre(ctx, clients)
}

// openCentreEdges serves the calls of authorities, the log and how the centre is, and nothing else.
func (s *server) openCentreEdges(_ context.Context, _ openOptions) error {
	own, err := tls.LoadX509KeyPair(s.cfg.TLS.Certificate, s.cfg.TLS.Key)
	if err != nil {
		return errConfig.With("tls: %w", err)
	}
	calls := kmcremote.NewServer(s.kmc, s.now, s.log)
	s.tls = calls.TLS(own)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", s.serveReady)
	mux.Handle("/pki/log/", s.audit.Handler())
	mux.Handle("/kmc/", calls)
	s.handler = bounded(mux)
	return nil
}

// remoteTime bounds one try of a call to a centre elsewhere.
const remoteTime = 10 * time.Second

// remoteCentre is the key management centre on another machine.
func (s *server) remoteCentre() (kmc.Service, error) {
	k := s.cfg.KMC
	own, err := tls.LoadX509KeyPair(k.Certificate, k.KeyFile)
	if err != nil {
		return nil, errConfig.With("kmc: %w", err)
	}
	text, err := readSmall(k.CAFile)
	if err != nil {
		return nil, errConfig.With("kmc: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		return nil, errConfig.With("kmc: %s holds no certificate", k.CAFile)
	}
	return kmcremote.NewClient(k.URL, outbound.NewClient(outbound.Options{
		Allow:   []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")}, // the operator has named the address
		Timeout: remoteTime, MaxBody: 4 << 20,
		TLS: &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: roots, Certificates: []tls.Certificate{own}},
	})), nil
}

// checkCentre tells the doctor's reader whether a centre elsewhere answers, and what stands in escrow in this database.
func checkCentre(con *console, cfg Config, tell func(string, error)) {
	if cfg.KMC.URL != "" {
		service, err := (&server{cfg: cfg}).remoteCentre()
		if err == nil {
			_, err = service.Pool(con.ctx, actor.ForSystem("doctor"))
		}
		tell("key management centre "+cfg.KMC.URL, err)
		return
	}
	db := examined(con, cfg)
	if db == nil {
		return // the line about the database has said why
	}
	defer db.Close()
	if db.CheckVersion(con.ctx) != nil {
		return
	}
	err := db.KMC().View(con.ctx, func(r kmc.R) error {
		clients, err := r.Clients()
		for _, c := range clients {
			held, pool, err := r.Count(c.Name)
			if err != nil {
				return err
			}
			fmt.Fprintf(con.out, "       authority %s: %d encryption keys in escrow; %d pairs in the pool\n", c.Name, held, pool)
		}
		return err
	})
	tell("encryption keys", err)
}

// jobsAlone and tasksAlone are what a centre that stands alone does by itself.
func (s *server) jobsAlone() map[string]jobHandler {
	return map[string]jobHandler{
		keys.JobRotate: func(ctx context.Context, job *store.Job) error { return s.keys.Advance(ctx, job.Key) },
	}
}

func (s *server) tasksAlone() []task {
	return []task{{"keys", 10 * time.Minute, s.keys.Resume}, {"recoveries", 10 * time.Minute, s.tidyCentre}}
}
