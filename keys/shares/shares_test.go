package shares

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// cheap is a derivation that does not slow the tests down.
var cheap = Cost{Passes: 1, Memory: 8, Lanes: 1}

var made = time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)

func split(t testing.TB, threshold, count int) (secret []byte, set *Set, all []*Share) {
	t.Helper()
	secret = make([]byte, Size)
	rand.Read(secret)
	o := Order{Key: "root", Public: [32]byte{1, 2, 3}, Threshold: threshold, Made: made}
	for i := range count {
		o.Holders = append(o.Holders, fmt.Sprintf("保管员 %d", i+1))
	}
	set, all, err := Split(secret, o)
	if err != nil {
		t.Fatal(err)
	}
	return secret, set, all
}

func passphrase(n int) []byte { return fmt.Appendf(nil, "passphrase of %d", n) }

// files seals all shares and reads the files back.
func files(t testing.TB, all []*Share) (out []*File) {
	t.Helper()
	for _, s := range all {
		f, err := s.Seal(passphrase(s.Number), cheap)
		if err != nil {
			t.Fatal(err)
		}
		back, err := Parse(f.Bytes())
		if err != nil {
			t.Fatalf("%v in\n%s", err, f.Bytes())
		}
		out = append(out, back)
	}
	return out
}

func opened(t testing.TB, all []*File) (out []*Share) {
	t.Helper()
	for _, f := range all {
		s, err := f.Open(passphrase(f.Number))
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, s)
	}
	return out
}

// Every subset of k opens, in any order; every smaller one is refused and told how many are missing and who could come.
func TestEverySubset(t *testing.T) {
	for _, c := range []struct{ k, n int }{{2, 2}, {2, 3}, {3, 5}, {5, 5}, {4, 7}, {2, 9}} {
		secret, set, all := split(t, c.k, c.n)
		all = opened(t, files(t, all))
		for subset := range 1 << c.n {
			var chosen []*Share
			var absent []string
			for i, s := range all {
				if subset>>i&1 == 1 {
					chosen = append([]*Share{s}, chosen...)
				} else {
					absent = append(absent, set.Holders[i].Name)
				}
			}
			got, err := Combine(chosen...)
			if len(chosen) >= c.k {
				if err != nil || !bytes.Equal(got, secret) {
					t.Fatalf("%d of %d, subset %b: %v", c.k, c.n, subset, err)
				}
				continue
			}
			if !errors.Is(err, ErrMissing) || got != nil {
				t.Fatalf("%d of %d, subset %b gave %x, %v", c.k, c.n, subset, got, err)
			}
			if len(chosen) > 0 && !strings.Contains(err.Error(), fmt.Sprintf("%d more needed, from %s", c.k-len(chosen), strings.Join(absent, ", "))) {
				t.Fatalf("not said who is missing: %v", err)
			}
		}
	}
}

// Two divisions of one secret have no share in common: shares are random, not a function of the secret.
func TestSharesAreRandom(t *testing.T) {
	secret := make([]byte, Size)
	o := Order{Key: "root", Threshold: 2, Holders: []string{"a", "b"}, Made: made}
	seen := map[[Size]byte]bool{{}: true}
	for range 50 {
		_, all, err := Split(secret, o)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range all {
			if seen[s.value] {
				t.Fatal("a share came twice, or is the secret")
			}
			seen[s.value] = true
		}
	}
}

func TestWrongPassphrase(t *testing.T) {
	_, _, all := split(t, 2, 3)
	f := files(t, all)
	if _, err := f[0].Open(passphrase(2)); !errors.Is(err, ErrWrong) || !strings.Contains(err.Error(), "保管员 1") {
		t.Errorf("another custodian's passphrase: %v", err)
	}
	for _, p := range []string{"", "short", "two\nlines of text", strings.Repeat("x", 1025)} {
		if _, err := f[0].Open([]byte(p)); !errors.Is(err, ErrPassphrase) {
			t.Errorf("%.20q: %v", p, err)
		}
		if _, err := all[0].Seal([]byte(p), cheap); !errors.Is(err, ErrPassphrase) {
			t.Errorf("seal under %.20q: %v", p, err)
		}
	}
}

func TestMixedCeremonies(t *testing.T) {
	_, _, one := split(t, 2, 3)
	_, _, two := split(t, 2, 3)
	if _, err := Combine(one[0], two[1]); !errors.Is(err, ErrMixed) {
		t.Errorf("shares of two ceremonies: %v", err)
	}
	// The files of one are dressed up as the other's: header exchanged, checksum right. Nothing opens.
	a, b := files(t, one), files(t, two)
	b[1].Set = a[0].Set
	dressed, err := Parse(b[1].Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := dressed.Open(passphrase(2)); !errors.Is(err, ErrWrong) {
		t.Errorf("a share in another ceremony's file: %v", err)
	}
	// Two files swapped: the number says another holder than the passphrase.
	a[0].Number, a[1].Number = 2, 1
	for i, f := range a[:2] {
		if _, err := f.Open(passphrase(i + 1)); !errors.Is(err, ErrWrong) {
			t.Errorf("swapped share opened: %v", err)
		}
	}
}

func TestTwice(t *testing.T) {
	_, _, all := split(t, 2, 3)
	f := files(t, all)
	again := opened(t, []*File{f[0], f[0]})
	if _, err := Combine(again...); !errors.Is(err, ErrTwice) {
		t.Errorf("one share as two: %v", err)
	}
	if _, err := Combine(all[0], all[1], again[1]); !errors.Is(err, ErrTwice) {
		t.Errorf("one share as the third: %v", err)
	}
}

// A custodian who changes the own share, knowing its passphrase, is found and named, by the own file and by the others'.
func TestChangedShare(t *testing.T) {
	secret, set, all := split(t, 2, 3)
	liar := *all[1]
	liar.value[7] ^= 1
	if _, err := Combine(all[0], &liar); !errors.Is(err, ErrChanged) || !strings.Contains(err.Error(), "保管员 2") {
		t.Errorf("a changed share: %v", err)
	}
	f, err := liar.Seal(passphrase(2), cheap)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Open(passphrase(2)); !errors.Is(err, ErrChanged) {
		t.Errorf("a changed share in a file: %v", err)
	}
	// With a commitment to match it is of another set than the honest ones.
	forged := *set
	forged.Holders = append([]Holder(nil), set.Holders...)
	forged.Holders[1].Commitment = forged.commitShare(&liar)
	liar.of = &forged
	if _, err := Combine(all[0], &liar); !errors.Is(err, ErrMixed) {
		t.Errorf("a changed share with its own commitment: %v", err)
	}
	if got, err := Combine(all[0], all[2]); err != nil || !bytes.Equal(got, secret) {
		t.Errorf("the honest ones: %v", err)
	}
}

// Every octet of a file counts.
func TestEveryChangedOctetIsSeen(t *testing.T) {
	_, _, all := split(t, 2, 3)
	text := files(t, all)[0].Bytes()
	for i := range text {
		bad := bytes.Clone(text)
		bad[i] ^= 1
		f, err := Parse(bad)
		if err == nil {
			_, err = f.Open(passphrase(1))
		}
		if err == nil {
			t.Fatalf("octet %d changed in\n%s", i, bad)
		}
	}
	for _, bad := range [][]byte{nil, text[:len(text)-1], append(bytes.Clone(text), '\n'), bytes.ReplaceAll(text, []byte("\n"), []byte("\r\n")), bytes.Repeat(text, 30)} {
		if _, err := Parse(bad); !errors.Is(err, ErrForm) {
			t.Errorf("%d octets: %v", len(bad), err)
		}
	}
}

func TestPlans(t *testing.T) {
	ok := Order{Key: "root", Threshold: 2, Holders: []string{"张三", "李四", "Wang Wu"}, Made: made}
	secret := make([]byte, Size)
	if _, _, err := Split(secret, ok); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Order){
		"one is enough":    func(o *Order) { o.Threshold = 1 },
		"more than all":    func(o *Order) { o.Threshold = 4 },
		"alone":            func(o *Order) { o.Holders = o.Holders[:1] },
		"seventeen":        func(o *Order) { o.Holders = strings.Split("abcdefghijklmnopq", "") },
		"one name twice":   func(o *Order) { o.Holders = []string{"a", "a"} },
		"no name":          func(o *Order) { o.Holders = []string{"a", ""} },
		"a line in a name": func(o *Order) { o.Holders = []string{"a", "b\nshare: 1"} },
		"space around":     func(o *Order) { o.Holders = []string{"a", " b"} },
		"no key":           func(o *Order) { o.Key = "" },
	} {
		o := ok
		change(&o)
		if _, _, err := Split(secret, o); !errors.Is(err, ErrPlan) || !errors.Is(o.Plan(), ErrPlan) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, _, err := Split(secret[:31], ok); !errors.Is(err, ErrPlan) {
		t.Errorf("short secret: %v", err)
	}
}

// A file must not make its reader spend memory or time without bounds.
func TestGreedyFile(t *testing.T) {
	_, _, all := split(t, 2, 2)
	f := files(t, all)[0]
	for _, c := range []Cost{{17, 8, 1}, {1, 1 << 30, 1}, {1, 8, 200}, {0, 8, 1}, {1, 8, 0}} {
		f.cost = c
		if _, err := Parse(f.Bytes()); !errors.Is(err, ErrForm) {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

func TestClear(t *testing.T) {
	_, _, all := split(t, 2, 2)
	all[0].Clear()
	if all[0].value != [Size]byte{} {
		t.Error("the share is still there")
	}
}

func FuzzParse(f *testing.F) {
	_, _, all := split(f, 2, 3)
	for _, file := range files(f, all) {
		f.Add(file.Bytes())
	}
	f.Add([]byte(title + "\nceremony: A\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		file, err := Parse(text)
		if err != nil {
			if !errors.Is(err, ErrForm) {
				t.Fatalf("%v", err)
			}
			return
		}
		if !bytes.Equal(file.Bytes(), text) || file.Holder() == "" || file.Set.check() != nil {
			t.Fatalf("%q", text)
		}
	})
}
