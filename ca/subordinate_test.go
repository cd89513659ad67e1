package ca_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hufu/ca"
	"hufu/certs"
	"hufu/certs/bundle"
	"hufu/internal/actor"
	"hufu/internal/gm"
)

var (
	super1 = actor.Actor{Subject: "super-1", Capacity: actor.Official, Roles: []actor.Role{actor.RoleSuperAdmin}}
	super2 = actor.Actor{Subject: "super-2", Capacity: actor.Official, Roles: []actor.Role{actor.RoleSuperAdmin}}
)

// answer certifies a request as a superior does.
func answer(t *testing.T, by party, csr []byte, change func(*certs.Template)) []byte {
	t.Helper()
	r, err := certs.ParseRequest(csr)
	if err != nil {
		t.Fatal(err)
	}
	tm := certs.Template{
		Serial: append([]byte{2}, gmRandom(t)...), Subject: r.Subject, Issuer: by.Subject, AuthorityKeyID: by.SubjectKeyID,
		NotBefore: start.AddDate(0, 0, -1), NotAfter: start.AddDate(4, 0, 0), PublicKey: r.PublicKey,
		IsCA: true, MaxPathLen: 0, KeyUsage: certs.UsageCertSign | certs.UsageCRLSign,
	}
	if change != nil {
		change(&tm)
	}
	if tm.SignatureAlgorithm, err = certs.SigningAlgorithm(by.key.Public()); err != nil {
		t.Fatal(err)
	}
	tbs, err := certs.BuildTBS(tm)
	if err != nil {
		t.Fatal(err)
	}
	alg, sig, err := certs.Sign(by.key, tbs)
	if err != nil {
		t.Fatal(err)
	}
	der, err := certs.Assemble(tbs, alg, sig)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func fingerprintOf(der []byte) string {
	sum := gm.SM3(der)
	return hex.EncodeToString(sum[:])
}

// under brings a fresh world under a superior.
func (w *world) under(q ca.SubordinateAnswer) ca.Subordinate {
	w.t.Helper()
	s, err := w.InstallSubordinate(w.t.Context(), super1, q)
	if err != nil {
		w.t.Fatal(err)
	}
	if s, err = w.ConfirmSubordinate(w.t.Context(), super2, s.ID, q.Fingerprint); err != nil {
		w.t.Fatal(err)
	}
	return s
}

func TestFreshInstallationUnderASuperior(t *testing.T) {
	eachFresh(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		if _, err := w.RequestSubordinate(ctx, business, "issuing", false); !errors.Is(err, actor.ErrRole) {
			t.Errorf("a business administrator: %v", err)
		}
		if _, err := w.RequestSubordinate(ctx, super1, "root", false); !errors.Is(err, ca.ErrSubordinateProfile) {
			t.Errorf("a root under a root: %v", err)
		}
		s, err := w.RequestSubordinate(ctx, actor.ForSystem("init"), "issuing", false)
		if err != nil {
			t.Fatal(err)
		}
		again, err := w.RequestSubordinate(ctx, super1, "issuing", false)
		if err != nil || again.ID != s.ID || !bytes.Equal(again.Request, s.Request) {
			t.Errorf("asked twice: %v", err)
		}
		if err := w.Bootstrap(ctx, actor.ForSystem("start")); err != nil {
			t.Fatal(err)
		}
		if names, _ := w.Issuers(); len(names) != 0 {
			t.Fatalf("a root of its own was made: %v", names)
		}
		r, err := certs.ParseRequest(s.Request)
		if err != nil || !r.Requested.IsCA || r.Requested.MaxPathLen != 0 || r.Requested.KeyUsage != certs.UsageCertSign|certs.UsageCRLSign {
			t.Fatalf("%+v %v", r, err)
		}
		root := foreign(t, nil, "国家根", authority(-1))
		middle := foreign(t, &root, "省级 CA", authority(1))
		q := ca.SubordinateAnswer{Certificate: answer(t, middle, s.Request, nil), Chain: [][]byte{root.Raw, middle.Raw}, Fingerprint: fingerprintOf(root.Raw)}
		w.under(q)
		names, chain := w.Issuers()
		if len(names) != 1 || chain["issuing"] == nil {
			t.Fatalf("%v", names)
		}
		if err := w.Bootstrap(ctx, actor.ForSystem("start")); err != nil {
			t.Fatal(err)
		}
		other := &world{db: w.db, keys: w.keys, store: &faultyStore{Store: w.db.CA()}, now: start, t: t}
		other.open()
		if names, _ := other.Issuers(); len(names) != 1 {
			t.Errorf("after a restart: %v", names)
		}
		_, csr := newCSR(t)
		app, err := w.Issue(ctx, w.citizen, w.approved(csr).ID)
		if err != nil {
			t.Fatal(err)
		}
		got := w.chain(app.Certificates[0])
		if len(got) != 4 || !bytes.Equal(got[3].Raw, root.Raw) || !bytes.Equal(got[2].Raw, middle.Raw) {
			t.Fatalf("chain of %d", len(got))
		}
		pub := newPublisher(t)
		pub.set(nil)
		if err := w.PublishLists(ctx, "issuing"); err != nil {
			t.Fatal(err)
		}
		b, err := w.PublishBundle(ctx, factSource{})
		if err != nil {
			t.Fatal(err)
		}
		parsed, _, err := bundle.Parse(b.Data, bundle.Pin{})
		if err != nil {
			t.Fatal(err)
		}
		validate := func(leaf *certs.Certificate, more ...*certs.Certificate) *certs.Validation {
			return certs.Validate(leaf, certs.Options{
				Roots: parsed.Roots(bundle.Person), Intermediates: append(parsed.Intermediates(bundle.Person), more...), At: w.now, TimeProven: true,
				Terms: parsed.Terms(w.now, bundle.Person), Purpose: certs.PurposeSeal,
			})
		}
		if v := validate(got[0]); v.Outcome != certs.Passed {
			t.Errorf("by the bundle: %+v", v.Steps)
		}
		// The foreign root certifies many; what stands below our superior beside us is none of ours.
		sibling := foreign(t, &middle, "别的 CA", authority(0))
		stranger := foreign(t, &sibling, "别人", nil)
		if v := validate(stranger.Certificate, sibling.Certificate); v.Outcome == certs.Passed || v.Step(certs.StepTrust).Code != "trust.unlisted" {
			t.Errorf("a certificate of a CA beside ours passed: %+v", v.Step(certs.StepTrust))
		}
	})
}

// TestInstallRefusals: each thing that can be wrong with what comes from the superior.
func TestInstallRefusals(t *testing.T) {
	eachFresh(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		s, err := w.RequestSubordinate(ctx, super1, "issuing", false)
		if err != nil {
			t.Fatal(err)
		}
		root, stranger := foreign(t, nil, "国家根", authority(-1)), foreign(t, nil, "国家根", authority(-1))
		tight := foreign(t, nil, "无下级根", authority(0))
		_, otherCSR := newCSR(t)
		good := answer(t, root, s.Request, nil)
		fp := fingerprintOf(root.Raw)
		for _, row := range []struct {
			name string
			q    ca.SubordinateAnswer
			err  error
		}{
			{"another key", ca.SubordinateAnswer{ID: s.ID, Certificate: answer(t, root, otherCSR, nil), Chain: [][]byte{root.Raw}, Fingerprint: fp}, ca.ErrSubordinate},
			{"another key, no id", ca.SubordinateAnswer{Certificate: answer(t, root, otherCSR, nil), Chain: [][]byte{root.Raw}, Fingerprint: fp}, ca.ErrSubordinate},
			{"wrong fingerprint", ca.SubordinateAnswer{Certificate: good, Chain: [][]byte{root.Raw}, Fingerprint: fingerprintOf(stranger.Raw)}, ca.ErrRootFingerprint},
			{"no fingerprint", ca.SubordinateAnswer{Certificate: good, Chain: [][]byte{root.Raw}}, ca.ErrRootFingerprint},
			{"root of the same name", ca.SubordinateAnswer{Certificate: good, Chain: [][]byte{stranger.Raw}, Fingerprint: fingerprintOf(stranger.Raw)}, ca.ErrSubordinate},
			{"no chain", ca.SubordinateAnswer{Certificate: good, Fingerprint: fp}, ca.ErrSubordinate},
			{"no CA", ca.SubordinateAnswer{Certificate: answer(t, root, s.Request, func(x *certs.Template) { x.IsCA, x.KeyUsage = false, certs.UsageDigitalSignature }), Chain: [][]byte{root.Raw}, Fingerprint: fp}, ca.ErrSubordinate},
			{"no lists", ca.SubordinateAnswer{Certificate: answer(t, root, s.Request, func(x *certs.Template) { x.KeyUsage = certs.UsageCertSign }), Chain: [][]byte{root.Raw}, Fingerprint: fp}, ca.ErrSubordinate},
			{"ended", ca.SubordinateAnswer{Certificate: answer(t, root, s.Request, func(x *certs.Template) { x.NotAfter = start.Add(-time.Hour) }), Chain: [][]byte{root.Raw}, Fingerprint: fp}, ca.ErrSubordinate},
			{"another name", ca.SubordinateAnswer{Certificate: answer(t, root, s.Request, func(x *certs.Template) { x.Subject = root.Subject }), Chain: [][]byte{root.Raw}, Fingerprint: fp}, ca.ErrSubordinate},
			{"below a root that allows none", ca.SubordinateAnswer{Certificate: answer(t, tight, s.Request, nil), Chain: [][]byte{tight.Raw}, Fingerprint: fingerprintOf(tight.Raw)}, ca.ErrSubordinate},
			{"no certificate", ca.SubordinateAnswer{ID: s.ID, Certificate: []byte("x"), Chain: [][]byte{root.Raw}, Fingerprint: fp}, ca.ErrSubordinate},
		} {
			if _, err := w.InstallSubordinate(ctx, super1, row.q); !errors.Is(err, row.err) {
				t.Errorf("%s: %v, want %v", row.name, err, row.err)
			}
		}
		q := ca.SubordinateAnswer{Certificate: good, Chain: [][]byte{root.Raw}, Fingerprint: strings.ToUpper(fp[:32]) + ":" + fp[32:]}
		if _, err := w.InstallSubordinate(ctx, actor.ForSystem("x"), q); !errors.Is(err, actor.ErrRole) {
			t.Errorf("the system: %v", err)
		}
		if s, err = w.InstallSubordinate(ctx, super1, q); err != nil {
			t.Fatal(err)
		}
		if names, _ := w.Issuers(); len(names) != 0 {
			t.Error("in force before the second administrator")
		}
		if _, err := w.ConfirmSubordinate(ctx, super1, s.ID, fp); !errors.Is(err, actor.ErrSameActor) {
			t.Errorf("the same administrator: %v", err)
		}
		if _, err := w.ConfirmSubordinate(ctx, business, s.ID, fp); !errors.Is(err, actor.ErrRole) {
			t.Errorf("a business administrator: %v", err)
		}
		if _, err := w.ConfirmSubordinate(ctx, super2, s.ID, fingerprintOf(stranger.Raw)); !errors.Is(err, ca.ErrRootFingerprint) {
			t.Errorf("another fingerprint than that of the first: %v", err)
		}
		if _, err := w.ConfirmSubordinate(ctx, super2, s.ID, fp); err != nil {
			t.Fatal(err)
		}
		if _, err := w.ConfirmSubordinate(ctx, super2, s.ID, fp); !errors.Is(err, ca.ErrMotion) {
			t.Errorf("twice: %v", err)
		}
	})
}

// TestInstallCrashTable: whichever write fails, the installation goes on where it stopped and ends the same.
func TestInstallCrashTable(t *testing.T) {
	for step := 1; step <= 3; step++ {
		for _, before := range []bool{true, false} {
			t.Run(fmt.Sprintf("write %d, before %v", step, before), func(t *testing.T) {
				eachFresh(t, func(t *testing.T, w *world) {
					root := foreign(t, nil, "国家根", authority(-1))
					w.store.failAt(step, before)
					run := func(ctx context.Context) error {
						s, err := w.RequestSubordinate(ctx, super1, "issuing", false)
						if err != nil {
							return err
						}
						q := ca.SubordinateAnswer{Certificate: answer(t, root, s.Request, nil), Chain: [][]byte{root.Raw}, Fingerprint: fingerprintOf(root.Raw)}
						if s.State == ca.MotionRequested {
							if s, err = w.InstallSubordinate(ctx, super1, q); err != nil {
								return err
							}
						}
						_, err = w.ConfirmSubordinate(ctx, super2, s.ID, q.Fingerprint)
						return err
					}
					if err := run(t.Context()); !errors.Is(err, errCrash) {
						t.Fatalf("%v, want the crash", err)
					}
					w.open()
					if names, _ := w.Issuers(); len(names) == 0 {
						if err := run(t.Context()); err != nil {
							t.Fatal(err)
						}
					}
					all, err := w.Subordinates(t.Context(), super1)
					if err != nil || len(all) != 1 || all[0].State != ca.MotionInForce {
						t.Errorf("%+v %v", all, err)
					}
					names, chain := w.Issuers()
					if len(names) != 1 || !certs.SameKey(chain["issuing"].PublicKey, w.keys.keys["ca-issuing"].Public()) || len(w.keys.keys) != 1 {
						t.Errorf("%v, %d keys", names, len(w.keys.keys))
					}
				})
			})
		}
	}
}

func TestRenewalUnderASuperior(t *testing.T) {
	eachFresh(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		root := foreign(t, nil, "国家根", authority(-1))
		s, err := w.RequestSubordinate(ctx, super1, "issuing", false)
		if err != nil {
			t.Fatal(err)
		}
		reply := func(csr []byte, change func(*certs.Template)) ca.SubordinateAnswer {
			return ca.SubordinateAnswer{Certificate: answer(t, root, csr, change), Chain: [][]byte{root.Raw}, Fingerprint: fingerprintOf(root.Raw)}
		}
		w.under(reply(s.Request, nil))
		_, csr := newCSR(t)
		old, err := w.Issue(ctx, w.citizen, w.approved(csr).ID)
		if err != nil {
			t.Fatal(err)
		}

		same, err := w.RequestSubordinate(ctx, super1, "issuing", true)
		if err != nil || same.Name != "issuing" {
			t.Fatalf("%+v %v", same, err)
		}
		if _, err := w.RequestSubordinate(ctx, super1, "issuing", true); err != nil {
			t.Error(err)
		}
		if _, err := w.InstallSubordinate(ctx, super1, reply(same.Request, func(x *certs.Template) { x.SubjectKeyID = []byte("another one") })); !errors.Is(err, ca.ErrSubordinate) {
			t.Errorf("a key identifier that nothing issued leads to: %v", err)
		}
		w.under(reply(same.Request, func(x *certs.Template) { x.NotAfter = start.AddDate(8, 0, 0) }))
		names, chain := w.Issuers()
		if len(names) != 1 || !chain["issuing"].NotAfter.Equal(start.AddDate(8, 0, 0)) {
			t.Fatalf("%v %s", names, chain["issuing"].NotAfter)
		}
		if got := w.chain(old.Certificates[0]); len(got) != 3 || got[0].CheckSignature(got[1]) != nil {
			t.Error("what was issued before lost its chain")
		}

		next, err := w.RequestSubordinate(ctx, super2, "issuing", false)
		if err != nil || next.Name != "issuing-2" {
			t.Fatalf("%+v %v", next, err)
		}
		w.under(reply(next.Request, nil))
		_, csr = newCSR(t)
		app, err := w.Issue(ctx, w.citizen, w.approved(csr).ID)
		if err != nil {
			t.Fatal(err)
		}
		if got := w.chain(app.Certificates[0]); !certs.SameKey(got[1].PublicKey, w.keys.keys["ca-issuing-2"].Public()) {
			t.Error("the new authority does not sign")
		}
		if got := w.chain(old.Certificates[0]); !certs.SameKey(got[1].PublicKey, w.keys.keys["ca-issuing"].Public()) {
			t.Error("the old authority is gone")
		}
		if err := w.WithdrawSubordinate(ctx, super1, next.ID); !errors.Is(err, ca.ErrMotion) {
			t.Errorf("withdrawn when in force: %v", err)
		}
	})
}

// TestOpensslAsSuperior: openssl signs our request with a P-256 root and with an SM2 one.
func TestOpensslAsSuperior(t *testing.T) {
	if _, err := exec.LookPath("openssl"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("openssl is needed")
		}
		t.Skip("openssl is not installed")
	}
	const id = "distid:1234567812345678"
	for name, key := range map[string][]string{
		"P-256": {"-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"},
		"SM2":   {"-algorithm", "SM2"},
	} {
		t.Run(name, func(t *testing.T) {
			eachFresh(t, func(t *testing.T, w *world) {
				w.now = time.Now().UTC()
				dir := t.TempDir()
				run := func(args ...string) {
					t.Helper()
					cmd := exec.Command("openssl", args...)
					cmd.Dir = dir
					if out, err := cmd.CombinedOutput(); err != nil {
						t.Fatalf("openssl %s: %v\n%s", strings.Join(args, " "), err, out)
					}
				}
				s, err := w.RequestSubordinate(t.Context(), super1, "issuing", false)
				if err != nil {
					t.Fatal(err)
				}
				write := func(file string, data []byte) {
					t.Helper()
					if err := os.WriteFile(filepath.Join(dir, file), data, 0o600); err != nil {
						t.Fatal(err)
					}
				}
				write("our.csr", certs.EncodePEM("CERTIFICATE REQUEST", s.Request))
				write("ext", []byte("basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n"))
				run(append([]string{"genpkey", "-out", "root.key"}, key...)...)
				root := []string{"req", "-new", "-x509", "-key", "root.key", "-subj", "/C=CN/CN=External root", "-days", "3650", "-out", "root.pem"}
				sign := []string{"x509", "-req", "-in", "our.csr", "-CA", "root.pem", "-CAkey", "root.key", "-CAcreateserial", "-days", "365", "-extfile", "ext", "-out", "our.pem", "-vfyopt", id}
				if name == "SM2" {
					root, sign = append(root, "-sm3", "-sigopt", id), append(sign, "-sm3", "-sigopt", id)
				}
				run(root...)
				run(sign...)
				read := func(file string) []byte {
					t.Helper()
					text, err := os.ReadFile(filepath.Join(dir, file))
					if err != nil {
						t.Fatal(err)
					}
					der, err := certs.DecodePEM(text, "CERTIFICATE")
					if err != nil {
						t.Fatal(err)
					}
					return der
				}
				top := read("root.pem")
				w.now = time.Now().UTC().Add(2 * time.Second)
				w.under(ca.SubordinateAnswer{Certificate: read("our.pem"), Chain: [][]byte{top}, Fingerprint: fingerprintOf(top)})
				_, csr := newCSR(t)
				app, err := w.Issue(t.Context(), w.citizen, w.approved(csr).ID)
				if err != nil {
					t.Fatal(err)
				}
				if chain := w.chain(app.Certificates[0]); len(chain) != 3 || !bytes.Equal(chain[2].Raw, top) {
					t.Errorf("chain of %d", len(chain))
				}
			})
		})
	}
}

// TestNoRootAfterTheOnlyRequestWasWithdrawn: the next start waits for another request, and makes no root of its own.
func TestNoRootAfterTheOnlyRequestWasWithdrawn(t *testing.T) {
	eachFresh(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		s, err := w.RequestSubordinate(ctx, super1, "issuing", false)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.WithdrawSubordinate(ctx, super1, s.ID); err != nil {
			t.Fatal(err)
		}
		w.open()
		if err := w.Bootstrap(ctx, actor.ForSystem("start")); err != nil {
			t.Fatal(err)
		}
		if names, _ := w.Issuers(); len(names) != 0 {
			t.Errorf("the start made %v", names)
		}
		if _, err := w.RequestSubordinate(ctx, super1, "issuing", false); err != nil {
			t.Errorf("no further request: %v", err)
		}
	})
}
