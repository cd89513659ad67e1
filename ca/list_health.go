package ca

import (
	"context"
	"time"
)

// lateAfter is how long a change may be missing in the lists before somebody must look: twice of what is promised.
const lateAfter = 2 * time.Minute

// LateList is a list of an authority that signs by itself, and whose renewal does not come.
type LateList struct {
	Issuer string
	Shard  int
	Until  time.Time // its nextUpdate; zero when there is no list
	Behind bool      // a revocation has been missing for minutes
	Ahead  bool      // its thisUpdate lies in the future: a clock was wrong
	Over   bool      // there is none that still counts
}

// LateLists tells which lists somebody has to look after: those of which less than a quarter of their life is left, though
// they are renewed at the half; those that lack a revocation for minutes; those from the future. It reads the store alone.
func LateLists(ctx context.Context, store Store, now time.Time) (late []LateList, err error) {
	err = store.View(ctx, func(r R) error {
		late = nil
		issuers, err := r.Issuers()
		if err != nil {
			return err
		}
		online := map[string]bool{}
		for _, i := range issuers {
			online[i.Name] = !i.Offline()
		}
		lists, err := r.Lists()
		if err != nil {
			return err
		}
		behind, err := r.Unlisted(now.Add(-lateAfter))
		if err != nil {
			return err
		}
		missing := map[string]map[int]bool{}
		for _, l := range behind {
			if missing[l.Issuer] == nil {
				missing[l.Issuer] = map[int]bool{}
			}
			missing[l.Issuer][l.Shard] = true
		}
		for _, l := range lists {
			if one, is := l.late(now); online[l.Issuer] && (is || missing[l.Issuer][l.Shard]) {
				one.Behind = missing[l.Issuer][l.Shard]
				late = append(late, one)
			}
		}
		return nil
	})
	return late, err
}

// late judges a list by its times.
func (l List) late(now time.Time) (LateList, bool) {
	out := LateList{Issuer: l.Issuer, Shard: l.Shard, Until: l.NextUpdate, Ahead: l.ThisUpdate.After(now.Add(lateAfter)), Over: !l.NextUpdate.After(now)}
	return out, out.Over || out.Ahead || l.NextUpdate.Sub(now) < l.NextUpdate.Sub(l.ThisUpdate)/4
}
