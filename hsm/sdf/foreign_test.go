package sdf

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"hufu/hsm"
	"hufu/hsm/hsmtest"
)

// foreign is what HUFU_TEST_SDF says of a library that we did not write:
//
//	library=PATH;sign=1-40;encrypt=1,2;kek=1;pin-file=PATH
//
// and where the library wants it: dir=PATH (the working directory that it expects), sessions=N, array=32, decrypt=bare,
// serial=yes, sm2-encrypt=ID, sm4-ecb=ID, sm4-cbc=ID (hexadecimal), lacks=sm4,sm2-decryption (what it does not have). Each test of
// the suite begins with all indices free, in an assignments file of its own; with fewer than 36 to sign with it does not
// make many keys at once. Keys in the device are used, never changed.
type foreign struct {
	config   Config
	pins     string
	dir      string
	lacks    []string
	problems []string
}

func parseForeign(text string) foreign {
	var f foreign
	set := map[string]func(string){
		"library":     func(v string) { f.config.Library = v },
		"pin-file":    func(v string) { f.pins = v },
		"dir":         func(v string) { f.dir = v },
		"sign":        func(v string) { f.config.Signing = f.indices(v) },
		"encrypt":     func(v string) { f.config.Encryption = f.indices(v) },
		"kek":         func(v string) { f.config.KEKs = f.indices(v) },
		"sessions":    func(v string) { f.config.Sessions = int(f.number(v, 10)) },
		"array":       func(v string) { f.config.Layout.Array = int(f.number(v, 10)) },
		"decrypt":     func(v string) { f.config.Layout.DecryptBare = v == "bare" },
		"serial":      func(v string) { f.config.Layout.Serial = v == "yes" },
		"sm2-encrypt": func(v string) { f.config.Algorithms.SM2Encrypt = f.number(v, 16) },
		"sm4-ecb":     func(v string) { f.config.Algorithms.SM4ECB = f.number(v, 16) },
		"sm4-cbc":     func(v string) { f.config.Algorithms.SM4CBC = f.number(v, 16) },
		"lacks":       func(v string) { f.lacks = strings.Split(v, ",") },
	}
	for pair := range strings.SplitSeq(text, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(pair), "=")
		if set[name] == nil {
			f.problems = append(f.problems, fmt.Sprintf("%q is unknown", name))
			continue
		}
		set[name](value)
	}
	if len(f.config.Encryption) == 0 {
		f.lacks = append(f.lacks, hsmtest.Decryption)
	}
	if len(f.config.KEKs) == 0 {
		f.lacks = append(f.lacks, hsm.SM4)
	}
	if len(f.config.Signing) < 36 {
		f.lacks = append(f.lacks, hsmtest.Many)
	}
	return f
}

func (f *foreign) number(text string, base int) uint32 {
	n, err := strconv.ParseUint(text, base, 32)
	if err != nil {
		f.problems = append(f.problems, err.Error())
	}
	return uint32(n)
}

// indices reads 1,2,5-9.
func (f *foreign) indices(text string) (list []uint32) {
	for part := range strings.SplitSeq(text, ",") {
		from, to, isRange := strings.Cut(part, "-")
		first := f.number(from, 10)
		last := first
		if isRange {
			last = f.number(to, 10)
		}
		for index := first; index <= last && len(list) < 1<<12; index++ {
			list = append(list, index)
		}
	}
	return list
}

// run lets the suite loose on the library.
func (f foreign) run(t *testing.T) {
	for _, problem := range f.problems {
		t.Fatalf("HUFU_TEST_SDF: %s", problem)
	}
	passwords, err := ReadPasswords(f.pins)
	if err != nil {
		t.Fatal(err)
	}
	if f.dir != "" {
		t.Chdir(f.dir)
	}
	files := t.TempDir()
	hsmtest.Run(t, func(t *testing.T) hsm.Device {
		parts := strings.Split(t.Name(), "/")
		config := f.config
		config.Assignments, config.Create = filepath.Join(files, parts[1]), true
		d, err := Open(t.Context(), config, passwords)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}, append(f.lacks, missing...)...)
}

func TestForeignLibrariesAreNamedPlainly(t *testing.T) {
	f := parseForeign("library=/x/libsdf.so;sign=1,3-5;encrypt=2;pin-file=/x/pin;sm4-ecb=2001;decrypt=bare;lacks=sm4")
	if fmt.Sprint(f.config.Signing, f.config.Encryption, f.lacks) != "[1 3 4 5] [2] [sm4 sm4 many-keys]" || f.config.Algorithms.SM4ECB != 0x2001 ||
		!f.config.Layout.DecryptBare || f.config.Library != "/x/libsdf.so" || len(f.problems) != 0 {
		t.Errorf("%+v", f)
	}
	if f := parseForeign("libary=x;sign=one"); len(f.problems) != 2 {
		t.Errorf("problems: %v", f.problems)
	}
}
