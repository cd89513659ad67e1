package licence

import (
	"errors"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"hufu/configs"
)

func read(t testing.TB, name string) string {
	t.Helper()
	text, err := fs.ReadFile(configs.Files, "licences/"+name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestWrongTypesAreRefused(t *testing.T) {
	good := read(t, "business-licence.yaml")
	if _, err := ParseType([]byte(good)); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string][2]string{
		"unknown key":         {"version: 1", "version: 1\nsurprise: 1"},
		"check character":     {"MB0000019F001", "MB0000018F001"},
		"no version":          {"version: 1", "version: 0"},
		"holder":              {"holder: entity", "holder: official"},
		"years":               {"years: 0", "years: -1"},
		"validity from":       {"years: 0", "years: 1, from: capital"},
		"show":                {"show: [name,", "show: [nothing,"},
		"source":              {"source: registry, from: number", "source: hearsay, from: number"},
		"fact":                {"source: registry, from: number", "source: registry, from: shoe_size"},
		"from of data":        {"name: capital,", "name: capital, from: number,"},
		"pattern":             {"name: capital,", "name: capital, pattern: '(',"},
		"max":                 {"name: kind, label: {zh: 类型, en: Type}, required: true, max: 40", "name: kind, label: {zh: 类型, en: Type}, required: true, max: 4000"},
		"format":              {"format: date", "format: money"},
		"twice":               {"name: capital, label", "name: kind, label"},
		"label":               {"label: {zh: 类型, en: Type}", "label: {zh: 类型}"},
		"not printed":         {"- field: {name: capital, x: 186, y: 84, width: 84, height: 8, min: 2.4, middle: true, size: 4.8, colour: \"#2a2118\"}", ""},
		"printed twice":       {"- field: {name: capital,", "- field: {name: kind,"},
		"off the page":        {"- qr: {x: 243", "- qr: {x: 2430"},
		"two parts":           {"- qr: {", "- rule: {from: {x: 1, y: 1}, to: {x: 2, y: 2}, line: 1, colour: \"#000000\"}\n      qr: {"},
		"colour":              {"ground: \"#fdf8ea\"", "ground: warm"},
		"colour in short":     {"ground: \"#fdf8ea\"", "ground: \"\""},
		"not a number":        {"width: 297", "width: .nan"},
		"no seal on the page": {"seal: {x: 228", "seal: {x: 2280"},
		"label of no field":   {"text: {label: uscc", "text: {label: nothing"},
		"value and label":     {"text: {label: uscc", "text: {value: x, label: uscc"},
		"foreign issuer":      {"version: 1", "version: 1\nissuers: [\"123\"]"},
		"alignment":           {"align: right", "align: sideways"},
		"height below size":   {"height: 18, size: 4.8", "height: 1, size: 4.8"},
		"not YAML":            {"code:", "\tcode:"},
	} {
		text := strings.Replace(good, c[0], c[1], 1)
		if text == good {
			t.Errorf("%s: the edit did nothing", name)
			continue
		}
		if _, err := ParseType([]byte(text)); !errors.Is(err, ErrCatalogue) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestACatalogueIsNeitherEmptyNorDouble(t *testing.T) {
	if _, err := ParseCatalogue(fstest.MapFS{}, "licences"); !errors.Is(err, ErrCatalogue) {
		t.Errorf("empty: %v", err)
	}
	text := &fstest.MapFile{Data: []byte(read(t, "business-licence.yaml"))}
	if _, err := ParseCatalogue(fstest.MapFS{"licences/a.yaml": text, "licences/b.yaml": text}, "licences"); !errors.Is(err, ErrCatalogue) {
		t.Errorf("the same code twice: %v", err)
	}
}

func TestTemplatesNeedCharactersThatTheFontsHave(t *testing.T) {
	ty, err := ParseType([]byte(strings.Replace(read(t, "business-licence.yaml"), "value: 扫码核验", "value: 扫𠮷", 1)))
	if err != nil {
		t.Fatal(err)
	}
	f, err := openFaces(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range ty.Template.Objects {
		if m.Text != nil && m.Text.Value == "扫𠮷" && f.of(m.Text.Bold).Check(m.Text.Value) == nil {
			t.Error("the font claims to have 𠮷; take another character for this test")
		}
	}
	if _, err := New(Config{Store: noStore{}, Catalogue: Catalogue{ty.Code: ty}, Registry: noRegistry{}, Seals: noSeals{}, VerifyURL: "http://x/verify", Now: clock}); !errors.Is(err, ErrCatalogue) {
		t.Errorf("a service with that type: %v", err)
	}
}

func FuzzParseType(f *testing.F) {
	f.Add([]byte(read(f, "business-licence.yaml")))
	f.Add([]byte(read(f, "residence-certificate.yaml")))
	f.Add([]byte("template: {objects: [{frame: {inset: 1}}]}"))
	f.Fuzz(func(_ *testing.T, text []byte) {
		if len(text) < 1<<16 {
			_, _ = ParseType(text) // must not panic
		}
	})
}
