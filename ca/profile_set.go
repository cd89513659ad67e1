package ca

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"hufu/internal/gm"
)

// FollowProfilesEvery is how often a node looks whether profiles have changed: one row is read.
const FollowProfilesEvery = time.Second

// profileSet is what a node knows of profiles. It is replaced as a whole and never changed.
type profileSet struct {
	turn  int64
	force map[string]*Profile
	all   map[profileID]*Profile // in force or not, that may be issued under
	kinds map[string]HolderKind  // whose certificates stand under a name, withdrawn or not: no version changes that
}

// profileCache holds the set in force.
type profileCache struct {
	profiles  atomic.Pointer[profileSet]
	profileMu sync.Mutex // held while the set is read anew
}

type profileID struct {
	name    string
	version int
}

// profile returns the profile in force under a name, nil when there is none. It is a look-up in memory.
func (a *Authority) profile(name string) *Profile { return a.profiles.Load().force[name] }

// profileVersion returns one version of a profile, for applications that were made under it: nil when that version was
// never published or was withdrawn. It is a look-up in memory.
func (a *Authority) profileVersion(name string, version int) *Profile {
	return a.profiles.Load().all[profileID{name, version}]
}

// ProfilesInForce returns the profiles in force, by name.
func (a *Authority) ProfilesInForce() map[string]*Profile { return a.profiles.Load().force }

// FollowProfiles brings this node's profiles up to what the database has. Where nothing has changed it reads one row.
func (a *Authority) FollowProfiles(ctx context.Context) error {
	var turn int64
	err := a.Store.View(ctx, func(r R) (err error) {
		turn, err = r.ProfileTurn()
		return err
	})
	if known := a.profiles.Load(); err != nil || known != nil && known.turn == turn {
		return err
	}
	return a.loadProfiles(ctx)
}

// loadProfiles reads all versions. Names that the database does not have are in force as shipped. A version that cannot be
// used is ErrDamagedProfile, and the others are in force nevertheless.
func (a *Authority) loadProfiles(ctx context.Context) error {
	a.profileMu.Lock()
	defer a.profileMu.Unlock()
	fresh := &profileSet{force: map[string]*Profile{}, all: map[profileID]*Profile{}, kinds: map[string]HolderKind{}}
	var rows []ProfileVersion
	err := a.Store.View(ctx, func(r R) (err error) {
		if fresh.turn, err = r.ProfileTurn(); err == nil {
			rows, err = r.ProfileVersions("")
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("read profiles: %w", err)
	}
	known := a.profiles.Load()
	for name, p := range a.Profiles {
		fresh.force[name], fresh.all[profileID{name, p.Version}] = p, p
	}
	for _, v := range rows {
		if shipped := a.Profiles[v.Name]; shipped != nil { // the database has the name: it alone says what is in force
			delete(fresh.all, profileID{v.Name, shipped.Version})
			delete(fresh.force, v.Name)
		}
	}
	var damaged error
	for _, v := range rows {
		damaged = errors.Join(damaged, fresh.add(known, v))
	}
	for name, p := range a.Profiles {
		if fresh.kinds[name] == "" {
			fresh.kinds[name] = p.Holder
		}
	}
	a.profiles.Store(fresh)
	return damaged
}

// add puts a version into the set; rows come by name and version.
func (s *profileSet) add(known *profileSet, v ProfileVersion) error {
	if !v.Published {
		return nil
	}
	delete(s.force, v.Name)
	if v.State != ProfilePublished {
		if p, err := v.parse(); err == nil {
			s.kinds[v.Name] = p.Holder
		}
		return nil // and what it replaced does not come back
	}
	id := profileID{v.Name, v.Version}
	p := (*Profile)(nil)
	if known != nil {
		p = known.all[id]
	}
	if p == nil || string(p.text) != string(v.Text) {
		var err error
		if p, err = v.parse(); err != nil {
			return err
		}
	}
	s.force[v.Name], s.all[id], s.kinds[v.Name] = p, p, p.Holder
	return nil
}

// parse reads the profile of a version.
func (v ProfileVersion) parse() (*Profile, error) {
	if sum := gm.SM3(v.Text); string(sum[:]) != string(v.SM3) {
		return nil, ErrDamagedProfile.With("version %d of profile %q has another digest", v.Version, v.Name)
	}
	p, err := ParseProfile(v.Text)
	if err != nil {
		return nil, ErrDamagedProfile.With("version %d of profile %q: %w", v.Version, v.Name, err)
	}
	p.Version = v.Version
	return p, nil
}
