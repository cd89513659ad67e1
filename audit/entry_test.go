package audit

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"hufu/internal/actor"
	"hufu/internal/fault"
	"hufu/internal/gm"
)

// rows is a store of one test: subject keys and rows in memory.
type rows struct {
	keys  Keys
	subj  map[string][]byte
	added []Row
}

func newRows() *rows {
	keys, err := NewKeys(testWrap, testTag)
	if err != nil {
		panic(err)
	}
	return &rows{keys: keys, subj: map[string][]byte{}}
}

var testWrap, testTag = bytes.Repeat([]byte{2}, 16), bytes.Repeat([]byte{4}, 32)

func (r *rows) Keys() (Keys, error)  { return r.keys, nil }
func (r *rows) AddRow(row Row) error { r.added = append(r.added, row); return nil }
func (r *rows) last() Row            { return r.added[len(r.added)-1] }
func (r *rows) SubjectKey(s string) ([]byte, bool, error) {
	k, ok := r.subj[s]
	return k, ok, nil
}

func (r *rows) AddSubjectKey(s string, wrapped []byte, _ time.Time) error {
	if _, ok := r.subj[s]; !ok {
		r.subj[s] = wrapped
	}
	return nil
}

func (r *rows) key(t *testing.T, subject string) *gm.Sealer {
	t.Helper()
	key, err := r.keys.open(subject, r.subj[subject])
	if err != nil {
		t.Fatal(err)
	}
	return key
}

var (
	testNow = time.Date(2026, 5, 1, 9, 30, 0, 123456789, time.UTC)
	clerk   = actor.Actor{Subject: "P-CLERK", Name: "王经办", Capacity: actor.Official, For: "O-1", Roles: []actor.Role{actor.RoleApprover}, AuthLevel: 3, IdentityLevel: 4, Client: "C-1", Session: "S-9", Peer: "ab12"}
)

func issued() Entry {
	return Entry{
		Actor: clerk, Action: "certificate.issue", Object: Object{Kind: "certificate", ID: "2A7F"}, Public: map[string]string{"profile": "person-sign"},
		Subject: "P-CITIZEN", Personal: map[string]string{"name": "张三", "number": "11010119900307002X"},
	}
}

func TestLeafHoldsNothingPersonal(t *testing.T) {
	r := newRows()
	if err := Write(r, testNow, issued()); err != nil {
		t.Fatal(err)
	}
	row := r.last()
	leaf, err := ParseLeaf(row.Leaf)
	if err != nil {
		t.Fatal(err)
	}
	if leaf.Action != "certificate.issue" || leaf.Actor != "official:P-CLERK" || leaf.For != "O-1" || leaf.Via != "C-1" || leaf.Public["profile"] != "person-sign" ||
		!leaf.At.Equal(testNow.Truncate(time.Microsecond)) || leaf.ID == "" || leaf.Object.ID != "2A7F" || len(leaf.Commitment) != 32 {
		t.Errorf("leaf: %+v", leaf)
	}
	for _, secret := range []string{"张三", "11010119900307002X", "王经办", "S-9", "ab12", "P-CITIZEN"} {
		if bytes.Contains(row.Leaf, []byte(secret)) {
			t.Errorf("the leaf shows %q: %s", secret, row.Leaf)
		}
	}
	d, err := row.open(r.key(t, "P-CITIZEN"))
	if err != nil || d.Personal["name"] != "张三" || d.Session != "S-9" || d.Peer != "ab12" || d.Roles[0] != "approver" || d.AuthLevel != 3 || d.IdentityLevel != 4 {
		t.Errorf("opened: %+v, %v", d, err)
	}
	if err := row.check(r.keys); err != nil {
		t.Error(err)
	}
}

// The same act recorded twice gives two commitments that have nothing in common, and no guess of the plaintext confirms one.
func TestCommitmentIsNotGuessable(t *testing.T) {
	r := newRows()
	e := issued()
	e.ID = "FIXED"
	for range 2 {
		if err := Write(r, testNow, e); err != nil {
			t.Fatal(err)
		}
	}
	a, _ := ParseLeaf(r.added[0].Leaf)
	b, _ := ParseLeaf(r.added[1].Leaf)
	if bytes.Equal(a.Commitment, b.Commitment) || bytes.Equal(r.added[0].Sealed, r.added[1].Sealed) {
		t.Fatal("equal plaintexts are seen to be equal")
	}
	guess := detailOf(e).bytes() // the attacker knows every byte but the salt
	for _, salt := range [][]byte{nil, make([]byte, saltSize), []byte(e.ID), r.added[0].Sealed[:saltSize], r.added[0].Tag, testWrap, testTag} {
		if bytes.Equal(commit(salt, guess), a.Commitment) {
			t.Errorf("the commitment opens with salt %x", salt)
		}
	}
}

func TestErasedSubjectLeavesNoSealedPart(t *testing.T) {
	r := newRows()
	if err := Write(r, testNow, issued()); err != nil {
		t.Fatal(err)
	}
	key := r.key(t, "P-CITIZEN")
	r.subj["P-CITIZEN"] = []byte{} // destroyed
	if err := Write(r, testNow, issued()); err != nil {
		t.Fatalf("an act about an erased subject must still be recorded: %v", err)
	}
	row := r.last()
	leaf, err := ParseLeaf(row.Leaf)
	if err != nil || row.Sealed != nil || leaf.Commitment != nil {
		t.Errorf("something is sealed for an erased subject: %+v, %v", row, err)
	}
	if len(r.subj["P-CITIZEN"]) != 0 {
		t.Error("an erased subject got a new key")
	}
	for _, other := range [][]byte{testWrap, make([]byte, 16)} {
		s, err := gm.NewSealer(other)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.added[0].open(s); err == nil {
			t.Error("a sealed part opened under another key")
		}
	}
	if _, err := r.added[0].open(key); err != nil {
		t.Errorf("(control) it does open under the key that was destroyed: %v", err)
	}
}

func TestWhoseKeySeals(t *testing.T) {
	for name, row := range map[string]struct {
		change  func(*Entry)
		subject string
		sealed  bool
	}{
		"the subject's":                      {func(*Entry) {}, "P-CITIZEN", true},
		"the actor's when there is none":     {func(e *Entry) { e.Subject, e.Personal = "", nil }, "P-CLERK", true},
		"nobody's for the system":            {func(e *Entry) { e.Subject, e.Personal, e.Actor = "", nil, actor.ForSystem("crl") }, "", false},
		"the subject's for an unknown actor": {func(e *Entry) { e.Actor = actor.Actor{} }, "P-CITIZEN", true},
	} {
		r, e := newRows(), issued()
		row.change(&e)
		if err := Write(r, testNow, e); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got := r.last(); got.Subject != row.subject || (got.Sealed != nil) != row.sealed {
			t.Errorf("%s: subject %q, %d bytes sealed", name, got.Subject, len(got.Sealed))
		}
	}
}

func TestEntriesThatAreRefused(t *testing.T) {
	for name, change := range map[string]func(*Entry){
		"no action":                      func(e *Entry) { e.Action = "" },
		"no verb":                        func(e *Entry) { e.Action = "certificate" },
		"a space":                        func(e *Entry) { e.Action = "certificate issue.now" },
		"no object":                      func(e *Entry) { e.Object.Kind = "" },
		"object id not ASCII":            func(e *Entry) { e.Object.ID = "张三" },
		"personal data of nobody":        func(e *Entry) { e.Subject = "" },
		"public key of strange letters":  func(e *Entry) { e.Public = map[string]string{"名": "x"} },
		"public text not UTF-8":          func(e *Entry) { e.Public = map[string]string{"x": "\xff"} },
		"too much public":                func(e *Entry) { e.Public = map[string]string{"x": strings.Repeat("x", maxPublic)} },
		"control characters that expand": func(e *Entry) { e.Public = map[string]string{"x": strings.Repeat("\x01", maxPublic-9)} },
		"too much personal":              func(e *Entry) { e.Personal["x"] = strings.Repeat("x", maxSealed) },
		"a year of five digits":          func(e *Entry) { e.At = time.Date(12026, 1, 1, 0, 0, 0, 0, time.UTC) },
		"id with a line break":           func(e *Entry) { e.ID = "a\nb" },
	} {
		r, e := newRows(), issued()
		change(&e)
		if err := Write(r, testNow, e); !errors.Is(err, ErrEntry) || fault.KindOf(err) != fault.Invalid || len(r.added) != 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRowTagFindsEveryChange(t *testing.T) {
	r := newRows()
	if err := Write(r, testNow, issued()); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Row){
		"leaf":             func(r *Row) { r.Leaf = bytes.Replace(r.Leaf, []byte("2A7F"), []byte("2A7E"), 1) },
		"sealed":           func(r *Row) { r.Sealed[20] ^= 1 },
		"sealed removed":   func(r *Row) { r.Sealed = nil },
		"subject":          func(r *Row) { r.Subject = "P-OTHER" },
		"tag":              func(r *Row) { r.Tag[0] ^= 1 },
		"bytes moved over": func(r *Row) { r.Leaf, r.Subject = r.Leaf[:len(r.Leaf)-1], "}"+r.Subject },
		"column action":    func(r *Row) { r.Action = "certificate.revoke" },
		"column actor":     func(r *Row) { r.Actor = "person:X" },
		"column at":        func(r *Row) { r.At = r.At.Add(time.Second) },
		"column object":    func(r *Row) { r.Object.ID = "other" },
		"column id":        func(r *Row) { r.ID = "other" },
	} {
		row := r.last()
		row.Sealed, row.Tag = bytes.Clone(row.Sealed), bytes.Clone(row.Tag)
		change(&row)
		if err := row.check(r.keys); !errors.Is(err, errRow) && !errors.Is(err, errNotCanonical) {
			t.Errorf("%s changed: %v", name, err)
		}
	}
}

// A sealed part is bound to its entry: moved to another row it neither opens nor fits the commitment.
func TestSealedPartIsBoundToItsEntry(t *testing.T) {
	r := newRows()
	for range 2 {
		if err := Write(r, testNow, issued()); err != nil {
			t.Fatal(err)
		}
	}
	moved := r.added[0]
	moved.Sealed = r.added[1].Sealed
	if _, err := moved.open(r.key(t, "P-CITIZEN")); err == nil {
		t.Error("a sealed part opened in another row")
	}
	forged, err := r.key(t, "P-CITIZEN").Seal(nil, append(make([]byte, saltSize), `{"personal":{"name":"李四"}}`...), sealContext(moved.ID))
	if err != nil {
		t.Fatal(err)
	}
	moved.Sealed = forged
	if _, err := moved.open(r.key(t, "P-CITIZEN")); !errors.Is(err, errRow) {
		t.Errorf("another plaintext under the right key passed: %v", err)
	}
}

// encoding/json must read back what we write, and RFC 8785's own example of strings must come out as it says.
func TestCanonicalJSON(t *testing.T) {
	o := object{"b": "\u20ac$\u000f\nA'B\"\\\\\"/<>&\u2028", "a": []string{"x", "y"}, "c": object{"z": 1, "y": map[string]string{"k": "中文😀"}}}
	want := `{"a":["x","y"],"b":"€$\u000f\nA'B\"\\\\\"/<>&` + "\u2028" + `","c":{"y":{"k":"中文😀"},"z":1}}`
	if got := string(canonical(o)); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	var back map[string]any
	if err := json.Unmarshal(canonical(o), &back); err != nil || back["b"] != o["b"] {
		t.Errorf("%v, %v", back, err)
	}
	if got := string(canonical(object{"x": "\b\t\n\f\r\x00\x1f\x7f"})); got != `{"x":"\b\t\n\f\r\u0000\u001f`+"\x7f"+`"}` {
		t.Errorf("escapes: %s", got)
	}
}

func FuzzParseLeaf(f *testing.F) {
	r := newRows()
	if err := Write(r, testNow, issued()); err != nil {
		f.Fatal(err)
	}
	f.Add(r.last().Leaf)
	f.Add([]byte(`{"action":"a.b","actor":{"id":"system:x"},"at":"2026-01-01T00:00:00.000000Z","id":"1","object":{"id":"","kind":"k"},"v":1}`))
	f.Add([]byte(`{"v":1,"v":1}`))
	f.Add([]byte(`{"action":"a.b","actor":{"for":"f\"\\","id":"x:\u0000","via":"中"},"at":"2026-01-01T00:00:00.000000Z","id":"1","object":{"id":"","kind":"k"},"public":{"a":"\n","b":""},"v":1}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		l, err := ParseLeaf(b)
		if err == nil && !bytes.Equal(l.Bytes(), b) {
			t.Errorf("%s came back as %s", b, l.Bytes())
		}
		other, ok := parseLeafByJSON(b)
		if ok != (err == nil) || ok && !reflect.DeepEqual(l, other) {
			t.Errorf("%s: we say %+v, %v; encoding/json %+v, %v", b, l, err, other, ok)
		}
	})
}

// parseLeafByJSON is ParseLeaf by a reader that is not ours.
func parseLeafByJSON(b []byte) (Leaf, bool) {
	var in struct {
		V          int                           `json:"v"`
		ID         string                        `json:"id"`
		At         string                        `json:"at"`
		Action     string                        `json:"action"`
		Object     struct{ Kind, ID string }     `json:"object"`
		Actor      struct{ ID, For, Via string } `json:"actor"`
		Public     map[string]string             `json:"public"`
		Commitment []byte                        `json:"commitment"`
	}
	if decode(b, &in) != nil {
		return Leaf{}, false
	}
	at, err := time.Parse(timeForm, in.At)
	l := Leaf{
		ID: in.ID, At: at, Action: in.Action, Object: Object(in.Object), Actor: in.Actor.ID, For: in.Actor.For, Via: in.Actor.Via,
		Public: in.Public, Commitment: in.Commitment,
	}
	return l, err == nil && bytes.Equal(l.Bytes(), b) && (l.Commitment == nil || len(l.Commitment) == 32)
}

// What Bytes writes member by member is what RFC 8785 asks for.
func TestLeafIsCanonical(t *testing.T) {
	l := Leaf{
		ID: "1", At: testNow, Action: "a.b", Object: Object{Kind: "k", ID: "i"}, Actor: "person:\"x\"", For: "f", Via: "v",
		Public: map[string]string{"z": "1", "a": "\u2028\x01"}, Commitment: make([]byte, 32),
	}
	want := canonical(object{
		"v": 1, "id": l.ID, "at": l.At.UTC().Format(timeForm), "action": l.Action, "actor": object{"id": l.Actor, "for": l.For, "via": l.Via},
		"object": object{"kind": l.Object.Kind, "id": l.Object.ID}, "public": l.Public, "commitment": base64.StdEncoding.EncodeToString(l.Commitment),
	})
	if got := l.Bytes(); string(got) != string(want) {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestParseLeafIsStrict(t *testing.T) {
	good := `{"action":"a.b","actor":{"id":"system:x"},"at":"2026-01-01T00:00:00.000000Z","id":"1","object":{"id":"","kind":"k"},"v":1}`
	if _, err := ParseLeaf([]byte(good)); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{
		"", "{}", good + " ", strings.Replace(good, `"v":1`, `"v":2`, 1), strings.Replace(good, `"id":"1"`, `"id":"1","id":"1"`, 1),
		strings.Replace(good, `"id":"1"`, `"ID":"1"`, 1), strings.Replace(good, "000000Z", "000Z", 1), strings.Replace(good, `,"v":1`, `,"v":1,"x":1`, 1),
		strings.Replace(good, `"at"`, `"commitment":"AAAA","at"`, 1), strings.Replace(good, `"id":"1"`, `"id":"\u0031"`, 1),
	} {
		if l, err := ParseLeaf([]byte(bad)); err == nil {
			t.Errorf("%s became %+v", bad, l)
		}
	}
}

// object is a JSON object of strings, small integers, lists of strings and further objects: the other way to what a leaf and a
// detail are.
type object map[string]any

// canonical writes an object after RFC 8785 (JCS). Keys are ASCII here, so that order by bytes is the order JCS asks for.
func canonical(o object) []byte { return appendValue(nil, o) }

func appendValue(b []byte, v any) []byte {
	switch v := v.(type) {
	case string:
		return appendString(b, v)
	case int:
		return strconv.AppendInt(b, int64(v), 10)
	case []string:
		b = append(b, '[')
		for i, s := range v {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendString(b, s)
		}
		return append(b, ']')
	case map[string]string:
		o := object{}
		for k, s := range v {
			o[k] = s
		}
		return appendValue(b, o)
	case object:
		b = append(b, '{')
		for i, k := range slices.Sorted(maps.Keys(v)) {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendValue(append(appendString(b, k), ':'), v[k])
		}
		return append(b, '}')
	}
	return append(b, "null"...)
}

// A detail is written as the general way writes it, whichever parts are empty.
func TestDetailIsCanonical(t *testing.T) {
	for n := range 1 << 5 {
		var d detail
		o := object{}
		if n&1 != 0 {
			d.Personal = map[string]string{"b": "王\"五\"", "a": "1\n", "C": ""}
			o["personal"] = d.Personal
		}
		if n&2 != 0 {
			d.Session, o["session"] = "s\\", "s\\"
		}
		if n&4 != 0 {
			d.Peer, o["peer"] = "\xff", "\xff"
		}
		if n&8 != 0 {
			d.Roles, o["roles"] = []string{"x", "y"}, []string{"x", "y"}
		}
		if n&16 != 0 {
			d.AuthLevel, o["authLevel"], o["identityLevel"] = 3, 3, 0
		}
		if got, want := d.bytes(), canonical(o); !bytes.Equal(got, want) {
			t.Errorf("%s, want %s", got, want)
		}
	}
}
