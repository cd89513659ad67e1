package store

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"hufu/identity"
)

// Identity returns the store of package identity.
func (db *DB) Identity() identity.Store { return identityStore{db} }

type identityStore struct{ db *DB }

var (
	_ identity.Store = identityStore{}
	_ identity.W     = identityTx{}
)

func (s identityStore) View(ctx context.Context, f func(identity.R) error) error {
	return s.db.view(ctx, func(t *tx) error { return f(identityTx{t}) })
}

func (s identityStore) Update(ctx context.Context, f func(identity.W) error) error {
	return s.db.update(ctx, func(t *tx) error { return f(identityTx{t}) })
}

type identityTx struct{ *tx }

const (
	phoneColumn  = "subject.phone"
	emailColumn  = "subject.email"
	numberColumn = "subject_identifier.number"
	subjectRow   = `SELECT id, kind, name, state, phone, email, registered_at, changed_at FROM subject`
)

func (t identityTx) scanSubject(s scanner) (sub identity.Subject, err error) {
	var phone, email []byte
	var registered, changed int64
	if err := s.Scan(&sub.ID, &sub.Kind, &sub.Name, &sub.State, &phone, &email, &registered, &changed); err != nil {
		return sub, err
	}
	clear, err := t.open(phoneColumn, sub.ID, phone)
	if err != nil {
		return sub, err
	}
	address, err := t.open(emailColumn, sub.ID, email)
	sub.Email = identity.Number(address)
	sub.Phone, sub.Registered, sub.Changed = identity.Number(clear), fromMicros(registered), fromMicros(changed)
	return sub, err
}

func (t identityTx) Subject(id string) (identity.Subject, error) {
	var found person
	return found.of(id, t.gather(t.subjectRow(id, &found), t.identifiersOf(id, &found)))
}

func (t identityTx) SubjectAndEvidence(id string) (identity.Subject, []identity.Evidence, error) {
	if sub, evidence, ok := t.takeSubject(id); ok {
		return sub, evidence, nil
	}
	var found person
	sub, err := found.of(id, t.gather(t.subjectRow(id, &found), t.identifiersOf(id, &found), evidenceOf(id, &found.evidence)))
	return sub, found.evidence, err
}

// person is a subject while it is read.
type person struct {
	row         *identity.Subject
	identifiers []identity.Identifier
	evidence    []identity.Evidence
}

func (p *person) of(id string, err error) (identity.Subject, error) {
	if err != nil {
		return identity.Subject{}, fmt.Errorf("read subject %s: %w", id, err)
	}
	if p.row == nil {
		return identity.Subject{}, identity.ErrUnknown.With("subject %q", id)
	}
	p.row.Identifiers = p.identifiers
	return *p.row, nil
}

func (t identityTx) subjectRow(id string, into *person) question {
	return question{query: subjectRow + ` WHERE id = $1`, args: []any{id}, scan: func(s scanner) error {
		sub, err := t.scanSubject(s)
		into.row = &sub
		return err
	}}
}

func (t identityTx) identifiersOf(id string, into *person) question {
	return question{query: identifiersRow + ` AND subject = $1 ` + identifiersOrder, args: []any{id}, scan: func(s scanner) error {
		_, id, err := t.scanIdentifier(s)
		into.identifiers = append(into.identifiers, id)
		return err
	}}
}

const (
	identifiersRow   = `SELECT id, subject, type, country, number FROM subject_identifier WHERE ended_at = 0`
	identifiersOrder = `ORDER BY since, type, id`
)

func (t identityTx) scanIdentifier(s scanner) (subject string, id identity.Identifier, err error) {
	var row string
	var number []byte
	if err := s.Scan(&row, &subject, &id.Type, &id.Country, &number); err != nil {
		return "", id, err
	}
	clear, err := t.open(numberColumn, row, number)
	id.Number = identity.Number(clear)
	return subject, id, err
}

// addIdentifiers reads the identifiers in force of all the subjects in one query.
func (t identityTx) addIdentifiers(subjects []identity.Subject) error {
	if len(subjects) == 0 {
		return nil
	}
	at := make(map[string]*identity.Subject, len(subjects))
	marks, args := make([]string, len(subjects)), make([]any, len(subjects))
	for i := range subjects {
		at[subjects[i].ID] = &subjects[i]
		marks[i], args[i] = fmt.Sprintf("$%d", i+1), subjects[i].ID
	}
	_, err := list(t.tx, func(s scanner) (struct{}, error) {
		subject, id, err := t.scanIdentifier(s)
		if err == nil {
			at[subject].Identifiers = append(at[subject].Identifiers, id)
		}
		return struct{}{}, err
	}, identifiersRow+` AND subject IN (`+strings.Join(marks, ", ")+`) `+identifiersOrder, args...)
	return err
}

// numberIndexes returns what a row of the identifier may stand under; a new row stands under the first.
func (t identityTx) numberIndexes(id identity.Identifier) (now, other []byte, err error) {
	return t.indexes(numberColumn, string(id.Type)+"\x00"+id.Country+"\x00"+id.Number.Reveal())
}

func (t identityTx) Hold(subject string) error {
	query := `SELECT id FROM subject WHERE id = $1`
	if t.db.engine == PostgreSQL {
		query += ` FOR UPDATE`
	}
	err := t.one([]any{&subject}, query, subject)
	if errors.Is(err, errNoRow) {
		return identity.ErrUnknown.With("subject %q", subject)
	}
	return err
}

func (t identityTx) sealPhone(id string, phone identity.Number) (sealed, index []byte, err error) {
	if phone == "" {
		return nil, nil, nil
	}
	if sealed, err = t.seal(phoneColumn, id, phone.Reveal()); err == nil {
		index, err = t.index(phoneColumn, phone.Reveal())
	}
	return sealed, index, err
}

func (t identityTx) AddSubject(s identity.Subject) error {
	phone, index, err := t.sealPhone(s.ID, s.Phone)
	if err != nil {
		return err
	}
	_, err = t.exec(`INSERT INTO subject (id, kind, name, name_key, state, phone, phone_index, registered_at, changed_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
		s.ID, string(s.Kind), s.Name, []byte(s.Name), string(s.State), phone, index, micros(s.Registered), micros(s.Changed))
	return err
}

func (t identityTx) AddIdentifier(subject string, id identity.Identifier, now time.Time) error {
	row := rand.Text()
	sealed, err := t.seal(numberColumn, row, id.Number.Reveal())
	if err != nil {
		return err
	}
	index, other, err := t.numberIndexes(id)
	if err != nil {
		return err
	}
	// The unique index knows of one blind index only; while its key is rotated the row of before stands under the other.
	n, err := t.exec(`INSERT INTO subject_identifier (id, subject, type, country, number, number_index, since)
		SELECT $1, $2, $3, $4, $5, $6, $7
		WHERE NOT EXISTS (SELECT 1 FROM subject_identifier WHERE number_index = $8 AND ended_at = 0)`,
		row, subject, string(id.Type), id.Country, sealed, index, micros(now), other)
	if duplicate(err) || err == nil && n == 0 {
		return identity.ErrNumberTaken.With("%s for subject %s", id.Type, subject)
	}
	return err
}

func (t identityTx) EndIdentifier(subject string, id identity.Identifier, now time.Time) error {
	index, other, err := t.numberIndexes(id)
	if err != nil {
		return err
	}
	return t.change(identity.ErrUnknown.With("subject %s has no such %s in force", subject, id.Type),
		`UPDATE subject_identifier SET ended_at = $4 WHERE subject = $1 AND number_index IN ($2, $3) AND ended_at = 0`, subject, index, other, micros(now))
}

func (t identityTx) EndIdentifiers(subject string, now time.Time) error {
	_, err := t.exec(`UPDATE subject_identifier SET ended_at = $2 WHERE subject = $1 AND ended_at = 0`, subject, micros(now))
	return err
}

// change runs a statement that must change one row; otherwise nothing is as the change needs it.
func (t identityTx) change(otherwise error, query string, args ...any) error {
	n, err := t.exec(query, args...)
	if err == nil && n != 1 {
		err = otherwise
	}
	return err
}

func (t identityTx) MoveSubject(id string, from, to identity.State, now time.Time) error {
	return t.change(identity.ErrState.With("subject %s is not %s", id, from),
		`UPDATE subject SET state = $3, changed_at = $4 WHERE id = $1 AND state = $2`, id, string(from), string(to), micros(now))
}

func (t identityTx) SetContact(id, name string, phone identity.Number, now time.Time) error {
	sealed, index, err := t.sealPhone(id, phone)
	if err != nil {
		return err
	}
	return t.change(identity.ErrState.With("subject %s is closed", id),
		`UPDATE subject SET name = $2, name_key = $3, phone = $4, phone_index = $5, changed_at = $6 WHERE id = $1 AND state <> 'closed'`,
		id, name, []byte(name), sealed, index, micros(now))
}

func (t identityTx) SetEmail(id string, email identity.Number, now time.Time) error {
	var sealed []byte
	if email != "" {
		var err error
		if sealed, err = t.seal(emailColumn, id, email.Reveal()); err != nil {
			return err
		}
	}
	return t.change(identity.ErrState.With("subject %s is closed", id),
		`UPDATE subject SET email = $2, changed_at = $3 WHERE id = $1 AND state <> 'closed'`, id, sealed, micros(now))
}
