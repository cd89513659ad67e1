package ca

import (
	"bytes"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/goccy/go-yaml"

	"hufu/internal/fault"
)

// wrongProfile refuses a profile and says why, to its author: nothing but the own text is in it.
func wrongProfile(format string, args ...any) *fault.Error {
	text := strings.Join(strings.Fields(fmt.Errorf(format, args...).Error()), " ")
	return fault.New(fault.Invalid, "ca.profile",
		"The certificate profile is wrong: "+text+". Correct it and try again.", "证书模板有误："+text+"。请更正后重试。")
}

// maxProfile bounds the text of a profile, in octets.
const maxProfile = 64 << 10

// ParseProfile reads one profile, strictly: an unknown key, a wrong word or a certificate that could not be built is
// the refusal "ca.profile", naming the field. Whether its pair exists is not looked at.
func ParseProfile(text []byte) (*Profile, error) {
	if len(text) > maxProfile {
		return nil, wrongProfile("a profile has at most %d octets", maxProfile)
	}
	p := &Profile{text: bytes.Clone(text)}
	if err := yaml.UnmarshalWithOptions(text, p, yaml.Strict()); err != nil {
		return nil, wrongProfile("%s", yaml.FormatError(err, false, false))
	}
	if err := p.compile(); err != nil {
		return nil, wrongProfile("%w", err)
	}
	return p, nil
}

// ParseProfiles reads every .yaml file of a folder, strictly: an unknown key, a wrong word, a missing pair or a certificate
// that could not be built is an error naming file and field.
func ParseProfiles(files fs.FS, folder string) (map[string]*Profile, error) {
	names, err := fs.Glob(files, path.Join(folder, "*.yaml"))
	if err != nil || len(names) == 0 {
		return nil, wrongProfile("no profiles in %q: %w", folder, err)
	}
	profiles := make(map[string]*Profile, len(names))
	for _, name := range names {
		text, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, wrongProfile("read profile: %w", err)
		}
		p, err := ParseProfile(text)
		if err != nil {
			return nil, fmt.Errorf("profile %s: %w", name, err)
		}
		if profiles[p.Name] != nil {
			return nil, wrongProfile("profile %s: another file has the name %q", name, p.Name)
		}
		profiles[p.Name] = p
	}
	for _, p := range profiles {
		if err := p.fits(profiles[p.Pair]); err != nil {
			return nil, wrongProfile("profile %s: %w", p.Name, err)
		}
	}
	return profiles, nil
}

// fits holds a profile against the one of its encryption certificate; nil when there is none.
func (p *Profile) fits(pair *Profile) error {
	if p.Pair == "" {
		return nil
	}
	if pair == nil || pair.KeyFrom != keyFromKMC || pair.Holder != p.Holder || pair.Issuer != p.Issuer {
		return fmt.Errorf("pair %q must be a profile of the same holder and issuer with key_from: kmc", p.Pair)
	}
	for _, fact := range pair.made.named {
		if _, err := p.sourceOf(fact); err != nil {
			return fmt.Errorf("pair %q: %w", p.Pair, err)
		}
	}
	return nil
}

// UnmarshalYAML takes a policy as an OID alone, or with its qualifiers.
func (t *PolicyText) UnmarshalYAML(read func(any) error) error {
	if read(&t.ID) == nil {
		return nil
	}
	type plain PolicyText
	return read((*plain)(t))
}
