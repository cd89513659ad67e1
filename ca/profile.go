package ca

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

	"hufu/certs"
	"hufu/internal/actor"
	"hufu/internal/fault"
)

// HolderKind is what kind of subject a profile is for.
type HolderKind string

// Kinds of holders. A service is a part of the system itself (OCSP, time-stamps); an authority issues certificates.
const (
	HolderPerson    HolderKind = "person"
	HolderEntity    HolderKind = "entity"
	HolderOfficial  HolderKind = "official"
	HolderService   HolderKind = "service"
	HolderAuthority HolderKind = "authority"
)

// Profile says what a kind of certificate contains, who may apply for it and who approves. Profiles are files; a changed
// one gets a higher Version, and each application keeps the version under which it was made.
type Profile struct {
	Name     string     `yaml:"name"`
	Version  int        `yaml:"version"`
	Title    Title      `yaml:"title"`
	Issuer   string     `yaml:"issuer"` // name of the issuing authority; its own name makes it self-signed
	Holder   HolderKind `yaml:"holder"`
	Pair     string     `yaml:"pair"`      // profile of the encryption certificate that is issued with this one; its key comes from the KMC
	KeyFrom  string     `yaml:"key_from"`  // "request" (default) or "kmc": such a profile is only issued as another's pair
	Keys     []string   `yaml:"keys"`      // allowed key algorithms: sm2, p256, rsa
	Apply    []string   `yaml:"apply"`     // who may apply: "holder" for himself or herself, "system" for the program alone, else roles
	Approval Approval   `yaml:"approval"`  //
	Evidence []string   `yaml:"evidence"`  // kinds of evidence that an application must have before it is approved
	Serves   []string   `yaml:"serves"`    // by which ways one may apply: api, cmp, est; default all
	Medium   string     `yaml:"medium"`    // where the holder's key is: "soft" (default) or "hardware"
	Renewal  Renewal    `yaml:"renewal"`   //
	Reminder []int      `yaml:"reminders"` // days before the end at which the holder is reminded; default 30, 7 and 1
	Life     Life       `yaml:"life"`      // suspension, and what becomes of a replaced certificate
	CDP      string     `yaml:"cdp"`       // "none": no CRL distribution point; default the shard's
	Days     int        `yaml:"days"`      // validity
	Usage    []string   `yaml:"usage"`     // key usage bits, by their names in RFC 5280
	Extended []string   `yaml:"extended"`  // extended key usages: names or OIDs
	Critical bool       `yaml:"critical"`  // extended key usage is critical
	PathLen  *int       `yaml:"path_len"`  // makes it a CA certificate
	Policies []string   `yaml:"policies"`  // certificate policies, OIDs
	Subject  []Part     `yaml:"subject"`   // of the name, in order
	Identity string     `yaml:"identity"`  // identity extension in clear: "", "person" or "organization" (GB/T 20518)
	Fields   []Field    `yaml:"fields"`    // what the applicant states beyond the registry's data
	NoStatus bool       `yaml:"no_status"` // OCSP responder: id-pkix-ocsp-nocheck
}

// Title is the profile's name for people.
type Title struct {
	ZH string `yaml:"zh"`
	EN string `yaml:"en"`
}

// Approval is who must agree. Officers 0 is automatic. At LevelFree and above the identity level of a holder who applies in
// person makes it automatic too; 0 switches that off.
type Approval struct {
	Officers  int         `yaml:"officers"`
	LevelFree actor.Level `yaml:"level_free"`
}

// Renewal says how a certificate is replaced before it ends.
type Renewal struct {
	// Automatic: a renewal or new key that the holder asks for, signed with the old key, needs no officer.
	Automatic  bool `yaml:"automatic"`
	BeforeDays int  `yaml:"before_days"` // from when on, counted from the end; default 90
	NewKey     bool `yaml:"new_key"`     // the replacement must have another key
}

// Ways to apply, and where a holder's key is kept.
const (
	ServesAPI      = "api"
	ServesCMP      = "cmp"
	ServesEST      = "est"
	MediumSoft     = "soft"
	MediumHardware = "hardware"
)

// ServesBy tells whether one may apply for the profile by a way: api, cmp, est.
func (p *Profile) ServesBy(way string) bool {
	return len(p.Serves) == 0 || slices.Contains(p.Serves, way)
}

// Reminders returns the days before the end at which the holder is reminded, the longest first.
func (p *Profile) Reminders() []int {
	if p.Reminder == nil {
		return []int{30, 7, 1}
	}
	return p.Reminder
}

// RenewFrom returns from how many days before the end a certificate may be renewed.
func (p *Profile) RenewFrom() int {
	if p.Renewal.BeforeDays == 0 {
		return 90
	}
	return p.Renewal.BeforeDays
}

// Part is one attribute of the subject name. Value may contain {name}, {number}, {organization}, {organization_number},
// {post} and the profile's fields in braces; a part that comes out empty is left out unless Required.
type Part struct {
	Type     string `yaml:"type"` // C, ST, L, O, OU, CN, SN (serial number), T (title)
	Value    string `yaml:"value"`
	Required bool   `yaml:"required"`
}

// Field is a fact that the applicant states, such as the code of a seal.
type Field struct {
	Name    string `yaml:"name"`
	Pattern string `yaml:"pattern"` // regular expression for the whole value
}

var nameTypes = map[string]certs.OID{
	"C": certs.OIDCountry, "ST": certs.OIDProvince, "L": certs.OIDLocality, "O": certs.OIDOrganization,
	"OU": certs.OIDOrganizationalUnit, "CN": certs.OIDCommonName, "SN": certs.OIDSerialNumber, "T": certs.OIDTitle,
}

var usageBits = map[string]certs.KeyUsage{
	"digitalSignature": certs.UsageDigitalSignature, "nonRepudiation": certs.UsageNonRepudiation,
	"keyEncipherment": certs.UsageKeyEncipherment, "dataEncipherment": certs.UsageDataEncipherment,
	"keyAgreement": certs.UsageKeyAgreement, "keyCertSign": certs.UsageCertSign, "cRLSign": certs.UsageCRLSign,
}

var extendedUsages = map[string]certs.OID{
	"clientAuth": certs.OIDClientAuth, "serverAuth": certs.OIDServerAuth, "emailProtection": certs.OIDEmailProtection,
	"timeStamping": certs.OIDTimeStamping, "OCSPSigning": certs.OIDOCSPSigning,
}

var errProfile = fault.New(fault.Invalid, "ca.profile",
	"A certificate profile is wrong. Correct the named file and start again.", "证书模板有误。请更正所指文件后重新启动。")

// ParseProfiles reads every .yaml file of a folder, strictly: an unknown key, a wrong word, a missing pair or a certificate
// that could not be built is an error naming file and field.
func ParseProfiles(files fs.FS, folder string) (map[string]*Profile, error) {
	names, err := fs.Glob(files, path.Join(folder, "*.yaml"))
	if err != nil || len(names) == 0 {
		return nil, errProfile.With("no profiles in %q: %w", folder, err)
	}
	profiles := make(map[string]*Profile, len(names))
	for _, name := range names {
		text, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, errProfile.With("read profile: %w", err)
		}
		p := &Profile{}
		if err := yaml.UnmarshalWithOptions(text, p, yaml.Strict()); err != nil {
			return nil, errProfile.With("profile %s: %w", name, err)
		}
		if err := p.check(); err != nil {
			return nil, errProfile.With("profile %s: %w", name, err)
		}
		if profiles[p.Name] != nil {
			return nil, errProfile.With("profile %s: another file has the name %q", name, p.Name)
		}
		profiles[p.Name] = p
	}
	for _, p := range profiles {
		if pair := profiles[p.Pair]; p.Pair != "" && (pair == nil || pair.KeyFrom != "kmc" || pair.Holder != p.Holder || pair.Issuer != p.Issuer) {
			return nil, errProfile.With("profile %s: pair %q must be a profile of the same holder and issuer with key_from: kmc", p.Name, p.Pair)
		}
	}
	return profiles, nil
}

func (p *Profile) check() error {
	kinds := []HolderKind{HolderPerson, HolderEntity, HolderOfficial, HolderService, HolderAuthority}
	switch {
	case p.Name == "" || p.Issuer == "" || p.Version < 1:
		return errors.New("name, issuer and version must be there")
	case !slices.Contains(kinds, p.Holder):
		return fmt.Errorf("holder %q is none of %v", p.Holder, kinds)
	case p.Days < 1 || p.Days > 11000:
		return fmt.Errorf("days %d is not within 1 and 11000", p.Days)
	case p.KeyFrom != "" && p.KeyFrom != "request" && p.KeyFrom != "kmc":
		return fmt.Errorf(`key_from %q is neither "request" nor "kmc"`, p.KeyFrom)
	case p.KeyFrom != "kmc" && len(p.Apply) == 0:
		return errors.New("apply must say who may apply")
	case len(p.Usage) == 0 || len(p.Keys) == 0 || len(p.Subject) == 0:
		return errors.New("usage, keys and subject must be there")
	case p.Identity != "" && p.Identity != "person" && p.Identity != "organization":
		return fmt.Errorf(`identity %q is neither "person" nor "organization"`, p.Identity)
	case p.isCA() != slices.Contains(p.Usage, "keyCertSign"):
		return errors.New("path_len and keyCertSign go together")
	}
	for _, u := range p.Usage {
		if usageBits[u] == 0 {
			return fmt.Errorf("usage %q is unknown", u)
		}
	}
	for _, part := range p.Subject {
		if nameTypes[part.Type] == "" {
			return fmt.Errorf("subject type %q is unknown", part.Type)
		}
	}
	_, err := p.extended()
	return err
}

func (p *Profile) isCA() bool { return p.PathLen != nil }

// use is what the profile's key serves: one key never has two uses (双证书).
func (p *Profile) use() string {
	switch {
	case p.isCA():
		return "certify"
	case p.KeyFrom == "kmc":
		return "encrypt"
	default:
		return "sign"
	}
}

// selfSigned tells whether the profile's certificate is its own issuer.
func (p *Profile) selfSigned() bool { return p.Holder == HolderAuthority && p.Issuer == p.Name }

func (p *Profile) usage() (bits certs.KeyUsage) {
	for _, u := range p.Usage {
		bits |= usageBits[u]
	}
	return bits
}

func (p *Profile) extended() (oids []certs.OID, err error) {
	for _, name := range p.Extended {
		oid, ok := extendedUsages[name]
		if !ok {
			if oid, err = certs.ParseOID(name); err != nil {
				return nil, fmt.Errorf("extended usage %q is neither a known name nor an OID", name)
			}
		}
		oids = append(oids, oid)
	}
	return oids, nil
}

// validity returns the certificate's window: from the minute before now, so that a clock slightly behind accepts it, never
// past the issuer's own end.
func (p *Profile) validity(now time.Time, issuer *certs.Certificate) (from, to time.Time) {
	from = now.UTC().Truncate(time.Second).Add(-time.Minute)
	to = from.AddDate(0, 0, p.Days)
	if issuer != nil {
		if from.Before(issuer.NotBefore) {
			from = issuer.NotBefore
		}
		if to.After(issuer.NotAfter) {
			to = issuer.NotAfter
		}
	}
	return from, to
}

// name builds the subject from the registry's facts about the holder and the stated fields.
func (p *Profile) name(facts map[string]string) (certs.Name, error) {
	pairs := make([]string, 0, 2*len(facts))
	for k, v := range facts {
		pairs = append(pairs, "{"+k+"}", v)
	}
	fill := strings.NewReplacer(pairs...)
	var attributes []certs.Attribute
	for _, part := range p.Subject {
		value := strings.TrimSpace(fill.Replace(part.Value))
		if value == "" || strings.ContainsAny(part.Value, "{") && strings.ContainsAny(value, "{}") {
			if part.Required {
				return certs.Name{}, ErrFacts.With("profile %q: subject part %s %q has no value", p.Name, part.Type, part.Value)
			}
			continue
		}
		attributes = append(attributes, certs.Attribute{Type: nameTypes[part.Type], Value: value})
	}
	return certs.NewName(attributes...), nil
}
