package login

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
)

var (
	cheap  = Cost{Memory: 64, Time: 1, Threads: 1}
	pepper = bytes.Repeat([]byte{7}, 32)
)

func newTestHasher(t *testing.T, c Cost, peppers ...[]byte) *hasher {
	t.Helper()
	h, err := newHasher(c, peppers, 2)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestHashOpensOnlyItsOwnAccount(t *testing.T) {
	ctx := context.Background()
	h := newTestHasher(t, cheap, pepper)
	stored, err := h.hash(ctx, "a1", "correct horse")
	if err != nil || !strings.HasPrefix(stored, "$argon2id$v=19$m=64,t=1,p=1,keyid=") {
		t.Fatalf("%s, %v", stored, err)
	}
	for _, c := range []struct {
		account, password string
		ok                bool
	}{{"a1", "correct horse", true}, {"a1", "correct horsf", false}, {"a1", "", false}, {"a2", "correct horse", false}} {
		if ok, stale, err := h.compare(ctx, c.account, c.password, stored); ok != c.ok || stale || err != nil {
			t.Errorf("%+v: %v, %v, %v", c, ok, stale, err)
		}
	}
	if again, _ := h.hash(ctx, "a1", "correct horse"); again == stored {
		t.Error("no salt")
	}
	// The pepper is not in the database: without it the right password does not open.
	other := newTestHasher(t, cheap, bytes.Repeat([]byte{8}, 32))
	if ok, _, err := other.compare(ctx, "a1", "correct horse", stored); ok || err == nil {
		t.Errorf("another pepper: %v, %v", ok, err)
	}
	forged := strings.Replace(stored, "keyid="+pepperID(pepper), "keyid="+pepperID(bytes.Repeat([]byte{8}, 32)), 1)
	if ok, _, _ := other.compare(ctx, "a1", "correct horse", forged); ok {
		t.Error("the pepper does not count")
	}
}

func TestUnicodeFormsOfAPasswordAreOne(t *testing.T) {
	h := newTestHasher(t, cheap, pepper)
	stored, _ := h.hash(context.Background(), "a", "pâssword-密码-长")
	if ok, _, _ := h.compare(context.Background(), "a", "pa\u0302ssword-密码-长", stored); !ok {
		t.Error("another keyboard's form of the same characters was refused")
	}
}

func TestOldParametersAreStale(t *testing.T) {
	ctx := context.Background()
	stored, _ := newTestHasher(t, cheap, pepper).hash(ctx, "a", "correct horse")
	newPepper := bytes.Repeat([]byte{9}, 32)
	for name, h := range map[string]*hasher{
		"cost":   newTestHasher(t, Cost{Memory: 128, Time: 1, Threads: 1}, pepper),
		"pepper": newTestHasher(t, cheap, newPepper, pepper),
	} {
		if ok, stale, err := h.compare(ctx, "a", "correct horse", stored); !ok || !stale || err != nil {
			t.Errorf("%s: %v, %v, %v", name, ok, stale, err)
		}
	}
}

func TestDefaultCostIsTheAgreedOne(t *testing.T) {
	h := newTestHasher(t, Cost{}, pepper)
	if h.cost != (Cost{Memory: 19456, Time: 2, Threads: 1}) {
		t.Errorf("%+v", h.cost)
	}
	for _, bad := range []Cost{{Memory: 1}, {Memory: 4, Time: 1, Threads: 1}, {Memory: 1 << 30, Time: 1, Threads: 1}, {Memory: 64, Time: 1}} {
		if _, err := newHasher(bad, [][]byte{pepper}, 1); err == nil {
			t.Errorf("%+v passed", bad)
		}
	}
	if _, err := newHasher(cheap, nil, 1); err == nil {
		t.Error("no pepper passed")
	}
	if _, err := newHasher(cheap, [][]byte{[]byte("short")}, 1); err == nil {
		t.Error("a short pepper passed")
	}
}

func TestPasswordPolicy(t *testing.T) {
	for _, good := range []string{"correct horse", "七个汉字不够所以十个字", "xK9#mv2Lqp", strings.Repeat("abc xyz 7 ", 12)} {
		if err := CheckPassword("zhang", good); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	for _, bad := range []string{
		"", "short", "123456789", strings.Repeat("x7", 65), strings.Repeat("长", 129), "1234567890", "PASSWORD123", "woaini1314520",
		"aaaaaaaaaaaa", "abababababab", "abcdefghijkl", "lkjihgfedcba", "zhang12344", "zhangzhang1", "correct\x00horse", "correct\xffhorse",
	} {
		if err := CheckPassword("zhang", bad); !errors.Is(err, ErrPassword) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	for line := range strings.Lines(common) {
		if line != strings.ToLower(line) || len(strings.TrimSpace(line)) < minPassword-1 {
			t.Errorf("list line %q", line)
		}
	}
}

func TestAccountNames(t *testing.T) {
	for typed, want := range map[string]string{
		" ZhangSan ": "zhangsan", "ｚｈａｎｇ": "zhang", "张三丰": "张三丰", "a@b.cn": "a@b.cn", "+8613800000011": "+8613800000011",
		"ab": "", "a b c": "", "a'--": "", "abc\x00": "", strings.Repeat("a", 65): "", strings.Repeat("a", 9999): "",
	} {
		if got, err := cleanAccount(typed); got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v", typed, got, err)
		}
	}
}

func TestAddressPrefixes(t *testing.T) {
	for ip, want := range map[string]string{
		"192.0.2.7": "192.0.2.7/32", "::ffff:192.0.2.7": "192.0.2.7/32",
		"2001:db8:1:2:3:4:5:6": "2001:db8:1:2::/64", "2001:db8:1:2::1": "2001:db8:1:2::/64", "fe80::1%eth0": "fe80::/64",
		"": "unknown", "not an address": "unknown", "192.0.2.7:80": "unknown",
	} {
		if got := prefixOf(ip); got != want {
			t.Errorf("%q: %q", ip, got)
		}
	}
}

func TestStrength(t *testing.T) {
	for _, c := range []struct {
		amr  []string
		want int
	}{{nil, 0}, {[]string{"pwd"}, 2}, {[]string{"sms"}, 2}, {[]string{"pwd", "otp"}, 3}, {[]string{"pwd", "otp", "face"}, 3}, {[]string{"hwk"}, 4}, {[]string{"rumour"}, 0}} {
		if got := strength(c.amr); int(got) != c.want {
			t.Errorf("%v: %d", c.amr, got)
		}
	}
}

func TestDelaysGrowAndHaveAnEnd(t *testing.T) {
	last := perAccount.delay(1)
	for n := 1; n < 1000; n++ {
		d := perAccount.delay(n)
		if d < last || d > perAccount.most || (n < perAccount.free) != (d == 0) {
			t.Fatalf("after %d: %s", n, d)
		}
		last = d
	}
	if last != perAccount.most {
		t.Errorf("ends at %s", last)
	}
}

func FuzzParsePHC(f *testing.F) {
	h, err := newHasher(cheap, [][]byte{pepper}, 1)
	if err != nil {
		f.Fatal(err)
	}
	seed, _ := h.hash(context.Background(), "a", "correct horse")
	f.Add(seed)
	f.Add("$argon2id$v=19$m=4294967295,t=4294967295,p=255,keyid=00000000$$")
	f.Fuzz(func(t *testing.T, s string) {
		p, err := parsePHC(s)
		if err == nil && (p.String() != s || p.Memory > 1<<20 || p.Time > 100) {
			t.Errorf("%q read as %+v", s, p)
		}
	})
}

func FuzzParseSecret(f *testing.F) {
	s, _ := newSecret()
	f.Add(s)
	f.Fuzz(func(t *testing.T, s string) {
		raw, ok := parseSecret(s)
		if ok && len(raw) != secretSize {
			t.Errorf("%q", s)
		}
	})
}

func FuzzCleanAccount(f *testing.F) {
	f.Add("ZhangSan")
	f.Add("ﬀﬀ")
	f.Fuzz(func(t *testing.T, s string) {
		name, err := cleanAccount(s)
		if err != nil {
			return
		}
		if again, err := cleanAccount(name); err != nil || again != name {
			t.Errorf("%q: %q then %q, %v", s, name, again, err)
		}
	})
}

func TestSecretsAreOneWay(t *testing.T) {
	secret, hash := newSecret()
	raw, ok := parseSecret(secret)
	if !ok || bytes.Equal(raw, hash) || !slices.Equal(hashSecret(raw), hash) {
		t.Error("secret and hash do not belong together, or are the same")
	}
	for _, bad := range []string{"", secret[1:], secret + "A", secret + "=", secret[:42] + "!", secret + "\n"} {
		if _, ok := parseSecret(bad); ok {
			t.Errorf("%q passed", bad)
		}
	}
}

// A new pepper makes new hashes at once; those of before compare, and are told to be stale, until their pepper goes.
func TestPeppersRotate(t *testing.T) {
	h, fresh := newTestHasher(t, cheap, pepper), bytes.Repeat([]byte{9}, 32)
	ctx := t.Context()
	stored, err := h.hash(ctx, "a1", "correct horse 9")
	if err != nil {
		t.Fatal(err)
	}
	check := func(when, stored string, wantOK, wantStale bool) {
		t.Helper()
		ok, stale, err := h.compare(ctx, "a1", "correct horse 9", stored)
		if ok != wantOK || stale != wantStale || wantOK && err != nil {
			t.Errorf("%s: %v, stale %v, %v", when, ok, stale, err)
		}
	}
	for _, peppers := range [][][]byte{{pepper, fresh}, {fresh, pepper}} {
		if err := h.use(peppers); err != nil {
			t.Fatal(err)
		}
		check("both known", stored, true, bytes.Equal(peppers[0], fresh))
	}
	next, err := h.hash(ctx, "a1", "correct horse 9")
	if err != nil {
		t.Fatal(err)
	}
	if err := h.use([][]byte{fresh}); err != nil {
		t.Fatal(err)
	}
	check("the new hash", next, true, false)
	check("the old hash without its pepper", stored, false, false)
	for _, bad := range [][][]byte{nil, {fresh[:15]}} {
		if h.use(bad) == nil {
			t.Errorf("%d peppers were taken", len(bad))
		}
	}
	check("after what was refused", next, true, false)
}
