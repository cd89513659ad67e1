package sdf

import (
	"bytes"
	"crypto/cipher"
	"crypto/ecdsa"
	"crypto/rand"
	"encoding/binary"
	"math/big"
	"path/filepath"
	"sync"
	"testing"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"hufu/hsm"
	"hufu/internal/gm"
)

// fake is an SDF library in Go over real SM2 and SM4. It has the habits of several libraries, and faults on demand.
type fake struct {
	array    array
	password string
	issuer   string
	noECB    bool            // encrypts by CBC only, as SoftSDF does
	lacks    map[string]bool // functions that it does not have
	refusal  status          // what a wrong password gives
	sessions int             // the most at once; 0 = any number

	mu       sync.Mutex
	fault    func(call string) status // asked before each call, outside the lock; may wait
	pairs    map[place]*gm.PrivateKey
	keks     map[uint32][]byte
	dirty    bool // writes something before r
	another  bool // decrypts and encrypts by something that is not SM4
	stranger bool // signs with a key that is not the one
	next     uintptr
	device   uintptr
	rights   map[uintptr]map[uint32]bool // by session
	keys     map[uintptr][]byte
	tries    int // passwords given
	opened   int
	calls    map[string]int
	signed   [][]byte // what was to be signed, in order
	inside   int      // calls under way
	most     int
}

func newFake(t *testing.T, signing, encrypting, keks uint32) *fake {
	t.Helper()
	f := &fake{
		array: 64, password: "11111111", issuer: "fake", refusal: rightFailed, lacks: map[string]bool{}, next: 1,
		pairs: map[place]*gm.PrivateKey{}, keks: map[uint32][]byte{}, keys: map[uintptr][]byte{}, calls: map[string]int{},
	}
	for i := uint32(1); i <= signing; i++ {
		f.pairs[place{"sign", i}] = newKey(t)
	}
	for i := uint32(1); i <= encrypting; i++ {
		f.pairs[place{"encrypt", i}] = newKey(t)
	}
	for i := uint32(1); i <= keks; i++ {
		f.keks[i] = []byte(rand.Text()[:16])
	}
	return f
}

func newKey(t *testing.T) *gm.PrivateKey {
	t.Helper()
	k, err := gm.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// config is a configuration with all of the fake's indices.
func (f *fake) config(t *testing.T, path string) Config {
	t.Helper()
	c := Config{Library: "fake", Assignments: path, Create: true, Sessions: 4}
	for p := range f.pairs {
		if p.kind == signing {
			c.Signing = append(c.Signing, p.index)
		} else {
			c.Encryption = append(c.Encryption, p.index)
		}
	}
	for index := range f.keks {
		c.KEKs = append(c.KEKs, index)
	}
	c, err := c.filled()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// fakeDevice opens a fake.
func fakeDevice(t *testing.T, f *fake, path string) *Device {
	t.Helper()
	if path == "" {
		path = filepath.Join(t.TempDir(), "assignments")
	}
	d, err := open(t.Context(), f, f.config(t, path), Passwords{All: []byte("11111111")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

// enter begins a call. It returns what the fault says, with the lock held for ok.
func (f *fake) enter(call string) status {
	f.mu.Lock()
	f.calls[call]++
	f.inside++
	f.most = max(f.most, f.inside)
	fault, lacks := f.fault, f.lacks[call]
	f.mu.Unlock()
	code := ok
	if fault != nil {
		code = fault(call)
	}
	if lacks {
		code = absent
	}
	f.mu.Lock()
	f.inside--
	if code != ok {
		f.mu.Unlock()
	}
	return code
}

func (f *fake) setFault(fault func(call string) status) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fault = fault
}

func (f *fake) count(call string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls[call]
}

func (f *fake) handle() uintptr {
	f.next++
	return f.next
}

func (f *fake) openDevice() (uintptr, status) {
	if code := f.enter("OpenDevice"); code != ok {
		return 0, code
	}
	defer f.mu.Unlock()
	if f.device != 0 {
		return 0, openDevice // as SoftSDF: one at a time
	}
	f.device, f.rights = f.handle(), map[uintptr]map[uint32]bool{}
	f.opened++
	return f.device, ok
}

func (f *fake) closeDevice(device uintptr) status {
	if code := f.enter("CloseDevice"); code != ok {
		return code
	}
	defer f.mu.Unlock()
	if device != f.device {
		return badArgument
	}
	f.device, f.rights = 0, nil
	return ok
}

func (f *fake) openSession(device uintptr) (uintptr, status) {
	if code := f.enter("OpenSession"); code != ok {
		return 0, code
	}
	defer f.mu.Unlock()
	if device != f.device || f.sessions > 0 && len(f.rights) >= f.sessions {
		return 0, openSession
	}
	s := f.handle()
	f.rights[s] = map[uint32]bool{}
	return s, ok
}

func (f *fake) closeSession(session uintptr) status {
	if code := f.enter("CloseSession"); code != ok {
		return code
	}
	defer f.mu.Unlock()
	delete(f.rights, session)
	return ok
}

// session checks a handle. The caller holds mu.
func (f *fake) session(s uintptr) status {
	if f.rights[s] == nil {
		return badArgument
	}
	return ok
}

// forget ends all sessions behind the driver's back.
func (f *fake) forget() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rights = map[uintptr]map[uint32]bool{}
}

func (f *fake) deviceInfo(s uintptr, info []byte) status {
	if code := f.enter("GetDeviceInfo"); code != ok {
		return code
	}
	defer f.mu.Unlock()
	clear(info[:100])
	copy(info, f.issuer)
	return f.session(s)
}

func (f *fake) accessRight(s uintptr, index uint32, password []byte) status {
	if code := f.enter("GetPrivateKeyAccessRight"); code != ok {
		return code
	}
	defer f.mu.Unlock()
	if code := f.session(s); code != ok {
		return code
	}
	f.tries++
	if string(password) != f.password {
		return f.refusal
	}
	f.rights[s][index] = true
	return ok
}

func (f *fake) releaseRight(s uintptr, index uint32) status {
	if code := f.enter("ReleasePrivateKeyAccessRight"); code != ok {
		return code
	}
	defer f.mu.Unlock()
	if !f.rights[s][index] {
		return badArgument
	}
	delete(f.rights[s], index)
	return ok
}

func (f *fake) kekRight(uintptr, uint32, []byte) status { return absent }

// put writes a number into an array.
func (f *fake) put(b, v []byte) []byte {
	clear(b[:f.array])
	copy(b[int(f.array)-len(v):], v)
	return b[f.array:]
}

func (f *fake) publicKey(s uintptr, k kind, index uint32, key []byte) status {
	if code := f.enter("ExportPublicKey"); code != ok {
		return code
	}
	defer f.mu.Unlock()
	pair := f.pairs[place{k, index}]
	if pair == nil {
		return noKey
	}
	point := gm.Point(pair.Public().(*ecdsa.PublicKey))
	binary.NativeEndian.PutUint32(key, 256)
	f.put(f.put(key[4:], point[1:33]), point[33:])
	return f.session(s)
}

func (f *fake) sign(s uintptr, index uint32, e, signature []byte) status {
	if code := f.enter("InternalSign_ECC"); code != ok {
		return code
	}
	defer f.mu.Unlock()
	if code := f.session(s); code != ok {
		return code
	}
	f.signed = append(f.signed, bytes.Clone(e))
	if !f.rights[s][index] {
		return accessDenied
	}
	pair := f.pairs[place{signing, index}]
	if f.stranger {
		pair, _ = gm.GenerateKey()
	}
	der, err := pair.Sign(nil, e, gm.Digest)
	if err != nil {
		return 0x01000001
	}
	raw, _ := gm.RawSignature(der)
	f.put(f.put(signature, raw[:32]), raw[32:])
	if f.dirty {
		signature[3] = 1
	}
	return ok
}

func (f *fake) decrypt(s uintptr, index uint32, _ decryptForm, c, plain []byte) (uint32, status) {
	if code := f.enter("InternalDecrypt_ECC"); code != ok {
		return 0, code
	}
	defer f.mu.Unlock()
	if !f.rights[s][index] {
		return 0, accessDenied
	}
	text, code := f.open(index, c)
	return uint32(copy(plain, text)), code
}

// open opens an ECCCipher.
func (f *fake) open(index uint32, c []byte) ([]byte, status) {
	a := int(f.array)
	n := binary.NativeEndian.Uint32(c[2*a+32:])
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1BigInt(new(big.Int).SetBytes(c[:a]))
		b.AddASN1BigInt(new(big.Int).SetBytes(c[a : 2*a]))
		b.AddASN1OctetString(c[2*a : 2*a+32])
		b.AddASN1OctetString(c[2*a+36 : 2*a+36+int(n)])
	})
	text, err := f.pairs[place{encryption, index}].Decrypt(nil, b.BytesOrPanic(), nil)
	if err != nil {
		return nil, 0x01000100 // as SoftSDF: nothing that the standard knows
	}
	return text, ok
}

func (f *fake) keep(key []byte) uintptr {
	h := f.handle()
	f.keys[h] = key
	return h
}

func (f *fake) importWithISK(s uintptr, index uint32, c []byte) (uintptr, status) {
	if code := f.enter("ImportKeyWithISK_ECC"); code != ok {
		return 0, code
	}
	defer f.mu.Unlock()
	if !f.rights[s][index] {
		return 0, accessDenied
	}
	key, code := f.open(index, c)
	if code != ok {
		return 0, code
	}
	return f.keep(key), ok
}

func (f *fake) generateWithKEK(s uintptr, bits, algorithm, index uint32, wrapped []byte) (uint32, uintptr, status) {
	if code := f.enter("GenerateKeyWithKEK"); code != ok {
		return 0, 0, code
	}
	defer f.mu.Unlock()
	if code := f.session(s); code != ok {
		return 0, 0, code
	}
	if f.noECB && algorithm == 0x401 {
		return 0, 0, badArgument
	}
	under := f.keks[index]
	if under == nil {
		return 0, 0, noKey
	}
	key := make([]byte, bits/8)
	_, _ = rand.Read(key)
	block, _ := gm.NewSM4(under)
	block.Encrypt(wrapped, key)
	return 16, f.keep(key), ok
}

func (f *fake) importWithKEK(s uintptr, algorithm, index uint32, wrapped []byte) (uintptr, status) {
	if code := f.enter("ImportKeyWithKEK"); code != ok {
		return 0, code
	}
	defer f.mu.Unlock()
	if code := f.session(s); code != ok {
		return 0, code
	}
	if f.noECB && algorithm == 0x401 || f.keks[index] == nil || len(wrapped) != 16 {
		return 0, badArgument
	}
	key := make([]byte, 16)
	block, _ := gm.NewSM4(f.keks[index])
	block.Decrypt(key, wrapped)
	return f.keep(key), ok
}

func (f *fake) encrypt(s, key uintptr, algorithm uint32, iv, in, out []byte) (uint32, status) {
	if code := f.enter("Encrypt"); code != ok {
		return 0, code
	}
	defer f.mu.Unlock()
	if f.keys[key] == nil || f.session(s) != ok || len(in)%16 != 0 {
		return 0, badArgument
	}
	block, err := gm.NewSM4(f.keys[key])
	if err != nil {
		return 0, badArgument
	}
	switch {
	case algorithm == 0x401 && !f.noECB:
		for at := 0; at < len(in); at += 16 {
			block.Encrypt(out[at:], in[at:])
		}
	case algorithm == 0x402 && len(iv) == 16:
		cipher.NewCBCEncrypter(block, iv).CryptBlocks(out[:len(in)], in)
		copy(iv, out[len(in)-16:])
	default:
		return 0, badArgument
	}
	if f.another {
		for i := range in {
			out[i] ^= 0x55
		}
	}
	return uint32(len(in)), ok
}

func (f *fake) destroyKey(_, key uintptr) status {
	if code := f.enter("DestroyKey"); code != ok {
		return code
	}
	defer f.mu.Unlock()
	delete(f.keys, key)
	return ok
}

// made gives a label to a key.
func made(t *testing.T, d hsm.Device, label, algorithm, use string) hsm.Info {
	t.Helper()
	k, err := d.Generate(t.Context(), hsm.Spec{Label: label, Algorithm: algorithm, Use: use})
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// signs makes a signature and checks it.
func signs(t *testing.T, d hsm.Device, k hsm.Info) error {
	t.Helper()
	s, err := d.Signer(t.Context(), k.Label)
	if err != nil {
		return err
	}
	e := bytes.Repeat([]byte{7}, 32)
	sig, err := s.Sign(nil, e, gm.Digest)
	if err == nil && !gm.VerifyE(k.Public.(*ecdsa.PublicKey), e, sig) {
		t.Error("a wrong signature left")
	}
	return err
}
