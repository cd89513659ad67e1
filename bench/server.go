package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// hufuServer is `hufu serve` in a process of its own, over TLS, with the sample province in it.
type hufuServer struct {
	url, dir string
	program  string
	roots    *x509.CertPool
	process  *exec.Cmd
	cluster  *cluster
	settings string // of the configuration, beside those that every bench has
	instance int
	notes    io.Writer
}

// samplePassword is that of every account of the sample province.
const samplePassword = "Hufu-demo-2026"

// startServer builds the program, makes a database and starts the server on both.
func startServer(b *bed) (*hufuServer, error) { return startServerWith(b, "") }

// startServerWith is startServer with more lines in the configuration.
func startServerWith(b *bed, settings string) (*hufuServer, error) {
	dir, err := os.MkdirTemp(b.dir, "server-")
	if err != nil {
		return nil, err
	}
	s := &hufuServer{dir: dir, program: filepath.Join(dir, "hufu"), notes: b.notes, settings: settings, instance: 1}
	if out, err := exec.CommandContext(b.ctx, "go", "build", "-o", s.program, "./cmd/hufu").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build the server (run the bench in the root of the module): %w: %s", err, out)
	}
	if s.cluster, err = openCluster(b); err != nil {
		return nil, err
	}
	if err := s.start(b.ctx); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *hufuServer) start(ctx context.Context) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		return err
	}
	l.Close()
	s.url = "https://localhost:" + port
	if err := s.makeTLS(); err != nil {
		return err
	}
	return s.run(ctx)
}

// run starts the process, under the instance number as it stands, and waits until it is ready.
func (s *hufuServer) run(ctx context.Context) error {
	config := fmt.Sprintf("data: %s/data\nlisten: %s\nurl: %s\ntls: {certificate: %s/tls.pem, key: %s/tls.key}\ndatabase: %q\nrate: {per_second: -1}\ninstance: %d\n%s",
		s.dir, strings.TrimPrefix(s.url, "https://"), s.url, s.dir, s.dir, s.cluster.dsn, s.instance, s.settings)
	if err := os.WriteFile(filepath.Join(s.dir, "hufu.yaml"), []byte(config), 0o600); err != nil {
		return err
	}
	log, err := os.Create(filepath.Join(s.dir, "log"))
	if err != nil {
		return err
	}
	defer log.Close()
	s.process = s.command(ctx, "serve", "--demo", "--quiet", "--config", filepath.Join(s.dir, "hufu.yaml"))
	s.process.Stdout, s.process.Stderr = log, log
	if err := s.process.Start(); err != nil {
		return err
	}
	client := s.client()
	for range 600 {
		answer, err := client.Get(s.url + "/readyz")
		if err == nil {
			answer.Body.Close()
			if answer.StatusCode == http.StatusOK {
				return nil
			}
		}
		time.Sleep(100 * time.Millisecond)
	}
	text, _ := os.ReadFile(log.Name())
	return fmt.Errorf("the server did not become ready: %s", text)
}

func (s *hufuServer) command(ctx context.Context, args ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, s.program, args...)
	c.Env = append(os.Environ(), "SSL_CERT_FILE="+filepath.Join(s.dir, "tls.pem"))
	return c
}

// makeTLS makes a certificate for localhost that signs itself.
func (s *hufuServer) makeTLS() error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	t := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, t, t, key.Public(), key)
	if err != nil {
		return err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		return err
	}
	s.roots = x509.NewCertPool()
	s.roots.AddCert(parsed)
	return errors.Join(
		os.WriteFile(filepath.Join(s.dir, "tls.pem"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600),
		os.WriteFile(filepath.Join(s.dir, "tls.key"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600))
}

// client is one with a connection of its own.
func (s *hufuServer) client() *http.Client {
	return &http.Client{Timeout: time.Minute, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: s.roots}, MaxIdleConnsPerHost: 1}}
}

// token logs an account of the sample province in.
func (s *hufuServer) token(ctx context.Context, account, as string) (string, error) {
	c := s.command(ctx, "token", "--server", s.url, "--account", account, "--as", as)
	c.Stdin = strings.NewReader(samplePassword + "\n")
	out, err := c.Output()
	if err != nil {
		return "", fmt.Errorf("token for %s: %w", account, err)
	}
	return strings.TrimSpace(string(out)), nil
}

// apiCall is a call with JSON: in goes there, and what comes back is read into out unless that is nil.
type apiCall struct {
	token, method, path string
	in, out             any
}

func (s *hufuServer) call(client *http.Client, c apiCall) error {
	body, err := json.Marshal(c.in)
	if err != nil {
		return err
	}
	r, err := http.NewRequest(c.method, s.url+c.path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+c.token)
	answer, err := client.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return err
	}
	if answer.StatusCode/100 != 2 {
		return fmt.Errorf("%s %s: %d %s", c.method, c.path, answer.StatusCode, text)
	}
	if c.out == nil {
		return nil
	}
	return json.Unmarshal(text, c.out)
}

func (s *hufuServer) close() {
	if s.process != nil && s.process.Process != nil {
		_ = s.process.Process.Signal(os.Interrupt)
		_ = s.process.Wait()
	}
	if s.cluster != nil {
		s.cluster.close()
	}
}
