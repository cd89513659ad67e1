package tree

import (
	"bytes"
	"crypto"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"hufu/internal/gm"
)

var cosignedAt = time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)

// party is a log or witness with its private key.
type party struct {
	*Key
	signer *gm.PrivateKey
}

func newParty(t testing.TB, name string, use Use) party {
	t.Helper()
	priv, err := gm.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	return partyOf(t, name, use, priv)
}

func partyOf(t testing.TB, name string, use Use, priv *gm.PrivateKey) party {
	t.Helper()
	k, err := NewKey(name, use, priv.Public())
	if err != nil {
		t.Fatal(err)
	}
	return party{k, priv}
}

func (p party) checkpoint(t testing.TB, size uint64, root byte) []byte {
	t.Helper()
	signed, err := Sign(Checkpoint{Origin: p.Name(), Head: Head{size, Hash{root}}}, p.Key, p.signer)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

func (p party) cosign(t testing.TB, signed []byte, at time.Time) []byte {
	t.Helper()
	text, _, _ := strings.Cut(string(signed), "\n\n")
	c, err := ParseCheckpoint(text + "\n")
	if err != nil {
		t.Fatal(err)
	}
	line, err := Cosign(c, p.Key, p.signer, at)
	if err != nil {
		t.Fatal(err)
	}
	signed, err = AddCosignature(signed, line, p.Key)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

func TestQuorum(t *testing.T) {
	log := newParty(t, "ca.example.cn/log", Log)
	w1, w2, w3 := newParty(t, "w1.example.cn", Witness), newParty(t, "w2.example.cn", Witness), newParty(t, "w3.example.cn", Witness)
	twin := partyOf(t, "twin.example.cn", Witness, w1.signer)
	self := partyOf(t, "self.example.cn", Witness, log.signer)
	all := []*Key{w1.Key, w2.Key, w3.Key, twin.Key, self.Key}

	bare := log.checkpoint(t, 5, 7)
	one := w1.cosign(t, bare, cosignedAt)
	both := w2.cosign(t, one, cosignedAt.Add(time.Hour))
	v, err := VerifyCheckpoint(both, log.Key, all, 2)
	if err != nil || v.Size != 5 || v.Root != (Hash{7}) || v.Origin != log.Name() {
		t.Fatalf("two of two: %+v, %v", v, err)
	}
	if len(v.Cosignatures) != 2 || v.Cosignatures[0] != (Cosignature{"w1.example.cn", cosignedAt}) || !v.Cosignatures[1].At.Equal(cosignedAt.Add(time.Hour)) {
		t.Errorf("cosignatures: %v", v.Cosignatures)
	}
	again := w1.cosign(t, both, cosignedAt.Add(2*time.Hour))
	if v, err := VerifyCheckpoint(again, log.Key, all, 2); err != nil || len(v.Cosignatures) != 2 || !v.Cosignatures[1].At.Equal(cosignedAt.Add(2*time.Hour)) {
		t.Errorf("a later cosignature replaces the earlier one: %v, %v", v.Cosignatures, err)
	}

	for name, row := range map[string]struct {
		signed    []byte
		witnesses []*Key
		quorum    int
		want      error
	}{
		"none cosigned":                  {bare, all, 1, ErrQuorum},
		"one of two":                     {one, all, 2, ErrQuorum},
		"the witness is unknown":         {both, []*Key{w3.Key}, 1, ErrQuorum},
		"one line twice":                 {append(bytes.Clone(one), one[bytes.LastIndex(one[:len(one)-1], []byte("\n"))+1:]...), all, 2, ErrQuorum},
		"one key under two names":        {twin.cosign(t, one, cosignedAt), all, 2, ErrQuorum},
		"the log as its own witness":     {self.cosign(t, one, cosignedAt), all, 2, ErrQuorum},
		"a log key among the witnesses":  {both, []*Key{log.Key}, 1, ErrKey},
		"a nil witness":                  {both, []*Key{nil}, 1, ErrKey},
		"not signed by the log":          {bytes.Replace(both, []byte("— ca.example"), []byte("— cb.example"), 1), all, 1, ErrSignature},
		"size changed":                   {bytes.Replace(both, []byte("\n5\n"), []byte("\n6\n"), 1), all, 1, ErrSignature},
		"cut off":                        {both[:len(both)-9], all, 1, ErrSignature},
		"too large":                      {bytes.Repeat([]byte("x"), maxNote+1), all, 1, ErrFormat},
		"a witness key in the log place": {both, nil, 0, ErrKey},
	} {
		key := log.Key
		if strings.HasPrefix(name, "a witness key") {
			key = w1.Key
		}
		if _, err := VerifyCheckpoint(row.signed, key, row.witnesses, row.quorum); !errors.Is(err, row.want) {
			t.Errorf("%s: %v, want %v", name, err, row.want)
		}
	}
}

// A cosignature's time is signed: moving it breaks the cosignature, and a wrong one of a known witness refuses the note.
func TestCosignatureTimeIsBound(t *testing.T) {
	log, w := newParty(t, "log", Log), newParty(t, "w", Witness)
	signed := w.cosign(t, log.checkpoint(t, 1, 1), cosignedAt)
	cut := bytes.LastIndexByte(bytes.TrimSpace(signed), ' ') + 1
	raw, _ := base64.StdEncoding.DecodeString(strings.TrimSpace(string(signed[cut:])))
	raw[4+7] ^= 1
	forged := append(bytes.Clone(signed[:cut]), base64.StdEncoding.EncodeToString(raw)+"\n"...)
	if _, err := VerifyCheckpoint(forged, log.Key, []*Key{w.Key}, 0); !errors.Is(err, ErrSignature) {
		t.Errorf("moved time: %v", err)
	}
}

// A cosignature can never be passed off as a checkpoint signature, nor the other way, although one key pair made both.
func TestUsesAreKeptApart(t *testing.T) {
	priv, _ := gm.GenerateKey()
	log, w := partyOf(t, "same", Log, priv), partyOf(t, "same", Witness, priv)
	signed := log.checkpoint(t, 3, 3)
	text, sig := []byte("same\n3\n"+Hash{3}.String()+"\n"), lineSignature(t, signed)
	if !log.Verify(text, sig) || w.Verify(text, sig) || w.Verify(text, append(make([]byte, 8), sig...)) {
		t.Error("a checkpoint signature passed as a cosignature")
	}
	line, _ := Cosign(Checkpoint{Origin: "same", Head: Head{3, Hash{3}}}, w.Key, priv, cosignedAt)
	cosig := lineSignature(t, line)
	if !w.Verify(text, cosig) || log.Verify(text, cosig) || log.Verify(text, cosig[8:]) {
		t.Error("a cosignature passed as a checkpoint signature")
	}
	if _, err := NewKey("cosignature/v1", Log, priv.Public()); !errors.Is(err, ErrKey) {
		t.Error("a log may take the header of cosignatures as its name")
	}
	if log.String() == w.String() || log.KeyHash() == w.KeyHash() || !log.Same(w.Key) {
		t.Error("two uses of a key pair must have two ids")
	}
}

func lineSignature(t *testing.T, note []byte) []byte {
	t.Helper()
	fields := strings.Fields(string(note))
	raw, err := base64.StdEncoding.DecodeString(fields[len(fields)-1])
	if err != nil {
		t.Fatal(err)
	}
	return raw[4:]
}

func TestSignRefuses(t *testing.T) {
	log, other, w := newParty(t, "log", Log), newParty(t, "log", Log), newParty(t, "w", Witness)
	good := Checkpoint{Origin: "log", Head: Head{1, Hash{1}}}
	for name, row := range map[string]struct {
		c      Checkpoint
		key    *Key
		signer crypto.Signer
	}{
		"another log's checkpoint": {Checkpoint{Origin: "other", Head: good.Head}, log.Key, log.signer},
		"another key":              {good, log.Key, other.signer},
		"a witness key":            {Checkpoint{Origin: "w", Head: good.Head}, w.Key, w.signer},
		"a line break in the name": {Checkpoint{Origin: "log\n2", Head: good.Head}, log.Key, log.signer},
		"an empty extension":       {Checkpoint{Origin: "log", Head: good.Head, Extensions: []string{""}}, log.Key, log.signer},
		"a faulty device":          {good, log.Key, faulty{log.signer}},
	} {
		if signed, err := Sign(row.c, row.key, row.signer); err == nil {
			t.Errorf("%s was signed: %s", name, signed)
		}
	}
	if _, err := Cosign(good, log.Key, log.signer, cosignedAt); !errors.Is(err, ErrKey) {
		t.Errorf("a log cosigned: %v", err)
	}
	if _, err := AddCosignature(log.checkpoint(t, 1, 1), []byte("— w AAAA\n"), w.Key); !errors.Is(err, ErrSignature) {
		t.Errorf("a forged cosignature was added: %v", err)
	}
}

type faulty struct{ *gm.PrivateKey }

func (f faulty) Sign(r io.Reader, m []byte, opts crypto.SignerOpts) ([]byte, error) {
	sig, err := f.PrivateKey.Sign(r, m, opts)
	if err == nil {
		sig[len(sig)-1] ^= 1
	}
	return sig, err
}

func TestVerifyFork(t *testing.T) {
	log, other := newParty(t, "log", Log), newParty(t, "log", Log)
	a := log.checkpoint(t, 8, 1)
	for name, row := range map[string]struct {
		b    []byte
		fork bool
	}{
		"same size, other root": {log.checkpoint(t, 8, 2), true},
		"same tree":             {log.checkpoint(t, 8, 1), false},
		"other size":            {log.checkpoint(t, 9, 2), false},
	} {
		if fork, err := VerifyFork(a, row.b, log.Key); err != nil || fork != row.fork {
			t.Errorf("%s: %v, %v", name, fork, err)
		}
	}
	if _, err := VerifyFork(a, other.checkpoint(t, 8, 2), log.Key); !errors.Is(err, ErrSignature) {
		t.Errorf("a checkpoint of another key accuses the log: %v", err)
	}
}

func TestKeyForms(t *testing.T) {
	log, w := newParty(t, "ca.example.cn/log", Log), newParty(t, "w", Witness)
	for _, k := range []*Key{log.Key, w.Key} {
		back, err := ParseKey(k.String() + "\n")
		if err != nil || back.String() != k.String() || back.KeyHash() != k.KeyHash() || back.use != k.use {
			t.Errorf("%s: %v, %v", k, back, err)
		}
	}
	spki := append([]byte{0x30, 0x59}, sm2Algorithm...)
	spki = append(append(spki, 0x03, 0x42, 0x00), gm.Point(log.public)...)
	text := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: spki})
	if k, err := ParseKeyPEM(log.Name(), Log, text); err != nil || k.String() != log.String() {
		t.Errorf("PEM: %v, %v", k, err)
	}
	for name, bad := range map[string][]byte{
		"nothing": nil, "two blocks": append(text, text...), "another type": bytes.ReplaceAll(text, []byte("PUBLIC"), []byte("SECRET")),
		"trailing": pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: append(spki, 0)}),
		"curve":    pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: bytes.Replace(spki, []byte{0x82, 0x2d}, []byte{0x82, 0x2e}, 1)}),
		"point":    pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: append(spki[:len(spki)-1:len(spki)-1], spki[len(spki)-1]^1)}),
	} {
		if _, err := ParseKeyPEM("log", Log, bad); !errors.Is(err, ErrKey) {
			t.Errorf("PEM, %s: %v", name, err)
		}
	}
	for _, bad := range []string{"", "a+b", "log+00000000+" + strings.SplitN(log.String(), "+", 3)[2], "log" + log.String(), log.String() + "A", "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"} {
		if _, err := ParseKey(bad); !errors.Is(err, ErrKey) {
			t.Errorf("vkey %q: %v", bad, err)
		}
	}
}

func TestProofText(t *testing.T) {
	s := shelf{}
	head := s.grow(t, sm3, Head{Root: EmptyRoot()}, 1000, 1000)
	log, w := newParty(t, "log", Log), newParty(t, "w", Witness)
	signed, err := Sign(Checkpoint{Origin: "log", Head: head}, log.Key, log.signer)
	if err != nil {
		t.Fatal(err)
	}
	signed = w.cosign(t, signed, cosignedAt)
	hashes, err := Inclusion(500, 1000, s.read)
	if err != nil {
		t.Fatal(err)
	}
	p := Proof{Entry: leafAt(500), Index: 500, Hashes: hashes, Checkpoint: signed}
	back, err := ParseProof(p.Text())
	if err != nil {
		t.Fatal(err)
	}
	if v, err := back.Verify(log.Key, []*Key{w.Key}, 1); err != nil || v.Size != 1000 {
		t.Errorf("proof: %+v, %v", v, err)
	}
	back.Entry = []byte("another entry")
	if _, err := back.Verify(log.Key, nil, 0); !errors.Is(err, ErrMismatch) {
		t.Errorf("another entry passed: %v", err)
	}
	if _, err := p.Verify(log.Key, nil, 1); !errors.Is(err, ErrQuorum) {
		t.Errorf("no witness known, quorum of one: %v", err)
	}
}
