package licence

import (
	"fmt"
	"io/fs"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"

	"hufu/identity"
	"hufu/licence/card"
)

// Type is a kind of licence (证照类型) as its file says. A changed file gets a higher Version; each licence keeps the version
// under which it was made.
type Type struct {
	Code     string        `yaml:"code"`     // 21 characters: credit code of the body that owns the type, and 3 digits
	Version  int           `yaml:"version"`  // of the file
	Title    Title         `yaml:"title"`    //
	Holder   identity.Kind `yaml:"holder"`   // person or entity
	Issuers  []string      `yaml:"issuers"`  // credit codes of those who may issue it; empty: every organisation whose officers hold the role
	Validity Validity      `yaml:"validity"` //
	Fields   []Field       `yaml:"fields"`   // in the order of the data
	Show     []string      `yaml:"show"`     // fields that a QR text shows unless the holder chooses others
	Template Template      `yaml:"template"` //
}

// Title is a name for people.
type Title struct {
	ZH string `yaml:"zh"`
	EN string `yaml:"en"`
}

// Validity says from when and how long a licence is valid.
type Validity struct {
	From  string `yaml:"from"`  // name of a date field; empty: the day of issue
	Years int    `yaml:"years"` // 0: without end
}

// Field is one fact on a licence. Where it comes from: Data (what the officer enters), Registry (name, number, masked, sex,
// birth of the holder) or Issue (identifier, issuer, issuer_code, issued, validity).
type Field struct {
	Name     string `yaml:"name"`
	Label    Title  `yaml:"label"`
	Source   Source `yaml:"source"`
	From     string `yaml:"from"`     // which fact of registry or issue
	Required bool   `yaml:"required"` // data only: registry and issue always give a value
	Max      int    `yaml:"max"`      // characters, 1 to 1000; 0 is 100
	Pattern  string `yaml:"pattern"`  // regular expression for the whole value
	Format   string `yaml:"format"`   // "date": the value is 2006-01-02 and printed as 2006年1月2日
	Hint     Title  `yaml:"hint"`     // what to enter, for forms and refusals
	form     *regexp.Regexp
}

// Source is where a field comes from.
type Source string

// The sources.
const (
	FromData     Source = "data"
	FromRegistry Source = "registry"
	FromIssue    Source = "issue"
)

var facts = map[Source][]string{
	FromRegistry: {"name", "number", "masked", "sex", "birth"},
	FromIssue:    {"identifier", "issuer", "issuer_code", "issued", "validity"},
}

// Catalogue is the licence types by code (证照目录).
type Catalogue map[string]*Type

// All lists the types by code.
func (c Catalogue) All() []*Type {
	return slices.SortedFunc(maps.Values(c), func(a, b *Type) int { return strings.Compare(a.Code, b.Code) })
}

// ParseCatalogue reads every .yaml file of a folder, strictly: an unknown key, a wrong word or a field that the page does
// not show is an error naming file and place.
func ParseCatalogue(files fs.FS, folder string) (Catalogue, error) {
	names, err := fs.Glob(files, path.Join(folder, "*.yaml"))
	if err != nil || len(names) == 0 {
		return nil, ErrCatalogue.With("no licence types in %q: %w", folder, err)
	}
	c := make(Catalogue, len(names))
	for _, name := range names {
		text, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, ErrCatalogue.With("read licence type: %w", err)
		}
		t, err := ParseType(text)
		if err != nil {
			return nil, ErrCatalogue.With("licence type %s: %w", name, err)
		}
		if c[t.Code] != nil {
			return nil, ErrCatalogue.With("licence type %s: code %s is there twice", name, t.Code)
		}
		c[t.Code] = t
	}
	return c, nil
}

// ParseType reads and checks one licence type.
func ParseType(text []byte) (*Type, error) {
	t := &Type{}
	if err := yaml.UnmarshalWithOptions(text, t, yaml.Strict()); err != nil {
		return nil, ErrCatalogue.With("%w", err)
	}
	if err := t.check(); err != nil {
		return nil, ErrCatalogue.With("%w", err)
	}
	return t, nil
}

func (t *Type) check() error {
	switch {
	case len(t.Code) != 21 || !card.CreditCode(t.Code[:18]) || strings.Trim(t.Code[18:], "0123456789") != "":
		return fmt.Errorf("code %q is not a credit code and 3 digits", t.Code)
	case t.Version < 1:
		return fmt.Errorf("version %d", t.Version)
	case t.Title.ZH == "" || t.Title.EN == "":
		return fmt.Errorf("title in both languages is needed")
	case t.Holder != identity.Person && t.Holder != identity.Entity:
		return fmt.Errorf("holder %q is neither person nor entity", t.Holder)
	case t.Validity.Years < 0 || t.Validity.Years > 99:
		return fmt.Errorf("validity of %d years", t.Validity.Years)
	case len(t.Fields) == 0 || len(t.Fields) > 100:
		return fmt.Errorf("%d fields", len(t.Fields))
	}
	for _, code := range t.Issuers {
		if !card.CreditCode(code) {
			return fmt.Errorf("issuers: %q is not a credit code", code)
		}
	}
	for i := range t.Fields {
		if err := t.Fields[i].check(); err != nil {
			return fmt.Errorf("field %q: %w", t.Fields[i].Name, err)
		}
		if f, _ := t.Field(t.Fields[i].Name); f != &t.Fields[i] {
			return fmt.Errorf("field %q is there twice", t.Fields[i].Name)
		}
	}
	if f, ok := t.Field(t.Validity.From); t.Validity.From != "" && (!ok || f.Format != "date" || f.Source == FromIssue) {
		return fmt.Errorf("validity: from %q is not a date field", t.Validity.From)
	}
	for _, name := range t.Show {
		if _, ok := t.Field(name); !ok {
			return fmt.Errorf("show: no field %q", name)
		}
	}
	return t.Template.check(t)
}

// Field finds a field by name.
func (t *Type) Field(name string) (*Field, bool) {
	i := slices.IndexFunc(t.Fields, func(f Field) bool { return f.Name == name })
	if i < 0 {
		return nil, false
	}
	return &t.Fields[i], true
}

func (f *Field) check() (err error) {
	if f.Max == 0 {
		f.Max = 100
	}
	if f.Source == "" {
		f.Source = FromData
	}
	switch {
	case f.Name == "" || len(f.Name) > 64 || strings.Trim(f.Name, "abcdefghijklmnopqrstuvwxyz0123456789_") != "":
		return fmt.Errorf("a name has small letters, digits and _")
	case f.Label.ZH == "" || f.Label.EN == "":
		return fmt.Errorf("label in both languages is needed")
	case f.Max < 1 || f.Max > 1000:
		return fmt.Errorf("max %d", f.Max)
	case f.Format != "" && f.Format != "date":
		return fmt.Errorf("format %q", f.Format)
	case f.Source == FromData && f.From != "":
		return fmt.Errorf("from %q has a meaning for registry and issue only", f.From)
	case f.Source != FromData && !slices.Contains(facts[f.Source], f.From):
		return fmt.Errorf("source %q has no fact %q", f.Source, f.From)
	}
	if f.Pattern != "" {
		f.form, err = regexp.Compile(`^(?:` + f.Pattern + `)$`)
	}
	return err
}
