package ca_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"hufu/ca"
	"hufu/certs"
)

// site serves an authority with several shards over HTTP, at the addresses that its certificates name.
func (w *world) site(shards int) {
	w.t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { w.Handler().ServeHTTP(rw, r) }))
	w.t.Cleanup(server.Close)
	w.Authority = w.node(func(c *ca.Config) { c.Shards, c.BaseURL = shards, server.URL+"/pki" })
}

// fetch gets a list from its address, as a stranger does.
func (w *world) fetch(url string) *certs.CRL {
	w.t.Helper()
	answer, err := http.Get(url)
	w.must(err)
	defer answer.Body.Close()
	der, err := io.ReadAll(answer.Body)
	w.must(err)
	if answer.StatusCode != http.StatusOK {
		w.t.Fatalf("%s: %s", url, answer.Status)
	}
	return must(certs.ParseCRL(der))
}

// From the revocation by the durable job to the list at the address that the certificate names, in each shard (boulder's
// TestCRLPipeline).
func TestARevocationReachesTheAddressInTheCertificate(t *testing.T) {
	const shards = 3
	each(t, func(t *testing.T, w *world) {
		w.site(shards)
		w.must(w.Refresh(t.Context()))
		done := map[string]bool{}
		for n := 0; len(done) < shards; n++ {
			_, app := w.issued()
			chain := w.chain(app.Certificates[0])
			url := chain[0].CRLPoints[0]
			if done[url] {
				continue
			}
			if n > 60 {
				t.Fatalf("certificates of %d shards only", len(done))
			}
			done[url] = true
			if _, there := w.fetch(url).Find(chain[0].Serial); there {
				t.Errorf("%s names a good certificate", url)
			}
			w.must(w.Revoke(t.Context(), w.citizen, chain[0].Serial, certs.ReasonSuperseded, time.Time{}))
			w.workLists()
			list := w.fetch(url)
			if err := list.CheckSignature(chain[1]); err != nil || reasonOf(list, chain[0].Serial) != "superseded" || !list.Covers(chain[0]) {
				t.Errorf("%s: %s, %v", url, reasonOf(list, chain[0].Serial), err)
			}
		}
	})
}

// workLists does the durable jobs that wait for lists.
func (w *world) workLists() {
	w.t.Helper()
	n := 0
	for {
		job := must(w.db.ClaimJob(w.t.Context()))
		if job == nil {
			break
		}
		if job.Kind == ca.JobList {
			must(w.PublishShard(w.t.Context(), job.Key))
			n++
		}
		w.must(w.db.FinishJob(w.t.Context(), job))
	}
	if n != 1 {
		w.t.Errorf("%d jobs for lists", n)
	}
}

// A server that starts builds all lists that are absent, and later all that have ended meanwhile (boulder's TestCRLUpdaterStartup).
func TestAStartBuildsEveryListThatIsMissing(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		_, issuers := w.Issuers()
		all := func() (lists []*certs.CRL) {
			for _, name := range []string{"issuing/full.crl", "issuing/0.crl", "issuing/1.crl", "issuing/2.crl", "root/full.crl", "root/0.crl"} {
				list := w.fetch(w.BaseURL + "/crl/" + name)
				if err := list.Current(w.now); err != nil {
					t.Errorf("%s: %v", name, err)
				}
				lists = append(lists, list)
			}
			return lists
		}
		w.site(3)
		w.must(w.Refresh(t.Context()))
		first := all()
		w.now = w.now.Add(90 * 24 * time.Hour)
		if first[0].Current(w.now) == nil {
			t.Fatal("no list has ended")
		}
		w.site(3) // a new server, at another address
		w.must(w.Refresh(t.Context()))
		for i, list := range all() {
			if list.Number.Cmp(first[i].Number) <= 0 || list.CheckSignature(issuers[[]string{"issuing", "root"}[i/4]]) != nil {
				t.Errorf("%s after %s", fmt.Sprint(list.Number), first[i].Number)
			}
		}
	})
}
