package identity

import (
	"context"
	"crypto/rand"
	"slices"
	"strings"
	"time"

	"hufu/audit"
	"hufu/internal/actor"
)

// Post is a person's office in a public body (任职). Its id is the subject of an official's certificates.
type Post struct {
	ID           string
	Person       string
	Organisation string
	Title        string
	Roles        []actor.Role
	Since        time.Time
	RolesSince   time.Time // when the roles were last set
	Ended        time.Time // zero while in force
}

// Representation says that a person may act for an entity by its register.
type Representation struct {
	ID       string
	Entity   string
	Person   string
	Relation Relation
	Source   string // the register
	Since    time.Time
}

// administrators are the three separated ones: nobody holds two of them.
var administrators = []actor.Role{actor.RoleSuperAdmin, actor.RoleBusinessAdmin, actor.RoleAuditAdmin}

// grantable are the roles that a post can carry.
var grantable = append([]actor.Role{
	actor.RoleRegistrar, actor.RoleApprover, actor.RoleSealOfficer, actor.RoleLicenceOfficer, actor.RoleRecoveryOfficer,
	actor.RoleCertificateUser,
}, administrators...)

// Appointment asks for a post.
type Appointment struct {
	Person       string // subject id
	Organisation string // subject id of a public body
	Title        string
	Roles        []actor.Role // only a super administrator or the system may give any
}

// Appoint gives a person a post in a public body. A registrar may appoint; roles are given by a super administrator
// or the system, and never by their holder.
func (s *Service) Appoint(ctx context.Context, a actor.Actor, ap Appointment) (Post, error) {
	if err := a.Require(actor.RoleRegistrar, actor.RoleSuperAdmin); err != nil {
		return Post{}, err
	}
	title, err := cleanName(ap.Title)
	if err != nil {
		return Post{}, err
	}
	post := Post{ID: rand.Text(), Person: ap.Person, Organisation: ap.Organisation, Title: title, Since: s.now()}
	err = s.store.Update(ctx, func(w W) error {
		if err := hold(w, ap.Person, ap.Organisation); err != nil {
			return err
		}
		post.Roles = nil
		if len(ap.Roles) > 0 {
			if post.Roles, err = checkRoles(w, a, post, ap.Roles); err != nil {
				return err
			}
		}
		if err := checkPost(w, post); err != nil {
			return err
		}
		if err := w.AddPost(post); err != nil {
			return err
		}
		return w.Record(audit.Entry{
			At: post.Since, Actor: a, Action: "post.appoint", Object: audit.Object{Kind: "post", ID: post.ID},
			Public:  map[string]string{"organisation": post.Organisation, "roles": joinRoles(post.Roles)},
			Subject: post.Person, Personal: map[string]string{"title": post.Title, "person": post.Person},
		})
	})
	return post, err
}

func checkPost(r R, p Post) error {
	person, err := r.Subject(p.Person)
	if err != nil {
		return err
	}
	org, err := r.Subject(p.Organisation)
	if err != nil {
		return err
	}
	code, err := ParseUSCC(org.USCC())
	if person.Kind != Person || person.State != Active || org.Kind != Entity || org.State != Active || err != nil || !code.PublicBody() {
		return ErrPost.With("appoint %s (%s, %s) in %s (%s, %s)", person.ID, person.Kind, person.State, org.ID, org.Kind, org.State)
	}
	return nil
}

// SetRoles replaces the roles of a post.
func (s *Service) SetRoles(ctx context.Context, a actor.Actor, postID string, roles []actor.Role) error {
	if err := a.Require(actor.RoleSuperAdmin); err != nil {
		return err
	}
	now := s.now()
	return s.store.Update(ctx, func(w W) error {
		post, err := w.Post(postID)
		if err != nil {
			return err
		}
		if err := w.Hold(post.Person); err != nil {
			return err
		}
		kept, err := checkRoles(w, a, post, roles)
		if err != nil {
			return err
		}
		if err := w.SetPostRoles(postID, kept, now); err != nil {
			return err
		}
		if err := announce(w, post.Person, "roles", now); err != nil {
			return err
		}
		return w.Record(audit.Entry{
			At: now, Actor: a, Action: "post.roles", Object: audit.Object{Kind: "post", ID: postID},
			Public: map[string]string{"roles": joinRoles(kept), "before": joinRoles(post.Roles)},
		})
	})
}

// checkRoles refuses roles given by anybody but a super administrator or the system, to oneself, unknown ones, and
// a second administrator's role for one person, in whatever posts.
func checkRoles(r R, a actor.Actor, post Post, roles []actor.Role) ([]actor.Role, error) {
	if err := a.Require(actor.RoleSuperAdmin); err != nil {
		return nil, err
	}
	if a.Capacity != actor.System && a.Subject == post.Person {
		return nil, ErrRoles.With("%s gives roles to itself", a)
	}
	kept := slices.Compact(slices.Sorted(slices.Values(roles)))
	held := map[actor.Role]bool{}
	posts, err := r.PostsOf(post.Person)
	if err != nil {
		return nil, err
	}
	for _, p := range posts {
		if p.ID != post.ID {
			markAdministrators(held, p.Roles)
		}
	}
	markAdministrators(held, kept)
	if len(held) > 1 {
		return nil, ErrRoles.With("person %s would hold %d administrators' roles", post.Person, len(held))
	}
	for _, role := range kept {
		if !slices.Contains(grantable, role) {
			return nil, ErrRoles.With("no such role %q", role)
		}
	}
	return kept, nil
}

func markAdministrators(held map[actor.Role]bool, roles []actor.Role) {
	for _, r := range roles {
		if slices.Contains(administrators, r) {
			held[r] = true
		}
	}
}

// EndPost ends a post; what was done in it stays valid.
func (s *Service) EndPost(ctx context.Context, a actor.Actor, postID string) error {
	if err := a.Require(actor.RoleRegistrar, actor.RoleSuperAdmin); err != nil {
		return err
	}
	now := s.now()
	return s.store.Update(ctx, func(w W) error {
		post, err := w.Post(postID)
		if err != nil {
			return err
		}
		return endPost(w, a, post, now)
	})
}

func endPost(w W, a actor.Actor, post Post, now time.Time) error {
	if err := w.EndPost(post.ID, now); err != nil {
		return err
	}
	if err := announce(w, post.Person, "post-ended", now); err != nil {
		return err
	}
	return w.Record(audit.Entry{
		At: now, Actor: a, Action: "post.end", Object: audit.Object{Kind: "post", ID: post.ID},
		Public: map[string]string{"organisation": post.Organisation},
	})
}

func joinRoles(roles []actor.Role) string {
	var b strings.Builder
	for i, r := range roles {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(string(r))
	}
	return b.String()
}
