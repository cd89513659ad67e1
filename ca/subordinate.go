package ca

import (
	"context"
	"crypto"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"hufu/certs"
	"hufu/internal/actor"
	"hufu/internal/fault"
	"hufu/internal/gm"
)

// The refusals of certificates from a superior.
var (
	ErrSubordinate = fault.New(fault.Invalid, "ca.subordinate",
		"The certificate from the superior cannot be used here. Ask for one that fits the request.", "上级机构签发的证书不能在此使用。请按申请重新签发。")
	ErrRootFingerprint = fault.New(fault.Denied, "ca.root-fingerprint",
		"The fingerprint is not that of the root in the chain. Compare it with what the superior published on paper.",
		"该指纹与证书链中的根证书不符。请与上级机构书面公布的指纹核对。")
	ErrSubordinateProfile = fault.New(fault.Invalid, "ca.subordinate-profile",
		"Choose the profile of an issuing authority of ours; with the same key only one that a superior has certified.",
		"请选择本系统签发 CA 的证书模板；沿用原密钥仅适用于已由上级签发的 CA。")
)

// Subordinate is the way of an authority of ours to a certificate by a superior: requested → proposed → in force, or
// withdrawn.
type Subordinate struct {
	Motion  `json:"-"`
	Profile string   `json:"profile"`
	Name    string   `json:"name"` // of the authority
	Label   string   `json:"label"`
	SameKey bool     `json:"same_key,omitempty"` // renews the authority's certificate in its place
	Request []byte   `json:"request"`            // PKCS#10, DER
	Answer  []byte   `json:"answer,omitempty"`   // the certificate, DER
	Chain   [][]byte `json:"chain,omitempty"`    // what stands above it, DER, the root last
	Root    string   `json:"root,omitempty"`     // SM3 of the root, hexadecimal
}

func (m Motion) subordinate() (Subordinate, error) {
	var s Subordinate
	if err := json.Unmarshal(m.Content, &s); err != nil {
		return s, fmt.Errorf("motion %s: %w", m.ID, err)
	}
	s.Motion = m
	return s, nil
}

// Subordinates lists requests to superiors and what came of them, newest first.
func (a *Authority) Subordinates(ctx context.Context, by actor.Actor) (out []Subordinate, err error) {
	all, err := a.motions(ctx, by, MotionSubordinate, "")
	for _, m := range all {
		s, err := m.subordinate()
		if err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, err
}

// IsSubordinate tells whether this installation is to stand, or stands, under a superior's root and has none of its own. It
// stays so when its only request is withdrawn: a start must not make a root that nobody asked for.
func (a *Authority) IsSubordinate(ctx context.Context) (is bool, err error) {
	names, _ := a.Issuers()
	if slices.ContainsFunc(names, func(name string) bool { return a.issuer(name).Parent == name }) {
		return false, nil
	}
	err = a.Store.View(ctx, func(r R) error {
		all, err := r.Motions(MotionSubordinate, "", "", 100)
		is = len(all) > 0
		return err
	})
	return is, err
}

// RequestSubordinate makes a request for a certificate by a superior: for the next generation of an authority with a new key
// in the device, or with sameKey for the certificate of the present one anew. Asked again while the request is out, it returns
// that one.
func (a *Authority) RequestSubordinate(ctx context.Context, by actor.Actor, profile string, sameKey bool) (Subordinate, error) {
	if err := by.Require(actor.RoleSuperAdmin); err != nil {
		return Subordinate{}, err
	}
	p := a.profile(profile)
	if p == nil || p.Holder != HolderAuthority || p.selfSigned() || !slices.Contains(p.Apply, ApplyBySystem) {
		return Subordinate{}, ErrSubordinateProfile.With("profile %q", profile)
	}
	newest, n := a.newestIssuer(profile)
	if sameKey && (newest == nil || !newest.Subordinate()) {
		return Subordinate{}, ErrSubordinateProfile.With("authority of profile %q with its own key", profile)
	}
	s := Subordinate{Profile: profile, SameKey: sameKey}
	if sameKey {
		s.Name, s.Label = newest.Name, newest.KeyLabel
	} else {
		s.Name = generation(profile, n+1)
		s.Label = "ca-" + s.Name
	}
	if open, err := a.openRequest(ctx, s); err != nil || open.ID != "" {
		return open, err
	}
	own, err := a.Keys.Ensure(ctx, by, s.Label, p.Keys[0], "ca-"+profile)
	if err != nil {
		return Subordinate{}, err
	}
	var subject certs.Name
	if sameKey {
		subject = newest.cert.Subject
	} else if subject, err = p.subject(authorityFacts(making{profile: p, number: n + 1}), nil); err != nil {
		return Subordinate{}, err
	}
	if s.Request, err = authorityRequest(own, subject, p); err != nil {
		return Subordinate{}, err
	}
	return a.keepRequest(ctx, by, s, own.Public())
}

// authorityFacts are the facts of an authority to be.
func authorityFacts(m making) map[string]string {
	p := &prepared{draft: draft{profile: m.profile, holder: Holder{ID: "authority:" + m.name(), Kind: HolderAuthority, Name: m.title()}}}
	return p.facts()
}

// openRequest returns the request that is out for an authority.
func (a *Authority) openRequest(ctx context.Context, s Subordinate) (Subordinate, error) {
	var all []Motion
	err := a.Store.View(ctx, func(r R) (err error) {
		all, err = r.Motions(MotionSubordinate, "", s.Name, 100)
		return err
	})
	if err != nil {
		return Subordinate{}, err
	}
	for _, m := range all {
		if m.State != MotionRequested && m.State != MotionProposed {
			continue
		}
		open, err := m.subordinate()
		if err == nil && open.SameKey != s.SameKey {
			err = ErrMotion.With("another request for authority %q is out: %s", s.Name, m.ID)
		}
		return open, err
	}
	return Subordinate{}, nil
}

func (a *Authority) keepRequest(ctx context.Context, by actor.Actor, s Subordinate, key crypto.PublicKey) (Subordinate, error) {
	spki, err := certs.MarshalPublicKey(key)
	if err != nil {
		return s, err
	}
	m, err := a.newMotion(by, MotionSubordinate, s.Name, "", s)
	if err != nil {
		return s, err
	}
	m.State = MotionRequested
	hash := gm.SM3(spki)
	err = a.Store.Update(ctx, func(w W) error {
		if err := w.ClaimKey(hash[:], KeyOwner{Holder: "authority:" + s.Name, Use: "certify"}); err != nil {
			return err
		}
		if err := w.AddMotion(m); err != nil {
			return err
		}
		return w.Record(m.entry(by, "request", map[string]string{"profile": s.Profile, "request_sm3": hexSM3(s.Request)}))
	})
	s.Motion = m
	return s, err
}

// authorityRequest asks for a CA certificate as the profile describes it.
func authorityRequest(key crypto.Signer, subject certs.Name, p *Profile) ([]byte, error) {
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Boolean(true)
		b.AddASN1Int64(int64(*p.PathLen))
	})
	basic, err := b.Bytes()
	if err != nil {
		return nil, err
	}
	return certs.NewRequest(key, subject, certs.RequestOptions{
		KeyUsage: p.made.usage, Extra: []certs.Extension{{ID: certs.OIDBasicConstraints, Critical: true, Value: basic}},
	})
}

// SubordinateAnswer is what came from the superior.
type SubordinateAnswer struct {
	ID          string   // of the request; "": found by the certificate's key
	Certificate []byte   // DER
	Chain       [][]byte // what stands above it, DER, in any order, with the root
	Fingerprint string   // of the root, SM3 or SHA-256, hexadecimal, as the operator typed it from paper
}

// InstallSubordinate checks what came from the superior and proposes it. Another super administrator confirms it.
func (a *Authority) InstallSubordinate(ctx context.Context, by actor.Actor, q SubordinateAnswer) (Subordinate, error) {
	if err := requirePerson(by, actor.RoleSuperAdmin); err != nil {
		return Subordinate{}, err
	}
	s, err := a.answered(ctx, q)
	if err != nil {
		return s, err
	}
	if s.State != MotionRequested && s.State != MotionProposed {
		return s, ErrMotion.With("motion %s is %s", s.ID, s.State)
	}
	cert, chain, err := a.checkAnswer(s, q)
	if err != nil {
		return s, err
	}
	s.Answer, s.Chain, s.Root = cert.Raw, nil, fingerprint(chain[len(chain)-1])
	for _, c := range chain {
		s.Chain = append(s.Chain, c.Raw)
	}
	if s.Content, err = json.Marshal(s); err != nil {
		return s, err
	}
	s.State, s.Maker, s.Checkers = MotionProposed, by.Subject, nil
	err = a.Store.Update(ctx, func(w W) error { return a.change(w, by, s.Motion, "propose", s.public()) })
	s.Revision++
	return s, err
}

// requirePerson is Require for what no program may do.
func requirePerson(by actor.Actor, roles ...actor.Role) error {
	if err := by.Require(roles...); err != nil {
		return err
	}
	if by.Subject == "" || by.Capacity == actor.System {
		return actor.ErrRole.With("%s is no person", by)
	}
	return nil
}

func (s Subordinate) public() map[string]string {
	return map[string]string{"certificate_sm3": hexSM3(s.Answer), "root_sm3": s.Root}
}

// answered finds the request that an answer is for.
func (a *Authority) answered(ctx context.Context, q SubordinateAnswer) (s Subordinate, err error) {
	if q.ID != "" {
		m, err := a.motion(ctx, MotionSubordinate, q.ID)
		if err != nil {
			return s, err
		}
		return m.subordinate()
	}
	cert, err := certs.ParseLenient(q.Certificate)
	if err != nil {
		return s, ErrSubordinate.With("%w", err)
	}
	var all []Motion
	err = a.Store.View(ctx, func(r R) error {
		all, err = r.Motions(MotionSubordinate, "", "", 100)
		return err
	})
	for _, m := range all {
		one, err := m.subordinate()
		if err != nil {
			return s, err
		}
		r, err := certs.ParseRequest(one.Request)
		if err != nil || !certs.SameKey(r.PublicKey, cert.PublicKey) {
			continue
		}
		if one.State == MotionRequested || one.State == MotionProposed {
			return one, nil
		}
		s = one // done with; told when nothing else fits
	}
	if err == nil && s.ID == "" {
		err = ErrSubordinate.With("no request of ours has this certificate's key")
	}
	return s, err
}

// checkAnswer holds the certificate against the request and its chain against the root that the operator names. It returns
// the chain above the certificate, the root last.
func (a *Authority) checkAnswer(s Subordinate, q SubordinateAnswer) (*certs.Certificate, []*certs.Certificate, error) {
	cert, err := certs.Parse(q.Certificate)
	if err != nil {
		return nil, nil, ErrSubordinate.With("certificate: %w", err)
	}
	request, err := certs.ParseRequest(s.Request)
	if err != nil {
		return nil, nil, err
	}
	if err := a.fits(s, cert, request); err != nil {
		return nil, nil, err
	}
	root, rest, err := pickRoot(q)
	if err != nil {
		return nil, nil, err
	}
	v := certs.Validate(cert, certs.Options{Roots: []*certs.Certificate{root}, Intermediates: rest, At: a.Now(), Purpose: certs.PurposeCertificate})
	if v.Outcome != certs.Passed {
		return nil, nil, ErrSubordinate.With("chain: %w", trusted(v))
	}
	for i, above := range v.Path[1:] { // a path ends in the certificate; what it will issue lies one further
		if need := i + 1 + *a.profile(s.Profile).PathLen; above.MaxPathLen >= 0 && above.MaxPathLen < need {
			return nil, nil, ErrSubordinate.With("%s lets %d CAs follow, %d are needed", above.Subject, above.MaxPathLen, need)
		}
	}
	return cert, v.Path[1:], nil
}

// fits holds the certificate against the request.
func (a *Authority) fits(s Subordinate, cert *certs.Certificate, request *certs.Request) error {
	p := a.profile(s.Profile)
	now := a.Now()
	switch {
	case p == nil || p.PathLen == nil:
		return ErrProfile.With("profile %q", s.Profile)
	case !certs.SameKey(cert.PublicKey, request.PublicKey):
		return ErrSubordinate.With("it certifies another key")
	case !cert.Subject.Equal(request.Subject):
		return ErrSubordinate.With("its subject is %s, asked was %s", cert.Subject, request.Subject)
	case !cert.IsCA:
		return ErrSubordinate.With("it is no CA certificate")
	case cert.MaxPathLen >= 0 && cert.MaxPathLen < *p.PathLen:
		return ErrSubordinate.With("it lets %d CAs follow, the profile needs %d", cert.MaxPathLen, *p.PathLen)
	case !cert.Has(certs.UsageCertSign | certs.UsageCRLSign):
		return ErrSubordinate.With("its key usage does not allow to sign certificates and lists")
	case now.Before(cert.NotBefore) || !now.Before(cert.NotAfter):
		return ErrSubordinate.With("it is valid from %s to %s", cert.NotBefore, cert.NotAfter)
	case len(cert.UnknownCritical) > 0:
		return ErrSubordinate.With("critical extensions %v are not known", cert.UnknownCritical)
	case len(cert.SubjectKeyID) == 0:
		return ErrSubordinate.With("it has no subject key identifier")
	}
	if s.SameKey {
		if i := a.issuer(s.Name); i == nil || string(i.cert.SubjectKeyID) != string(cert.SubjectKeyID) {
			return ErrSubordinate.With("its subject key identifier is another one; what was issued would not lead to it")
		}
	}
	return nil
}

// pickRoot finds the root in the chain by the fingerprint that was typed.
func pickRoot(q SubordinateAnswer) (root *certs.Certificate, rest []*certs.Certificate, err error) {
	typed := strings.ToLower(strings.NewReplacer(":", "", " ", "", "-", "").Replace(q.Fingerprint))
	if len(q.Chain) == 0 || len(q.Chain) > 16 {
		return nil, nil, ErrSubordinate.With("a chain of %d certificates", len(q.Chain))
	}
	for _, der := range q.Chain {
		c, err := certs.ParseLenient(der)
		if err != nil {
			return nil, nil, ErrSubordinate.With("chain: %w", err)
		}
		switch {
		case !c.SelfIssued():
			rest = append(rest, c)
		case c.CheckSignature(c) != nil:
			return nil, nil, ErrSubordinate.With("root %s does not verify by its own key", c.Subject)
		case typed != "" && (typed == fingerprint(c) || typed == sha256Hex(c.Raw)):
			root = c
		default:
			rest = append(rest, c)
		}
	}
	if root == nil {
		return nil, nil, ErrRootFingerprint.With("%.80q", q.Fingerprint)
	}
	return root, rest, nil
}

func sha256Hex(der []byte) string {
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:])
}
