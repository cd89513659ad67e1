package store

import (
	"strings"
	"time"

	"hufu/identity"
	"hufu/internal/actor"
)

func (t identityTx) Evidence(subject string) ([]identity.Evidence, error) {
	var all []identity.Evidence
	err := t.gather(evidenceOf(subject, &all))
	return all, err
}

const (
	evidenceRow   = `SELECT id, subject, method, source, level, at, expires_at, entered_by FROM evidence`
	evidenceOrder = `ORDER BY at, id`
)

func evidenceOf(subject string, into *[]identity.Evidence) question {
	return question{query: evidenceRow + ` WHERE subject = $1 ` + evidenceOrder, args: []any{subject}, scan: func(s scanner) error {
		e, err := scanEvidence(s)
		*into = append(*into, e)
		return err
	}}
}

func scanEvidence(s scanner) (e identity.Evidence, err error) {
	var at, expires int64
	err = s.Scan(&e.ID, &e.Subject, &e.Method, &e.Source, &e.Level, &at, &expires, &e.By)
	e.At, e.Expires = fromMicros(at), fromMicros(expires)
	return e, err
}

func (t identityTx) AddEvidence(e identity.Evidence) error {
	_, err := t.exec(`INSERT INTO evidence (id, subject, method, source, level, at, expires_at, entered_by) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
		e.ID, e.Subject, string(e.Method), e.Source, int64(e.Level), micros(e.At), micros(e.Expires), e.By)
	return err
}

const postRow = `SELECT id, person, organisation, title, roles, since, roles_since, ended_at FROM post`

func scanPost(s scanner) (p identity.Post, err error) {
	var roles string
	var since, rolesSince, ended int64
	err = s.Scan(&p.ID, &p.Person, &p.Organisation, &p.Title, &roles, &since, &rolesSince, &ended)
	for _, r := range strings.Fields(roles) {
		p.Roles = append(p.Roles, actor.Role(r))
	}
	p.Since, p.RolesSince, p.Ended = fromMicros(since), fromMicros(max(since, rolesSince)), fromMicros(ended)
	return p, err
}

func (t identityTx) Post(id string) (identity.Post, error) {
	found, err := list(t.tx, scanPost, postRow+` WHERE id = $1`, id)
	if err == nil && len(found) == 0 {
		err = identity.ErrNoPost.With("post %q", id)
	}
	if err != nil {
		return identity.Post{}, err
	}
	return found[0], nil
}

func (t identityTx) PostsOf(person string) ([]identity.Post, error) {
	return list(t.tx, scanPost, postRow+` WHERE person = $1 AND ended_at = 0 ORDER BY since, id`, person)
}

func (t identityTx) PostsIn(organisation string) ([]identity.Post, error) {
	return list(t.tx, scanPost, postRow+` WHERE organisation = $1 AND ended_at = 0 ORDER BY since, id`, organisation)
}

func rolesText(roles []actor.Role) string {
	words := make([]string, len(roles))
	for i, r := range roles {
		words[i] = string(r)
	}
	return strings.Join(words, " ")
}

func (t identityTx) AddPost(p identity.Post) error {
	_, err := t.exec(`INSERT INTO post (id, person, organisation, title, roles, since) VALUES ($1, $2, $3, $4, $5, $6)`,
		p.ID, p.Person, p.Organisation, p.Title, rolesText(p.Roles), micros(p.Since))
	return err
}

func (t identityTx) SetPostRoles(post string, roles []actor.Role, now time.Time) error {
	return t.change(identity.ErrNoPost.With("post %q", post),
		`UPDATE post SET roles = $2, roles_since = $3 WHERE id = $1 AND ended_at = 0`, post, rolesText(roles), micros(now))
}

func (t identityTx) EndPost(post string, now time.Time) error {
	return t.change(identity.ErrNoPost.With("post %q", post),
		`UPDATE post SET ended_at = $2 WHERE id = $1 AND ended_at = 0`, post, micros(now))
}

const representationRow = `SELECT id, entity, person, relation, source, since FROM representation`

func scanRepresentation(s scanner) (r identity.Representation, err error) {
	var since int64
	err = s.Scan(&r.ID, &r.Entity, &r.Person, &r.Relation, &r.Source, &since)
	r.Since = fromMicros(since)
	return r, err
}

func (t identityTx) RepresentedBy(person string) ([]identity.Representation, error) {
	return list(t.tx, scanRepresentation, representationRow+` WHERE person = $1 AND ended_at = 0 ORDER BY since, id`, person)
}

func (t identityTx) Representatives(entity string) ([]identity.Representation, error) {
	return list(t.tx, scanRepresentation, representationRow+` WHERE entity = $1 AND ended_at = 0 ORDER BY since, id`, entity)
}

func (t identityTx) AddRepresentation(r identity.Representation) error {
	_, err := t.exec(`INSERT INTO representation (id, entity, person, relation, source, since) VALUES ($1, $2, $3, $4, $5, $6)`,
		r.ID, r.Entity, r.Person, string(r.Relation), r.Source, micros(r.Since))
	return err
}

func (t identityTx) EndRepresentations(entity string, r identity.Relation, now time.Time) error {
	_, err := t.exec(`UPDATE representation SET ended_at = $3 WHERE entity = $1 AND relation = $2 AND ended_at = 0`, entity, string(r), micros(now))
	return err
}
