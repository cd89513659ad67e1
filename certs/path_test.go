package certs

import (
	"bytes"
	"crypto"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"
)

func sampleConstraints() *NameConstraints {
	return &NameConstraints{
		Permitted: Subtrees{
			DNS: []string{"example.cn"}, Email: []string{"example.cn", ".mail.example.cn"}, URI: []string{".example.cn"},
			IP:        []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8::/32")},
			Directory: []Name{NewName(attr(OIDCountry, "CN"))},
		},
		Excluded: Subtrees{DNS: []string{"bad.example.cn"}, IP: []netip.Prefix{netip.MustParsePrefix("192.0.2.128/25")}},
	}
}

func pool(list ...holder) []*Certificate {
	out := make([]*Certificate, len(list))
	for i, h := range list {
		out[i] = h.Certificate
	}
	return out
}

func TestValidateFindsThePath(t *testing.T) {
	root, issuing, leaf := chain(t)
	_, strangerCA, _ := chain(t)
	v := Validate(leaf.Certificate, Options{Roots: pool(root), Intermediates: pool(strangerCA, issuing, leaf), At: day, Purpose: PurposeSeal})
	if v.Outcome != Passed || !v.Trusted || len(v.Path) != 3 || v.Path[2] != root.Certificate {
		t.Fatalf("%+v", v)
	}
	for _, name := range []string{StepPath, StepSignature, StepValidity, StepConstraints, StepPolicy, StepUsage} {
		if v.Step(name).Outcome != Passed {
			t.Errorf("%s: %+v", name, v.Step(name))
		}
	}
	if v.Step(StepNames).Outcome != NotApplicable || v.Step(StepRevocation).Outcome != NotApplicable {
		t.Errorf("%+v", v.Steps)
	}
	if direct := Validate(leaf.Certificate, Options{Roots: pool(leaf), At: day}); direct.Outcome != Passed || len(direct.Path) != 1 {
		t.Errorf("a certificate that is itself trusted: %+v", direct)
	}
}

// TestValidateSteps: an attack or defect in each row, with the one step that must find it.
func TestValidateSteps(t *testing.T) {
	root := under(t, holder{}, person("根"), newSM2(t), asCA(-1))
	key := newSM2(t)
	issuing := under(t, root, person("签发"), key, asCA(0))
	leaf := func(changes ...change) holder { return under(t, issuing, person("张三"), newSM2(t), changes...) }
	through := func(ca holder, changes ...change) (holder, []holder) {
		return under(t, ca, person("张三"), newSM2(t), changes...), []holder{ca}
	}
	type row struct {
		name    string
		step    string
		outcome Outcome
		code    string
		leaf    holder
		inter   []holder
		options func(*Options)
	}
	var rows []row
	add := func(name, step string, outcome Outcome, code string, options func(*Options), leaf holder, inter []holder) {
		rows = append(rows, row{name, step, outcome, code, leaf, inter, options})
	}
	with := func(o func(*Options)) func(*Options) { return o }
	std := []holder{issuing}

	add("ended", StepValidity, Failed, "validity.ended", with(func(o *Options) { o.At = day.AddDate(3, 0, 0) }), leaf(), std)
	add("not yet", StepValidity, Failed, "validity.not-yet", with(func(o *Options) { o.At = day.AddDate(0, -2, 0) }), leaf(), std)
	l, i := through(under(t, root, person("旧签发"), newSM2(t), asCA(0), valid(day.AddDate(-5, 0, 0), day.AddDate(-1, 0, 0))))
	add("issuer ended", StepValidity, Failed, "validity.ended", nil, l, i)

	l, i = through(under(t, root, person("冒充"), newSM2(t)))
	add("issuer is no CA", StepConstraints, Failed, "constraints.not-ca", nil, l, i)
	l, i = through(under(t, root, person("限用"), newSM2(t), asCA(0), func(x *Template) { x.KeyUsage = UsageCRLSign }))
	add("issuer may sign CRLs only", StepConstraints, Failed, "constraints.no-cert-sign", nil, l, i)
	sub := under(t, issuing, person("下级"), newSM2(t), asCA(0))
	l, i = through(sub)
	add("path length", StepConstraints, Failed, "constraints.path-length", nil, l, append(i, issuing))
	add("unknown critical extension", StepConstraints, Failed, "constraints.unknown-critical", nil,
		leaf(func(x *Template) { x.Extra = []Extension{{ID: "1.2.3.4", Critical: true, Value: []byte{5, 0}}} }), std)

	add("encryption key signs", StepUsage, Failed, "usage.key", nil, leaf(func(x *Template) { x.KeyUsage = UsageKeyEncipherment }), std)
	add("no key usage at all", StepUsage, Passed, "", nil, leaf(func(x *Template) { x.KeyUsage = 0 }), std)
	stamp := with(func(o *Options) { o.Purpose = PurposeTimeStamp })
	eku := func(critical bool, ids ...OID) change {
		return func(x *Template) { x.ExtKeyUsage, x.ExtKeyUsageCritical = ids, critical }
	}
	add("time-stamp", StepUsage, Passed, "", stamp, leaf(eku(true, OIDTimeStamping)), std)
	add("time-stamp without EKU", StepUsage, Failed, "usage.extended", stamp, leaf(), std)
	add("time-stamp under any", StepUsage, Failed, "usage.extended", stamp, leaf(eku(true, OIDAnyExtKeyUsage)), std)
	add("time-stamp not critical", StepUsage, Failed, "usage.not-alone", stamp, leaf(eku(false, OIDTimeStamping)), std)
	add("time-stamp and more", StepUsage, Failed, "usage.not-alone", stamp, leaf(eku(true, OIDTimeStamping, OIDClientAuth)), std)
	client := with(func(o *Options) { o.Purpose = PurposeClient })
	add("client under any", StepUsage, Passed, "", client, leaf(eku(false, OIDAnyExtKeyUsage)), std)
	add("client without EKU", StepUsage, Passed, "", client, leaf(), std)
	add("client with server EKU", StepUsage, Failed, "usage.extended", client, leaf(eku(false, OIDServerAuth)), std)
	l, i = through(under(t, root, person("服务器CA"), newSM2(t), asCA(0), eku(false, OIDServerAuth)), eku(false, OIDClientAuth))
	add("CA for servers only", StepUsage, Failed, "usage.ca-extended", client, l, i)
	add("leaf as CA", StepUsage, Failed, "usage.not-ca", with(func(o *Options) { o.Purpose = PurposeCertificate }), leaf(), std)

	add("no issuer", StepPath, Indeterminate, "path.no-root", nil, leaf(), nil)
	add("no issuer, no bad signature", StepSignature, NotApplicable, "", nil, leaf(), nil)
	add("self-signed", StepPath, Indeterminate, "path.self-signed", nil, under(t, holder{}, person("张三"), newSM2(t)), std)
	impostor := under(t, root, person("签发"), newSM2(t), asCA(0))
	add("same name, another key identifier", StepPath, Indeterminate, "path.no-root", nil, leaf(), []holder{impostor})
	forged := under(t, holder{issuing.Certificate, newSM2(t)}, person("张三"), newSM2(t))
	add("forged", StepSignature, Failed, "signature.invalid", nil, forged, std)
	add("forged", StepPath, Indeterminate, "path.broken", nil, forged, std)
	add("forged root", StepSignature, Failed, "signature.invalid", nil,
		under(t, holder{root.Certificate, newSM2(t)}, person("张三"), newSM2(t)), nil)
	add("signed by itself in the issuer's name", StepSignature, Failed, "signature.invalid", nil, leafInName(t, issuing), std)

	for _, r := range rows {
		o := Options{Roots: pool(root), Intermediates: pool(r.inter...), At: day, Purpose: PurposeSeal}
		if r.options != nil {
			r.options(&o)
		}
		v := Validate(r.leaf.Certificate, o)
		got := v.Step(r.step)
		if got.Outcome != r.outcome || got.Code != r.code {
			t.Errorf("%s: %s is %s %q, want %s %q", r.name, r.step, got.Outcome, got.Code, r.outcome, r.code)
		}
		if rank(v.Outcome) < rank(r.outcome) {
			t.Errorf("%s: the whole is %s", r.name, v.Outcome)
		}
		if zh, en := CodeText(got.Code); got.Code != "" && (zh == "" || en == "") {
			t.Errorf("%s: no words for %q", r.name, got.Code)
		}
	}
}

// leafInName is a certificate that names ca as its issuer, without a key identifier, and is signed with its own key.
func leafInName(t testing.TB, ca holder) holder {
	t.Helper()
	key := newSM2(t)
	tmpl := leafTemplate(person("李四"), key)
	tmpl.Issuer = ca.Subject
	c, err := Create(tmpl, key)
	if err != nil {
		t.Fatal(err)
	}
	return holder{c, key}
}

func TestEveryEditOfACertificateIsFound(t *testing.T) {
	root, issuing, leaf := chain(t)
	options := Options{Roots: pool(root), Intermediates: pool(issuing), At: day, Purpose: PurposeSeal}
	for i := range leaf.Raw {
		edited := bytes.Clone(leaf.Raw)
		edited[i] ^= 1
		c, err := ParseLenient(edited)
		if err != nil {
			continue
		}
		if v := Validate(c, options); v.Outcome == Passed {
			t.Fatalf("octet %d can be changed", i)
		}
	}
}

func TestValidateAmongSeveralPaths(t *testing.T) {
	oldRoot := under(t, holder{}, person("旧根"), newSM2(t), asCA(-1), valid(day.AddDate(-9, 0, 0), day.AddDate(-1, 0, 0)))
	root := under(t, holder{}, person("根"), newSM2(t), asCA(-1))
	key := newSM2(t)
	crossOld := under(t, oldRoot, person("签发"), key, asCA(0))
	cross := under(t, root, person("签发"), key, asCA(0))
	leaf := under(t, cross, person("张三"), newSM2(t))
	for _, order := range [][]holder{{crossOld, cross}, {cross, crossOld}} {
		v := Validate(leaf.Certificate, Options{Roots: pool(oldRoot, root), Intermediates: pool(order...), At: day})
		if v.Outcome != Passed || v.Path[2] != root.Certificate {
			t.Errorf("the good path was not taken: %+v", v.Steps)
		}
	}
	v := Validate(leaf.Certificate, Options{Roots: pool(oldRoot), Intermediates: pool(crossOld, cross), At: day})
	if v.Outcome != Failed || v.Step(StepValidity).Code != "validity.ended" {
		t.Errorf("the only path has an ended root: %+v", v.Steps)
	}
}

// TestValidateIsBounded: CAs that certify each other in all combinations.
func TestValidateIsBounded(t *testing.T) {
	const n = 12
	keys := make([]crypto.Signer, n)
	for i := range keys {
		keys[i] = newSM2(t)
	}
	name := func(i int) Name { return person(fmt.Sprintf("CA %d", i)) }
	self := make([]holder, n)
	for i := range self {
		self[i] = under(t, holder{}, name(i), keys[i], asCA(-1))
	}
	var inter []holder
	for i := range n {
		for j := range n {
			if i != j {
				inter = append(inter, under(t, self[i], name(j), keys[j], asCA(-1)))
			}
		}
	}
	leaf := under(t, self[0], person("张三"), newSM2(t))
	stranger := under(t, holder{}, person("别的根"), newSM2(t), asCA(-1))
	v := Validate(leaf.Certificate, Options{Roots: pool(stranger), Intermediates: pool(inter...), At: day, MaxLength: 32})
	if v.Outcome != Indeterminate || v.Trusted {
		t.Errorf("%s %+v", v.Outcome, v.Step(StepPath))
	}
	root := under(t, stranger, name(n-1), keys[n-1], asCA(-1))
	v = Validate(leaf.Certificate, Options{Roots: pool(stranger), Intermediates: pool(append([]holder{root}, inter...)...), At: day})
	if v.Outcome != Passed && v.Step(StepPath).Code != "path.budget" {
		t.Errorf("%s %+v", v.Outcome, v.Step(StepPath))
	}
}

func TestNameConstraints(t *testing.T) {
	root := under(t, holder{}, person("根"), newSM2(t), asCA(-1))
	ca := under(t, root, person("受限"), newSM2(t), asCA(0), func(x *Template) { x.NameConstraints = sampleConstraints() })
	for _, row := range []struct {
		name string
		make change
		code string
	}{
		{"within", func(x *Template) {
			x.AltNames = GeneralNames{
				DNS: []string{"example.cn", "WWW.Example.CN"}, Email: []string{"a@example.cn", "b@x.mail.example.cn"}, URI: []string{"https://www.example.cn:8443/a?b"},
				IP: []netip.Addr{netip.MustParseAddr("192.0.2.7"), netip.MustParseAddr("2001:db8:1::1")},
			}
		}, ""},
		{"DNS outside", func(x *Template) { x.AltNames.DNS = []string{"example.cn", "example.com"} }, "names.not-permitted"},
		{"DNS suffix without a dot", func(x *Template) { x.AltNames.DNS = []string{"notexample.cn"} }, "names.not-permitted"},
		{"DNS excluded", func(x *Template) { x.AltNames.DNS = []string{"x.bad.example.cn"} }, "names.excluded"},
		{"wildcard over what is excluded", func(x *Template) { x.AltNames.DNS = []string{"*.example.cn"} }, "names.excluded"},
		{"wildcard elsewhere", func(x *Template) { x.AltNames.DNS = []string{"*.good.example.cn"} }, ""},
		{"mail on a host below", func(x *Template) { x.AltNames.Email = []string{"a@x.example.cn"} }, "names.not-permitted"},
		{"mail in the subject", func(x *Template) {
			x.Subject = NewName(attr(OIDCountry, "CN"), attr(OIDEmailAddress, "a@evil.cn"))
		}, "names.not-permitted"},
		{"URI on the domain itself", func(x *Template) { x.AltNames.URI = []string{"https://example.cn/"} }, "names.not-permitted"},
		{"URI with an address", func(x *Template) { x.AltNames.URI = []string{"https://192.0.2.1/"} }, "names.not-permitted"},
		{"URI without a host", func(x *Template) { x.AltNames.URI = []string{"urn:x:y"} }, "names.not-permitted"},
		{"URI with a user part", func(x *Template) { x.AltNames.URI = []string{"https://a.example.cn@evil.cn/"} }, "names.not-permitted"},
		{"IP outside", func(x *Template) { x.AltNames.IP = []netip.Addr{netip.MustParseAddr("198.51.100.1")} }, "names.not-permitted"},
		{"IP excluded", func(x *Template) { x.AltNames.IP = []netip.Addr{netip.MustParseAddr("192.0.2.200")} }, "names.excluded"},
		{"subject outside", func(x *Template) { x.Subject = NewName(attr(OIDCountry, "US"), attr(OIDCommonName, "x")) }, "names.not-permitted"},
		{"subject in another order", func(x *Template) { x.Subject = NewName(attr(OIDCommonName, "x"), attr(OIDCountry, "CN")) }, "names.not-permitted"},
		{"directory name outside", func(x *Template) {
			x.AltNames.Directory = []Name{NewName(attr(OIDCountry, "US"))}
		}, "names.not-permitted"},
		{"same name as the CA", func(x *Template) { x.Subject = person("受限"); x.AltNames.DNS = []string{"evil.cn"} }, "names.not-permitted"},
	} {
		leaf := under(t, ca, person("张三"), newSM2(t), row.make)
		got := Validate(leaf.Certificate, Options{Roots: pool(root), Intermediates: pool(ca), At: day}).Step(StepNames)
		want := Failed
		if row.code == "" {
			want = Passed
		}
		if got.Outcome != want || got.Code != row.code {
			t.Errorf("%s: %s %q (%s)", row.name, got.Outcome, got.Code, got.Evidence)
		}
	}
}

func TestNameConstraintsWorkIsBounded(t *testing.T) {
	nc := NameConstraints{}
	names := GeneralNames{}
	for i := range 400 {
		nc.Excluded.DNS = append(nc.Excluded.DNS, fmt.Sprintf("x%d.cn", i))
		names.DNS = append(names.DNS, fmt.Sprintf("y%d.cn", i))
	}
	budget := maxNameComparisons
	if code, _ := nc.check(names, &budget); code != "names.too-many" {
		t.Errorf("got %q", code)
	}
	other := NameConstraints{Excluded: Subtrees{Unsupported: []uint8{nameOther}}}
	if code, _ := other.check(GeneralNames{Other: []OtherName{{Tag: nameOther}}}, &budget); code != "names.unsupported" {
		t.Errorf("got %q", code)
	}
}

func TestPolicies(t *testing.T) {
	const gold, silver, foreign OID = "1.2.156.999.1", "1.2.156.999.2", "1.2.156.888.1"
	zero := 0
	policies := func(ids ...OID) change {
		return func(x *Template) {
			x.Policies = nil
			for _, id := range ids {
				x.Policies = append(x.Policies, Policy{ID: id})
			}
		}
	}
	mapping := func(m ...PolicyMapping) change { return func(x *Template) { x.PolicyMappings = m } }
	explicit := func(x *Template) { x.PolicyConstraints = &PolicyConstraints{RequireExplicit: 0, InhibitMapping: -1} }
	noMapping := func(x *Template) { x.PolicyConstraints = &PolicyConstraints{RequireExplicit: -1, InhibitMapping: 0} }
	noAny := func(x *Template) { x.InhibitAnyPolicy = &zero }
	root := under(t, holder{}, person("根"), newSM2(t), asCA(-1))
	for _, row := range []struct {
		name  string
		ca    []change
		sub   []change
		leaf  []change
		asked []OID
		code  string
		valid []OID
	}{
		{"none anywhere", nil, nil, nil, nil, "", nil},
		{"none anywhere, asked for", nil, nil, nil, []OID{gold}, "policy.none-valid", nil},
		{"gold all the way", []change{policies(gold, silver)}, []change{policies(gold)}, []change{policies(gold)}, []OID{gold}, "", []OID{gold}},
		{"silver at the end", []change{policies(gold)}, []change{policies(gold)}, []change{policies(silver)}, []OID{silver}, "policy.none-valid", nil},
		{"asked for another", []change{policies(gold)}, []change{policies(gold)}, []change{policies(gold)}, []OID{silver}, "policy.none-valid", nil},
		{"CAs assert any", []change{policies(OIDAnyPolicy)}, []change{policies(OIDAnyPolicy)}, []change{policies(gold)}, []OID{gold}, "", []OID{gold}},
		{"all assert any", []change{policies(OIDAnyPolicy)}, []change{policies(OIDAnyPolicy)}, []change{policies(OIDAnyPolicy)}, []OID{gold}, "", []OID{gold}},
		{"any inhibited", []change{policies(gold), noAny}, []change{policies(OIDAnyPolicy)}, []change{policies(gold)}, []OID{gold}, "policy.none-valid", nil},
		{"mapped", []change{policies(gold), mapping(PolicyMapping{gold, foreign})}, []change{policies(foreign)}, []change{policies(foreign)}, []OID{gold}, "", []OID{gold}},
		{"mapped, asked in foreign words", []change{policies(gold), mapping(PolicyMapping{gold, foreign})}, []change{policies(foreign)}, []change{policies(foreign)}, []OID{foreign}, "policy.none-valid", nil},
		{"mapped twice", []change{policies(gold), mapping(PolicyMapping{gold, foreign})}, []change{policies(foreign), mapping(PolicyMapping{foreign, silver})}, []change{policies(silver)}, []OID{gold}, "", []OID{gold}},
		{"mapping from any", []change{policies(OIDAnyPolicy), mapping(PolicyMapping{gold, foreign})}, []change{policies(foreign)}, []change{policies(foreign)}, []OID{gold}, "", []OID{gold}},
		{"mapping inhibited", []change{policies(gold), noMapping}, []change{policies(gold), mapping(PolicyMapping{gold, foreign})}, []change{policies(foreign)}, []OID{gold}, "policy.none-valid", nil},
		{"any-policy mapped", []change{policies(OIDAnyPolicy), mapping(PolicyMapping{OIDAnyPolicy, gold})}, []change{policies(gold)}, []change{policies(gold)}, nil, "policy.any-mapped", nil},
		{"explicit by the CA, none in the leaf", []change{policies(gold), explicit}, []change{policies(gold)}, nil, nil, "policy.none-valid", nil},
		{"explicit by the CA, gold", []change{policies(gold), explicit}, []change{policies(gold)}, []change{policies(gold)}, nil, "", []OID{gold}},
	} {
		ca := under(t, root, person("上级"), newSM2(t), append([]change{asCA(-1)}, row.ca...)...)
		sub := under(t, ca, person("签发"), newSM2(t), append([]change{asCA(-1)}, row.sub...)...)
		leaf := under(t, sub, person("张三"), newSM2(t), row.leaf...)
		v := Validate(leaf.Certificate, Options{Roots: pool(root), Intermediates: pool(ca, sub), At: day, Policies: row.asked})
		got := v.Step(StepPolicy)
		if got.Code != row.code || (got.Outcome == Failed) != (row.code != "") {
			t.Errorf("%s: %s %q (%s)", row.name, got.Outcome, got.Code, got.Evidence)
		}
		if row.code == "" && !slices.Equal(v.Policies, row.valid) {
			t.Errorf("%s: valid are %v, want %v", row.name, v.Policies, row.valid)
		}
	}
}

// TestPolicyGraphDoesNotExplode: each CA maps each policy to each; the tree of RFC 5280 would have 20^8 nodes.
func TestPolicyGraphDoesNotExplode(t *testing.T) {
	const n = 15
	oid := func(i int) OID { return OID(fmt.Sprintf("1.2.3.%d", i)) }
	everything := func(x *Template) {
		x.Policies, x.PolicyMappings = nil, nil
		for i := range n {
			x.Policies = append(x.Policies, Policy{ID: oid(i)})
			for j := range n {
				x.PolicyMappings = append(x.PolicyMappings, PolicyMapping{oid(i), oid(j)})
			}
		}
	}
	root := under(t, holder{}, person("根"), newSM2(t), asCA(-1))
	cas := []holder{root}
	for i := range 8 {
		cas = append(cas, under(t, cas[i], person(fmt.Sprintf("CA %d", i)), newSM2(t), asCA(-1), everything))
	}
	leaf := under(t, cas[8], person("张三"), newSM2(t), func(x *Template) { x.Policies = []Policy{{ID: oid(3)}} })
	v := Validate(leaf.Certificate, Options{Roots: pool(root), Intermediates: pool(cas[1:]...), At: day, Policies: []OID{oid(7)}})
	if v.Outcome != Passed || !slices.Equal(v.Policies, []OID{oid(7)}) {
		t.Errorf("%s %v %+v", v.Outcome, v.Policies, v.Step(StepPolicy))
	}
}

func TestRevocationStep(t *testing.T) {
	root, issuing, leaf := chain(t)
	made := day.Add(-time.Hour)
	for _, row := range []struct {
		name    string
		status  RevocationStatus
		proven  bool
		outcome Outcome
		code    string
	}{
		{"good", RevocationStatus{State: RevocationGood, Produced: made}, false, Passed, ""},
		{"zero value", RevocationStatus{}, false, Indeterminate, "revocation.unknown"},
		{"stale", RevocationStatus{Code: "revocation.stale"}, false, Indeterminate, "revocation.stale"},
		{"revoked", RevocationStatus{State: RevocationRevoked, RevokedAt: day.Add(-time.Minute)}, false, Failed, "revocation.revoked"},
		{"revoked at that second", RevocationStatus{State: RevocationRevoked, RevokedAt: day}, true, Failed, "revocation.revoked"},
		{"on hold", RevocationStatus{State: RevocationRevoked, RevokedAt: made, Reason: ReasonCertificateHold}, false, Failed, "revocation.on-hold"},
		{"later, claimed time", RevocationStatus{State: RevocationRevoked, RevokedAt: day.Add(time.Minute)}, false, Indeterminate, "revocation.later"},
		{"later, proven time", RevocationStatus{State: RevocationRevoked, RevokedAt: day.Add(time.Minute)}, true, Passed, "revocation.later"},
		{"key lost before, revoked later", RevocationStatus{State: RevocationRevoked, RevokedAt: day.Add(time.Minute), InvalidSince: day.Add(-time.Minute)}, true, Failed, "revocation.revoked"},
	} {
		asked := 0
		v := Validate(leaf.Certificate, Options{
			Roots: pool(root), Intermediates: pool(issuing), At: day, TimeProven: row.proven,
			Revocation: func(c, issuer *Certificate) RevocationStatus {
				asked++
				if c != leaf.Certificate {
					return RevocationStatus{State: RevocationGood, Produced: made}
				}
				if issuer != issuing.Certificate {
					t.Errorf("asked with the wrong issuer")
				}
				return row.status
			},
		})
		got := v.Step(StepRevocation)
		if got.Outcome != row.outcome || got.Code != row.code || asked != 2 {
			t.Errorf("%s: %s %q, asked %d times", row.name, got.Outcome, got.Code, asked)
		}
		if row.name == "good" && got.Age != time.Hour {
			t.Errorf("age %s", got.Age)
		}
	}
}

func TestRevocationFromCRLs(t *testing.T) {
	root, issuing, leaf := chain(t, func(x *Template) { x.CRLPoints = []string{"http://x/1.crl"} })
	list := func(signer holder, number uint64, this time.Time, entries ...CRLEntry) *CRL {
		return parsedCRL(t, signer, number, this, entries)
	}
	revoked := CRLEntry{Serial: leaf.Serial, RevokedAt: day.Add(-2 * time.Hour), Reason: ReasonKeyCompromise}
	hold := CRLEntry{Serial: leaf.Serial, RevokedAt: day.Add(-2 * time.Hour), Reason: ReasonCertificateHold}
	namesake := under(t, root, person("签发"), newSM2(t), asCA(0))
	impostor := under(t, root, person("签发"), newSM2(t), asCA(0), func(x *Template) { x.SubjectKeyID = issuing.SubjectKeyID })
	of := list(root, 1, day.Add(-time.Hour))
	for _, row := range []struct {
		name    string
		crls    []*CRL
		outcome Outcome
		code    string
	}{
		{"none", nil, Indeterminate, "revocation.no-crl"},
		{"of the root only", []*CRL{of}, Indeterminate, "revocation.no-crl"},
		{"good", []*CRL{of, list(issuing, 1, day.Add(-time.Hour))}, Passed, ""},
		{"revoked", []*CRL{of, list(issuing, 1, day.Add(-time.Hour), revoked)}, Failed, "revocation.revoked"},
		{"revoked in the newer", []*CRL{of, list(issuing, 2, day.Add(-time.Hour), revoked), list(issuing, 1, day.Add(-3*time.Hour))}, Failed, "revocation.revoked"},
		{"hold ended", []*CRL{of, list(issuing, 1, day.Add(-3*time.Hour), hold), list(issuing, 2, day.Add(-time.Hour))}, Passed, ""},
		{"stale", []*CRL{of, list(issuing, 1, day.AddDate(0, 0, -9))}, Indeterminate, "revocation.stale"},
		{"stale and revoked", []*CRL{of, list(issuing, 1, day.AddDate(0, 0, -9), CRLEntry{Serial: leaf.Serial, RevokedAt: day.AddDate(0, 0, -10)})}, Failed, "revocation.revoked"},
		{"stale and on hold", []*CRL{of, list(issuing, 1, day.AddDate(0, 0, -9), hold)}, Indeterminate, "revocation.stale"},
		{"made later", []*CRL{of, list(issuing, 1, day.AddDate(0, 1, 0))}, Passed, ""},
		{"made after the end", []*CRL{of, list(issuing, 1, day.AddDate(3, 0, 0))}, Indeterminate, "revocation.after-end"},
		{"of another key of that name", []*CRL{of, list(namesake, 9, day.Add(-time.Minute))}, Indeterminate, "revocation.no-crl"},
		{"forged", []*CRL{of, list(impostor, 9, day.Add(-time.Minute))}, Indeterminate, "revocation.crl-signature"},
		{"forged beside a true one", []*CRL{of, list(impostor, 9, day.Add(-time.Minute)), list(issuing, 1, day.Add(-time.Hour), revoked)}, Failed, "revocation.revoked"},
	} {
		v := Validate(leaf.Certificate, Options{
			Roots: pool(root), Intermediates: pool(issuing), At: day, Purpose: PurposeSeal, Revocation: RevocationFromCRLs(append(row.crls, nil), day),
		})
		got := v.Step(StepRevocation)
		if got.Outcome != row.outcome || got.Code != row.code {
			t.Errorf("%s: %s %q (%s)", row.name, got.Outcome, got.Code, got.Evidence)
		}
		if zh, en := CodeText(got.Code); got.Code != "" && (zh == "" || en == "") {
			t.Errorf("%s: no words for %q", row.name, got.Code)
		}
	}
}

func TestValidateOtherAlgorithms(t *testing.T) {
	for name, key := range map[string]func() crypto.Signer{
		"p256": func() crypto.Signer { return newKey(t, false) },
		"rsa":  func() crypto.Signer { return newRSA(t, 2048) },
	} {
		root := under(t, holder{}, person("Root"), key(), asCA(-1))
		leaf := under(t, root, person("Leaf"), newSM2(t))
		if v := Validate(leaf.Certificate, Options{Roots: pool(root), At: day}); v.Outcome != Passed {
			t.Errorf("%s: %+v", name, v.Steps)
		}
	}
}

// TestSM2KeyIsNoECDSAKey: the same octets must not verify under both.
func TestSM2KeyIsNoECDSAKey(t *testing.T) {
	sm2Key, p256 := newSM2(t), newKey(t, false)
	message := []byte("m")
	_, sm2Sig, err := Sign(sm2Key, message)
	if err != nil {
		t.Fatal(err)
	}
	_, ecdsaSig, err := Sign(p256, message)
	if err != nil {
		t.Fatal(err)
	}
	for name, err := range map[string]error{
		"SM2 key, ECDSA":   CheckSignature(sm2Key.Public(), ECDSAWithSHA256, message, ecdsaSig),
		"P-256 key, SM2":   CheckSignature(p256.Public(), SM2WithSM3, message, sm2Sig),
		"SM2 key, RSA":     CheckSignature(sm2Key.Public(), RSAWithSHA256, message, sm2Sig),
		"RSA key, SM2":     CheckSignature(newRSA(t, 2048).Public(), SM2WithSM3, message, sm2Sig),
		"RSA 1024":         CheckSignature(newRSA(t, 1024).Public(), RSAWithSHA256, message, sm2Sig),
		"P-256 key, other": CheckSignature(p256.Public(), ECDSAWithSHA256, []byte("n"), ecdsaSig),
		"unknown":          CheckSignature(p256.Public(), UnknownSignature, message, ecdsaSig),
	} {
		if err == nil {
			t.Errorf("%s: verified", name)
		}
	}
}

// parsedCRL makes a list good for a week.
func parsedCRL(t testing.TB, ca holder, number uint64, this time.Time, entries []CRLEntry) *CRL {
	t.Helper()
	der := writeCRL(t, CRLTemplate{
		Issuer: ca.Certificate, Number: number, ThisUpdate: this, NextUpdate: this.AddDate(0, 0, 7), Entries: slices.Values(entries),
	}, party(ca))
	c, err := ParseCRL(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}
