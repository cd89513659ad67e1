package hufu

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The house test holds docs/ARCHITECTURE.md against the code: who may import whom (rule 1), one door for each outside
// library (rule 3), and purity (rule 5).

// doors names who alone may import an outside library, tests included unless the library may serve tests as an oracle.
var doors = []struct {
	library string
	rooms   []string
	oracle  bool // test files of any package may import it, as an oracle or an attacker
}{
	{"github.com/emmansun/gmsm", []string{"internal/gm"}, true},
	{"github.com/tjfoc/gmsm", []string{"internal/gm/selftest", "internal/tlcp"}, true},
	{"github.com/miekg/pkcs11", []string{"hsm/pkcs11"}, false},
	{"github.com/ory/fosite", []string{"oidc"}, false},
	{"github.com/go-webauthn/webauthn", []string{"identity/login"}, false},
	{"github.com/jackc/pgx", []string{"store"}, false},
	{"modernc.org/sqlite", []string{"store", "store/storetest"}, false},
	{"github.com/beevik/ntp", []string{"internal/timesource"}, false},
	{"database/sql", []string{"store", "store/storetest"}, true}, // tests tamper with a database as an attacker would
}

// pure packages take bytes and a time: they reach none of unreachable, also not through others, and call none of forbidden.
var (
	pure        = []string{"certs", "certs/bundle", "certs/cmp", "audit/tree", "seal/ofd", "seal/ses", "seal/check", "licence/card", "licence/reader", "internal/gm", "internal/gm/known"}
	unreachable = []string{"net", "net/http", "crypto/tls", "crypto/x509", "database/sql", "os/exec", "os/user", "log", "log/slog"}
	forbidden   = []string{"time.Now", "time.Since", "time.Until", "time.After", "time.Sleep", "time.NewTimer", "time.NewTicker"}
)

// row is a line of the table.
type row struct {
	built    bool
	anything bool
	imports  []string // full names below the module
}

// pkg is a package of ours as the go command sees it.
type pkg struct {
	ImportPath                         string
	Dir                                string
	GoFiles                            []string
	Imports, TestImports, XTestImports []string
	Deps                               []string
}

const module = "hufu/"

func TestTheHouseIsAsThePlanSays(t *testing.T) {
	text, err := os.ReadFile("docs/ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	table, err := parseTable(string(text))
	if err != nil {
		t.Fatal(err)
	}
	for _, breach := range judge(table, listPackages(t)) {
		t.Error(breach)
	}
}

func judge(table map[string]row, pkgs []pkg) (breaches []string) {
	found := map[string]bool{}
	for _, p := range pkgs {
		room := strings.TrimPrefix(p.ImportPath, module)
		if room == "hufu" { // the root holds this test alone
			continue
		}
		found[room] = true
		r, ok := table[room]
		if !ok || !r.built {
			breaches = append(breaches, fmt.Sprintf("%s: the package has no row marked as built in docs/ARCHITECTURE.md", room))
		}
		breaches = append(breaches, judgeImports(room, r, p)...)
		breaches = append(breaches, judgeDoors(room, p)...)
		if slices.Contains(pure, room) {
			breaches = append(breaches, judgePurity(room, p)...)
		}
	}
	for room, r := range table {
		if r.built && !found[room] {
			breaches = append(breaches, fmt.Sprintf("%s: the row says built, but there is no such package", room))
		}
	}
	slices.Sort(breaches)
	return breaches
}

func judgeImports(room string, r row, p pkg) (breaches []string) {
	for _, imp := range p.Imports {
		ours, yes := strings.CutPrefix(imp, module)
		if !yes || r.anything || slices.Contains(r.imports, ours) || strings.HasPrefix(room, ours+"/") && slices.Contains(r.imports, ours) {
			continue
		}
		breaches = append(breaches, fmt.Sprintf("%s imports %s, which its row does not allow", room, ours))
	}
	return breaches
}

func judgeDoors(room string, p pkg) (breaches []string) {
	for _, door := range doors {
		if slices.Contains(door.rooms, room) {
			continue
		}
		imports := p.Imports
		if !door.oracle {
			imports = slices.Concat(p.Imports, p.TestImports, p.XTestImports)
		}
		if i := slices.IndexFunc(imports, func(s string) bool { return s == door.library || strings.HasPrefix(s, door.library+"/") }); i >= 0 {
			breaches = append(breaches, fmt.Sprintf("%s imports %s, whose door is %v", room, imports[i], door.rooms))
		}
	}
	return breaches
}

func judgePurity(room string, p pkg) (breaches []string) {
	for _, dep := range p.Deps {
		if slices.Contains(unreachable, dep) {
			breaches = append(breaches, fmt.Sprintf("%s is pure but reaches %s", room, dep))
		}
	}
	for _, name := range p.GoFiles {
		calls, err := outsideCalls(filepath.Join(p.Dir, name))
		if err != nil {
			breaches = append(breaches, err.Error())
		}
		for _, call := range calls {
			breaches = append(breaches, fmt.Sprintf("%s is pure but %s uses %s", room, name, call))
		}
	}
	return breaches
}

// outsideCalls names every use of package os and of the clock in a file.
func outsideCalls(file string) (calls []string, err error) {
	tree, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	local := map[string]string{}
	for _, imp := range tree.Imports {
		full := strings.Trim(imp.Path.Value, `"`)
		name := path.Base(full)
		if imp.Name != nil {
			name = imp.Name.Name
		}
		local[name] = full
	}
	ast.Inspect(tree, func(n ast.Node) bool {
		sel, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		x, ok := sel.X.(*ast.Ident)
		if !ok {
			return true
		}
		full := local[x.Name]
		if call := full + "." + sel.Sel.Name; full == "os" || slices.Contains(forbidden, call) {
			calls = append(calls, call)
		}
		return true
	})
	return calls, nil
}

// parseTable reads the rows of the form | `room` | yes or no | what it is | what it may import |. A short name such as gm
// stands for the one room that ends so.
func parseTable(text string) (map[string]row, error) {
	table, short := map[string]row{}, map[string][]string{}
	for line := range strings.Lines(text) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		if len(cells) != 4 || !strings.HasPrefix(strings.TrimSpace(cells[0]), "`") {
			continue
		}
		room := strings.Trim(strings.TrimSpace(cells[0]), "`")
		if _, twice := table[room]; twice {
			return nil, fmt.Errorf("%s has two rows", room)
		}
		built := strings.TrimSpace(cells[1])
		if built != "yes" && built != "no" {
			return nil, fmt.Errorf("%s: built is %q, want yes or no", room, built)
		}
		may := strings.TrimSpace(cells[3])
		r := row{built: built == "yes", anything: may == "anything"}
		if may != "–" && !r.anything {
			r.imports = strings.Fields(may)
		}
		table[room] = r
		short[path.Base(room)] = append(short[path.Base(room)], room)
	}
	if len(table) == 0 {
		return nil, errors.New("docs/ARCHITECTURE.md has no table of packages")
	}
	for room, r := range table {
		for i, name := range r.imports {
			if _, whole := table[name]; whole {
				continue
			}
			if len(short[name]) != 1 {
				return nil, fmt.Errorf("%s may import %q, which is no row", room, name)
			}
			r.imports[i] = short[name][0]
		}
	}
	return table, nil
}

func listPackages(t *testing.T) (pkgs []pkg) {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Dir,GoFiles,Imports,TestImports,XTestImports,Deps", "./...")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return pkgs
		} else if err != nil {
			t.Fatal(err)
		}
		pkgs = append(pkgs, p)
	}
}

func TestEachKindOfBreachIsSeen(t *testing.T) {
	table, err := parseTable("" +
		"| `internal/gm` | yes | algorithms | – |\n" +
		"| `certs` | yes | formats | gm |\n" +
		"| `store` | yes | SQL | certs |\n" +
		"| `seal` | yes | stamps | certs |\n" +
		"| `bench` | no | measures | anything |\n")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "clock.go"), []byte("package certs\nimport (\"os\"; clock \"time\")\nvar a, b = clock.Now(), os.Args\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	gm := pkg{ImportPath: "hufu/internal/gm", Imports: []string{"github.com/emmansun/gmsm/sm2"}}
	sound := []pkg{
		gm,
		{ImportPath: "hufu/certs", Imports: []string{"hufu/internal/gm"}, TestImports: []string{"github.com/emmansun/gmsm/smx509"}},
		{ImportPath: "hufu/store", Imports: []string{"hufu/certs", "database/sql"}},
		{ImportPath: "hufu/seal"},
	}
	if got := judge(table, sound); len(got) != 0 {
		t.Fatalf("a sound house is blamed: %v", got)
	}
	for want, bad := range map[string]pkg{
		"certs imports store, which its row does not allow":      {ImportPath: "hufu/certs", Imports: []string{"hufu/store"}},
		"certs imports github.com/emmansun/gmsm/sm2, whose door": {ImportPath: "hufu/certs", Imports: []string{"github.com/emmansun/gmsm/sm2"}},
		"seal imports github.com/ory/fosite, whose door":         {ImportPath: "hufu/seal", XTestImports: []string{"github.com/ory/fosite"}},
		"certs is pure but reaches net/http":                     {ImportPath: "hufu/certs", Deps: []string{"net/http"}},
		"certs is pure but clock.go uses time.Now":               {ImportPath: "hufu/certs", Dir: dir, GoFiles: []string{"clock.go"}},
		"certs is pure but clock.go uses os.Args":                {ImportPath: "hufu/certs", Dir: dir, GoFiles: []string{"clock.go"}},
		"licence: the package has no row marked as built":        {ImportPath: "hufu/licence"},
		"bench: the package has no row marked as built":          {ImportPath: "hufu/bench"},
		"seal: the row says built, but there is no such package": {ImportPath: "hufu/certs"},
	} {
		pkgs := []pkg{gm, bad, {ImportPath: "hufu/store"}}
		if !slices.ContainsFunc(judge(table, pkgs), func(b string) bool { return strings.HasPrefix(b, want) }) {
			t.Errorf("not seen: %s\nonly: %v", want, judge(table, pkgs))
		}
	}
	for name, text := range map[string]string{
		"no table": "", "two rows": "| `a` | yes | x | – |\n| `a` | yes | x | – |\n",
		"unknown import": "| `a` | yes | x | b |\n", "neither yes nor no": "| `a` | maybe | x | – |\n",
	} {
		if _, err := parseTable(text); err == nil {
			t.Errorf("%s: the table was read without complaint", name)
		}
	}
}
