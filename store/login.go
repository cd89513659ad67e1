package store

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"hufu/identity/login"
)

// Login returns the store of package login.
func (db *DB) Login() login.Store { return loginStore{db} }

type loginStore struct{ db *DB }

var (
	_ login.Store = loginStore{}
	_ login.W     = loginTx{}
)

func (s loginStore) View(ctx context.Context, f func(login.R) error) error {
	return s.db.view(ctx, func(t *tx) error { return f(loginTx{t}) })
}

func (s loginStore) Update(ctx context.Context, f func(login.W) error) error {
	return s.db.update(ctx, func(t *tx) error { return f(loginTx{t}) })
}

type loginTx struct{ *tx }

const (
	accountColumn = "login_account.name"
	clientColumn  = "login_session.client"
	bucketColumn  = "login_delay.bucket"
	placeColumn   = "login_familiar.place"
)

func (t loginTx) account(where string, args ...any) (a login.Account, err error) {
	var name []byte
	var created, changed, given int64
	err = t.one([]any{&a.ID, &a.Subject, &name, &a.Password, &a.MustChange, &created, &changed, &given},
		`SELECT id, subject, name, password, must_change, created_at, changed_at, given_at FROM login_account WHERE `+where, args...)
	if errors.Is(err, errNoRow) {
		return login.Account{}, login.ErrNoAccount
	}
	if err != nil {
		return login.Account{}, fmt.Errorf("read account: %w", err)
	}
	a.Created, a.Changed, a.Given = fromMicros(created), fromMicros(changed), fromMicros(max(created, given))
	a.Name, err = t.open(accountColumn, a.ID, name)
	return a, err
}

func (t loginTx) AccountByName(name string) (login.Account, error) {
	index, other, err := t.indexes(accountColumn, name)
	if err != nil {
		return login.Account{}, err
	}
	return t.account(`name_index IN ($1, $2)`, index, other)
}

func (t loginTx) AccountOf(subject string) (login.Account, error) {
	return t.account(`subject = $1`, subject)
}

func (t loginTx) AddAccount(a login.Account) error {
	name, err := t.seal(accountColumn, a.ID, a.Name)
	if err != nil {
		return err
	}
	index, other, err := t.indexes(accountColumn, a.Name)
	if err != nil {
		return err
	}
	// The unique index knows of one blind index only; while its key is rotated the row of before stands under the other.
	n, err := t.exec(`INSERT INTO login_account (id, subject, name, name_index, password, must_change, created_at, changed_at)
		SELECT $1, $2, $3, $4, $5, $6, $7, $8
		WHERE NOT EXISTS (SELECT 1 FROM login_account WHERE name_index = $9)`,
		a.ID, a.Subject, name, index, a.Password, a.MustChange, micros(a.Created), micros(a.Changed), other)
	if duplicate(err) || err == nil && n == 0 {
		return login.ErrAccountTaken.With("account for subject %s", a.Subject)
	}
	return err
}

func (t loginTx) ReplacePassword(id, old, phc string, mustChange bool, changed time.Time) error {
	n, err := t.exec(`UPDATE login_account SET password = $3, must_change = $4, changed_at = $5,
		given_at = CASE WHEN $4 THEN $5 ELSE given_at END WHERE id = $1 AND password = $2`,
		id, old, phc, mustChange, micros(changed))
	if err == nil && n != 1 {
		err = login.ErrChanged.With("password of account %s", id)
	}
	return err
}

func (t loginTx) HoldPassword(id, phc string) error {
	query := `SELECT id FROM login_account WHERE id = $1 AND password = $2`
	if t.db.engine == PostgreSQL {
		query += ` FOR UPDATE`
	}
	err := t.one([]any{&id}, query, id, phc)
	if errors.Is(err, errNoRow) {
		return login.ErrChanged.With("password of account %s", id)
	}
	return err
}

const sessionRow = `SELECT s.id, s.subject, s.amr, s.auth_level, COALESCE(a.must_change, FALSE), s.client,
	s.auth_time, s.created_at, s.seen_at, s.expires_at, s.ended_at
	FROM login_session s LEFT JOIN login_account a ON a.subject = s.subject`

// browser is what the sealed client column holds.
type browser struct {
	IP    string `json:"ip,omitempty"`
	Agent string `json:"agent,omitempty"`
}

func (t loginTx) scanSession(r scanner) (s login.Session, err error) {
	var amr string
	var client []byte
	var auth, created, seen, expires, ended int64
	err = r.Scan(&s.ID, &s.Subject, &amr, &s.AuthLevel, &s.MustChange, &client, &auth, &created, &seen, &expires, &ended)
	if err != nil {
		return s, err
	}
	s.AMR = strings.Fields(amr)
	s.AuthTime, s.Created, s.Seen = fromMicros(auth), fromMicros(created), fromMicros(seen)
	s.Expires, s.Ended = fromMicros(expires), fromMicros(ended)
	clear, err := t.open(clientColumn, s.ID, client)
	if err != nil || clear == "" {
		return s, err
	}
	var b browser
	err = json.Unmarshal([]byte(clear), &b)
	s.RemoteIP, s.UserAgent = b.IP, b.Agent
	return s, err
}

func (t loginTx) session(where string, arg any) (login.Session, error) {
	found, err := list(t.tx, t.scanSession, sessionRow+` WHERE `+where, arg)
	if err == nil && len(found) == 0 {
		return login.Session{}, login.ErrNoSession
	}
	if err != nil {
		return login.Session{}, fmt.Errorf("read session: %w", err)
	}
	return found[0], nil
}

func (t loginTx) SessionByHash(hash []byte) (login.Session, error) {
	return t.session(`s.secret_hash = $1`, hash)
}

func (t loginTx) SessionByID(id string) (login.Session, error) {
	if s, ok := t.takeSession(id); ok {
		return s, nil
	}
	return t.session(`s.id = $1`, id)
}

func (t loginTx) SessionsOf(subject string, now time.Time) ([]login.Session, error) {
	return list(t.tx, t.scanSession,
		sessionRow+` WHERE s.subject = $1 AND s.ended_at = 0 AND s.expires_at > $2 ORDER BY s.created_at DESC, s.id`, subject, micros(now))
}

func (t loginTx) AddSession(s login.Session, hash []byte) error {
	clear, err := json.Marshal(browser{IP: s.RemoteIP, Agent: s.UserAgent})
	if err != nil {
		return err
	}
	client, err := t.seal(clientColumn, s.ID, string(clear))
	if err != nil {
		return err
	}
	_, err = t.exec(`INSERT INTO login_session (id, secret_hash, subject, amr, auth_level, client, auth_time, created_at, seen_at, expires_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
		s.ID, hash, s.Subject, strings.Join(s.AMR, " "), int64(s.AuthLevel), client,
		micros(s.AuthTime), micros(s.Created), micros(s.Seen), micros(s.Expires))
	return err
}

func (t loginTx) TouchSession(id string, seen time.Time) error {
	_, err := t.exec(`UPDATE login_session SET seen_at = $2 WHERE id = $1 AND ended_at = 0 AND seen_at < $2`, id, micros(seen))
	return err
}

func (t loginTx) EndSession(id string, now time.Time) (bool, error) {
	n, err := t.exec(`UPDATE login_session SET ended_at = $2 WHERE id = $1 AND ended_at = 0`, id, micros(now))
	return n == 1, err
}

// CountTry is one statement, so that of concurrent tries each counts the ones before it.
func (t loginTx) CountTry(bucket string, now, since time.Time) (tries int, freeAt time.Time, err error) {
	index, err := t.moved("login_delay", "bucket", bucketColumn, bucket)
	if err != nil {
		return 0, time.Time{}, err
	}
	err = t.one([]any{&tries}, `INSERT INTO login_delay (bucket, tries, tried_at, free_at) VALUES ($1, 1, $2, 0)
		ON CONFLICT (bucket) DO UPDATE SET tried_at = excluded.tried_at,
			tries = CASE WHEN login_delay.tried_at < $3 THEN 1 ELSE login_delay.tries + 1 END
		WHERE login_delay.free_at <= excluded.tried_at
		RETURNING tries`, index, micros(now), micros(since))
	if !errors.Is(err, errNoRow) {
		return tries, time.Time{}, err
	}
	var free int64
	err = t.one([]any{&free}, `SELECT free_at FROM login_delay WHERE bucket = $1`, index)
	return 0, fromMicros(free), err
}

// moved returns the blind index under which a bucket or place stands. Nothing but the index is kept of these, so that it
// cannot be computed anew when its key is rotated: a row under the index of before moves when it is used.
func (t loginTx) moved(table, column, name, value string) ([]byte, error) {
	index, other, err := t.indexes(name, value)
	if err != nil || bytes.Equal(index, other) {
		return index, err
	}
	_, err = t.exec(`UPDATE `+table+` SET `+column+` = $1 WHERE `+column+` = $2 AND NOT EXISTS (SELECT 1 FROM `+table+` WHERE `+column+` = $1)`, index, other)
	return index, err
}

func (t loginTx) onBucket(bucket, query string, args ...any) error {
	index, err := t.moved("login_delay", "bucket", bucketColumn, bucket)
	if err == nil {
		_, err = t.exec(query, append([]any{index}, args...)...)
	}
	return err
}

func (t loginTx) SetDelay(bucket string, freeAt time.Time) error {
	return t.onBucket(bucket, `UPDATE login_delay SET free_at = $2 WHERE bucket = $1`, micros(freeAt))
}

func (t loginTx) TakeBack(bucket string) error {
	return t.onBucket(bucket, `UPDATE login_delay SET tries = tries - 1 WHERE bucket = $1 AND tries > 0`)
}

func (t loginTx) Forgive(bucket string) error {
	return t.onBucket(bucket, `DELETE FROM login_delay WHERE bucket = $1`)
}

func (t loginTx) Familiar(place string) (known bool, err error) {
	index, other, err := t.indexes(placeColumn, place)
	if err != nil {
		return false, err
	}
	err = t.one([]any{&known}, `SELECT EXISTS (SELECT 1 FROM login_familiar WHERE place IN ($1, $2))`, index, other)
	return known, err
}

func (t loginTx) MeetPlace(place string, now time.Time) error {
	index, err := t.moved("login_familiar", "place", placeColumn, place)
	if err != nil {
		return err
	}
	_, err = t.exec(`INSERT INTO login_familiar (place, seen_at) VALUES ($1, $2)
		ON CONFLICT (place) DO UPDATE SET seen_at = excluded.seen_at`, index, micros(now))
	return err
}

func (t loginTx) Prune(before time.Time) error {
	for _, query := range []string{
		`DELETE FROM login_session WHERE expires_at < $1 OR (ended_at <> 0 AND ended_at < $1)`,
		`DELETE FROM login_delay WHERE tried_at < $1`,
		`DELETE FROM login_familiar WHERE seen_at < $1`,
	} {
		if _, err := t.exec(query, micros(before)); err != nil {
			return err
		}
	}
	return nil
}
