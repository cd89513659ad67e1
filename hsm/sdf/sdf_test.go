package sdf

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"hufu/hsm"
	"hufu/hsm/hsmtest"
)

// missing are the algorithms that no SDF device has through this driver.
var missing = []string{hsm.P256, hsm.RSA2048, hsm.RSA3072, hsm.AES256, hsm.HMACSM3}

func TestEveryHabitOfLibrariesPassesTheSuite(t *testing.T) {
	for name, habit := range map[string]func(*fake){
		"standard":               func(*fake) {},
		"arrays of 32, CBC only": func(f *fake) { f.array, f.noECB = 32, true },
		"as SoftSDF":             func(f *fake) { f.noECB, f.issuer, f.refusal = true, "GmSSL Project", 0x01000100 },
		"two sessions, nothing besides": func(f *fake) {
			f.sessions, f.lacks = 2, map[string]bool{"GetDeviceInfo": true, "ImportKeyWithISK_ECC": true}
		},
		"one session": func(f *fake) { f.sessions = 1 },
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t, 80, 8, 1)
			habit(f)
			path := filepath.Join(t.TempDir(), "assignments")
			hsmtest.Run(t, func(t *testing.T) hsm.Device { return fakeDevice(t, f, path) }, missing...)
			if f.issuer == "GmSSL Project" && f.most > 1 {
				t.Errorf("%d calls at once into a library for one thread", f.most)
			}
		})
	}
}

func wantErr(t *testing.T, what string, err, sentinel error) {
	t.Helper()
	if !errors.Is(err, sentinel) {
		t.Errorf("%s: %v, want %v", what, err, sentinel)
	}
}

func TestTwoDevicesOverOneFileAreAGroup(t *testing.T) {
	f, g := newFake(t, 60, 8, 1), newFake(t, 0, 0, 0)
	g.pairs, g.keks = f.pairs, f.keks // the second machine was restored from the first one's backup
	path := filepath.Join(t.TempDir(), "assignments")
	hsmtest.Run(t, func(t *testing.T) hsm.Device {
		group, err := hsm.NewGroup([]hsm.Member{{Name: "a", Device: fakeDevice(t, f, path)}, {Name: "b", Device: fakeDevice(t, g, path)}})
		if err != nil {
			t.Fatal(err)
		}
		return group
	}, missing...)
}

func TestAnIndexIsGivenOnce(t *testing.T) {
	f := newFake(t, 3, 0, 0)
	delete(f.pairs, place{signing, 2})
	path := filepath.Join(t.TempDir(), "assignments")
	c := f.config(t, path)
	c.Signing = []uint32{1, 2, 3}
	d, err := open(t.Context(), f, c, Passwords{All: []byte("11111111")})
	if err != nil {
		t.Fatal(err)
	}
	first := made(t, d, "first", hsm.SM2, "")
	if first.Reference != "sign 1" {
		t.Errorf("reference %q", first.Reference)
	}
	if err := d.Destroy(t.Context(), "first"); err != nil {
		t.Fatal(err)
	}
	if second := made(t, d, "first", hsm.SM2, ""); second.Reference != "sign 3" {
		t.Errorf("reference %q: 1 was given before, 2 has no key", second.Reference)
	}
	retired, err := d.Retired(t.Context())
	if err != nil || len(retired) != 1 || retired[0].Index != 1 || !retired[0].Stands {
		t.Errorf("retired: %+v, %v", retired, err)
	}
	_, err = d.Generate(t.Context(), hsm.Spec{Label: "more", Algorithm: hsm.SM2})
	wantErr(t, "no index left", err, hsm.ErrNoIndex)
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}

	// The operator moves the destroyed key to the index that was empty; a new key comes to the old index.
	f.pairs[place{signing, 2}] = f.pairs[place{signing, 1}]
	f.pairs[place{signing, 1}] = newKey(t)
	d, err = open(t.Context(), f, c, Passwords{All: []byte("11111111")})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	_, err = d.Generate(t.Context(), hsm.Spec{Label: "more", Algorithm: hsm.SM2})
	wantErr(t, "a destroyed key under another index, and a used index with another key", err, hsm.ErrNoIndex)
	if retired, _ := d.Retired(t.Context()); len(retired) != 1 || retired[0].Stands {
		t.Errorf("retired: %+v", retired)
	}
}

func TestWhatSDFHasNotIsRefused(t *testing.T) {
	d := fakeDevice(t, newFake(t, 1, 1, 0), "")
	for _, algorithm := range missing {
		_, err := d.Generate(t.Context(), hsm.Spec{Label: "key", Algorithm: algorithm})
		wantErr(t, algorithm, err, hsm.ErrMechanism)
	}
	_, err := d.Generate(t.Context(), hsm.Spec{Label: "key", Algorithm: hsm.SM4})
	wantErr(t, "no KEK configured", err, hsm.ErrMechanism)

	f := newFake(t, 0, 0, 1)
	c := f.config(t, filepath.Join(t.TempDir(), "a"))
	c.KEKs = []uint32{7}
	d, err = open(t.Context(), f, c, Passwords{})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	_, err = d.Generate(t.Context(), hsm.Spec{Label: "key", Algorithm: hsm.SM4})
	wantErr(t, "a KEK that is not there", err, hsm.ErrNoIndex)

	f = newFake(t, 1, 1, 1)
	f.lacks = map[string]bool{"InternalDecrypt_ECC": true, "GenerateKeyWithKEK": true}
	d = fakeDevice(t, f, "")
	made(t, d, "ca", hsm.SM2, "") // what is missing hinders nothing else
	_, err = d.Generate(t.Context(), hsm.Spec{Label: "key", Algorithm: hsm.SM2, Use: hsm.UseDecrypt})
	wantErr(t, "a library that does not decrypt", err, hsm.ErrMechanism)
	_, err = d.Generate(t.Context(), hsm.Spec{Label: "key", Algorithm: hsm.SM4})
	wantErr(t, "a library without KEKs", err, hsm.ErrMechanism)
}

func TestAJoinTakesWhatSDFHasNot(t *testing.T) {
	soft := hsmtest.Soft(t)
	j, err := hsm.NewJoin([]hsm.Part{{Name: "machine", Device: fakeDevice(t, newFake(t, 1, 0, 0), "")}, {Name: "soft", Device: soft}})
	if err != nil {
		t.Fatal(err)
	}
	for algorithm, reference := range map[string]string{hsm.SM2: "machine/sign 1", hsm.P256: "soft/p256.key", hsm.SM4: "soft/sm4.key"} {
		if k := made(t, j, algorithm, algorithm, ""); k.Reference != reference {
			t.Errorf("%s went to %s", algorithm, k.Reference)
		}
	}
	_, err = j.Generate(t.Context(), hsm.Spec{Label: "more", Algorithm: hsm.SM2})
	wantErr(t, "a machine that is full does not let its keys go elsewhere", err, hsm.ErrNoIndex)
}

func TestWhatIsNotSM4IsNoticed(t *testing.T) {
	f := newFake(t, 0, 1, 1)
	f.another = true
	_, err := open(t.Context(), f, f.config(t, filepath.Join(t.TempDir(), "a")), Passwords{All: []byte("11111111")})
	wantErr(t, "another cipher under SM4's identifier", err, hsm.ErrProfile)
}

func TestConfigurationsThatSayNothingAreRefused(t *testing.T) {
	for what, c := range map[string]Config{
		"no library":   {Assignments: "a"},
		"no file":      {Library: "l"},
		"arrays of 48": {Library: "l", Assignments: "a", Layout: Layout{Array: 48}},
		"negative":     {Library: "l", Assignments: "a", Sessions: -1},
	} {
		_, err := Open(t.Context(), c, Passwords{})
		wantErr(t, what, err, hsm.ErrProfile)
	}
	f := newFake(t, 1, 0, 0)
	c := f.config(t, filepath.Join(t.TempDir(), "a"))
	c.Create = false
	_, err := open(t.Context(), f, c, Passwords{})
	wantErr(t, "no file to go on with", err, hsm.ErrNoStore)
}

func TestPasswordFiles(t *testing.T) {
	p, err := ParsePasswords([]byte("12345678\r\n7:abc:def\n\n"))
	if err != nil || string(p.All) != "12345678" || string(p.Index[7]) != "abc:def" || len(p.Index) != 1 {
		t.Errorf("%q, %d own, %v", p.All, len(p.Index), err)
	}
	for what, text := range map[string]string{"nothing": "\n", "two for all": "a\nb\n", "two for one": "1:a\n1:b\n", "empty": "1:\n"} {
		_, err := ParsePasswords([]byte(text))
		wantErr(t, what, err, hsm.ErrPassphrase)
		if err != nil && strings.Contains(err.Error(), "a\n") {
			t.Error("the refusal repeats the file")
		}
	}
	if p.Clear(); strings.Contains(string(p.All)+string(p.Index[7]), "a") {
		t.Error("not cleared")
	}
}
