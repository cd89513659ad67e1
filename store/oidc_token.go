package store

import (
	"context"
	"slices"
	"time"

	"hufu/identity/login"
	"hufu/oidc"
)

// tokenLook is a look at an access token by a request.
type tokenLook struct {
	ctx  context.Context // the request's
	hash []byte
	live tokenState
}

// tokenState is a token and what it belongs to; found tells that there is one.
type tokenState struct {
	token  oidc.Token
	grant  oidc.Grant
	client oidc.ClientRecord
	found  bool
}

// tokenLookTime bounds a look at tokens, whose askers have deadlines of their own.
const tokenLookTime = 10 * time.Second

// Token looks up a token. Access tokens, which each call of an application brings, are looked up together with those of other
// requests, and with the sessions and persons that will be asked for next (Ahead).
func (s oidcStore) Token(ctx context.Context, kind oidc.TokenKind, hash []byte) (token oidc.Token, grant oidc.Grant, client oidc.ClientRecord, err error) {
	if s.db.engine != PostgreSQL || kind != oidc.KindAccess {
		err = s.db.view(ctx, func(t *tx) (err error) {
			token, grant, client, err = oidcTx{t}.Token(kind, hash)
			return err
		})
		return token, grant, client, err
	}
	look := &tokenLook{ctx: ctx, hash: hash}
	select {
	case err = <-s.db.tokens.join(look):
	case <-ctx.Done():
		return token, grant, client, ctx.Err()
	}
	if err == nil && !look.live.found {
		if ctx.Err() != nil { // perhaps nobody looked
			return token, grant, client, ctx.Err()
		}
		err = errNoRow
	}
	return look.live.token, look.live.grant, look.live.client, missing(err, string(kind))
}

// lookAtTokens answers looks in one round trip, except those whose request is over.
func (db *DB) lookAtTokens(all []*tokenLook) error {
	all = slices.DeleteFunc(all, func(l *tokenLook) bool { return l.ctx.Err() != nil })
	if len(all) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), tokenLookTime)
	defer cancel()
	begun := time.Now()
	var now standings
	if err := db.view(ctx, func(t *tx) error {
		now = standings{tokens: map[string]tokenState{}, clients: map[string]oidc.ClientRecord{}, sessions: map[string]login.Session{}, people: map[string]*person{}}
		return now.read(t, all)
	}); err != nil {
		return err
	}
	for _, l := range all {
		l.live = now.tokens[string(l.hash)]
		if !l.live.found {
			continue
		}
		if l.live.client, l.live.found = now.clients[l.live.grant.Client]; !l.live.found {
			continue
		}
		if a := aheadOf(l.ctx); a != nil {
			a.put(begun, now.session(l.live.grant), now.people[l.live.grant.Subject])
		}
	}
	return nil
}

// standings is what stands behind access tokens at a moment. Those who get it share it, and change nothing in it.
type standings struct {
	tokens   map[string]tokenState // by hash
	clients  map[string]oidc.ClientRecord
	sessions map[string]login.Session
	people   map[string]*person
}

func (s *standings) session(g oidc.Grant) *login.Session {
	if found, ok := s.sessions[g.Session]; ok {
		return &found
	}
	return nil
}

func (s *standings) person(id string) *person {
	p := s.people[id]
	if p == nil {
		p = new(person)
		s.people[id] = p
	}
	return p
}

const (
	accessTokenRow = `SELECT ` + grantColumns + `, ` + tokenColumns + ` ` + grantsOfTokens
	grantsOfTokens = `FROM oidc_token k JOIN oidc_grant g ON g.id = k.grant_id WHERE k.hash = ANY($1) AND k.kind = 'access'`
)

func (s *standings) read(t *tx, all []*tokenLook) error {
	hashes := make([][]byte, 0, len(all))
	asked := make(map[string]bool, len(all))
	for _, l := range all {
		if !asked[string(l.hash)] {
			asked[string(l.hash)] = true
			hashes = append(hashes, l.hash)
		}
	}
	args, people := []any{hashes}, identityTx{t}
	return t.gather(
		question{query: accessTokenRow, args: args, scan: s.readToken},
		question{query: clientRow + ` WHERE c.id IN (SELECT g.client ` + grantsOfTokens + `)`, args: args, scan: func(r scanner) error {
			c, err := scanClient(r)
			s.clients[c.ID] = c
			return err
		}},
		question{query: sessionRow + ` WHERE s.id IN (SELECT g.session ` + grantsOfTokens + `)`, args: args, scan: func(r scanner) error {
			found, err := loginTx{t}.scanSession(r)
			s.sessions[found.ID] = found
			return err
		}},
		question{query: subjectRow + ` WHERE id IN (SELECT g.subject ` + grantsOfTokens + `)`, args: args, scan: func(r scanner) error {
			found, err := people.scanSubject(r)
			s.person(found.ID).row = &found
			return err
		}},
		question{query: identifiersRow + ` AND subject IN (SELECT g.subject ` + grantsOfTokens + `) ` + identifiersOrder, args: args, scan: func(r scanner) error {
			subject, id, err := people.scanIdentifier(r)
			p := s.person(subject)
			p.identifiers = append(p.identifiers, id)
			return err
		}},
		question{query: evidenceRow + ` WHERE subject IN (SELECT g.subject ` + grantsOfTokens + `) ` + evidenceOrder, args: args, scan: func(r scanner) error {
			e, err := scanEvidence(r)
			p := s.person(e.Subject)
			p.evidence = append(p.evidence, e)
			return err
		}})
}

func (s *standings) readToken(r scanner) error {
	var token tokenScan
	grant, err := scanGrant(r, token.dest()...)
	if err == nil {
		s.tokens[string(token.hash)] = tokenState{token: token.of(oidc.KindAccess, grant), grant: grant, found: true}
	}
	return err
}
