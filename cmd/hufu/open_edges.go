package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"hufu/api"
	"hufu/configs"
	"hufu/internal/actor"
	"hufu/internal/outbound"
	"hufu/keys"
	"hufu/licence"
	"hufu/oidc"
	"hufu/sandbox"
	"hufu/web"
)

func (s *server) openLicences(ctx context.Context, _ openOptions) error {
	catalogue, err := licence.ParseCatalogue(configs.Files, "licences")
	if err != nil {
		return err
	}
	s.licences, err = licence.New(licence.Config{
		Store: s.db.Licences(), Catalogue: catalogue, Registry: s.identity, Seals: s.seals, QR: qrSigner{s.ca}, VerifyURL: s.cfg.URL + "/verify", Now: s.now,
	})
	return err
}

// openEdges opens the OpenID provider and what faces the outside, and puts them together into one handler.
func (s *server) openEdges(ctx context.Context, _ openOptions) (err error) {
	pages := web.Config{
		Origin: s.cfg.URL, Logins: s.login, People: s.identity, Certificates: s.ca, Activity: s.audit, Verifier: verifier{s},
		APIDocs: "/api/docs", RemoteIP: remoteIP(s.cfg.proxies()), Now: s.now, Log: s.log,
	}
	if s.demo != nil {
		pages.Samples = s.demo.samples()
		pages.Story = newStory(s.demo)
	}
	if s.site, err = web.New(pages); err != nil {
		return err
	}
	if err := s.openProvider(ctx); err != nil {
		return err
	}
	s.site.UseProvider(s.oidc)
	if s.api, err = api.New(api.Config{
		Tokens: s.oidc, CA: s.ca, People: s.identity, Logins: s.login, Clients: s.oidc, Seals: s.seals, Licences: s.licences, Audit: s.audit,
		Verifier: verifier{s}, URL: s.cfg.URL, RemoteIP: remoteIP(s.cfg.proxies()), Log: s.log, Now: s.now,
	}); err != nil {
		return err
	}
	s.handler, err = s.routes(ctx)
	return err
}

// openProvider opens the OpenID provider with its token keys, P-256 and RSA, in the device.
func (s *server) openProvider(ctx context.Context) error {
	by := actor.ForSystem("start")
	var signing []oidc.Key
	for _, k := range []struct{ label, purpose, algorithm string }{
		{"token-es256", keys.TokenES256, keys.P256}, {"token-rs256", keys.TokenRS256, keys.RSA3072},
	} {
		if _, err := s.keys.Ensure(ctx, by, k.label, k.purpose, k.algorithm); err != nil {
			return fmt.Errorf("key %s: %w", k.label, err)
		}
		signer, err := s.keys.Signer(s.life, k.label)
		if err != nil {
			return fmt.Errorf("key %s: %w", k.label, err)
		}
		signing = append(signing, oidc.Key{Signer: signer})
	}
	secret, err := s.keys.EnsureData(ctx, by, keys.DataTokens)
	if err != nil {
		return fmt.Errorf("secret of the tokens: %w", err)
	}
	secrets := newestFirst(secret)
	s.oidc, err = oidc.New(oidc.Config{
		Issuer: s.cfg.URL, Store: s.db.OIDC(), Subjects: s.identity, Sessions: s.login, Pages: s.site.Pages(), Keys: signing,
		TokenSecret: secrets[0], OldSecrets: secrets[1:], LoginPath: "/login", ActingPath: "/acting", ConsentPath: "/consent", Now: s.now, Log: s.log,
	})
	return err
}

// routes mounts everything: protocol handlers of their own packages, the API, the pages.
func (s *server) routes(ctx context.Context) (http.Handler, error) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", s.serveReady)
	mux.Handle("/pki/log/", s.audit.Handler())
	mux.Handle("/pki/", s.ca.Handler())
	mux.Handle("/trust/", s.ca.Handler())
	mux.Handle("/.well-known/", s.oidc.Handler())
	mux.Handle("/oauth2/", s.oidc.Handler())
	mux.Handle("/api/", s.api.Handler())
	mux.Handle("/", s.site.Handler())
	if s.demo == nil {
		return mux, nil
	}
	if err := s.demo.addClients(ctx); err != nil {
		return nil, err
	}
	hall, err := sandbox.NewApp(sandbox.Config{
		Issuer: s.cfg.URL, ClientID: sampleHall, ClientSecret: s.demo.secret, BaseURL: s.cfg.URL,
		HTTP: outbound.NewClient(outbound.Options{Allow: outbound.Loopback()}), Now: s.now, Log: s.log,
	})
	if err != nil {
		return nil, err
	}
	s.demo.hall = hall
	mux.Handle("/sample/", hall)
	return mux, nil
}

// serveReady answers 200 when device and database work, else 503 and which of them does not.
func (s *server) serveReady(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), 3*time.Second)
	defer cancel()
	state := map[string]string{"device": "ok", "database": "ok"}
	code := http.StatusOK
	for part, check := range map[string]func(context.Context) error{"device": s.device.Health, "database": s.db.Health} {
		if err := check(ctx); err != nil {
			s.log.Error("not ready", "part", part, "error", err)
			state[part], code = "failed", http.StatusServiceUnavailable
		}
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(state) // to a client that may have gone
}
