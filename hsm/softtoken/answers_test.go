package softtoken_test

import (
	"bytes"
	"crypto/ecdsa"
	"encoding/hex"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hufu/hsm/hsmtest"
	"hufu/internal/gm"
)

var dialects = []string{"neutral", "sansec", "tass", "luna", "ep11"}

// der brings a token's signature, raw or DER as its dialect has it, into DER.
func der(t *testing.T, sig []byte) []byte {
	t.Helper()
	if len(sig) != 64 {
		return sig
	}
	d, err := gm.DERSignature(sig)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestEveryDialectMakesSignaturesThatOthersVerify(t *testing.T) {
	for _, dialect := range dialects {
		t.Run(dialect, func(t *testing.T) {
			said := check(t, watched(t, dialect), dialect, "round", "")
			pub, err := gm.PublicKey(unhex(t, said["point"]))
			if err != nil {
				t.Fatal(err)
			}
			if !gm.VerifyE(pub, bytes.Repeat([]byte{0x5A}, 32), der(t, unhex(t, said["e-signature"]))) {
				t.Error("gm does not verify the signature of e")
			}
			sig := der(t, unhex(t, said["message-signature"]))
			if !gm.Verify(pub, []byte("message digest"), sig) {
				t.Error("gm does not verify the signature of the message with the default identifier")
			}
			opensslVerifies(t, pub, "message digest", sig)
		})
	}
}

func opensslVerifies(t *testing.T, pub *ecdsa.PublicKey, message string, sig []byte) {
	t.Helper()
	dir := t.TempDir()
	head := unhex(t, "3059301306072a8648ce3d020106082a811ccf5501822d034200")
	key := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: append(head, gm.Point(pub)...)})
	out := outside(t, "openssl", "pkeyutl", "-verify", "-pubin", "-inkey", write(t, dir, "pub.pem", key), "-rawin", "-digest", "sm3",
		"-pkeyopt", "distid:1234567812345678", "-in", write(t, dir, "message", []byte(message)), "-sigfile", write(t, dir, "sig", sig))
	if !strings.Contains(out, "Signature Verified Successfully") {
		t.Errorf("openssl: %s", out)
	}
}

// Without Z_A, as Sansec's plain message mechanism may be, a signature is over SM3 of the message and verifies with no identifier.
func TestATokenCanLeaveOutZA(t *testing.T) {
	k := watched(t, "neutral")
	write(t, filepath.Join(k.Store, k.Label), "dialect", []byte("luna\nza no\nsignature der\nwithout 80000B21\n"))
	cmd := application(t, "check", k.Module, "luna", k.PIN, "round", "")
	if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "C_SignInit(s, &m, k): 0x70") {
		t.Errorf("the hidden mechanism is still there: %v %s", err, out)
	}
	k = watched(t, "neutral")
	write(t, filepath.Join(k.Store, k.Label), "dialect", []byte("tass\nza no\n"))
	said := check(t, k, "tass", "round", "")
	pub, err := gm.PublicKey(unhex(t, said["point"]))
	if err != nil {
		t.Fatal(err)
	}
	sig := unhex(t, said["message-signature"])
	if e := gm.SM3([]byte("message digest")); gm.Verify(pub, []byte("message digest"), sig) || !gm.VerifyE(pub, e[:], sig) {
		t.Error("za no: the signature must be over SM3 of the message alone")
	}
}

func TestKnownAnswers(t *testing.T) {
	for _, dialect := range []string{"neutral", "sansec", "luna"} {
		said := check(t, watched(t, dialect), dialect, "known", "")
		if dialect == "sansec" {
			continue // it has no HMAC-SM3
		}
		key := make([]byte, 32)
		for i := range key {
			key[i] = byte(i + 1)
		}
		if want := gm.HMAC(key, []byte("abc")); said["hmac-sm3"] != hex.EncodeToString(want[:]) {
			t.Errorf("%s: HMAC-SM3 %s, want %x", dialect, said["hmac-sm3"], want)
		}
	}
}

func TestOpensWhatOthersEncrypted(t *testing.T) {
	private, err := gm.NewPrivateKey(unhex(t, "3945208F7B2144B13F36E38AC6D39F95889393692860B51A42FB81EF4DF7C5B8"))
	if err != nil {
		t.Fatal(err)
	}
	ciphertext, err := gm.Encrypt(private.Public().(*ecdsa.PublicKey), []byte("sixteen octets!!"))
	if err != nil {
		t.Fatal(err)
	}
	for _, dialect := range []string{"neutral", "tass", "sansec"} {
		if said := check(t, watched(t, dialect), dialect, "open", hex.EncodeToString(ciphertext)); said["plain"] != hex.EncodeToString([]byte("sixteen octets!!")) {
			t.Errorf("%s: plaintext %s", dialect, said["plain"])
		}
	}
}

func TestWrappedAndAgreedKeys(t *testing.T) { each(t, "wraps", "neutral", "tass") }
func TestWhatTheTokenRefuses(t *testing.T)  { each(t, "policy", "neutral", "sansec") }
func TestNonsenseIsHarmless(t *testing.T)   { each(t, "abuse", "neutral", "tass") }
func TestManyThreads(t *testing.T)          { each(t, "threads", "neutral") }
func TestTheSDFLibrary(t *testing.T)        { sdf(t, "neutral", "400", "Hufu soft token, testing only") }

func TestTheSDFLibraryAsSansec(t *testing.T) {
	sdf(t, "sansec", "2000", "Hufu soft token, sansec, testing only")
}

func each(t *testing.T, what string, dialects ...string) {
	t.Helper()
	for _, dialect := range dialects {
		k := watched(t, dialect)
		check(t, k, dialect, what, k.Faults)
	}
}

func TestFaultsDoWhatTheySay(t *testing.T) {
	for _, dialect := range []string{"neutral", "tass"} {
		k := watched(t, dialect)
		second := k.Another(t, dialect)
		if err := os.Rename(filepath.Join(k.Store, second.Label), filepath.Join(k.Store, "zz")); err != nil {
			t.Fatal(err)
		}
		check(t, k, dialect, "faults", k.Faults)
	}
}

func sdf(t *testing.T, dialect, sm4, maker string) {
	t.Helper()
	k := watched(t, dialect)
	for _, what := range []string{"sign", "encrypt", "kek"} {
		k.MakeSDFKeys(t, what, 1, 2)
	}
	said := run(t, application(t, "sdfcheck", k.SDF, k.PIN, "all", sm4))
	pub, err := gm.PublicKey(unhex(t, "04"+said["x"]+said["y"]))
	if err != nil {
		t.Fatal(err)
	}
	sig, err := gm.DERSignature(unhex(t, said["r"]+said["s"]))
	if err != nil || !gm.VerifyE(pub, bytes.Repeat([]byte{0x5A}, 32), sig) {
		t.Errorf("gm does not verify the signature (%v)", err)
	}
	e, err := gm.E(pub, gm.DefaultID, []byte("message digest"))
	if err != nil || said["e"] != hex.EncodeToString(e[:]) {
		t.Errorf("hash with Z_A: %s, want %x (%v)", said["e"], e, err)
	}
	if sum := gm.SM3([]byte("abc")); said["sm3"] != hex.EncodeToString(sum[:]) || said["maker"] != maker {
		t.Errorf("said %v", said)
	}
}

// A wrong password of an index is counted on the disk and locks it in the end; a right one in time sets the count to nought.
func TestThePasswordOfAnIndexLocks(t *testing.T) {
	k := watched(t, "neutral")
	k.MakeSDFKeys(t, "sign", 1, 1)
	for i, step := range []struct{ wrong, want string }{{"9", "0"}, {"9", "0"}, {"10", "1000018"}, {"0", "1000018"}} {
		if said := run(t, application(t, "sdfcheck", k.SDF, k.PIN, "wrong", step.wrong)); said["right"] != step.want {
			t.Errorf("step %d: after %s wrong passwords the right one gives %s, want %s", i, step.wrong, said["right"], step.want)
		}
	}
}

func TestPkcs11ToolSignsAndOpensslVerifies(t *testing.T) {
	k, dir := hsmtest.Token(t, "neutral"), t.TempDir()
	message := write(t, dir, "message", []byte("an order was proved genuine"))
	for _, c := range []struct{ kind, id, mechanism, format string }{
		{"EC:prime256v1", "01", "ECDSA-SHA256", "openssl"}, {"rsa:2048", "02", "SHA256-RSA-PKCS", "rs"},
	} {
		sig, pub := filepath.Join(dir, "sig"+c.id), filepath.Join(dir, "pub"+c.id)
		tool(t, k, "-l", "--pin", k.PIN, "-k", "--key-type", c.kind, "--id", c.id, "--label", "key "+c.id)
		tool(t, k, "-l", "--pin", k.PIN, "-s", "--id", c.id, "-m", c.mechanism, "-f", c.format, "-i", message, "-o", sig)
		tool(t, k, "-r", "-y", "pubkey", "--id", c.id, "-o", pub)
		outside(t, "openssl", "pkey", "-pubin", "-inform", "DER", "-in", pub, "-out", pub+".pem")
		if out := outside(t, "openssl", "dgst", "-sha256", "-verify", pub+".pem", "-signature", sig, message); !strings.Contains(out, "Verified OK") {
			t.Errorf("%s: %s", c.kind, out)
		}
	}
	if out := tool(t, k, "-l", "--pin", k.PIN, "-O"); strings.Count(out, "key 0") != 4 || strings.Count(out, "never extractable") != 2 {
		t.Errorf("objects: %s", out)
	}
	if out := tool(t, k, "-l", "--pin", k.PIN, "--session-rw", "--allow-sw", "-t"); !strings.Contains(out, "No errors") || !strings.Contains(out, "SHA256-RSA-PKCS: OK") {
		t.Errorf("its own test: %s", out)
	}
	if out := tool(t, k, "-L"); !strings.Contains(out, k.Label) || !strings.Contains(out, "Hufu soft token") || !strings.Contains(out, "for trying and testing only") {
		t.Errorf("slots: %s", out)
	}
}

// pkcs11-tool 0.23 cannot name the curve, so another program makes the SM2 pair that it lists.
func TestPkcs11ToolListsSM2Keys(t *testing.T) {
	k := watched(t, "neutral")
	check(t, k, "neutral", "generate", "1")
	library := hsmtest.Token(t, "neutral")
	conf, err := os.ReadFile(k.Module + ".conf")
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Dir(library.Module), filepath.Base(library.Module)+".conf", conf)
	if out := tool(t, library, "-M"); !strings.Contains(out, "mechtype-0xFFFFF002, keySize={256,256}, sign, verify") {
		t.Errorf("mechanisms: %s", out)
	}
	if out := tool(t, library, "-l", "--pin", k.PIN, "-O"); strings.Count(out, "made") != 2 {
		t.Errorf("objects: %s", out)
	}
}

// A folder becomes a token by the calls of the standard, too.
func TestPkcs11ToolSetsATokenUp(t *testing.T) {
	k := hsmtest.Token(t, "neutral")
	if err := os.Mkdir(filepath.Join(k.Store, "zz"), 0o700); err != nil {
		t.Fatal(err)
	}
	tool(t, k, "--slot-index", "1", "--init-token", "--label", "by hand", "--so-pin", "the officer")
	tool(t, k, "--token-label", "by hand", "--init-pin", "--so-pin", "the officer", "--pin", "the user")
	tool(t, k, "--token-label", "by hand", "-l", "--pin", "the user", "-k", "--key-type", "EC:prime256v1", "--label", "x")
	if out := tool(t, k, "--token-label", "by hand", "-l", "--pin", "the user", "-O"); strings.Count(out, "label:      x") != 2 {
		t.Errorf("objects: %s", out)
	}
}
