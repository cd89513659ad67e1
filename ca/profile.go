package ca

import (
	"slices"

	"hufu/certs"
	"hufu/internal/actor"
)

// HolderKind is what kind of subject a profile is for.
type HolderKind string

// Kinds of holders. A service is a part of the system itself (OCSP, time-stamps); an authority of ours issues certificates;
// a foreign one is another operator's, beneath or beside ours.
const (
	HolderPerson    HolderKind = "person"
	HolderEntity    HolderKind = "entity"
	HolderOfficial  HolderKind = "official"
	HolderService   HolderKind = "service"
	HolderAuthority HolderKind = "authority"
	HolderForeign   HolderKind = "foreign"
)

// Profile says what a kind of certificate contains, who may apply for it and who approves. A profile is a text in YAML; its
// versions are kept, none is ever changed, and each application keeps the one under which it was made. docs/PROFILES.md
// explains each field.
type Profile struct {
	Name     string     `yaml:"name"`
	Version  int        `yaml:"version"` // the least number that this version may get; as loaded, the number it has
	Title    Title      `yaml:"title"`
	Issuer   string     `yaml:"issuer"`    // name of the issuing authority; its own name makes it self-signed
	Holder   HolderKind `yaml:"holder"`    //
	OnDemand bool       `yaml:"on_demand"` // an authority that is made when it is asked for, not on the first start
	Pair     string     `yaml:"pair"`      // profile of the encryption certificate that is issued with this one; its key comes from the KMC
	KeyFrom  string     `yaml:"key_from"`  // "request" (default) or "kmc": such a profile is only issued as another's pair
	Keys     []string   `yaml:"keys"`      // allowed key algorithms: sm2, p256, rsa
	Medium   string     `yaml:"medium"`    // where the holder's key is: "soft" (default) or "hardware"
	Apply    []string   `yaml:"apply"`     // who may apply: "holder" for himself or herself, "system" for the program alone, else roles
	Serves   []string   `yaml:"serves"`    // by which ways one may apply: api, cmp, est; default all
	Approval Approval   `yaml:"approval"`  //
	Evidence []string   `yaml:"evidence"`  // kinds of evidence that an application must have before it is approved
	Renewal  Renewal    `yaml:"renewal"`   //
	Reminder []int      `yaml:"reminders"` // days before the end at which the holder is reminded; default 30, 7 and 1
	Days     int        `yaml:"days"`      // validity
	Validity Validity   `yaml:"validity"`  // bounds of what the applicant may choose
	SameName string     `yaml:"same_name"` // "refuse": no two holders with one subject name under an issuer; default "allow"

	Usage      []string        `yaml:"usage"`         // key usage bits, by their names in RFC 5280
	Extended   []string        `yaml:"extended"`      // extended key usages: names or OIDs
	Critical   bool            `yaml:"critical"`      // extended key usage is critical
	PathLen    *int            `yaml:"path_len"`      // makes it a CA certificate
	Limits     *Limits         `yaml:"limits"`        // of a CA certificate: names and policies
	Policies   []PolicyText    `yaml:"policies"`      // certificate policies
	Subject    []Part          `yaml:"subject"`       // of the name, in order
	SubjectOf  string          `yaml:"subject_of"`    // "request": the name is taken from the request bit by bit, and the parts are what it must satisfy
	CSRSubject string          `yaml:"csr_subject"`   // "match": what the request's subject says must be what the certificate says; default "ignore"
	AltNames   AltNames        `yaml:"alt_names"`     //
	Identity   string          `yaml:"identity"`      // short for one of the identities below: "person" or "organization"
	Identities []Identity      `yaml:"identities"`    // identity extensions (GB/T 20518)
	IDForm     string          `yaml:"identity_form"` // "clear" (default), or "pseudonym": HMAC-SM3 in place of a person's number
	IDOIDs     string          `yaml:"identity_oids"` // "2012" (default) or "2023"
	Custom     []Custom        `yaml:"custom"`        // further extensions
	Requested  map[string]Rule `yaml:"requested"`     // what a request may ask of extensions, by name or OID
	Fields     []Field         `yaml:"fields"`        // what the applicant or an officer states beyond the registry's data

	Life     Life   `yaml:"life"`      // suspension, and what becomes of a replaced certificate
	CDP      string `yaml:"cdp"`       // "none": no CRL distribution point; default the shard's
	Delta    bool   `yaml:"delta"`     // names the delta list, too (freshest CRL)
	AIA      string `yaml:"aia"`       // authority information access: "none", "issuer", "ocsp"; default both
	NoStatus bool   `yaml:"no_status"` // OCSP responder: id-pkix-ocsp-nocheck
	Private  bool   `yaml:"private"`   // the certificate is given to the holder and to officers only

	text []byte // as read
	made compiled
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

// Validity bounds what an applicant may choose by the facts not_before and not_after; without Choose, nothing.
type Validity struct {
	Choose   bool `yaml:"choose"`
	MostDays int  `yaml:"most_days"` // default the profile's days
	Ahead    int  `yaml:"ahead"`     // days by which the beginning may lie in the future
	Backdate int  `yaml:"backdate"`  // minutes before now at which validity begins, at most a day's; default 1
}

// Rule says whether something has to be there.
type Rule string

// Rules. Fixed: the profile alone says what it is; what is asked otherwise is refused.
const (
	Required  Rule = "required"
	Optional  Rule = "optional"
	Forbidden Rule = "forbidden"
	Fixed     Rule = "fixed"
)

// Source says who may have stated a value.
type Source string

// Sources. What the profile itself says is from the authority.
const (
	FromAuthority   Source = "ca"
	FromRegistry    Source = "registry"
	FromApplication Source = "application"
	FromOfficer     Source = "officer"
)

// Part is one attribute of the subject name. Value may contain {name}, {number}, {organization}, {organization_number},
// {post} and the profile's fields in braces; without a value it is what the request's subject says. A part that comes out
// empty takes Default; if that is empty, too, it is left out unless required.
type Part struct {
	Type    string `yaml:"type"` // C, ST, L, O, OU, CN, SN (serial number), T (title), SURNAME, GN, STREET, DC, E, UID, ORGID
	Value   string `yaml:"value"`
	Rule    Rule   `yaml:"rule"`    // default optional; a value without braces is fixed
	Source  Source `yaml:"source"`  // checked against the value; default what the value says
	Pattern string `yaml:"pattern"` // regular expression for the whole value
	Max     int    `yaml:"max"`     // characters; default and limit the upper bound of RFC 5280, appendix A.1
	Default string `yaml:"default"`
}

// AltNames are the subject's alternative names, by form.
type AltNames struct {
	DNS      *AltName `yaml:"dns"`
	IP       *AltName `yaml:"ip"`
	Email    *AltName `yaml:"email"`
	URI      *AltName `yaml:"uri"`
	Critical bool     `yaml:"critical"`
}

// AltName says where names of one form come from: a value as in Part, several separated by spaces or commas, or without a
// value what the request asks for.
type AltName struct {
	Value   string `yaml:"value"`
	Rule    Rule   `yaml:"rule"`
	Source  Source `yaml:"source"`
	Pattern string `yaml:"pattern"` // for each name
	Max     int    `yaml:"max"`     // names; default 20
}

// Identity is one identity extension. Kind is resident, military, passport, social, business, organization or tax.
type Identity struct {
	Kind  certs.IdentityKind `yaml:"kind"`
	Rule  Rule               `yaml:"rule"` // required is the "must" of a console
	Value string             `yaml:"value"`
	OID   string             `yaml:"oid"` // instead of the one of identity_oids, where readers differ
}

// Custom is an extension of the operator's own.
type Custom struct {
	OID      string `yaml:"oid"`
	Name     string `yaml:"name"`
	Encoding string `yaml:"encoding"` // utf8, printable, ia5, octet (an OCTET STRING of hexadecimal digits), hex (DER in hexadecimal)
	Critical bool   `yaml:"critical"`
	Rule     Rule   `yaml:"rule"`
	Source   Source `yaml:"source"`
	Value    string `yaml:"value"`
	Pattern  string `yaml:"pattern"`
	Max      int    `yaml:"max"`
}

// Field is a fact that is stated with an application, such as the code of a seal.
type Field struct {
	Name    string `yaml:"name"`
	Title   Title  `yaml:"title"`
	Pattern string `yaml:"pattern"` // regular expression for the whole value
	Rule    Rule   `yaml:"rule"`    // default required
	Source  Source `yaml:"source"`  // application (default), or officer: only a registrar may state it
	Max     int    `yaml:"max"`     // characters; default 256
	Default string `yaml:"default"`
}

// PolicyText is a certificate policy: an OID alone, or with the address of the practice statement and a notice.
type PolicyText struct {
	ID     string `yaml:"id"`
	CPS    string `yaml:"cps"`
	Notice string `yaml:"notice"`
}

// Words of profiles.
const (
	ServesAPI      = "api"
	ServesCMP      = "cmp"
	ServesEST      = "est"
	MediumSoft     = "soft"
	MediumHardware = "hardware"
	FormClear      = "clear"
	FormPseudonym  = "pseudonym"
	keyFromKMC     = "kmc"
	wordNone       = "none"
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

// Text is the profile as its author wrote it.
func (p *Profile) Text() string { return string(p.text) }

func (p *Profile) isCA() bool { return p.PathLen != nil }

// use is what the profile's key serves: one key never has two uses (双证书).
func (p *Profile) use() string {
	switch {
	case p.isCA():
		return "certify"
	case p.KeyFrom == keyFromKMC:
		return "encrypt"
	default:
		return "sign"
	}
}

// selfSigned tells whether the profile's certificate is its own issuer.
func (p *Profile) selfSigned() bool { return p.Holder == HolderAuthority && p.Issuer == p.Name }
