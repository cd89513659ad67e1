package ca

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"hufu/audit"
	"hufu/internal/actor"
	"hufu/internal/fault"
	"hufu/internal/gm"
)

// The refusals of changing profiles.
var (
	ErrDamagedProfile = fault.New(fault.Unavailable, "ca.profile-damaged",
		"A stored certificate profile cannot be used. Nothing is issued under it. Publish another version of it and look into the log.",
		"存储的证书模板无法使用，已停止按其签发。请发布其他版本并检查日志。")
	ErrProfileGuard = fault.New(fault.Denied, "ca.profile-guard",
		"A new version may not change whom the profile is for, who issues it, or open what the program alone applies for. Import it under another name.",
		"新版本不得改变持有人类型和颁发者，也不得放开仅由系统申请的模板。请以其他名称导入。")
	ErrProfileKnown = fault.New(fault.Conflict, "ca.profile-known",
		"This very text is a version of the profile already. Publish that version, or change the text.",
		"该文本已是此模板的一个版本。请发布该版本，或修改文本。")
	ErrProfileStatus = fault.New(fault.Denied, "ca.profile-status",
		"Under this profile the status of all certificates is told; it is not withdrawn. Publish another version in its place, which takes two. A responder's key that was lost ends with its certificate: revoke that.",
		"全部证书的状态均依此模板提供，不得停用。请由两名人员发布新版本替代；若应答密钥泄露，请吊销其证书。")
	ErrProfileOlder = fault.New(fault.Conflict, "ca.profile-older",
		"A newer version was published. Import the text anew to go back to it.", "已有更新的版本发布。如需恢复，请重新导入该文本。")
)

// statusProfile is the profile of the certificates under which status is told.
const statusProfile = "ocsp"

// profileRoles may import, publish and withdraw.
var profileRoles = []actor.Role{actor.RoleBusinessAdmin, actor.RoleSuperAdmin}

// ProfileImport is a text that is to be a new version.
type ProfileImport struct {
	Text   []byte
	DryRun bool              // show only, keep nothing
	Facts  map[string]string // for the sample, where its own do not fit
}

// ProfileReview is what an import would do, or did.
type ProfileReview struct {
	Version     ProfileVersion
	Differences []Difference // against the version in force
	Sample      Sample
}

// SeedProfiles makes versions of the shipped profiles that the database does not have: published at once while nothing but
// shipped versions was ever published under the name, else proposed, so that an operator's own stays in force. A text that
// is a version already, in whatever state, makes none. Only the system or a super administrator may.
func (a *Authority) SeedProfiles(ctx context.Context, by actor.Actor) error {
	if err := by.Require(actor.RoleSuperAdmin); err != nil {
		return err
	}
	var known []ProfileVersion
	err := a.Store.View(ctx, func(r R) (err error) {
		known, err = r.ProfileVersions("")
		return err
	})
	if err != nil {
		return fmt.Errorf("read profiles: %w", err)
	}
	for _, name := range slices.Sorted(maps.Keys(a.Profiles)) {
		if isVersion(known, a.Profiles[name]) { // a start writes nothing where nothing is new
			continue
		}
		err := a.Store.Update(ctx, func(w W) error { return a.seed(w, by, a.Profiles[name]) })
		if err != nil && !errors.Is(err, ErrState) { // another node was faster
			return fmt.Errorf("keep profile %q: %w", name, err)
		}
	}
	return a.loadProfiles(ctx)
}

// isVersion tells whether the text of a profile is a version already, in whatever state.
func isVersion(known []ProfileVersion, p *Profile) bool {
	sum := gm.SM3(p.text)
	return slices.ContainsFunc(known, func(k ProfileVersion) bool { return k.Name == p.Name && same(k.SM3, sum[:]) })
}

func (a *Authority) seed(w W, by actor.Actor, p *Profile) error {
	known, err := w.ProfileVersions(p.Name)
	if err != nil {
		return err
	}
	v := a.nextVersion(p, known)
	v.Source, v.State = ProfileShipped, ProfilePublished
	if isVersion(known, p) {
		return nil
	}
	for _, k := range known {
		if k.Published && (k.Source != ProfileShipped || k.State == ProfileWithdrawn) {
			v.State = ProfileProposed
		}
	}
	if v.Published = v.State == ProfilePublished; v.Published {
		v.DecidedAt = v.At
	}
	if err := w.AddProfileVersion(v); err != nil {
		return err
	}
	return recordProfile(w, by, "profile.ship", v)
}

// nextVersion makes a version of a profile: its number is the text's own or the next one free, whichever is higher.
func (a *Authority) nextVersion(p *Profile, known []ProfileVersion) ProfileVersion {
	sum := gm.SM3(p.text)
	v := ProfileVersion{Name: p.Name, Version: p.Version, State: ProfileProposed, Text: p.text, SM3: sum[:], At: a.Now().UTC()}
	for _, k := range known {
		v.Version = max(v.Version, k.Version+1)
	}
	return v
}

// ImportProfile proposes a text as the next version of the profile that it names, which need not be there yet. It comes
// into force when a second administrator publishes it. The answer shows the differences and a sample. Business and super
// administrators may.
func (a *Authority) ImportProfile(ctx context.Context, by actor.Actor, in ProfileImport) (ProfileReview, error) {
	if err := by.Require(profileRoles...); err != nil {
		return ProfileReview{}, err
	}
	p, err := ParseProfile(in.Text)
	if err != nil {
		return ProfileReview{}, err
	}
	if err := a.guardImport(ctx, p); err != nil {
		return ProfileReview{}, err
	}
	var review ProfileReview
	if review.Sample, err = a.Sample(p, in.Facts); errors.Is(err, ErrFacts) || errors.Is(err, ErrRequest) {
		return ProfileReview{}, wrongProfile("for invented people, %w", err)
	} else if err != nil {
		return ProfileReview{}, err
	}
	change := func(r R) error {
		known, err := r.ProfileVersions(p.Name)
		if err != nil {
			return err
		}
		review.Version = a.nextVersion(p, known)
		review.Version.Source, review.Version.Maker = ProfileByOperator, by.Subject
		for _, k := range known {
			if same(k.SM3, review.Version.SM3) && k.State != ProfileWithdrawn {
				return ErrProfileKnown.With("version %d of %q", k.Version, k.Name)
			}
		}
		return nil
	}
	if in.DryRun {
		err = a.Store.View(ctx, change)
	} else {
		err = a.Store.Update(ctx, func(w W) error {
			if err := change(w); err != nil {
				return err
			}
			if err := w.AddProfileVersion(review.Version); err != nil {
				return err
			}
			return recordProfile(w, by, "profile.import", review.Version)
		})
	}
	if err == nil {
		review.Differences, err = a.against(p)
	}
	return review, err
}

// PublishProfile puts a proposed version in force. Who proposed it may not; business and super administrators may.
func (a *Authority) PublishProfile(ctx context.Context, by actor.Actor, name string, version int) (ProfileVersion, error) {
	return a.moveProfile(ctx, by, profileID{name, version}, func(v *ProfileVersion, known []ProfileVersion) (string, error) {
		if v.State != ProfileProposed {
			return "", ErrProfileState.With("version %d of profile %q is %s", version, name, v.State)
		}
		if err := actor.Checker(actor.Actor{Subject: v.Maker}, by); err != nil {
			return "", err
		}
		if newer := known[len(known)-1]; slices.ContainsFunc(known, func(k ProfileVersion) bool { return k.Published && k.Version > version }) {
			return "", ErrProfileOlder.With("version %d of %q, version %d is there", version, name, newer.Version)
		}
		p, err := v.parse()
		if err != nil {
			return "", err
		}
		v.State, v.Published = ProfilePublished, true
		return "profile.publish", a.guard(p, known)
	})
}

// WithdrawProfile ends a version: a proposed one is dropped; one in force is in force no more, what it replaced does not
// come back, and applications under it are not issued. It is the stop that one administrator may pull alone, of authorities and
// services a super administrator: certificates that are issued stay good. The one under which status is told is no such stop,
// since who asks and hears nothing may take a revoked certificate for good; it is only replaced.
func (a *Authority) WithdrawProfile(ctx context.Context, by actor.Actor, name string, version int) (ProfileVersion, error) {
	return a.moveProfile(ctx, by, profileID{name, version}, func(v *ProfileVersion, known []ProfileVersion) (string, error) {
		if v.State == ProfileWithdrawn {
			return "", ErrProfileState.With("version %d of profile %q is withdrawn already", version, name)
		}
		if p := a.profile(name); v.Published && p != nil && (p.Holder == HolderAuthority || p.Holder == HolderService) {
			if err := by.Require(actor.RoleSuperAdmin); err != nil {
				return "", err
			}
		}
		newer := func(k ProfileVersion) bool { return k.Published && k.Version > version }
		if name == statusProfile && v.Published && !slices.ContainsFunc(known, newer) {
			return "", ErrProfileStatus.With("version %d of profile %q is in force", version, name)
		}
		v.State = ProfileWithdrawn
		return "profile.withdraw", nil
	})
}

func (a *Authority) moveProfile(ctx context.Context, by actor.Actor, id profileID, decide func(v *ProfileVersion, known []ProfileVersion) (string, error)) (v ProfileVersion, err error) {
	if err := by.Require(profileRoles...); err != nil {
		return v, err
	}
	err = a.Store.Update(ctx, func(w W) error {
		known, err := w.ProfileVersions(id.name)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(known, func(k ProfileVersion) bool { return k.Version == id.version })
		if i < 0 {
			return ErrProfile.With("version %d of profile %q", id.version, id.name)
		}
		v = known[i]
		from := v.State
		action, err := decide(&v, known)
		if err != nil {
			return err
		}
		v.Checker, v.DecidedAt = by.Subject, a.Now().UTC()
		done, err := w.MoveProfileVersion(from, v)
		if err == nil && !done {
			err = ErrProfileState.With("version %d of profile %q was changed meanwhile", id.version, id.name)
		}
		if err != nil {
			return err
		}
		return recordProfile(w, by, action, v)
	})
	if err != nil {
		return ProfileVersion{}, err
	}
	return v, a.loadProfiles(ctx)
}

func recordProfile(w W, by actor.Actor, action string, v ProfileVersion) error {
	return w.Record(audit.Entry{
		At: v.moved(), Actor: by, Action: action, Object: audit.Object{Kind: "profile", ID: v.Name + "/" + strconv.Itoa(v.Version)},
		Public: map[string]string{"state": string(v.State), "source": v.Source, "text_sm3": fmt.Sprintf("%x", v.SM3)},
	})
}

// ProfileVersions lists the versions of a profile, the newest first. Officers and administrators may look.
func (a *Authority) ProfileVersions(ctx context.Context, by actor.Actor, name string) (all []ProfileVersion, err error) {
	if err := mayReadProfiles(by); err != nil {
		return nil, err
	}
	err = a.Store.View(ctx, func(r R) error {
		all, err = r.ProfileVersions(name)
		return err
	})
	if err == nil && len(all) == 0 && name != "" {
		err = ErrProfile.With("profile %q", name)
	}
	slices.Reverse(all)
	return all, err
}

func mayReadProfiles(by actor.Actor) error {
	return by.Require(actor.RoleBusinessAdmin, actor.RoleSuperAdmin, actor.RoleAuditAdmin, actor.RoleRegistrar, actor.RoleApprover)
}

// ProfileVersion returns one version with its text; version 0 is the one in force.
func (a *Authority) ProfileVersion(ctx context.Context, by actor.Actor, name string, version int) (ProfileVersion, error) {
	all, err := a.ProfileVersions(ctx, by, name)
	if err != nil {
		return ProfileVersion{}, err
	}
	if version == 0 {
		p := a.profile(name)
		if p == nil {
			return ProfileVersion{}, ErrProfile.With("no version of profile %q is in force", name)
		}
		version = p.Version
	}
	for _, v := range all {
		if v.Version == version {
			return v, nil
		}
	}
	return ProfileVersion{}, ErrProfile.With("version %d of profile %q", version, name)
}
