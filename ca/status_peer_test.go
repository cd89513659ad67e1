package ca_test

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"hufu/certs"
	"hufu/certs/certstest"
)

// What the authority serves of a certificate that is held and comes back, as Bouncy Castle reads it.
func TestStatusByBouncyCastle(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		if t.Name() != "TestStatusByBouncyCastle/sqlite" {
			return // the octets do not depend on the database
		}
		dir := t.TempDir()
		write := func(name string, data []byte) {
			t.Helper()
			w.must(os.WriteFile(filepath.Join(dir, name), data, 0o600))
		}
		lists := func(state string) {
			t.Helper()
			w.must(w.PublishLists(t.Context(), "issuing"))
			write(state+".crl", w.file("issuing/0.crl").Body.Bytes())
			write(state+"-delta.crl", w.file("issuing/0-delta.crl").Body.Bytes())
		}
		following(t, w.Authority)
		chain := w.leaf()
		write("leaf.der", chain[0].Raw)
		write("issuer.der", chain[1].Raw)
		w.askEveryWay("good", chain, write)
		w.must(w.PublishLists(t.Context(), "issuing"))
		w.now = w.now.Add(time.Minute)
		w.must(w.Suspend(t.Context(), w.citizen, chain[0].Serial, time.Time{}))
		w.askEveryWay("held", chain, write)
		lists("held")
		write("full.crl", w.file("issuing/full.crl").Body.Bytes())
		w.now = w.now.Add(time.Minute)
		w.must(w.Resume(t.Context(), officer, chain[0].Serial))
		lists("resumed")
		out := certstest.BouncyCastle(t, "Status.java", dir)
		number := func(at time.Time) string { return strconv.FormatInt(at.UnixMilli(), 10) } // of a list: the moment it was made
		first, held, resumed := number(w.now.Add(-2*time.Minute)), number(w.now.Add(-time.Minute)), number(w.now)
		point := "point http://localhost:8480/pki/crl/issuing/0.crl critical"
		for _, want := range []string{
			"held.crl ok number " + held + " base none " + point + " freshest true reason 6",
			"held-delta.crl ok number " + held + " base " + first + " critical " + point + " freshest false reason 6",
			"resumed.crl ok number " + resumed + " base none " + point + " freshest true reason absent",
			"resumed-delta.crl ok number " + resumed + " base " + first + " critical " + point + " freshest false reason 8",
			"full.crl ok number " + held + " base none point none freshest false reason 6",
			"good-sm3 ok good", "good-sm3-nonce ok good", "good-sha256 ok good", "good-sha256-nonce ok good", "good-sha1 ok good", "good-sha1-nonce ok good",
			"good-all ok good good good", "good-all-nonce ok good good good", "held-sm3 ok revoked:6", "held-sm3-nonce ok revoked:6",
			"held-sha256 ok revoked:6", "held-sha256-nonce ok revoked:6", "held-sha1 ok revoked:6", "held-sha1-nonce ok revoked:6",
			"held-all ok revoked:6 revoked:6 revoked:6", "held-all-nonce ok revoked:6 revoked:6 revoked:6",
		} {
			if !strings.Contains(out, want+"\n") {
				t.Errorf("Bouncy Castle does not say %q", want)
			}
		}
		if t.Failed() {
			t.Log(out)
		}
	})
}

// askEveryWay writes requests and answers of every hash, alone and together, with and without nonce.
func (w *world) askEveryWay(state string, chain []*certs.Certificate, write func(string, []byte)) {
	w.t.Helper()
	ids := namesOf(chain)
	for name, asked := range map[string][]certs.CertID{"sm3": ids[:1], "sha256": ids[1:2], "sha1": ids[2:], "all": ids} {
		for suffix, nonce := range map[string][]byte{"": nil, "-nonce": certs.NewNonce()} {
			request := must(certs.BuildOCSPRequest(asked, nonce))
			_, rec := postOCSP(w.t, w.Authority, request, nil)
			write(state+"-"+name+suffix+".req", request)
			write(state+"-"+name+suffix+".resp", rec.Body.Bytes())
		}
	}
}
