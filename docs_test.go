package hufu

import (
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// readSources returns the text of each file of the module whose name ends in one of the endings, by path.
func readSources(t *testing.T, endings ...string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if name := d.Name(); d.IsDir() && path != "." && (name == ".git" || name == "node_modules" || strings.HasPrefix(name, "hufu-")) {
			return fs.SkipDir
		}
		if !slices.Contains(endings, filepath.Ext(path)) {
			return nil
		}
		text, err := os.ReadFile(path)
		all[path] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

var (
	fence  = regexp.MustCompile("(?s)```.*?```")
	inline = regexp.MustCompile("`([^`\n]+)`")
	link   = regexp.MustCompile(`\]\(([^)\s]+)(?:\s+"[^"]*")?\)|(?:src|href)="([^"]+)"`)
)

// deadLinks returns the relative links of a page that lead nowhere.
func deadLinks(page, text string) (dead []string) {
	for _, m := range link.FindAllStringSubmatch(fence.ReplaceAllString(text, ""), -1) {
		target := m[1] + m[2]
		u, err := url.Parse(target)
		if err != nil || u.Scheme != "" || u.Path == "" {
			continue
		}
		if _, err := os.Stat(filepath.Join(filepath.Dir(page), u.Path)); err != nil {
			dead = append(dead, target)
		}
	}
	return dead
}

func TestLinksOfPagesResolve(t *testing.T) {
	pages := readSources(t, ".md")
	if len(pages) < 10 {
		t.Fatalf("only %d pages found", len(pages))
	}
	for page, text := range pages {
		if strings.Contains(page, "testdata") {
			continue
		}
		for _, target := range deadLinks(page, text) {
			t.Errorf("%s: link to %s, which is not there", page, target)
		}
	}
	if len(deadLinks("README.md", "[x](docs/NOWHERE.md)")) != 1 {
		t.Error("a dead link is not seen")
	}
}

var (
	command = regexp.MustCompile(`(?:\./cmd/hufu|\bhufu) (serve|[a-z][a-z-]+)((?: [a-z][a-z-]+)?)`)
	devTool = regexp.MustCompile(`\./dev/([a-z-]+)((?: [a-z-]+)*)`)
	program = regexp.MustCompile(`\./cmd/([a-z-]+)`)
	tagName = regexp.MustCompile(`\bname:"([a-z-]+)"`)
	cmdLine = regexp.MustCompile("^\\s+([A-Z][A-Za-z]*)\\s+\\S+\\s+`cmd:\"\"(.*)`")
)

// commandNames reads the names of the commands from the table of cmd/hufu/main.go.
func commandNames(table string) (names []string) {
	for _, line := range strings.Split(table, "\n") {
		m := cmdLine.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		name := strings.ToLower(m[1])
		if tag := tagName.FindStringSubmatch(m[2]); tag != nil {
			name = tag[1]
		}
		names = append(names, name)
	}
	return names
}

// shown returns what a page shows as code: fenced and indented blocks, and inline spans.
func shown(text string) string {
	var out strings.Builder
	for _, block := range fence.FindAllString(text, -1) {
		out.WriteString(block + "\n")
	}
	rest := fence.ReplaceAllString(text, "")
	for _, line := range strings.Split(rest, "\n") {
		if strings.HasPrefix(line, "    ") {
			out.WriteString(line + "\n")
		}
	}
	for _, m := range inline.FindAllStringSubmatch(rest, -1) {
		out.WriteString(m[1] + "\n")
	}
	return out.String()
}

// unknownCommands returns the commands shown in a text that do not exist.
func unknownCommands(text string, commands, parts []string) (unknown []string) {
	code := shown(text)
	for _, m := range command.FindAllStringSubmatch(code, -1) {
		if !slices.Contains(commands, m[1]) {
			unknown = append(unknown, "hufu "+m[1])
		}
		if sub := strings.TrimSpace(m[2]); m[1] == "audit" && !slices.Contains(commands, sub) {
			unknown = append(unknown, "hufu audit "+sub)
		}
	}
	for _, m := range program.FindAllStringSubmatch(code, -1) {
		if _, err := os.Stat(filepath.Join("cmd", m[1], "main.go")); err != nil {
			unknown = append(unknown, "./cmd/"+m[1])
		}
	}
	for _, m := range devTool.FindAllStringSubmatch(code, -1) {
		if _, err := os.Stat(filepath.Join("dev", m[1])); err != nil {
			unknown = append(unknown, "./dev/"+m[1])
			continue
		}
		for _, part := range strings.Fields(m[2]) {
			if m[1] == "test" && !slices.Contains(parts, part) {
				unknown = append(unknown, fmt.Sprintf("./dev/%s %s", m[1], part))
			}
		}
	}
	return unknown
}

func TestCommandsOfPagesExist(t *testing.T) {
	table, err := os.ReadFile("cmd/hufu/main.go")
	if err != nil {
		t.Fatal(err)
	}
	commands := commandNames(string(table))
	if !slices.Contains(commands, "serve") || !slices.Contains(commands, "check-config") {
		t.Fatalf("commands of cmd/hufu/main.go: %v", commands)
	}
	script, err := os.ReadFile("dev/test")
	if err != nil {
		t.Fatal(err)
	}
	all := regexp.MustCompile(`(?m)^all=\(([^)]*)\)`).FindStringSubmatch(string(script))
	if all == nil {
		t.Fatal("dev/test names no parts")
	}
	parts := strings.Fields(all[1])
	for page, text := range readSources(t, ".md") {
		if strings.Contains(page, "testdata") || page == filepath.Join("docs", "ARCHITECTURE.md") { // the plan names later ones too
			continue
		}
		for _, c := range unknownCommands(text, commands, parts) {
			t.Errorf("%s shows %q, which is not there", page, c)
		}
	}
	if got := unknownCommands("    go run ./cmd/hufu fly\n`hufu audit fly` `./dev/test moon` `./dev/fly` `./cmd/fly`", commands, parts); len(got) != 5 {
		t.Errorf("of five wrong commands %v are seen", got)
	}
}

var identifier = regexp.MustCompile(`^(?:([a-z][a-z0-9]*)\.)?([A-Za-z_][A-Za-z0-9_]*)$`)

// missingTerms returns the terms of the glossary's code column that no source file holds. A term pkg.Name is looked for in
// the folder pkg, a bare one anywhere.
func missingTerms(glossary string, sources map[string]string) (missing []string) {
	for _, line := range strings.Split(glossary, "\n") {
		cells := strings.Split(line, "|")
		if len(cells) != 7 || strings.HasPrefix(strings.TrimSpace(cells[1]), "---") {
			continue
		}
		for _, m := range inline.FindAllStringSubmatch(cells[4], -1) {
			name := identifier.FindStringSubmatch(m[1])
			if name == nil || !inSources(sources, name[1], name[2]) {
				missing = append(missing, m[1])
			}
		}
	}
	return missing
}

func inSources(sources map[string]string, folder, name string) bool {
	word := regexp.MustCompile(`\b` + regexp.QuoteMeta(name) + `\b`)
	for path, text := range sources {
		if strings.HasSuffix(path, "_test.go") || folder != "" && filepath.Base(filepath.Dir(path)) != folder {
			continue
		}
		if word.MatchString(text) {
			return true
		}
	}
	return false
}

func TestWordsOfTheGlossaryAreInTheCode(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("docs", "GLOSSARY.md"))
	if err != nil {
		t.Fatal(err)
	}
	sources := readSources(t, ".go")
	for _, term := range missingTerms(string(text), sources) {
		t.Errorf("the glossary names %q, which the code does not have", term)
	}
	if got := missingTerms("| a | b | c | `ca.NoSuchThing`, `gm.SM3` | e |", sources); len(got) != 1 {
		t.Errorf("of one wrong and one right term %v are missed", got)
	}
}

// TestTestsNamedInPagesExist: pages say by which test a claim is shown.
func TestTestsNamedInPagesExist(t *testing.T) {
	var code strings.Builder
	for path, text := range readSources(t, ".go") {
		if strings.HasSuffix(path, "_test.go") {
			code.WriteString(text)
		}
	}
	named := regexp.MustCompile("`((?:Test|Fuzz)[A-Z][A-Za-z0-9_]+)`")
	count := 0
	for page, text := range readSources(t, ".md") {
		for _, m := range named.FindAllStringSubmatch(text, -1) {
			count++
			if !strings.Contains(code.String(), "func "+m[1]+"(") {
				t.Errorf("%s names %s, which is not there", page, m[1])
			}
		}
	}
	if count == 0 {
		t.Error("no page names a test")
	}
}
