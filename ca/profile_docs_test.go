package ca_test

import (
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"hufu/ca"
)

// The page names every key there is, and its examples are profiles that give a sample.
func TestThePageAboutProfilesIsTrue(t *testing.T) {
	text, err := os.ReadFile("../docs/PROFILES.md")
	if err != nil {
		t.Fatal(err)
	}
	var missing func(kind reflect.Type)
	seen := map[reflect.Type]bool{}
	missing = func(kind reflect.Type) {
		for kind.Kind() == reflect.Pointer || kind.Kind() == reflect.Slice {
			kind = kind.Elem()
		}
		if kind.Kind() != reflect.Struct || seen[kind] || !strings.HasSuffix(kind.PkgPath(), "hufu/ca") {
			return
		}
		seen[kind] = true
		for field := range kind.Fields() {
			key := field.Tag.Get("yaml")
			if key != "" && !strings.Contains(string(text), "`"+key+"`") {
				t.Errorf("the page does not name `%s` of %s", key, kind.Name())
			}
			if key != "" {
				missing(field.Type)
			}
		}
	}
	missing(reflect.TypeFor[ca.Profile]())
	examples := regexp.MustCompile("(?s)```yaml\n(name:.*?)```").FindAllSubmatch(text, -1)
	if len(examples) == 0 {
		t.Fatal("the page has no example")
	}
	for _, example := range examples {
		p, err := ca.ParseProfile(example[1])
		if err != nil {
			t.Fatal(err)
		}
		sample, err := ca.SampleAlone(p, nil, time.Now)
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"个人执业", "2.999.156.1.1.10 (https://ca.example.cn/cps 见业务规则)", "delta CRL", "2.999.1.8"} {
			if !strings.Contains(sample.Dump, want) {
				t.Errorf("the sample does not show %q:\n%s", want, sample.Dump)
			}
		}
	}
}
