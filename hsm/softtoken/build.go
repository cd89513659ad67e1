package softtoken

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

//go:embed src/*.c src/*.h
var sources embed.FS

// ErrNoCompiler says that this system cannot build the token; the text names what is missing.
var ErrNoCompiler = errors.New("the soft token needs a C compiler and the headers of OpenSSL 3 (Debian: gcc libc6-dev libssl-dev)")

// BuildOptions change how the token is compiled.
type BuildOptions struct {
	Sanitize bool // with the address and undefined-behaviour sanitizers; the host program then needs libasan preloaded
}

// Library holds the paths of what Build made.
type Library struct {
	PKCS11  string // the PKCS#11 module
	SDF     string // the SDF library
	Console string // the console program
}

// Flags with which every file is compiled.
var flags = []string{"-std=c11", "-D_GNU_SOURCE", "-O2", "-g", "-fPIC", "-pthread", "-fvisibility=hidden", "-Wall", "-Wextra", "-Werror"}

var sanitizers = []string{"-fsanitize=address,undefined", "-fno-sanitize-recover=undefined", "-fno-omit-frame-pointer"}

// parts are what is linked from which sources. Every source that no list names is shared by all.
var parts = []struct {
	name   string
	shared bool
	own    []string
}{
	{"libhufu-softtoken-pkcs11.so", true, []string{
		"state.c", "general.c", "login.c", "objects.c", "template.c", "find.c", "work.c", "perform.c", "generate.c", "import.c", "absent.c",
	}},
	{"libhufu-softtoken-sdf.so", true, []string{"sdf_state.c", "sdf_ecc.c", "sdf_cipher.c"}},
	{"softtoken-console", false, []string{"console.c", "console_sdf.c"}},
}

// Sources returns the C sources by name, for a fingerprint of what Build would compile.
func Sources() map[string][]byte {
	all := map[string][]byte{}
	names, _ := fs.Glob(sources, "src/*")
	for _, name := range names {
		text, _ := sources.ReadFile(name)
		all[path.Base(name)] = text
	}
	return all
}

// Build compiles the token into dir, which must exist, with $CC or cc. It answers ErrNoCompiler where that cannot be done.
func Build(dir string, o BuildOptions) (Library, error) {
	work, err := os.MkdirTemp(dir, "build-")
	if err != nil {
		return Library{}, err
	}
	defer os.RemoveAll(work)
	for name, text := range Sources() {
		if err := os.WriteFile(filepath.Join(work, name), text, 0o600); err != nil {
			return Library{}, err
		}
	}
	options := flags
	if o.Sanitize {
		options = slices.Concat(flags, sanitizers)
	}
	if err := compile(work, options); err != nil {
		return Library{}, err
	}
	for _, p := range parts {
		if err := link(work, p.name, p.shared, p.own, options); err != nil {
			return Library{}, err
		}
		if err := os.Rename(filepath.Join(work, p.name), filepath.Join(dir, p.name)); err != nil {
			return Library{}, err
		}
	}
	return In(dir), nil
}

// Cached returns a token that an earlier call, maybe of another process, built of the same sources with the same options, or
// builds it. Builds lie in the user's cache folder, each under a fingerprint, and appear there whole or not at all.
func Cached(o BuildOptions) (Library, error) {
	cache, err := os.UserCacheDir()
	if err != nil { // nothing in a folder of everybody's is trusted: built anew
		dir, err := os.MkdirTemp("", "hufu-softtoken-")
		if err != nil {
			return Library{}, err
		}
		return Build(dir, o)
	}
	parent := filepath.Join(cache, "hufu-softtoken")
	dir := filepath.Join(parent, fingerprint(o))
	if library := In(dir); library.whole() {
		return library, nil
	}
	if err := os.MkdirAll(parent, 0o700); err != nil {
		return Library{}, err
	}
	draft, err := os.MkdirTemp(parent, "draft-")
	if err != nil {
		return Library{}, err
	}
	defer os.RemoveAll(draft)
	if _, err := Build(draft, o); err != nil {
		return Library{}, err
	}
	if err := os.Rename(draft, dir); err != nil && !In(dir).whole() {
		return Library{}, err
	}
	return In(dir), nil
}

func fingerprint(o BuildOptions) string {
	sum := sha256.New()
	all := Sources()
	for _, name := range slices.Sorted(maps.Keys(all)) {
		fmt.Fprintf(sum, "%s %d\n%s", name, len(all[name]), all[name])
	}
	fmt.Fprint(sum, os.Getenv("CC"), flags, sanitizers, o)
	return hex.EncodeToString(sum.Sum(nil))[:16]
}

// In returns the paths of a token that Build made, or would make, in dir.
func In(dir string) Library {
	return Library{
		PKCS11: filepath.Join(dir, "libhufu-softtoken-pkcs11.so"), SDF: filepath.Join(dir, "libhufu-softtoken-sdf.so"),
		Console: filepath.Join(dir, "softtoken-console"),
	}
}

func (l Library) whole() bool {
	return !slices.ContainsFunc([]string{l.PKCS11, l.SDF, l.Console}, func(name string) bool {
		_, err := os.Stat(name)
		return err != nil
	})
}

func compile(dir string, options []string) error {
	files, err := filepath.Glob(filepath.Join(dir, "*.c"))
	if err != nil {
		return err
	}
	failures := make(chan error, len(files))
	slots := make(chan struct{}, 2)
	for _, file := range files {
		go func() {
			slots <- struct{}{}
			failures <- cc(dir, append(slices.Clone(options), "-c", filepath.Base(file)))
			<-slots
		}()
	}
	for range files {
		err = errors.Join(err, <-failures)
	}
	return err
}

func link(dir, name string, shared bool, own, options []string) error {
	args := append(slices.Clone(options), "-o", name)
	if shared {
		args = append(args, "-shared", "-Wl,-Bsymbolic", "-Wl,-z,defs")
	}
	objects, err := filepath.Glob(filepath.Join(dir, "*.o"))
	if err != nil {
		return err
	}
	for _, object := range objects {
		source := strings.TrimSuffix(filepath.Base(object), ".o") + ".c"
		if slices.Contains(own, source) || !belongs(source) {
			args = append(args, filepath.Base(object))
		}
	}
	return cc(dir, append(args, "-lcrypto", "-ldl"))
}

// belongs reports whether a source is one part's alone.
func belongs(source string) bool {
	for _, p := range parts {
		if slices.Contains(p.own, source) {
			return true
		}
	}
	return false
}

func cc(dir string, args []string) error {
	compiler := strings.Fields(os.Getenv("CC"))
	if len(compiler) == 0 {
		compiler = []string{"cc"}
	}
	cmd := exec.Command(compiler[0], append(compiler[1:], args...)...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	switch {
	case err == nil:
		return nil
	case errors.Is(err, exec.ErrNotFound):
		return fmt.Errorf("%w: %v", ErrNoCompiler, err)
	case bytes.Contains(out, []byte("openssl/")) && bytes.Contains(out, []byte("No such file")), bytes.Contains(out, []byte("-lcrypto")):
		return fmt.Errorf("%w: %s", ErrNoCompiler, firstLines(out))
	}
	return fmt.Errorf("building the soft token: %w: %s", err, firstLines(out))
}

func firstLines(out []byte) string {
	return string(bytes.TrimSpace(out[:min(len(out), 2000)]))
}
