package ca

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"hufu/certs"
	"hufu/certs/bundle"
	"hufu/internal/fault"
)

// ErrFetch: a list of another CA could not be had, or is not what its CA would say.
var ErrFetch = fault.New(fault.Unavailable, "ca.fetch",
	"The status list of another authority could not be fetched. Check its address and that this server may call it.",
	"无法获取其他机构的状态列表。请检查其地址以及本服务器是否被允许访问。")

// Limits on lists of others.
const (
	maxForeignList   = 16 << 20         // of one, in octets
	maxBundledList   = 8 << 20          // of one in the trust bundle
	maxBundledLists  = 32 << 20         // of all in the trust bundle
	foreignDeadline  = 20 * time.Second // of one call
	foreignRound     = 30 * time.Second // of one round of calls
	foreignAtOnce    = 8                // calls at a time
	foreignAtLeast   = time.Hour        // between two calls, when the list still counts for long
	foreignAfterFail = 2 * time.Minute
)

// source is an address where another CA publishes its complete list, and whose signature it must have.
type source struct {
	url    string
	entry  string // of the trust list; "": a superior
	signer []*certs.Certificate
}

// sources lists where the status of others is found: of the listed CAs, and of what stands above ours.
func (a *Authority) sources(ctx context.Context) (all []source, err error) {
	list, _, err := a.current(ctx)
	if err != nil {
		return nil, err
	}
	for _, e := range list.Entries {
		var signers []*certs.Certificate
		for _, c := range e.Certificates {
			if cert, err := certs.ParseLenient(c.DER); err == nil {
				signers = append(signers, cert)
			}
		}
		for _, url := range e.CRLs {
			all = append(all, source{url, e.ID, signers})
		}
	}
	signers := certificatesOf(a.superiors())
	below := append(certificatesOf(a.superiors()), a.subordinated()...)
	for _, cert := range below {
		for _, url := range cert.CRLPoints {
			if !slices.ContainsFunc(all, func(s source) bool { return s.url == url }) {
				all = append(all, source{url, "", signers})
			}
		}
	}
	return all, nil
}

// FetchStatus fetches the lists of other CAs that are due, each within a deadline, and drops those that nobody names any
// more. What one address does wrong is kept with it and hinders no other. Run it under a lease.
func (a *Authority) FetchStatus(ctx context.Context) error {
	if a.Client == nil {
		return nil
	}
	wanted, err := a.sources(ctx)
	if err != nil {
		return err
	}
	var kept []ForeignList
	if err := a.Store.View(ctx, func(r R) error {
		kept, err = r.ForeignLists()
		return err
	}); err != nil {
		return err
	}
	for _, k := range kept {
		if !slices.ContainsFunc(wanted, func(s source) bool { return s.url == k.URL }) {
			if err := a.Store.Update(ctx, func(w W) error { return w.DropForeignList(k.URL) }); err != nil {
				return err
			}
		}
	}
	return a.fetchAll(ctx, wanted, kept)
}

// fetchAll asks the addresses that are due, several at a time and those first that were not asked for longest, so that many
// that do not answer keep nobody waiting.
func (a *Authority) fetchAll(ctx context.Context, wanted []source, kept []ForeignList) error {
	bounded, cancel := context.WithTimeout(ctx, foreignRound)
	defer cancel()
	last := make(map[string]ForeignList, len(kept))
	for _, k := range kept {
		last[k.URL] = k
	}
	slices.SortStableFunc(wanted, func(x, y source) int { return last[x.url].TriedAt.Compare(last[y.url].TriedAt) })
	var asking sync.WaitGroup
	places := make(chan struct{}, foreignAtOnce)
	failed := make([]error, len(wanted))
	for i, s := range wanted {
		if !last[s.url].due(a.Now()) {
			continue
		}
		select {
		case places <- struct{}{}:
		case <-bounded.Done():
		}
		if bounded.Err() != nil {
			break // the rest has its turn in the next round
		}
		asking.Go(func() {
			defer func() { <-places }()
			failed[i] = a.fetchOne(ctx, bounded, s, last[s.url])
		})
	}
	asking.Wait()
	return errors.Join(failed...)
}

// due tells whether it is time to ask: in the second half of a list's life, at least every hour, soon after a failure.
func (l ForeignList) due(now time.Time) bool {
	switch {
	case l.TriedAt.IsZero():
		return true
	case l.Failure != "" || l.Size == 0:
		return now.After(l.TriedAt.Add(foreignAfterFail))
	}
	half := l.ThisUpdate.Add(l.NextUpdate.Sub(l.ThisUpdate) / 2)
	return now.After(l.TriedAt.Add(foreignAtLeast)) || now.After(half) && now.After(l.TriedAt.Add(foreignAfterFail))
}

// fetchOne fetches one list within bounded and keeps it, or why it could not be had. Its error is the store's.
func (a *Authority) fetchOne(ctx, bounded context.Context, s source, last ForeignList) error {
	next := ForeignList{URL: s.url, Entry: s.entry, TriedAt: a.Now().UTC()}
	der, list, err := a.fetchList(bounded, s)
	if err == nil && list.ThisUpdate.Before(last.ThisUpdate) {
		err = ErrFetch.With("thisUpdate went back from %s to %s", last.ThisUpdate, list.ThisUpdate)
	}
	if err != nil {
		next.Failure = shortError(err)
	} else {
		next.DER, next.ThisUpdate, next.NextUpdate, next.FetchedAt = der, list.ThisUpdate, list.NextUpdate, next.TriedAt
	}
	return a.Store.Update(ctx, func(w W) error { return w.PutForeignList(next) })
}

func shortError(err error) string {
	text := []rune(strings.ToValidUTF8(err.Error(), ""))
	return string(text[:min(len(text), 300)])
}

func (a *Authority) fetchList(ctx context.Context, s source) ([]byte, *certs.CRL, error) {
	der, err := a.get(ctx, s.url, maxForeignList)
	if err != nil {
		return nil, nil, err
	}
	if text, err := certs.DecodePEM(der, "X509 CRL"); err == nil {
		der = text
	}
	list, err := certs.ParseCRL(der)
	if err != nil {
		return nil, nil, ErrFetch.With("%s: %w", s.url, err)
	}
	if list.BaseNumber != nil {
		return nil, nil, ErrFetch.With("%s: a delta list", s.url)
	}
	if err := list.Current(a.Now().Add(5 * time.Minute)); errors.Is(err, certs.ErrNotYet) {
		return nil, nil, ErrFetch.With("%s: %w", s.url, err)
	}
	for _, signer := range s.signer {
		if list.CheckSignature(signer) == nil {
			return der, list, nil
		}
	}
	return nil, nil, ErrFetch.With("%s: signed by none of the CAs that are known here", s.url)
}

// get fetches what an address gives, at most limit octets.
func (a *Authority) get(ctx context.Context, url string, limit int64) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, foreignDeadline)
	defer cancel()
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, ErrFetch.With("%w", err)
	}
	answer, err := a.Client.Do(q)
	if err != nil {
		return nil, ErrFetch.With("%w", err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, ErrFetch.With("%s: %s", url, answer.Status)
	}
	data, err := io.ReadAll(io.LimitReader(answer.Body, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = fmt.Errorf("more than %d octets", limit)
	}
	if err != nil {
		return nil, ErrFetch.With("%s: %w", url, err)
	}
	return data, nil
}

// ForeignStatus is how the list of another CA stands.
type ForeignStatus struct {
	ForeignList
	Over bool // there is no list that still counts
}

// ForeignStatuses tells how the lists of other CAs stand. It reads the store alone.
func ForeignStatuses(ctx context.Context, store Store, now time.Time) (all []ForeignStatus, err error) {
	err = store.View(ctx, func(r R) error {
		all = nil
		lists, err := r.ForeignLists()
		for _, l := range lists {
			all = append(all, ForeignStatus{l, l.Size == 0 || now.After(l.NextUpdate)})
		}
		return err
	})
	return all, err
}

// listCache keeps parsed lists, and the trust list, as long as the store has the same ones.
type listCache struct {
	mu    sync.Mutex
	crls  map[string]cachedList // by address
	trust *bundle.TrustList
	kept  StoredTrustList   // of trust
	above map[string]judged // by name of an authority of ours
}

type cachedList struct {
	fetched time.Time
	size    int
	list    *certs.CRL
}

// foreignLists gives the lists that are kept, parsed.
func (a *Authority) foreignLists(ctx context.Context) (all []*certs.CRL, err error) {
	err = a.Store.View(ctx, func(r R) error {
		all, err = a.listsIn(r)
		return err
	})
	return all, err
}

// listsIn is foreignLists within a transaction; the cache is not held while the store is asked.
func (a *Authority) listsIn(r R) (all []*certs.CRL, err error) {
	kept, err := r.ForeignLists()
	if err != nil {
		return nil, err
	}
	a.seen.mu.Lock()
	seen := a.seen.crls
	a.seen.mu.Unlock()
	next := make(map[string]cachedList, len(kept))
	for _, k := range kept {
		known, ok := seen[k.URL]
		if k.Size == 0 {
			continue
		}
		if !ok || !known.fetched.Equal(k.FetchedAt) || known.size != k.Size {
			whole, err := r.ForeignList(k.URL)
			if err != nil {
				return nil, err
			}
			list, err := certs.ParseCRL(whole.DER)
			if err != nil {
				return nil, fmt.Errorf("list of %s as kept: %w", k.URL, err)
			}
			known = cachedList{k.FetchedAt, k.Size, list}
		}
		next[k.URL] = known
		all = append(all, known.list)
	}
	a.seen.mu.Lock()
	a.seen.crls = next
	a.seen.mu.Unlock()
	return all, nil
}

// bundled adds the lists of others to the bundle's, within bounds: smaller ones first, so that one that is large leaves
// room for the rest. Without its list a verifier says of a certificate that its status is not known.
func (a *Authority) bundled(ctx context.Context, lists [][]byte) ([][]byte, error) {
	err := a.Store.View(ctx, func(r R) error {
		kept, err := r.ForeignLists()
		if err != nil {
			return err
		}
		slices.SortStableFunc(kept, func(x, y ForeignList) int { return x.Size - y.Size })
		room := maxBundledLists
		for _, k := range kept {
			if k.Size == 0 || k.Size > maxBundledList || k.Size > room {
				continue
			}
			whole, err := r.ForeignList(k.URL)
			if err != nil {
				return err
			}
			if !slices.ContainsFunc(lists, func(l []byte) bool { return string(l) == string(whole.DER) }) {
				lists, room = append(lists, whole.DER), room-k.Size
			}
		}
		return nil
	})
	return lists, err
}

// bundledAuthorities are the listed CAs and what stands above ours, as the bundle names them.
func (a *Authority) bundledAuthorities(ctx context.Context) (all []bundle.Authority, err error) {
	list, _, err := a.current(ctx)
	if err != nil {
		return nil, err
	}
	crossed, err := a.crossCertificates(ctx)
	if err != nil {
		return nil, err
	}
	for _, s := range a.superiors() {
		all = append(all, bundle.Authority{
			Certificate: s.cert.Raw, Root: s.Root, Terms: bundle.Terms{Purposes: ownPurposes(), OnlyListed: true},
		})
	}
	if list.Sequence == 0 || list.CheckTime(a.Now()) != nil {
		return all, nil // a list that has ended names nobody any more
	}
	for _, e := range list.Entries {
		for _, one := range append(e.Authorities(), crossedInto(e, crossed)...) {
			if !slices.ContainsFunc(all, func(b bundle.Authority) bool { return string(b.Certificate) == string(one.Certificate) }) {
				all = append(all, one)
			}
		}
	}
	return all, nil
}

// crossedInto are the cross certificates of a listed CA: they stand in the bundle under the terms of its entry.
func crossedInto(e bundle.TrustEntry, crossed []*certs.Certificate) (all []bundle.Authority) {
	for _, c := range crossed {
		for _, own := range e.Certificates {
			cert, err := certs.ParseLenient(own.DER)
			if err == nil && certs.SameKey(cert.PublicKey, c.PublicKey) && cert.Subject.Equal(c.Subject) {
				all = append(all, bundle.Authority{Certificate: c.Raw, Entry: e.ID, Terms: e.Terms})
				break
			}
		}
	}
	return all
}
