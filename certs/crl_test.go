package certs

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"math/big"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/emmansun/gmsm/smx509"
	"golang.org/x/crypto/cryptobyte"

	"hufu/internal/gm"
)

func entriesOf(n int) []CRLEntry {
	all := make([]CRLEntry, n)
	for i := range all {
		id := gm.SM3([]byte{byte(i), byte(i >> 8), byte(i >> 16)})
		e := CRLEntry{Serial: append([]byte{1 + byte(i)&0x7e}, id[:15]...), RevokedAt: day.Add(-time.Duration(i) * time.Minute)}
		switch i % 4 {
		case 1:
			e.Reason = ReasonKeyCompromise
		case 2:
			e.Reason, e.InvalidityDate = ReasonSuperseded, day.AddDate(0, -1, 0)
		case 3:
			e.InvalidityDate = day.AddDate(0, -2, 0)
		}
		all[i] = e
	}
	return all
}

func crlTemplate(ca party, entries []CRLEntry) CRLTemplate {
	return CRLTemplate{
		Issuer: ca.Certificate, Number: 7, ThisUpdate: day, NextUpdate: day.AddDate(0, 0, 7), Entries: slices.Values(entries),
	}
}

func writeCRL(t testing.TB, c CRLTemplate, ca party) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := WriteCRL(&out, c, ca.key); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func sameEntry(a, b CRLEntry) bool {
	return bytes.Equal(integerOctets(a.Serial), integerOctets(b.Serial)) && a.RevokedAt.Equal(b.RevokedAt) &&
		a.Reason == b.Reason && a.InvalidityDate.Equal(b.InvalidityDate)
}

func TestCRLReadsBackAndAgreesWithGmsm(t *testing.T) {
	for _, sm2 := range []bool{true, false} {
		ca := newCA(t, "CRL Root", sm2)
		for _, n := range []int{0, 1, 3, 700} {
			entries := entriesOf(n)
			der := writeCRL(t, crlTemplate(ca, entries), ca)
			c, err := ParseCRL(der)
			if err != nil {
				t.Fatal(err)
			}
			if err := c.CheckSignature(ca.Certificate); err != nil {
				t.Error(err)
			}
			if got := slices.Collect(c.Entries()); c.Count != n || !slices.EqualFunc(got, entries, sameEntry) {
				t.Errorf("%d entries do not read back", n)
			}
			theirs, err := smx509.ParseRevocationList(der)
			if err != nil {
				t.Fatal(err)
			}
			if err := theirs.CheckSignatureFrom(ca.template(t)); err != nil || len(theirs.RevokedCertificateEntries) != n || theirs.Number.Int64() != 7 {
				t.Errorf("gmsm reads %d of %d entries: %v", len(theirs.RevokedCertificateEntries), n, err)
			}
		}
	}
}

func TestCRLOfGmsmIsRead(t *testing.T) {
	ca := newCA(t, "CRL Root", true)
	der, err := smx509.CreateRevocationList(nil, &smx509.RevocationList{
		Number: big.NewInt(3), ThisUpdate: day, NextUpdate: day.AddDate(0, 0, 1),
		RevokedCertificateEntries: []smx509.RevocationListEntry{{SerialNumber: big.NewInt(0x80ff), RevocationTime: day, ReasonCode: 1}},
	}, ca.template(t), ca.key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := ParseCRL(der)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.CheckSignature(ca.Certificate); err != nil {
		t.Error(err)
	}
	if e, ok := c.Find([]byte{0x80, 0xff}); !ok || e.Reason != ReasonKeyCompromise {
		t.Errorf("entry: %v, %v", e, ok)
	}
}

// The layout octet by octet, so that a change of the encoding is seen.
func TestCRLGolden(t *testing.T) {
	ca := newCA(t, "Golden", true)
	ca.Certificate.SubjectKeyID = []byte{0xaa, 0xbb}
	c := crlTemplate(ca, []CRLEntry{{Serial: []byte{0x80, 1}, RevokedAt: day, Reason: ReasonKeyCompromise, InvalidityDate: day}})
	c.BaseNumber = 6
	c.Distribution = &IssuingDistributionPoint{URIs: []string{"http://x/1"}, OnlyUsers: true}
	parsed, err := ParseCRL(writeCRL(t, c, ca))
	if err != nil {
		t.Fatal(err)
	}
	want := "3081dc" + // to-be-signed part
		"020101" + "300a06082a811ccf55018375" + // version 2, SM2-with-SM3 without parameters
		"301e310b300906035504061302434e310f300d06035504031306476f6c64656e" + // C=CN, CN=Golden
		"170d3236313132303038303030305a" + "170d3236313132373038303030305a" + // thisUpdate, nextUpdate
		"303e303c" + "0203008001" + "170d3236313132303038303030305a" + "3026" + // one entry, its extensions
		"300a0603551d1504030a0101" + "30180603551d180411180f32303236313132303038303030305a" + // reason, invalidity date
		"a04d304b" + "300d0603551d23040630048002aabb" + "300a0603551d1404030201" + "07" + // key identifier, number
		"300d0603551d1b0101ff0403020106" + // delta to 6, critical
		"301f0603551d1c0101ff04153013a00ea00c860a" + "687474703a2f2f782f31" + "8101ff" // distribution point, critical
	if got := hex.EncodeToString(parsed.RawTBS); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestCRLFind(t *testing.T) {
	ca := newCA(t, "CRL Root", true)
	entries := append(entriesOf(50), CRLEntry{Serial: []byte{0xff, 0, 1}, RevokedAt: day})
	c, err := ParseCRL(writeCRL(t, crlTemplate(ca, entries), ca))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if got, ok := c.Find(e.Serial); !ok || !sameEntry(got, e) {
			t.Errorf("serial %x not found", e.Serial)
		}
	}
	if _, ok := c.Find([]byte{0, 0xff, 0, 1}); !ok {
		t.Error("the same number with its sign octet is not found")
	}
	for _, absent := range [][]byte{nil, {0}, {1}, entries[0].Serial[1:], append([]byte{1}, entries[0].Serial...)} {
		if _, ok := c.Find(absent); ok {
			t.Errorf("serial %x found", absent)
		}
	}
}

func TestCRLRefusesForeignSigners(t *testing.T) {
	ca, other := newCA(t, "CRL Root", true), newCA(t, "Other Root", true)
	namesake := newCA(t, "CRL Root", true)
	noRight := newCA(t, "CRL Root", true, withUsage(smx509.KeyUsageCertSign))
	c, err := ParseCRL(writeCRL(t, crlTemplate(ca, entriesOf(3)), ca))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.CheckSignature(other.Certificate); !errors.Is(err, ErrWrongIssuer) {
		t.Errorf("another issuer: %v", err)
	}
	if err := c.CheckSignature(namesake.Certificate); !errors.Is(err, ErrWrongIssuer) {
		t.Errorf("another key of the same name: %v", err)
	}
	c.AuthorityKeyID = nil
	if err := c.CheckSignature(namesake.Certificate); !errors.Is(err, ErrSignature) {
		t.Errorf("another key, no key identifier: %v", err)
	}
	if err := WriteCRL(io.Discard, crlTemplate(noRight, nil), noRight.key); !errors.Is(err, ErrWrongIssuer) {
		t.Errorf("issuer without cRLSign: %v", err)
	}
	if err := WriteCRL(io.Discard, crlTemplate(ca, nil), other.key); !errors.Is(err, ErrWrongIssuer) {
		t.Errorf("key of another: %v", err)
	}
}

// A list signed under openssl's default, the empty identifier, is not ours.
func TestCRLRefusesAnotherSM2ID(t *testing.T) {
	ca := newCA(t, "CRL Root", true)
	der := writeCRL(t, crlTemplate(ca, entriesOf(3)), ca)
	c, err := ParseCRL(der)
	if err != nil {
		t.Fatal(err)
	}
	pub := publicOf(ca.key.(*gm.PrivateKey))
	for _, id := range []string{"", "1234567812345679", "alice"} {
		e, err := gm.E(pub, []byte(id), c.RawTBS)
		if err != nil {
			t.Fatal(err)
		}
		if c.Signature, err = ca.key.Sign(nil, e[:], gm.Digest); err != nil {
			t.Fatal(err)
		}
		if err := c.CheckSignature(ca.Certificate); !errors.Is(err, ErrSignature) {
			t.Errorf("id %q: %v", id, err)
		}
	}
}

func TestCRLRefusesEveryEdit(t *testing.T) {
	ca := newCA(t, "CRL Root", true)
	der := writeCRL(t, crlTemplate(ca, entriesOf(4)), ca)
	for i := range der {
		bad := bytes.Clone(der)
		bad[i] ^= 1
		if c, err := ParseCRL(bad); err == nil && c.CheckSignature(ca.Certificate) == nil {
			t.Errorf("octet %d of %d changed and nobody noticed", i, len(der))
		}
	}
	for i := range der {
		if _, err := ParseCRL(der[:i]); err == nil {
			t.Errorf("cut after %d octets and accepted", i)
		}
	}
	if _, err := ParseCRL(append(bytes.Clone(der), 0)); !errors.Is(err, ErrTrailing) {
		t.Errorf("trailing octet: %v", err)
	}
}

func TestCRLShardSpeaksForItsOwnCertificatesOnly(t *testing.T) {
	ca := newCA(t, "CRL Root", true)
	mine := issue(t, ca, "mine", true, withCRLPoint("http://ca/crl/1"))
	theirs := issue(t, ca, "theirs", true, withCRLPoint("http://ca/crl/2"))
	foreign := issue(t, newCA(t, "Other", true), "foreign", true, withCRLPoint("http://ca/crl/1"))
	template := crlTemplate(ca, nil)
	template.Distribution = &IssuingDistributionPoint{URIs: []string{"http://ca/crl/1"}, OnlyUsers: true}
	c, err := ParseCRL(writeCRL(t, template, ca))
	if err != nil {
		t.Fatal(err)
	}
	if !c.Covers(mine.Certificate) {
		t.Error("own shard refused")
	}
	for name, p := range map[string]party{"other shard": theirs, "other issuer": foreign, "a CA": ca} {
		if c.Covers(p.Certificate) {
			t.Errorf("%s: accepted", name)
		}
	}
	full, err := ParseCRL(writeCRL(t, crlTemplate(ca, nil), ca))
	if err != nil || !full.Covers(theirs.Certificate) || full.Covers(foreign.Certificate) {
		t.Errorf("full list: %v", err)
	}
}

func TestCRLDelta(t *testing.T) {
	ca := newCA(t, "CRL Root", true)
	back := []CRLEntry{{Serial: []byte{5}, RevokedAt: day, Reason: ReasonRemoveFromCRL}}
	if err := WriteCRL(io.Discard, crlTemplate(ca, back), ca.key); !errors.Is(err, ErrMalformed) {
		t.Errorf("removeFromCRL in a complete list: %v", err)
	}
	template := crlTemplate(ca, back)
	template.BaseNumber = 6
	c, err := ParseCRL(writeCRL(t, template, ca))
	if err != nil || c.BaseNumber.Int64() != 6 {
		t.Fatalf("delta: %v", err)
	}
	if e, ok := c.Find([]byte{5}); !ok || e.Reason != ReasonRemoveFromCRL {
		t.Errorf("entry %v, %v", e, ok)
	}
	template.BaseNumber = 7
	if err := WriteCRL(io.Discard, template, ca.key); err == nil {
		t.Error("a delta to itself")
	}
}

func TestCRLCurrent(t *testing.T) {
	ca := newCA(t, "CRL Root", true)
	c, err := ParseCRL(writeCRL(t, crlTemplate(ca, nil), ca))
	if err != nil {
		t.Fatal(err)
	}
	for at, want := range map[time.Time]error{
		day: nil, day.AddDate(0, 0, 7): nil, day.Add(-time.Second): ErrNotYet, day.AddDate(0, 0, 7).Add(time.Second): ErrStale,
	} {
		if err := c.Current(at); !errors.Is(err, want) {
			t.Errorf("at %s: %v, want %v", at, err, want)
		}
	}
}

// lossySpool forgets its last octet.
type lossySpool struct{ memorySpool }

func (l *lossySpool) Open() (io.Reader, error) { return bytes.NewReader(l.Bytes()[:l.Len()-1]), nil }

// A source that breaks off, or a spool that does not give back what it took, must never end as a signed list.
func TestCRLSourceThatBreaksOff(t *testing.T) {
	ca := newCA(t, "CRL Root", true)
	template := crlTemplate(ca, entriesOf(10))
	u, err := PrepareCRL(template, ca.key.Public(), new(lossySpool))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := u.Sign(&out, ca.key); !errors.Is(err, ErrEntriesChanged) || out.Len() > 0 {
		t.Errorf("lossy spool: %v, %d octets written", err, out.Len())
	}
	template.Err = func() error { return io.ErrUnexpectedEOF }
	if err := WriteCRL(io.Discard, template, ca.key); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("source that broke off: %v", err)
	}
	template.Err = nil
	if u, err = PrepareCRL(template, ca.key.Public(), new(memorySpool)); err != nil {
		t.Fatal(err)
	}
	if err := u.Sign(&out, newCA(t, "CRL Root", true).key); !errors.Is(err, ErrWrongIssuer) || out.Len() > 0 {
		t.Errorf("another key than the list was prepared for: %v", err)
	}
	if err := u.Sign(&out, ca.key); err != nil || u.Count() != 10 {
		t.Errorf("%d entries: %v", u.Count(), err)
	}
}

func TestCRLRefusesBadEntries(t *testing.T) {
	ca := newCA(t, "CRL Root", true)
	for name, e := range map[string]CRLEntry{
		"no serial": {RevokedAt: day}, "zero": {Serial: []byte{0}, RevokedAt: day},
		"long": {Serial: bytes.Repeat([]byte{1}, 21), RevokedAt: day}, "reason 7": {Serial: []byte{1}, RevokedAt: day, Reason: 7},
		"no time": {Serial: []byte{1}},
	} {
		if err := WriteCRL(io.Discard, crlTemplate(ca, []CRLEntry{e}), ca.key); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// fileSpool is a spool on a disk.
type fileSpool struct{ *os.File }

func (f fileSpool) Open() (io.Reader, error) {
	_, err := f.Seek(0, io.SeekStart)
	return f.File, err
}

// The source is walked once, whatever the length, and the octets do not depend on the spool.
func TestCRLSpooledInAFile(t *testing.T) {
	ca := newCA(t, "CRL Root", true)
	e := CRLEntry{Serial: bytes.Repeat([]byte{0x55}, 16), RevokedAt: day, Reason: ReasonSuperseded, InvalidityDate: day}
	const n = 50_000
	template := crlTemplate(ca, nil)
	walks := 0
	template.Entries = func(yield func(CRLEntry) bool) {
		walks++
		for range n {
			if !yield(e) {
				return
			}
		}
	}
	file, err := os.CreateTemp(t.TempDir(), "spool")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	u, err := PrepareCRL(template, ca.key.Public(), fileSpool{file})
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := u.Sign(&out, ca.key); err != nil {
		t.Fatal(err)
	}
	c, err := ParseCRL(out.Bytes())
	if err != nil || c.Count != n || walks != 1 {
		t.Fatalf("%d entries after %d walks: %v", c.Count, walks, err)
	}
	if err := c.CheckSignature(ca.Certificate); err != nil {
		t.Error(err)
	}
	if other, err := ParseCRL(writeCRL(t, template, ca)); err != nil || !bytes.Equal(other.RawTBS, c.RawTBS) {
		t.Errorf("memory and file give different lists: %v", err)
	}
}

// openssl judges the P-256 profile: it has no way to be told the SM2 identifier of a CRL.
func TestCRLByOpenSSL(t *testing.T) {
	dir := t.TempDir()
	ca := newCA(t, "CRL Root", false)
	template := crlTemplate(ca, entriesOf(5))
	template.Distribution = &IssuingDistributionPoint{URIs: []string{"http://ca.example/crl/1"}}
	writeFile(t, dir, "ca.pem", EncodePEM("CERTIFICATE", ca.Raw))
	writeFile(t, dir, "a.crl", writeCRL(t, template, ca))
	out := openssl(t, dir, "crl", "-inform", "DER", "-in", "a.crl", "-CAfile", "ca.pem", "-noout", "-text")
	for _, want := range []string{"verify OK", "URI:http://ca.example/crl/1", "Key Compromise", "Invalidity Date", "X509v3 CRL Number"} {
		if !strings.Contains(out, want) {
			t.Errorf("openssl does not say %q:\n%s", want, out)
		}
	}
	sm2 := newCA(t, "SM2 Root", true)
	writeFile(t, dir, "sm2.pem", EncodePEM("CERTIFICATE", sm2.Raw))
	writeFile(t, dir, "b.crl", writeCRL(t, crlTemplate(sm2, entriesOf(5)), sm2))
	out = openssl(t, dir, "crl", "-inform", "DER", "-in", "b.crl", "-CAfile", "sm2.pem", "-noout", "-text")
	if strings.Contains(out, "verify OK") || !strings.Contains(out, "verify failure") || !strings.Contains(out, "Key Compromise") {
		t.Errorf("openssl knows the empty identifier only; ours must fail there while its fields are read:\n%s", out)
	}
}

func FuzzParseCRL(f *testing.F) {
	ca := newCA(f, "Fuzz", true)
	template := crlTemplate(ca, entriesOf(6))
	f.Add(writeCRL(f, template, ca))
	template.BaseNumber, template.Distribution = 2, &IssuingDistributionPoint{URIs: []string{"http://x"}, OnlyCAs: true}
	f.Add(writeCRL(f, template, ca))
	template.BaseNumber, template.Entries, template.FreshestCRL = 0, slices.Values([]CRLEntry(nil)), []string{"http://d"}
	f.Add(writeCRL(f, template, ca))
	f.Fuzz(func(t *testing.T, der []byte) {
		c, err := ParseCRL(der)
		if err != nil {
			return
		}
		n := 0
		for e := range c.Entries() {
			n++
			if _, ok := c.Find(e.Serial); !ok {
				t.Errorf("entry %x is not found", e.Serial)
			}
		}
		if n != c.Count {
			t.Errorf("%d entries of %d", n, c.Count)
		}
	})
}

func BenchmarkCRLMillion(b *testing.B) {
	ca := newCA(b, "Bench", true)
	const n = 1_000_000
	template := crlTemplate(ca, nil)
	template.Entries = func(yield func(CRLEntry) bool) {
		e := CRLEntry{Serial: bytes.Repeat([]byte{0x11}, 16), RevokedAt: day, Reason: ReasonSuperseded}
		for i := range n {
			e.Serial[15], e.Serial[14], e.Serial[13] = byte(i), byte(i>>8), byte(i>>16)
			if !yield(e) {
				return
			}
		}
	}
	b.Run("write", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := WriteCRL(io.Discard, template, ca.key); err != nil {
				b.Fatal(err)
			}
		}
	})
	der := writeCRL(b, template, ca)
	b.Run("sm3", func(b *testing.B) {
		b.SetBytes(int64(len(der)))
		for b.Loop() {
			gm.SM3(der)
		}
	})
	b.Run("parse", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := ParseCRL(der); err != nil {
				b.Fatal(err)
			}
		}
	})
	c, err := ParseCRL(der)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("find", func(b *testing.B) {
		for b.Loop() {
			c.Find([]byte{1})
		}
	})
}

// The two quick ways to handle times agree with the general ones.
func TestCRLTimes(t *testing.T) {
	for _, at := range []time.Time{
		time.Date(1950, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(1999, 12, 31, 23, 59, 59, 0, time.UTC), day,
		time.Date(2049, 12, 31, 23, 59, 59, 0, time.UTC), time.Date(2050, 1, 1, 0, 0, 0, 0, time.UTC),
		time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC), time.Date(2028, 2, 29, 12, 0, 0, 0, time.UTC),
	} {
		var b cryptobyte.Builder
		AddTime(&b, at)
		want := b.BytesOrPanic()
		got := appendTime(nil, at)
		if size, err := timeSize(at); err != nil || size != len(want) || !bytes.Equal(got, want) {
			t.Errorf("%s: %q, want %q", at, got, want)
		}
		s := cryptobyte.String(want)
		if back, ok := quickUTCTime(&s); ok != (at.Year() < 2050) || ok && !back.Equal(at) {
			t.Errorf("%s reads back as %s", at, back)
		}
	}
	for _, bad := range []string{"261320080000Z", "260229080000Z", "261120240000Z", "261120086000Z", "261120080060Z", "26112008000xZ", "260020080000Z"} {
		s := cryptobyte.String("\x17\x0d" + bad)
		if _, ok := quickUTCTime(&s); ok {
			t.Errorf("%s accepted", bad)
		}
	}
}
