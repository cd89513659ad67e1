package ca_test

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"hufu/ca"
	"hufu/ca/kmc/kmctest"
	"hufu/certs"
	"hufu/certs/bundle"
	"hufu/configs"
	"hufu/internal/actor"
)

// node opens one more authority on the world's database, as another server of the same installation is.
func (w *world) node(change func(*ca.Config)) *ca.Authority {
	w.t.Helper()
	profiles, err := ca.ParseProfiles(configs.Files, "profiles")
	if err != nil {
		w.t.Fatal(err)
	}
	c := ca.Config{
		Store: w.store, Registry: registry{}, Keys: w.keys, Profiles: profiles, BaseURL: "http://localhost:8480/pki", Instance: 1,
		Now: func() time.Time { return w.now },
	}
	c.Encryption = kmctest.Local(w.t, w.db.KMC(), func() time.Time { return c.Now() })
	if change != nil {
		change(&c)
	}
	a, err := ca.New(w.t.Context(), c)
	if err != nil {
		w.t.Fatal(err)
	}
	return a
}

func (w *world) file(name string, header ...string) *httptest.ResponseRecorder {
	w.t.Helper()
	r := httptest.NewRequest(http.MethodGet, "/pki/crl/"+name, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	rec := httptest.NewRecorder()
	w.Handler().ServeHTTP(rec, r)
	return rec
}

// crl fetches a list, "issuing/0.crl", and checks its signature.
func (w *world) crl(name string) *certs.CRL {
	w.t.Helper()
	rec := w.file(name)
	if rec.Code != http.StatusOK {
		w.t.Fatalf("GET %s: %d", name, rec.Code)
	}
	list, err := certs.ParseCRL(rec.Body.Bytes())
	if err != nil {
		w.t.Fatal(err)
	}
	_, chain := w.Issuers()
	issuer, _, _ := strings.Cut(name, "/")
	if err := list.CheckSignature(chain[issuer]); err != nil {
		w.t.Errorf("%s: %v", name, err)
	}
	return list
}

func reasonOf(list *certs.CRL, serial []byte) string {
	e, found := list.Find(serial)
	if !found {
		return "absent"
	}
	return e.Reason.String()
}

func shardIn(t *testing.T, c *certs.Certificate) string {
	t.Helper()
	if len(c.CRLPoints) != 1 {
		t.Fatalf("points %v", c.CRLPoints)
	}
	_, name, _ := strings.Cut(c.CRLPoints[0], "/pki/crl/")
	return name
}

// Each certificate names its shard and keeps it, whatever the setting becomes; the list of another shard never speaks for it.
func TestEachCertificateKeepsTheShardItWasIssuedWith(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.Authority = w.node(func(c *ca.Config) { c.Shards = 3 })
		leaves := map[string]*certs.Certificate{}
		for range 40 {
			_, app := w.issued()
			leaf := w.chain(app.Certificates[0])[0]
			leaves[shardIn(t, leaf)] = leaf
			if len(leaves) == 3 {
				break
			}
		}
		if len(leaves) != 3 {
			t.Fatalf("shards %v", leaves)
		}
		w.must(w.Refresh(t.Context()))
		for at := range 3 {
			list := w.crl(fmt.Sprintf("issuing/%d.crl", at))
			for name, leaf := range leaves {
				if own := name == fmt.Sprintf("issuing/%d.crl", at); list.Covers(leaf) != own {
					t.Errorf("list %d covers a certificate of %s: %t", at, name, !own)
				}
			}
			if !w.crl("issuing/full.crl").Covers(leaves[fmt.Sprintf("issuing/%d.crl", at)]) {
				t.Error("the full list does not speak for all")
			}
		}
		// The setting grows, then falls: old certificates stay where they are, and their lists are renewed.
		for _, shards := range []int{5, 1} {
			w.Authority = w.node(func(c *ca.Config) { c.Shards = shards })
			last := leaves["issuing/2.crl"]
			w.now = w.now.Add(20 * time.Hour)
			w.must(w.Refresh(t.Context()))
			if list := w.crl("issuing/2.crl"); list.Current(w.now.Add(20*time.Hour)) != nil || !list.Covers(last) {
				t.Errorf("with %d shards the third list is not renewed", shards)
			}
		}
		leaf := leaves["issuing/2.crl"]
		w.must(w.Revoke(t.Context(), officer, leaf.Serial, certs.ReasonSuperseded, time.Time{}))
		job, err := w.db.ClaimJob(t.Context())
		for err == nil && job != nil && job.Kind != ca.JobList {
			job, err = w.db.ClaimJob(t.Context())
		}
		if err != nil || job == nil || job.Key != "issuing/2" {
			t.Fatalf("job %+v, %v", job, err)
		}
		other := w.crl("issuing/1.crl").Number
		if full, err := w.PublishShard(t.Context(), job.Key); err != nil || !full {
			t.Fatalf("full %t, %v", full, err)
		}
		if got := reasonOf(w.crl("issuing/2.crl"), leaf.Serial); got != "superseded" {
			t.Errorf("in its own list: %s", got)
		}
		if got := reasonOf(w.crl("issuing/full.crl"), leaf.Serial); got != "superseded" {
			t.Errorf("in the full list: %s", got)
		}
		if now := w.crl("issuing/1.crl"); now.Number.Cmp(other) != 0 || reasonOf(now, leaf.Serial) != "absent" {
			t.Errorf("another shard was built too: %s after %s", now.Number, other)
		}
	})
}

// hold → resume → revoke while bases change: whoever has a complete list that is still in force and the newest delta knows
// what whoever has the newest complete list knows.
func TestDeltasAmendEveryListInForce(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		serials := map[string][]byte{}
		for _, name := range []string{"held", "resumed", "back", "revoked", "untouched"} {
			_, app := w.issued()
			serials[name] = serialOf(t, app)
		}
		var published []*certs.CRL
		publish := func() {
			t.Helper()
			w.must(w.PublishLists(t.Context(), "issuing"))
			published = append(published, w.crl("issuing/0.crl"))
			if len(published) == 1 {
				if rec := w.file("issuing/0-delta.crl"); rec.Code != http.StatusNotFound {
					t.Errorf("a delta to nothing: %d", rec.Code)
				}
				return
			}
			w.compareWithDelta(published, serials)
		}
		step := func(d time.Duration) { w.now = w.now.Add(d) }
		publish()
		step(time.Hour)
		w.must(w.Suspend(t.Context(), w.citizen, serials["held"], time.Time{}))
		w.must(w.Suspend(t.Context(), w.citizen, serials["resumed"], time.Time{}))
		w.must(w.Suspend(t.Context(), w.citizen, serials["back"], time.Time{}))
		publish()
		step(time.Hour)
		w.must(w.Resume(t.Context(), officer, serials["resumed"]))
		w.must(w.Resume(t.Context(), officer, serials["back"]))
		publish()
		if got := reasonOf(w.crl("issuing/0-delta.crl"), serials["resumed"]); got != "removeFromCRL" && got != "reason 8" {
			t.Errorf("after the hold the delta says %s", got)
		}
		step(11 * time.Hour)
		publish()
		step(12 * time.Hour) // the first base ends
		w.must(w.Revoke(t.Context(), officer, serials["back"], certs.ReasonCessationOfOperation, time.Time{}))
		w.must(w.Revoke(t.Context(), officer, serials["revoked"], certs.ReasonKeyCompromise, time.Time{}))
		publish()
		for range 5 {
			step(13 * time.Hour)
			publish()
		}
		last := published[len(published)-1]
		for name, want := range map[string]string{
			"held": "certificateHold", "resumed": "absent", "back": "cessationOfOperation", "revoked": "keyCompromise", "untouched": "absent",
		} {
			if got := reasonOf(last, serials[name]); got != want {
				t.Errorf("%s: %s, want %s", name, got, want)
			}
		}
		if delta := w.crl("issuing/0-delta.crl"); delta.BaseNumber.Cmp(published[2].Number) < 0 {
			t.Errorf("the base is still %s", delta.BaseNumber)
		}
	})
}

// compareWithDelta applies the newest delta to every complete list in force and compares with the newest complete list.
func (w *world) compareWithDelta(published []*certs.CRL, serials map[string][]byte) {
	w.t.Helper()
	newest, delta := published[len(published)-1], w.crl("issuing/0-delta.crl")
	if delta.Number.Cmp(newest.Number) != 0 || !delta.ThisUpdate.Equal(newest.ThisUpdate) || delta.BaseNumber == nil {
		w.t.Errorf("delta %s to %s beside list %s", delta.Number, delta.BaseNumber, newest.Number)
	}
	if len(newest.FreshestCRL) != 1 || !strings.HasSuffix(newest.FreshestCRL[0], "/issuing/0-delta.crl") || len(delta.FreshestCRL) != 0 ||
		!slices.Equal(delta.Distribution.URIs, newest.Distribution.URIs) {
		w.t.Errorf("freshest %v, distribution %v", newest.FreshestCRL, delta.Distribution)
	}
	for _, old := range published[:len(published)-1] {
		if old.Current(w.now) != nil {
			continue
		}
		if old.Number.Cmp(delta.BaseNumber) < 0 {
			w.t.Errorf("list %s is in force and older than the base %s", old.Number, delta.BaseNumber)
		}
		for name, serial := range serials {
			got := reasonOf(delta, serial)
			switch got {
			case "absent":
				got = reasonOf(old, serial)
			case certs.ReasonRemoveFromCRL.String():
				got = "absent"
			}
			if want := reasonOf(newest, serial); got != want {
				w.t.Errorf("%s: list %s with delta %s says %s, list %s says %s", name, old.Number, delta.Number, got, newest.Number, want)
			}
		}
	}
}

// An ended certificate leaves the list only after it stood in one that was made after its end.
func TestEndedCertificatesLeaveAfterTheyStoodThere(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		_, app := w.issued()
		leaf := w.chain(app.Certificates[0])[0]
		w.must(w.PublishLists(t.Context(), "issuing"))
		w.now = leaf.NotAfter.Add(-time.Minute)
		w.must(w.Revoke(t.Context(), w.citizen, leaf.Serial, certs.ReasonSuperseded, time.Time{}))
		w.now = leaf.NotAfter.Add(time.Minute) // no list was made while it was valid
		stood := 0
		for range 8 {
			w.must(w.PublishLists(t.Context(), "issuing"))
			if reasonOf(w.crl("issuing/0.crl"), leaf.Serial) == "absent" {
				break
			}
			stood++
			w.now = w.now.Add(12 * time.Hour)
		}
		if stood == 0 || stood == 8 {
			t.Errorf("it stood in %d lists after its end", stood)
		}
		if list := w.crl("issuing/full.crl"); list.Count != 0 {
			t.Errorf("the full list keeps %d", list.Count)
		}
	})
}

// The clock goes back, forward and past nextUpdate: number and thisUpdate never go back, nothing that is revoked leaves.
func TestListsWhenTheClockIsWrong(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		_, app := w.issued()
		serial := serialOf(t, app)
		w.must(w.Revoke(t.Context(), w.citizen, serial, certs.ReasonSuperseded, time.Time{}))
		w.must(w.Refresh(t.Context()))
		right := w.now
		last := w.crl("issuing/0.crl")
		for _, at := range []time.Time{
			right.Add(-10 * time.Hour), right, right.AddDate(9, 0, 0), right.AddDate(9, 0, 2), right.AddDate(9, 0, 4), right, right.Add(time.Hour), right.Add(-time.Hour),
		} {
			w.now = at
			w.must(w.PublishLists(t.Context(), "issuing"))
			next := w.crl("issuing/0.crl")
			if next.Number.Cmp(last.Number) <= 0 || next.ThisUpdate.Before(last.ThisUpdate) || !next.NextUpdate.After(next.ThisUpdate) {
				t.Errorf("at %s: list %s of %s after %s of %s", at, next.Number, next.ThisUpdate, last.Number, last.ThisUpdate)
			}
			last = next
		}
		// At the right time again, what a clock of years ahead took for ended is revoked as before, and deltas say so.
		w.now = right.Add(2 * time.Hour)
		w.must(w.PublishLists(t.Context(), "issuing"))
		if got := reasonOf(w.crl("issuing/0.crl"), serial); got != "superseded" {
			t.Errorf("after the clock was set right: %s", got)
		}
		if got := reasonOf(w.crl("issuing/0-delta.crl"), serial); got != "superseded" {
			t.Errorf("in the delta: %s", got)
		}
		late, err := ca.LateLists(t.Context(), w.db.CA(), w.now)
		if err != nil || !slices.ContainsFunc(late, func(l ca.LateList) bool { return l.Issuer == "issuing" && l.Ahead }) {
			t.Errorf("nobody is told of the list from the future: %+v, %v", late, err)
		}
		// Past nextUpdate after a long stop the next round renews.
		w.now = last.NextUpdate.AddDate(1, 0, 0)
		w.must(w.Refresh(t.Context()))
		if err := w.crl("issuing/0.crl").Current(w.now); err != nil {
			t.Error(err)
		}
	})
}

// Several builders on one shard: each list is whole, none is older than the one before, no number is given twice.
func TestTwoBuildersOnOneShard(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		other := w.node(nil)
		_, app := w.issued()
		serial := serialOf(t, app)
		w.must(w.Revoke(t.Context(), w.citizen, serial, certs.ReasonSuperseded, time.Time{}))
		var wg sync.WaitGroup
		for i := range 6 {
			a := []*ca.Authority{w.Authority, other}[i%2]
			wg.Go(func() {
				if _, err := a.PublishShard(t.Context(), "issuing/0"); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		l, err := w.List(t.Context(), "issuing", 0)
		if err != nil || l.Number != uint64(start.UnixMilli())+5 || l.Claimed != l.Number || reasonOf(w.crl("issuing/0.crl"), serial) != "superseded" {
			t.Errorf("%+v, %v", l, err)
		}
	})
}

// A builder that fell asleep while it signed wakes up when another has published: its list is dropped.
func TestALateBuilderIsDropped(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		other := w.node(nil)
		w.must(w.PublishLists(t.Context(), "issuing"))
		_, app := w.issued()
		serial := serialOf(t, app)
		asleep := false
		w.keys.before = func() error {
			if asleep {
				return nil
			}
			asleep = true
			w.now = w.now.Add(time.Minute) // its claim ends
			err := w.Revoke(t.Context(), w.citizen, serial, certs.ReasonSuperseded, time.Time{})
			if err == nil {
				_, err = other.PublishShard(t.Context(), "issuing/0")
			}
			return err
		}
		_, err := w.PublishShard(t.Context(), "issuing/0")
		w.keys.before = nil
		if !errors.Is(err, ca.ErrState) {
			t.Errorf("the late one: %v", err)
		}
		if list := w.crl("issuing/0.crl"); reasonOf(list, serial) != "superseded" || list.Number.Int64() != w.now.UnixMilli() {
			t.Errorf("list %s, revoked %s", list.Number, reasonOf(list, serial))
		}
	})
}

// A crash after each commit of the building of a list, and before it: what is served stays whole, numbers rise and are never
// given twice, and the next builder names the revocation.
func TestCrashesWhileAListIsBuilt(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.must(w.PublishLists(t.Context(), "issuing"))
		last := w.crl("issuing/0.crl").Number.Int64()
		for _, before := range []bool{true, false} {
			for n := 1; ; n++ {
				_, app := w.issued()
				serial := serialOf(t, app)
				w.must(w.Revoke(t.Context(), w.citizen, serial, certs.ReasonSuperseded, time.Time{}))
				w.SetListPart(600) // several pieces
				w.store.failAt(n, before)
				w.store.deaf = true // the process is dead: nothing it does later arrives
				_, err := w.PublishShard(t.Context(), "issuing/0")
				over := err == nil
				w.store.failAt(0, false)
				w.store.deaf = false
				served := w.crl("issuing/0.crl")
				if served.Number.Int64() < last {
					t.Fatalf("crash %d: list %s after %d", n, served.Number, last)
				}
				w.open()
				w.now = w.now.Add(50 * time.Second) // within a minute
				if _, err := w.PublishShard(t.Context(), "issuing/0"); err != nil {
					t.Fatalf("after crash %d (before %t): %v", n, before, err)
				}
				next := w.crl("issuing/0.crl")
				if reasonOf(next, serial) != "superseded" || next.Number.Cmp(served.Number) <= 0 {
					t.Errorf("after crash %d (before %t): %s in list %s", n, before, reasonOf(next, serial), next.Number)
				}
				last = next.Number.Int64()
				if over {
					break
				}
				if n > 60 {
					t.Fatal("it never ends")
				}
			}
		}
		w.noListSignedTwice()
	})
}

// noListSignedTwice checks that no two signatures were made over one number: each digest was signed once.
func (w *world) noListSignedTwice() {
	w.t.Helper()
	seen := map[string]bool{}
	for _, e := range w.keys.signed {
		if seen[string(e)] {
			w.t.Errorf("digest %x was signed twice", e)
		}
		seen[string(e)] = true
	}
}

func TestAFailedSignatureLeavesTheListInForce(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.must(w.PublishLists(t.Context(), "issuing"))
		down := errors.New("device is down")
		w.keys.before = func() error { return down }
		if err := w.PublishLists(t.Context(), "issuing"); !errors.Is(err, down) {
			t.Errorf("%v", err)
		}
		w.keys.before = nil
		if list := w.crl("issuing/0.crl"); list.Number.Int64() != start.UnixMilli() {
			t.Errorf("list %s", list.Number)
		}
		w.must(w.PublishLists(t.Context(), "issuing")) // at once: the claim was given back
		if list := w.crl("issuing/full.crl"); list.Number.Int64() != start.UnixMilli()+2 {
			t.Errorf("list %s: the number of the failed one was given again", list.Number)
		}
	})
}

// A shard that nobody renews, and a revocation that no list names, are told before the list ends.
func TestWhoeverLooksIsToldOfLateLists(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		look := func() map[string]ca.LateList {
			t.Helper()
			all, err := ca.LateLists(t.Context(), w.db.CA(), w.now)
			if err != nil {
				t.Fatal(err)
			}
			out := map[string]ca.LateList{}
			for _, l := range all {
				out[l.Issuer+"/"+strconv.Itoa(l.Shard)] = l
			}
			return out
		}
		if l := look()["issuing/0"]; !l.Over {
			t.Errorf("never made: %+v", l)
		}
		w.must(w.Refresh(t.Context()))
		if all := look(); len(all) != 0 {
			t.Errorf("all is well, yet %+v", all)
		}
		_, app := w.issued()
		w.now = w.now.Add(time.Second)
		w.must(w.Revoke(t.Context(), w.citizen, serialOf(t, app), certs.ReasonSuperseded, time.Time{}))
		w.now = w.now.Add(3 * time.Minute)
		if l := look()["issuing/0"]; !l.Behind || l.Over {
			t.Errorf("a revocation is missing: %+v", l)
		}
		w.must(w.Refresh(t.Context())) // the safety net: it needs no job
		if all := look(); len(all) != 0 {
			t.Errorf("after the round %+v", all)
		}
		w.now = w.now.Add(19 * time.Hour)
		if l := look()["issuing/0"]; l.Over || l.Until.Before(w.now) {
			t.Errorf("before its end: %+v", l)
		}
		w.now = w.now.Add(6 * time.Hour)
		if l := look()["issuing/0"]; !l.Over {
			t.Errorf("after its end: %+v", l)
		}
	})
}

func TestListsAreServedInPieces(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.SetListPart(70)
		for range 4 {
			_, app := w.issued()
			w.must(w.Revoke(t.Context(), w.citizen, serialOf(t, app), certs.ReasonSuperseded, time.Time{}))
		}
		w.must(w.PublishLists(t.Context(), "issuing"))
		whole := w.file("issuing/0.crl")
		der, err := w.ListDER(t.Context(), "issuing", 0)
		if err != nil || !bytes.Equal(der, whole.Body.Bytes()) || whole.Header().Get("Content-Length") != strconv.Itoa(len(der)) {
			t.Fatalf("%d octets, %v", len(der), err)
		}
		if whole.Header().Get("Content-Encoding") != "" || !strings.Contains(whole.Header().Get("Cache-Control"), "max-age=30") {
			t.Errorf("headers %v", whole.Header())
		}
		part := w.file("issuing/0.crl", "Range", "bytes=60-150")
		if part.Code != http.StatusPartialContent || !bytes.Equal(part.Body.Bytes(), der[60:151]) {
			t.Errorf("range: %d, %x", part.Code, part.Body.Bytes())
		}
		tag := whole.Header().Get("ETag")
		if same := w.file("issuing/0.crl", "If-None-Match", tag); same.Code != http.StatusNotModified || same.Body.Len() > 0 {
			t.Errorf("the same again: %d", same.Code)
		}
		w.must(w.PublishLists(t.Context(), "issuing"))
		if next := w.file("issuing/0.crl", "If-None-Match", tag); next.Code != http.StatusOK {
			t.Errorf("a new list: %d", next.Code)
		}
		if other := w.file("issuing/0.crl", "Range", "bytes=0-9", "If-Range", tag); other.Code != http.StatusOK {
			t.Errorf("a range of another list: %d", other.Code)
		}
		for _, bad := range []string{"issuing/1.crl", "issuing/00.crl", "issuing/-1.crl", "issuing/full-delta.crl", "issuing/99999999999.crl", "nobody/0.crl", "issuing/0.txt", "issuing/.crl"} {
			if rec := w.file(bad); rec.Code != http.StatusNotFound {
				t.Errorf("%s: %d", bad, rec.Code)
			}
		}
	})
}

func TestTheBundleCarriesListsWithinItsLimits(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.Authority = w.node(func(c *ca.Config) { c.Shards = 2 })
		w.must(w.Refresh(t.Context()))
		_, app := w.issued()
		leaf := w.chain(app.Certificates[0])
		w.must(w.Revoke(t.Context(), actor.ForSystem("test"), leaf[0].Serial, certs.ReasonSuperseded, time.Time{}))
		if _, err := w.PublishShard(t.Context(), strings.TrimSuffix(shardIn(t, leaf[0]), ".crl")); err != nil {
			t.Fatal(err)
		}
		b, err := w.PublishBundle(t.Context(), factSource{})
		if err != nil || len(b.Data) == 0 {
			t.Fatal(err)
		}
		full, err := w.ListDER(t.Context(), "issuing", ca.FullShard)
		if err != nil || !carries(t, b.Data, full) {
			t.Errorf("the short full list is not in the bundle: %v", err)
		}
	})
}

func carries(t *testing.T, data, list []byte) bool {
	t.Helper()
	b, _, err := bundle.Parse(data, bundle.Pin{})
	if err != nil {
		t.Fatal(err)
	}
	return slices.ContainsFunc(b.CRLs, func(der []byte) bool { return bytes.Equal(der, list) })
}
