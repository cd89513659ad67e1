package main

import (
	"context"
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
	"hufu/store"
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
		Seals: s.seals, Kinds: s.sealKinds(), Hardware: s.cfg.hardware(), APIDocs: "/api/docs", RemoteIP: remoteIP(s.cfg.proxies()), Now: s.now, Log: s.log,
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
	if err := s.openWebhooks(); err != nil {
		return err
	}
	if err := s.openEnrolment(); err != nil {
		return err
	}
	if s.api, err = api.New(api.Config{
		Tokens: s.oidc, CA: s.ca, Centre: s.front, People: s.identity, Logins: s.login, Clients: s.oidc, Seals: s.seals, Licences: s.licences, Audit: s.audit,
		Keys: s.keys, Verifier: verifier{s}, Enrolment: s.enrol, Webhooks: s.webhooks, WebhookKey: s.webhookKey, URL: s.cfg.URL, RemoteIP: remoteIP(s.cfg.proxies()), Log: s.log, Now: s.now,
		Rate: api.Rate{PerSecond: s.cfg.Rate.PerSecond, Burst: s.cfg.Rate.Burst},
	}); err != nil {
		return err
	}
	routes, err := s.routes(ctx)
	s.handler = bounded(s.besides(routes))
	return err
}

// requestTime is the deadline of a request: what it still waits for then, a device or the database, is refused.
const requestTime = time.Minute

// bounded gives each request its deadline, and lets it read ahead.
func bounded(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(store.Ahead(r.Context()), requestTime)
		defer cancel()
		h.ServeHTTP(w, r.WithContext(ctx))
	})
}

// openProvider opens the OpenID provider with its token keys, P-256 and RSA, in the device.
func (s *server) openProvider(ctx context.Context) error {
	by := actor.ForSystem("start")
	if err := s.ensureTokenKeys(ctx); err != nil {
		return err
	}
	signing, err := s.tokenKeys(ctx)
	if err != nil {
		return err
	}
	secret, err := s.keys.EnsureData(ctx, by, keys.DataTokens)
	if err != nil {
		return fmt.Errorf("secret of the tokens: %w", err)
	}
	secrets := currentFirst(secret)
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
	mux.Handle("/.well-known/cmp", s.enrol.Handler())
	mux.Handle("/.well-known/cmp/", s.enrol.Handler())
	mux.Handle("/.well-known/est/", s.enrol.Handler())
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
	if s.inbox != nil {
		mux.Handle("GET /sample/mail", s.inbox)
	}
	return mux, nil
}
