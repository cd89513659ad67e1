package audit

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"hufu/internal/actor"
)

// Query selects entries. Empty fields select all.
type Query struct {
	Actor    string    // as Leaf.Actor names it: "person:7Q…"
	Action   string    // "certificate.issue"; with a dot at the end all of a noun: "certificate."
	Object   Object    // Kind alone, or both
	Subject  string    // whose key seals the entry
	From, To time.Time // From ≤ At < To
	After    string    // Page.Next of the page before
	Limit    int       // 1 … 100; 0 = 50
	Personal bool      // open the sealed parts too; that is itself recorded
}

// Scope is what an access token must carry to search the record; a session needs none.
const Scope = "audit"

const maxPage, defaultPage = 100, 50

// Page is one page of entries, newest first.
type Page struct {
	Entries []Found
	Next    string // Query.After for the next page; "" at the end
}

// Found is an entry as an auditor sees it.
type Found struct {
	Leaf
	Index     uint64 // in the tree, if Sequenced
	Sequenced bool
	Intact    bool // the row's tag fits; otherwise somebody changed the database behind the program's back
	Subject   string

	// Of the sealed part, when the query asked for it.
	Opened   bool // the fields below are filled
	Erased   bool // they cannot be: the subject's key was destroyed
	Personal map[string]string
	Session  string
	Peer     string
	Roles    []string
}

// Search returns a page of entries. Audit administrators and the system read all entries; anyone else only those that are
// sealed under the own key. Sealed parts are opened for audit administrators and for the subject itself, and the reading is recorded.
func (l *Log) Search(ctx context.Context, who actor.Actor, q Query) (page Page, err error) {
	if q, err = authorize(who, q); err != nil {
		return Page{}, err
	}
	if !q.Personal {
		err = l.Store.View(ctx, func(r R) error { page, err = find(r, q); return err })
		return page, err
	}
	err = l.Store.Update(ctx, func(w W) error {
		if page, err = find(w, q); err != nil {
			return err
		}
		return w.Record(Entry{At: l.Now(), Actor: who, Action: ActionRead, Object: Object{Kind: "audit"}, Public: q.public(len(page.Entries))})
	})
	return page, err
}

func authorize(who actor.Actor, q Query) (Query, error) {
	if err := who.Known(); err != nil {
		return q, err
	}
	if !who.Allows(Scope) {
		return q, actor.ErrRole.With("%s calls with a token that lacks scope %q", who, Scope)
	}
	own := q.Subject != "" && q.Subject == who.Subject
	if err := who.Require(actor.RoleAuditAdmin); err != nil && !own {
		return q, err
	}
	if q.Personal && !own && !who.Is(actor.RoleAuditAdmin) {
		return q, actor.ErrRole.With("%s may not open sealed entries", who)
	}
	if q.Limit == 0 {
		q.Limit = defaultPage
	}
	if q.Limit < 1 || q.Limit > maxPage {
		return q, ErrQuery.With("limit %d", q.Limit)
	}
	if _, _, err := q.Cursor(); err != nil {
		return q, err
	}
	return q, nil
}

// Cursor returns the time and id of the entry after which the page starts; both are empty for the first page.
func (q Query) Cursor() (at time.Time, id string, err error) {
	if q.After == "" {
		return time.Time{}, "", nil
	}
	micros, id, ok := strings.Cut(q.After, ".")
	n, err := strconv.ParseInt(micros, 10, 64)
	if !ok || err != nil || !isID(id) {
		return time.Time{}, "", ErrQuery.With("cursor %.80q", q.After)
	}
	return time.UnixMicro(n).UTC(), id, nil
}

// public tells the query for the record. Only ids and names of ours are in it.
func (q Query) public(found int) map[string]string {
	facts := map[string]string{
		"actor": q.Actor, "action": q.Action, "kind": q.Object.Kind, "object": q.Object.ID, "subject": q.Subject, "entries": strconv.Itoa(found),
	}
	for k, t := range map[string]time.Time{"from": q.From, "to": q.To} {
		if !t.IsZero() {
			facts[k] = t.UTC().Format(time.RFC3339)
		}
	}
	maps.DeleteFunc(facts, func(k, v string) bool {
		return v == "" || k != "from" && k != "to" && !isID(v)
	})
	return facts
}

func find(r Records, q Query) (Page, error) {
	limit := q.Limit
	q.Limit++
	rows, err := r.Find(q)
	if err != nil {
		return Page{}, fmt.Errorf("search entries: %w", err)
	}
	var page Page
	if len(rows) > limit {
		last := rows[limit-1]
		page.Next, rows = fmt.Sprintf("%d.%s", last.At.UnixMicro(), last.ID), rows[:limit]
	}
	keys, err := r.Keys()
	if err != nil {
		return Page{}, err
	}
	for _, row := range rows {
		f := found(row, keys)
		if q.Personal && len(row.Sealed) > 0 && f.Intact {
			if err := f.open(r, row, keys); err != nil {
				return Page{}, fmt.Errorf("open entry %s: %w", row.ID, err)
			}
		}
		page.Entries = append(page.Entries, f)
	}
	return page, nil
}

// found shows a row. Of a row that was changed only what the columns say can be shown.
func found(row Row, keys Keys) Found {
	f := Found{
		Leaf:  Leaf{ID: row.ID, At: row.At, Action: row.Action, Object: row.Object, Actor: row.Actor},
		Index: row.Index, Sequenced: row.Sequenced, Subject: row.Subject, Intact: row.check(keys) == nil,
	}
	if leaf, err := ParseLeaf(row.Leaf); err == nil && f.Intact {
		f.Leaf = leaf
	}
	return f
}

func (f *Found) open(r Records, row Row, keys Keys) error {
	wrapped, _, err := r.SubjectKey(row.Subject)
	if err != nil {
		return err
	}
	if len(wrapped) == 0 {
		f.Erased = true
		return nil
	}
	key, err := keys.open(row.Subject, wrapped)
	if err != nil {
		return err
	}
	d, err := row.open(key)
	if err != nil {
		return err
	}
	f.Opened, f.Personal, f.Session, f.Peer, f.Roles = true, d.Personal, d.Session, d.Peer, slices.Clone(d.Roles)
	return nil
}
