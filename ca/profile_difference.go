package ca

import (
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/goccy/go-yaml"
)

// Difference is a field of a profile that two versions have otherwise; "" where one has none.
type Difference struct {
	Field    string
	Old, New string
}

// against compares a profile with the version in force; nothing when there is none.
func (a *Authority) against(p *Profile) ([]Difference, error) {
	old := a.profile(p.Name)
	if old == nil {
		return nil, nil
	}
	return CompareProfiles(old.text, p.text)
}

// CompareProfiles names the fields in which two texts differ, by their paths: "subject[1].max". Comments and order of keys
// do not count, nor does the number of the version.
func CompareProfiles(before, after []byte) ([]Difference, error) {
	fields := [2]map[string]string{}
	for i, text := range [][]byte{before, after} {
		var tree any
		if err := yaml.Unmarshal(text, &tree); err != nil {
			return nil, wrongProfile("%w", err)
		}
		fields[i] = map[string]string{}
		flatten(fields[i], "", tree, 0)
	}
	all := maps.Clone(fields[0])
	maps.Copy(all, fields[1])
	delete(all, "version")
	out := []Difference{}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if before, after := fields[0][name], fields[1][name]; before != after {
			out = append(out, Difference{name, before, after})
		}
	}
	return out, nil
}

// flatten gathers the leaves of a tree by their paths. Depth is bounded as that of a profile is.
func flatten(out map[string]string, path string, node any, depth int) {
	if depth > 8 {
		return
	}
	switch node := node.(type) {
	case map[string]any:
		for key, value := range node {
			name := key
			if path != "" {
				name = path + "." + key
			}
			flatten(out, name, value, depth+1)
		}
	case []any:
		for i, value := range node {
			flatten(out, path+"["+strconv.Itoa(i)+"]", value, depth+1)
		}
	default:
		out[path] = fmt.Sprint(node)
	}
}
