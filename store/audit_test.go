package store

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hufu/audit"
	"hufu/audit/tree"
	"hufu/internal/actor"
	"hufu/internal/gm"
)

// These tests look at the tables themselves, as somebody does who has the database but not the program.

var auditAt = time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)

type auditSite struct {
	*DB
	log *audit.Log
	seq *audit.Sequencer
}

func eachAudit(t *testing.T, f func(t *testing.T, s auditSite)) {
	each(t, func() time.Time { return auditAt }, func(t *testing.T, db *DB) {
		if err := db.UseFieldKeys(FieldKeys{
			Version: 1, Sealing: map[uint32][]byte{1: make([]byte, 16)}, Subjects: bytes.Repeat([]byte{2}, 16), Index: make([]byte, 32), Rows: bytes.Repeat([]byte{4}, 32),
		}); err != nil {
			t.Fatal(err)
		}
		priv, err := gm.GenerateKey()
		if err != nil {
			t.Fatal(err)
		}
		key, err := tree.NewKey("log", tree.Log, priv.Public())
		if err != nil {
			t.Fatal(err)
		}
		now := func() time.Time { return auditAt }
		log, err := audit.New(audit.Config{Store: db.Audit(), Key: key, Now: now})
		if err != nil {
			t.Fatal(err)
		}
		seq, err := audit.NewSequencer(audit.SequencerConfig{Store: db.Audit(), Key: key, Signer: priv, Holder: "node", Now: now})
		if err != nil {
			t.Fatal(err)
		}
		f(t, auditSite{db, log, seq})
	})
}

const (
	auditName   = "欧阳娜娜"
	auditNumber = "11010119900307002X"
)

func (s auditSite) record(t *testing.T, n int) {
	t.Helper()
	if err := s.update(t.Context(), func(tx *tx) error {
		for i := range n {
			if err := tx.Record(audit.Entry{
				ID: fmt.Sprintf("E-%d", i), Actor: actor.ForSystem("test"), Action: "subject.register", Object: audit.Object{Kind: "subject", ID: fmt.Sprintf("P-%d", i)},
				Subject: fmt.Sprintf("P-%d", i), Personal: map[string]string{"name": auditName, "number": auditNumber},
			}); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

func (s auditSite) sql(t *testing.T, query string, args ...any) {
	t.Helper()
	if err := s.update(t.Context(), func(tx *tx) error {
		n, err := tx.exec(query, args...)
		if err == nil && n == 0 {
			err = errors.New("no row changed")
		}
		return err
	}); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
}

// dump returns every byte that the tables of the record hold.
func (s auditSite) dump(t *testing.T) (all []byte) {
	t.Helper()
	for _, query := range []string{
		`SELECT id, action, object_kind, object_id, actor, subject, leaf, sealed, tag, at FROM audit_entry`,
		`SELECT subject, wrapped, '', '', '', '', wrapped, wrapped, wrapped, created FROM audit_key`,
		`SELECT '', '', '', '', '', '', data, data, data, level FROM audit_tile`,
		`SELECT '', '', '', '', '', '', note, root, root, size FROM audit_checkpoint`,
	} {
		if err := s.view(t.Context(), func(tx *tx) error {
			rows, err := list(tx, func(r scanner) ([]byte, error) {
				var a, b, c, d, e, f string
				var g, h, i []byte
				var j int64
				err := r.Scan(&a, &b, &c, &d, &e, &f, &g, &h, &i, &j)
				return bytes.Join([][]byte{[]byte(strings.Join([]string{a, b, c, d, e, f}, " ")), g, h, i}, []byte(" ")), err
			}, query)
			all = append(all, bytes.Join(rows, []byte("\n"))...)
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// After the subject's key is destroyed, somebody with the whole record, every data key of the server and a list of all people finds
// nothing: no plaintext, no key, no guess that the commitment confirms. The tree still verifies.
func TestErasedDataIsNotRecoverable(t *testing.T) {
	eachAudit(t, func(t *testing.T, s auditSite) {
		s.record(t, 3)
		if _, err := s.seq.Round(t.Context()); err != nil {
			t.Fatal(err)
		}
		wrap := bytes.Repeat([]byte{2}, 16) // eachAudit's key of the subjects' keys
		row, wrapped := s.secrets(t, "P-1", "E-1")
		context := []byte("hufu audit subject key\x00P-1")
		key, err := gm.Open(wrap, wrapped, context)
		if err != nil {
			t.Fatal(err)
		}
		plain, err := gm.Open(key, row.Sealed, []byte("hufu audit entry\x00E-1"))
		if err != nil || !bytes.Contains(plain, []byte(auditNumber)) {
			t.Fatalf("(control) before erasing the data is there: %v", err)
		}
		salt := plain[:32]

		if err := s.log.Erase(t.Context(), actor.Actor{Subject: "P-ADMIN", Capacity: actor.Person, Roles: []actor.Role{actor.RoleSuperAdmin}}, "P-1"); err != nil {
			t.Fatal(err)
		}
		if _, err := s.seq.Round(t.Context()); err != nil {
			t.Fatal(err)
		}
		all := s.dump(t)
		for what, secret := range map[string][]byte{"name": []byte(auditName), "number": []byte(auditNumber), "salt": salt, "subject key": key, "wrapped key": wrapped} {
			if bytes.Contains(all, secret) {
				t.Errorf("the tables still hold the %s", what)
			}
		}
		leaf, err := audit.ParseLeaf(row.Leaf)
		if err != nil {
			t.Fatal(err)
		}
		for at := 0; at+32 <= len(all); at++ { // every 16 bytes at hand as a key, every 32 as a salt of the true plaintext
			if _, err := gm.Open(all[at:at+16], row.Sealed, []byte("hufu audit entry\x00E-1")); err == nil {
				t.Fatalf("the sealed part opens under bytes %d of the dump", at)
			}
			if sum := gm.SM3(all[at:at+32], plain[32:]); bytes.Equal(sum[:], leaf.Commitment) {
				t.Fatalf("the commitment confirms a guess with bytes %d of the dump", at)
			}
		}
		if _, err := gm.Open(wrap, row.Sealed, []byte("hufu audit entry\x00E-1")); err == nil {
			t.Error("the sealed part opens under the wrapping key")
		}
		if sum := gm.SM3(plain[32:]); bytes.Equal(sum[:], leaf.Commitment) {
			t.Error("the commitment is not salted")
		}
		s.verify(t, 4)
	})
}

func (s auditSite) secrets(t *testing.T, subject, id string) (row audit.Row, wrapped []byte) {
	t.Helper()
	if err := s.Audit().View(t.Context(), func(r audit.R) (err error) {
		if row, err = r.Row(id); err != nil {
			return err
		}
		wrapped, _, err = r.SubjectKey(subject)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return row, wrapped
}

func (s auditSite) verify(t *testing.T, entries uint64) {
	t.Helper()
	files := map[string][]byte{}
	if err := s.log.Export(t.Context(), func(path string, data []byte) error { files[path] = data; return nil }); err != nil {
		t.Fatal(err)
	}
	for id := range 3 {
		p, err := s.log.Proof(t.Context(), fmt.Sprintf("E-%d", id))
		if err != nil {
			t.Fatal(err)
		}
		if v, err := p.Verify(s.log.Key, nil, 0); err != nil || v.Size != entries {
			t.Errorf("proof of E-%d: tree of %d, %v", id, v.Size, err)
		}
	}
	if v, err := tree.VerifyCheckpoint(files["checkpoint"], s.log.Key, nil, 0); err != nil || v.Size != entries {
		t.Errorf("exported %d, %v", v.Size, err)
	}
}

// Freed bytes of an SQLite file are overwritten, so that a destroyed key is gone from the file as well.
func TestErasedKeyLeavesTheSQLiteFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "t.db")
	db, err := Open(t.Context(), "sqlite:"+path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var on int
	if err := db.update(t.Context(), func(tx *tx) error { return tx.one([]any{&on}, `PRAGMA secure_delete`) }); err != nil || on != 1 {
		t.Errorf("secure_delete = %d, %v", on, err)
	}
}

// Rows that were changed behind the program's back are not taken into the tree, and are shown as changed.
func TestChangedRowsAreNoticed(t *testing.T) {
	auditor := actor.Actor{Subject: "P-AUDIT", Capacity: actor.Person, Roles: []actor.Role{actor.RoleAuditAdmin}}
	for name, change := range map[string]string{
		"action":  `UPDATE audit_entry SET action = 'subject.change' WHERE id = 'E-1'`,
		"object":  `UPDATE audit_entry SET object_id = 'P-7' WHERE id = 'E-1'`,
		"actor":   `UPDATE audit_entry SET actor = 'person:P-7' WHERE id = 'E-1'`,
		"at":      `UPDATE audit_entry SET at = at - 1 WHERE id = 'E-1'`,
		"leaf":    `UPDATE audit_entry SET leaf = (SELECT leaf FROM audit_entry WHERE id = 'E-2') WHERE id = 'E-1'`,
		"sealed":  `UPDATE audit_entry SET sealed = (SELECT sealed FROM audit_entry WHERE id = 'E-2') WHERE id = 'E-1'`,
		"subject": `UPDATE audit_entry SET subject = 'P-2' WHERE id = 'E-1'`,
		"tag":     `UPDATE audit_entry SET tag = (SELECT tag FROM audit_entry WHERE id = 'E-2') WHERE id = 'E-1'`,
	} {
		eachAudit(t, func(t *testing.T, s auditSite) {
			s.record(t, 3)
			s.sql(t, change)
			if _, err := s.seq.Round(t.Context()); err == nil {
				t.Errorf("%s: a changed row was taken into the tree", name)
			}
			page, err := s.log.Search(t.Context(), auditor, audit.Query{Personal: true, Action: "subject."})
			if err != nil || len(page.Entries) != 3 {
				t.Fatalf("%s: %d entries, %v", name, len(page.Entries), err)
			}
			for _, f := range page.Entries {
				if f.Intact == (f.ID == "E-1") || f.Opened != f.Intact {
					t.Errorf("%s: %+v", name, f)
				}
			}
		})
	}
}

// An index is given once: neither the program nor a second row gets it again.
func TestIndexIsGivenOnce(t *testing.T) {
	eachAudit(t, func(t *testing.T, s auditSite) {
		s.record(t, 3)
		if _, err := s.seq.Round(t.Context()); err != nil {
			t.Fatal(err)
		}
		for name, f := range map[string]func(auditTx) error{
			"another index":    func(x auditTx) error { return x.Assign([]string{"E-1"}, 9) },
			"an unknown entry": func(x auditTx) error { return x.Assign([]string{"E-9"}, 9) },
			"a second row": func(x auditTx) error {
				if err := x.Record(audit.Entry{ID: "E-3", Actor: actor.ForSystem("x"), Action: "a.b", Object: audit.Object{Kind: "k"}}); err != nil {
					return nil
				}
				return x.Assign([]string{"E-3"}, 2)
			},
			"an entry id twice": func(x auditTx) error {
				return x.Record(audit.Entry{ID: "E-1", Actor: actor.ForSystem("x"), Action: "a.b", Object: audit.Object{Kind: "k"}})
			},
			"an old head":   func(x auditTx) error { return x.PutHead(tree.Head{Root: tree.EmptyRoot()}, tree.Head{Size: 9}) },
			"another epoch": func(x auditTx) error { return x.UnderLease(99) },
		} {
			if err := s.update(t.Context(), func(tx *tx) error { return f(auditTx{tx}) }); err == nil {
				t.Errorf("%s: taken", name)
			}
		}
		s.verify(t, 3)
	})
}

// Without the data keys nothing is recorded, and so nothing is done.
func TestNoRecordWithoutKeys(t *testing.T) {
	each(t, nil, func(t *testing.T, db *DB) {
		err := db.update(t.Context(), func(tx *tx) error {
			return tx.Record(audit.Entry{Actor: actor.ForSystem("x"), Action: "a.b", Object: audit.Object{Kind: "k"}})
		})
		if !errors.Is(err, ErrLocked) {
			t.Errorf("recorded without keys: %v", err)
		}
	})
}
