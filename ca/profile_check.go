package ca

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"hufu/certs"
)

var profileName = regexp.MustCompile(`^[a-z][a-z0-9-]{0,47}$`)

// oneOf refuses a word that is neither empty nor in the list.
func oneOf(key, word string, words ...string) error {
	if word == "" || slices.Contains(words, word) {
		return nil
	}
	return fmt.Errorf("%s %q is none of %v", key, word, words)
}

func (p *Profile) checkWords() error {
	kinds := []HolderKind{HolderPerson, HolderEntity, HolderOfficial, HolderService, HolderAuthority, HolderForeign}
	switch {
	case !profileName.MatchString(p.Name) || !profileName.MatchString(strings.TrimPrefix(p.Issuer, externalMark)):
		return errors.New("name and issuer must be there, words of at most 48 small letters, digits and hyphens")
	case !slices.Contains(kinds, p.Holder):
		return fmt.Errorf("holder %q is none of %v", p.Holder, kinds)
	case p.Title.ZH == "" || p.Title.EN == "":
		return errors.New("title must be there in both languages")
	}
	for _, way := range p.Serves {
		if err := oneOf("serves", way, ServesAPI, ServesCMP, ServesEST); err != nil {
			return err
		}
	}
	for _, kind := range p.Keys {
		if err := oneOf("keys", kind, "sm2", "p256", "rsa"); err != nil {
			return err
		}
	}
	return errors.Join(
		oneOf("key_from", p.KeyFrom, "request", keyFromKMC), oneOf("medium", p.Medium, MediumSoft, MediumHardware),
		oneOf("identity", p.Identity, "person", "organization"), oneOf("identity_form", p.IDForm, FormClear, FormPseudonym),
		oneOf("identity_oids", p.IDOIDs, "2012", "2023"), oneOf("cdp", p.CDP, wordNone), oneOf("aia", p.AIA, wordNone, "issuer", "ocsp"),
		oneOf("subject_of", p.SubjectOf, "profile", "request"), oneOf("csr_subject", p.CSRSubject, "ignore", "match"),
		oneOf("same_name", p.SameName, "allow", "refuse"),
	)
}

// maxDays bounds every validity: thirty years.
const maxDays = 11000

func (p *Profile) checkNumbers() error {
	v := p.Validity
	switch {
	case p.Version < 1 || p.Version > 1_000_000:
		return errors.New("version must be there, a number from 1")
	case p.Days < 1 || p.Days > maxDays:
		return fmt.Errorf("days %d is not within 1 and %d", p.Days, maxDays)
	case v.MostDays != 0 && (v.MostDays < p.Days || v.MostDays > maxDays):
		return fmt.Errorf("validity: most_days %d is not within days and %d", v.MostDays, maxDays)
	case v.Ahead < 0 || v.Ahead > 366 || v.Backdate < 0 || v.Backdate > 24*60:
		return errors.New("validity: ahead is 0 to 366 days, backdate 0 to 1440 minutes")
	case !v.Choose && v.MostDays+v.Ahead > 0:
		return errors.New("validity: most_days and ahead need choose")
	case p.Approval.Officers < 0 || p.Approval.Officers > 5 || p.Approval.LevelFree < 0:
		return errors.New("approval: officers is 0 to 5, level_free not negative")
	case p.Renewal.BeforeDays < 0 || p.Renewal.BeforeDays > p.Days:
		return errors.New("renewal: before_days is not within the validity")
	case p.PathLen != nil && (*p.PathLen < 0 || *p.PathLen > 10):
		return errors.New("path_len is 0 to 10")
	}
	for i, days := range p.Reminder {
		if days < 1 || i > 0 && days >= p.Reminder[i-1] {
			return errors.New("reminders are days before the end, the longest first")
		}
	}
	return p.checkSense()
}

// checkSense refuses what no certificate should be issued under.
func (p *Profile) checkSense() error {
	attested := p.Approval.Officers > 0 && p.Approval.LevelFree == 0
	switch {
	case p.KeyFrom != keyFromKMC && len(p.Apply) == 0:
		return errors.New("apply must say who may apply")
	case p.KeyFrom == keyFromKMC && (len(p.Apply) > 0 || p.Pair != ""):
		return errors.New("what is issued as another's pair has neither apply nor pair")
	case len(p.Usage) == 0 || len(p.Keys) == 0 || len(p.Subject) == 0:
		return errors.New("usage, keys and subject must be there")
	case p.isCA() != slices.Contains(p.Usage, "keyCertSign"):
		return errors.New("path_len and keyCertSign go together")
	case p.isCA() != (p.Holder == HolderAuthority || p.Holder == HolderForeign):
		return errors.New("path_len is for holders of kind authority and foreign, and only for them")
	case p.Holder == HolderForeign && p.Approval.Officers < 2:
		return errors.New("a certificate for another authority needs two officers")
	case p.OnDemand && p.Holder != HolderAuthority:
		return errors.New("on_demand is for authorities of ours")
	case p.Medium == MediumHardware && p.KeyFrom != keyFromKMC && !attested:
		return errors.New("medium hardware: an officer has to see the device, so approval needs officers and no level_free")
	case p.NoStatus && (p.Delta || !slices.Contains(p.Extended, "OCSPSigning")):
		return errors.New("no_status is for OCSP responders")
	case p.CDP == wordNone && p.Delta:
		return errors.New("delta needs a distribution point")
	case p.SubjectOf == "request" && p.CSRSubject != "":
		return errors.New("subject_of and csr_subject exclude each other")
	}
	return nil
}

func webAddress(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && !strings.ContainsAny(s, " \t\n") && isASCII(s)
}

func isASCII(s string) bool {
	for _, c := range []byte(s) {
		if c < 0x21 || c > 0x7e {
			return false
		}
	}
	return true
}

// personal are the kinds of numbers that a pseudonym stands in for; those of organisations are public registers.
var personal = []certs.IdentityKind{certs.IdentityResident, certs.IdentityMilitary, certs.IdentityPassport, certs.IdentitySocial}

// identityOIDs are the extensions by form and kind. GM/T 0015-2023 as it is read in the field; readers differ over 4.4 and 4.4.4.
var identityOIDs = map[string]map[certs.IdentityKind]certs.OID{
	"2012": {
		certs.IdentityResident: certs.OIDIdentityPerson, certs.IdentityMilitary: certs.OIDIdentityPerson, certs.IdentityPassport: certs.OIDIdentityPerson,
		certs.IdentitySocial: certs.OIDIdentitySocial, certs.IdentityBusiness: certs.OIDIdentityBusiness,
		certs.IdentityOrganization: certs.OIDIdentityOrganization, certs.IdentityTax: certs.OIDIdentityTax,
	},
	"2023": {
		certs.IdentityResident: certs.OIDIdentityResident2023, certs.IdentityPassport: certs.OIDIdentityPassport2023,
		certs.IdentitySocial: certs.OIDIdentitySocial, certs.IdentityBusiness: certs.OIDIdentityBusiness,
		certs.IdentityOrganization: certs.OIDIdentityUSCC2023, certs.IdentityTax: certs.OIDIdentityTax,
	},
}

func (p *Profile) compileIdentities() error {
	all := slices.Clone(p.Identities)
	switch p.Identity {
	case "person":
		all = append([]Identity{{Kind: certs.IdentityResident}}, all...)
	case "organization":
		all = append([]Identity{{Kind: certs.IdentityOrganization}}, all...)
	}
	for _, id := range all {
		made, err := p.compileIdentity(id)
		if err != nil {
			return fmt.Errorf("identities %s: %w", id.Kind, err)
		}
		if made.bound.rule == Forbidden {
			continue
		}
		if slices.ContainsFunc(p.made.ids, func(x identity) bool { return x.oid == made.oid }) {
			return fmt.Errorf("identities %s: extension %s stands twice", id.Kind, made.oid)
		}
		p.made.ids = append(p.made.ids, made)
	}
	return nil
}

func (p *Profile) compileIdentity(id Identity) (made identity, err error) {
	form := p.IDOIDs
	if form == "" {
		form = "2012"
	}
	made.kind, made.oid = id.Kind, identityOIDs[form][id.Kind]
	if id.OID != "" {
		if made.oid = certs.OID(id.OID); !certs.IdentityExtension(made.oid) {
			return made, fmt.Errorf("%q is none of the identity extensions that readers know", id.OID)
		}
	}
	if made.oid == "" {
		return made, fmt.Errorf("kind is not known in the form of %s", form)
	}
	text := id.Value
	if text == "" && id.Rule != Forbidden {
		if text = p.defaultNumber(id.Kind); text == "" {
			return made, errors.New("the registry does not know this number: give a value")
		}
	}
	if made.value, err = p.parseValue(text); err != nil {
		return made, err
	}
	if made.value.source == FromAuthority && id.Rule != Forbidden {
		return made, errors.New("the value names no fact")
	}
	made.bound, err = boundOf(id.Rule, "", 64, made.value)
	return made, err
}

// defaultNumber is the number that the registry knows of a holder, by kind.
func (p *Profile) defaultNumber(kind certs.IdentityKind) string {
	switch {
	case kind == certs.IdentityResident && (p.Holder == HolderPerson || p.Holder == HolderOfficial):
		return "{number}"
	case kind == certs.IdentityOrganization && p.Holder == HolderOfficial:
		return "{organization_number}"
	case kind == certs.IdentityOrganization && (p.Holder == HolderEntity || p.Holder == HolderForeign):
		return "{number}"
	default:
		return ""
	}
}

// pseudonymous tells whether the holder's number of a kind is not to be seen.
func (p *Profile) pseudonymous(kind certs.IdentityKind) bool {
	return p.IDForm == FormPseudonym && slices.Contains(personal, kind)
}
