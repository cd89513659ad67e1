package main

import (
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"time"

	"hufu/certs"
	"hufu/internal/gm"
)

// The rows ca.issue: CPU-seconds of the server's process alone, with TLS, the software key store, and a PostgreSQL that
// writes each commit to the disk. Each call brings a request with a fresh SM2 key and gets its certificates: both commits
// are durable then. The goal is 1,500 certificates per CPU-second where the library signs 34,000. It speaks of what a server can
// do, so the row of that name has as many clients as keep it busy; few clients share few commits, and cost more each.
var issueWorkloads = []workload{
	{"ca.issue", "certificates per CPU-second of the server, 64 clients", rawSigning, 1500.0 / 34000, issueRow("bench-person", 64, 1)},
	{"ca.issue.few", "certificates per CPU-second of the server, 8 clients", rawSigning, 1500.0 / 34000, issueRow("bench-person", 8, 1)},
	{"ca.issue.pair", "certificates per CPU-second of the server, 64 clients, signing and encryption certificate in each call", rawSigning, 1500.0 / 34000, issueRow("person-sign", 64, 2)},
}

const rawSigning = "SM2 signatures of 600 octets by the library, per CPU-second"

// benchProfile is person-sign without its pair.
const benchProfile = `name: bench-person
version: 1
title: {zh: 测试, en: Bench}
issuer: issuing
holder: person
keys: [sm2]
apply: [holder, registrar]
approval: {officers: 1, level_free: 3}
days: 1095
usage: [digitalSignature, nonRepudiation]
extended: [clientAuth, emailProtection]
policies: ["2.999.156.1.1.1"]
identity: person
subject:
  - {type: C, value: CN}
  - {type: CN, value: "{name}", rule: required}
`

func issueRow(profile string, clients, each int) func(*bed) (pair, error) {
	return func(b *bed) (pair, error) {
		s, err := startServer(b)
		if err != nil {
			return pair{}, err
		}
		p, err := issuePair(b, s, issuing{profile, clients, each})
		if err != nil {
			s.close()
			return pair{}, err
		}
		p.close = s.close
		return p, nil
	}
}

type issuing struct {
	profile string
	clients int
	each    int // certificates of a call
}

// issuePeople are who the clients act for, each client with a log-in and a token of its own.
var issuePeople = []string{
	"wangxiaoya", "liming", "zhaomin", "sunjing", "guanliyuan", "hejing", "qianfeng", "wuyue", "linwei", "tangyu", "fangmin",
}

// issueTurn is how long clients work at least: the kernel counts another process's time in hundredths of a second.
const issueTurn = 3 * time.Second

func issuePair(b *bed, s *hufuServer, w issuing) (pair, error) {
	if err := s.addProfile(b); err != nil {
		return pair{}, err
	}
	var all []func() error
	for i := range w.clients {
		token, err := s.token(b.ctx, issuePeople[i%len(issuePeople)], "person")
		if err != nil {
			return pair{}, err
		}
		client := s.client()
		all = append(all, func() error { return s.enrol(client, token, w) })
	}
	if _, err := repeat(all, time.Second); err != nil { // connections, caches, plans
		return pair{}, err
	}
	key, err := gm.GenerateKey()
	message := make([]byte, 600)
	return pair{
		ours:      func(d time.Duration) (float64, error) { return s.issueRate(all, max(d, issueTurn), w) },
		reference: loop(func() error { _, err := key.Sign(nil, message, gm.Message); return err }),
		database:  "postgres",
	}, err
}

// issueRate tells beside the result what else there is to know: wall clock and the database's processes.
func (s *hufuServer) issueRate(all []func() error, d time.Duration, w issuing) (float64, error) {
	began, server, database := time.Now(), cpuOf(s.process.Process.Pid), s.cluster.cpu()
	n, err := repeat(all, d)
	if err != nil {
		return 0, err
	}
	server, database = cpuOf(s.process.Process.Pid)-server, s.cluster.cpu()-database
	if server <= 0 {
		return 0, errors.New("the server's CPU time cannot be read")
	}
	made := float64(n * w.each)
	fmt.Fprintf(s.notes, "%s, %d clients: %.0f certificates in %.1f s; server %.0f µs of CPU each, database %.0f µs\n",
		w.profile, w.clients, made, time.Since(began).Seconds(), server.Seconds()*1e6/made, database.Seconds()*1e6/made)
	return made / server.Seconds(), nil
}

// addProfile has the profile of single certificates imported by one administrator and published by another.
func (s *hufuServer) addProfile(b *bed) error {
	maker, err := s.token(b.ctx, "guanliyuan", "official")
	if err != nil {
		return err
	}
	checker, err := s.token(b.ctx, "qianfeng", "official")
	if err != nil {
		return err
	}
	client := s.client()
	if err := s.call(client, apiCall{token: maker, method: http.MethodPost, path: "/api/v1/profiles", in: map[string]any{"text": benchProfile}}); err != nil {
		return err
	}
	return s.call(client, apiCall{token: checker, method: http.MethodPost, path: "/api/v1/profiles/bench-person/versions/1/publish"})
}

var errShort = errors.New("fewer certificates than a call should give")

// enrol makes a key and a request and gets certificates for it.
func (s *hufuServer) enrol(client *http.Client, token string, w issuing) error {
	key, err := gm.GenerateKey()
	if err != nil {
		return err
	}
	csr, err := certs.NewRequest(key, certs.NewName(certs.Attribute{Type: certs.OIDCommonName, Value: rand.Text()}), certs.RequestOptions{})
	if err != nil {
		return err
	}
	var out struct {
		Certificates []struct{ Serial string } `json:"certificates"`
	}
	text := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: csr}))
	if err := s.call(client, apiCall{token, http.MethodPost, "/api/v1/certificates", map[string]any{"profile": w.profile, "csr": text}, &out}); err != nil {
		return err
	}
	if len(out.Certificates) != w.each {
		return errShort
	}
	return nil
}
