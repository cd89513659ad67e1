package remote

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"time"

	"hufu/ca/kmc"
	"hufu/internal/actor"
	"hufu/internal/gm"
)

// Server serves authorities on other machines.
type Server struct {
	centre *kmc.Centre
	log    *slog.Logger
	now    func() time.Time
	mux    *http.ServeMux
}

// NewServer returns the calls of a centre.
func NewServer(centre *kmc.Centre, now func() time.Time, log *slog.Logger) *Server {
	s := &Server{centre: centre, log: log, now: now, mux: http.NewServeMux()}
	serve(s, "provide", func(ctx context.Context, d *kmc.Desk, by actor.Actor, in orderBody) (answerBody, error) {
		o, err := in.order()
		if err != nil {
			return answerBody{}, err
		}
		a, err := d.Provide(ctx, by, o)
		return answerBody{point(a.Public), a.Envelope}, err
	})
	serve(s, "certified", func(ctx context.Context, d *kmc.Desk, by actor.Actor, in certifiedBody) (struct{}, error) {
		key, err := gm.PublicKey(in.Public)
		if err != nil {
			return struct{}{}, kmc.ErrAsk.With("public key: %w", err)
		}
		return struct{}{}, d.Certified(ctx, by, kmc.Certification{Public: key, Serial: in.Serial, NotAfter: in.NotAfter})
	})
	serve(s, "history", func(ctx context.Context, d *kmc.Desk, by actor.Actor, in subjectBody) ([]kmc.Entry, error) {
		return d.History(ctx, by, in.Subject)
	})
	serve(s, "pool", func(ctx context.Context, d *kmc.Desk, by actor.Actor, _ struct{}) (kmc.PoolStatus, error) {
		return d.Pool(ctx, by)
	})
	serve(s, "request", func(ctx context.Context, d *kmc.Desk, by actor.Actor, in kmc.Ask) (kmc.Recovery, error) {
		return d.Request(ctx, by, in)
	})
	serve(s, "recovery", func(ctx context.Context, d *kmc.Desk, by actor.Actor, in idBody) (kmc.Recovery, error) {
		return d.Recovery(ctx, by, in.ID)
	})
	serve(s, "recoveries", func(ctx context.Context, d *kmc.Desk, by actor.Actor, in kmc.RecoveryFilter) ([]kmc.Recovery, error) {
		return d.Recoveries(ctx, by, in)
	})
	serve(s, "decide", func(ctx context.Context, d *kmc.Desk, by actor.Actor, in decideBody) (kmc.Recovery, error) {
		return d.Decide(ctx, by, in.ID, in.Verdict)
	})
	serve(s, "cancel", func(ctx context.Context, d *kmc.Desk, by actor.Actor, in idBody) (kmc.Recovery, error) {
		return d.Cancel(ctx, by, in.ID)
	})
	serve(s, "take", func(ctx context.Context, d *kmc.Desk, by actor.Actor, in takeBody) (kmc.Recovery, error) {
		return d.Take(ctx, by, in.ID, in.Receipt, in.Standing)
	})
	return s
}

// ServeHTTP serves /kmc/v1/….
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// serve registers one call. Whoever calls is found by the key of the certificate shown in TLS, and by nothing in the call.
func serve[I, O any](s *Server, name string, f func(context.Context, *kmc.Desk, actor.Actor, I) (O, error)) {
	s.mux.HandleFunc("POST "+prefix+name, func(w http.ResponseWriter, r *http.Request) {
		out, err := answer(s, r, f)
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		if err != nil {
			p := tell(err)
			level := slog.LevelDebug
			if p.Code == "internal" {
				level = slog.LevelError
			}
			s.log.Log(r.Context(), level, "a call of an authority was refused", "call", name, "code", p.Code, "error", err)
			w.WriteHeader(statuses[kindOf(p.Kind)])
			_ = json.NewEncoder(w).Encode(p) // to a client that may have gone
			return
		}
		_ = json.NewEncoder(w).Encode(out)
	})
}

func answer[I, O any](s *Server, r *http.Request, f func(context.Context, *kmc.Desk, actor.Actor, I) (O, error)) (out O, err error) {
	if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
		return out, kmc.ErrClient.With("no certificate")
	}
	client, err := s.client(r.Context(), r.TLS.PeerCertificates[0])
	if err != nil {
		return out, err
	}
	text, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, maxBody))
	if err != nil {
		return out, kmc.ErrAsk.With("read call: %w", err)
	}
	var c call
	var in I
	if err := errors.Join(decode(text, &c), decode(c.Body, &in)); err != nil {
		return out, kmc.ErrAsk.With("read call: %w", err)
	}
	print := gm.SM3(r.TLS.PeerCertificates[0].Raw)
	c.By.Peer = hex.EncodeToString(print[:])
	return f(r.Context(), s.centre.Desk(client), c.By, in)
}

// client finds the registered authority whose key a certificate holds.
func (s *Server) client(ctx context.Context, cert *x509.Certificate) (string, error) {
	if now := s.now(); now.Before(cert.NotBefore) || now.After(cert.NotAfter) {
		return "", kmc.ErrClient.With("certificate %s until %s", cert.Subject, cert.NotAfter)
	}
	print := gm.SM3(cert.RawSubjectPublicKeyInfo)
	all, err := s.centre.Clients(ctx)
	if err != nil {
		return "", err
	}
	for _, c := range all {
		if c.Ended.IsZero() && len(c.SPKI) > 0 && string(c.SPKI) == string(print[:]) {
			return c.Name, nil
		}
	}
	return "", kmc.ErrClient.With("certificate %s", cert.Subject)
}

// TLS returns the settings of the centre's listener: TLS 1.3; a certificate that is shown must be a registered authority's.
// Without one only the routes beside this package's can be reached, since each call here asks for it.
func (s *Server) TLS(own tls.Certificate) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{own}, ClientAuth: tls.RequestClientCert,
		VerifyConnection: func(state tls.ConnectionState) error {
			if len(state.PeerCertificates) == 0 {
				return nil
			}
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
			defer cancel()
			_, err := s.client(ctx, state.PeerCertificates[0])
			return err
		},
	}
}

// ClientOf reads the certificate by which an authority is registered: P-256, as TLS 1.3 of this program uses.
func ClientOf(name string, der []byte) (kmc.Client, error) {
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return kmc.Client{}, kmc.ErrClient.With("certificate of %q: %w", name, err)
	}
	if key, ok := cert.PublicKey.(*ecdsa.PublicKey); !ok || key.Curve != elliptic.P256() {
		return kmc.Client{}, kmc.ErrClient.With("certificate of %q: its key is not of P-256", name)
	}
	if name == "" || name == kmc.Local || len(name) > 64 {
		return kmc.Client{}, kmc.ErrClient.With("name %q", name)
	}
	print := gm.SM3(cert.RawSubjectPublicKeyInfo)
	return kmc.Client{Name: name, SPKI: print[:], Certificate: der}, nil
}
