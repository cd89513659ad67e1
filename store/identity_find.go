package store

import (
	"errors"
	"fmt"
	"strings"

	"hufu/identity"
)

func (t identityTx) SubjectByNumber(id identity.Identifier) (subject string, err error) {
	index, other, err := t.numberIndexes(id)
	if err != nil {
		return "", err
	}
	err = t.one([]any{&subject}, `SELECT subject FROM subject_identifier WHERE number_index IN ($1, $2) AND ended_at = 0`, index, other)
	if errors.Is(err, errNoRow) {
		return "", identity.ErrUnknown.With("no subject has this %s", id.Type)
	}
	return subject, err
}

func (t identityTx) FindSubjects(q identity.Find) ([]identity.Subject, error) {
	var where []string
	var args []any
	arg := func(v any) string {
		args = append(args, v)
		return fmt.Sprintf("$%d", len(args))
	}
	if q.Kind != "" {
		where = append(where, `kind = `+arg(string(q.Kind)))
	}
	if q.State != "" {
		where = append(where, `state = `+arg(string(q.State)))
	}
	if q.NamePrefix != "" { // no UTF-8 text has the byte FF
		where = append(where, `name_key >= `+arg([]byte(q.NamePrefix))+` AND name_key < `+arg([]byte(q.NamePrefix+"\xff")))
	}
	if q.Phone != "" {
		index, other, err := t.indexes(phoneColumn, q.Phone.Reveal())
		if err != nil {
			return nil, err
		}
		where = append(where, `phone_index IN (`+arg(index)+`, `+arg(other)+`)`)
	}
	if q.After.ID != "" {
		before, id := arg(micros(q.After.Registered)), arg(q.After.ID)
		where = append(where, `registered_at <= `+before+` AND (registered_at < `+before+` OR id < `+id+`)`)
	}
	query := subjectRow
	if len(where) > 0 {
		query += ` WHERE ` + strings.Join(where, " AND ")
	}
	found, err := list(t.tx, t.scanSubject, query+` ORDER BY registered_at DESC, id DESC LIMIT `+arg(q.Limit), args...)
	if err != nil {
		return nil, fmt.Errorf("find subjects: %w", err)
	}
	return found, t.addIdentifiers(found)
}
