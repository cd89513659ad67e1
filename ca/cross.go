package ca

import (
	"context"
	"crypto"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"hufu/certs"
	"hufu/certs/bundle"
	"hufu/internal/actor"
	"hufu/internal/fault"
)

// The refusals of cross certificates.
var (
	ErrCross = fault.New(fault.Invalid, "ca.cross",
		"The cross certificate cannot be made or taken so. Correct what is named.", "不能按此签发或接收交叉证书。请更正后重试。")
	ErrCrossProof = fault.New(fault.Invalid, "ca.cross-proof",
		"Give the other authority's request (PKCS#10) or its self-signed CA certificate, whose signature proves that it has the key.",
		"请提供对方机构的证书申请（PKCS#10）或自签名 CA 证书，以其签名证明持有密钥。")
)

// Ways of a cross certificate.
const (
	CrossOut = "out" // ours, for the key of another authority
	CrossIn  = "in"  // another authority's, for a key of ours
)

// crossProfile is the profile of those that we issue.
const crossProfile = "cross"

// CrossTerms are what a cross certificate of ours lets the other authority certify.
type CrossTerms struct {
	PathLen  int                 `json:"path_len"`        // CAs below it, 0 to 3
	Days     int                 `json:"days,omitempty"`  // 0: as the profile says, which is the most
	Names    *bundle.Names       `json:"names,omitempty"` // subtrees for names below it
	Policies []bundle.PolicyPair `json:"policies,omitempty"`
}

// Cross is a cross certificate on its way: proposed → approved (out: by two, not the maker) → in force, or rejected,
// withdrawn. One that others issued for us needs one who is not the maker, and is in force then.
type Cross struct {
	Motion      `json:"-"`
	Way         string     `json:"way"`
	Authority   string     `json:"authority"` // ours: who signs, or whose key is certified
	Name        string     `json:"name"`      // of the other authority
	Terms       CrossTerms `json:"terms,omitzero"`
	Proof       []byte     `json:"proof,omitempty"`       // request or self-signed certificate, DER
	Certificate []byte     `json:"certificate,omitempty"` // DER
}

func (m Motion) cross() (Cross, error) {
	var c Cross
	if err := json.Unmarshal(m.Content, &c); err != nil {
		return c, fmt.Errorf("motion %s: %w", m.ID, err)
	}
	c.Motion = m
	return c, nil
}

// Crosses lists cross certificates both ways, newest first.
func (a *Authority) Crosses(ctx context.Context, by actor.Actor) (out []Cross, err error) {
	all, err := a.motions(ctx, by, MotionCross, "")
	for _, m := range all {
		c, err := m.cross()
		if err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	return out, err
}

// proof is what shows that another authority has its key.
type proof struct {
	subject certs.Name
	key     crypto.PublicKey
}

// readProof takes a request or a self-signed CA certificate. Both are signed with the key itself.
func readProof(der []byte) (proof, error) {
	if r, err := certs.ParseRequest(der); err == nil {
		return proof{r.Subject, r.PublicKey}, nil
	}
	c, err := certs.ParseLenient(der)
	if err != nil {
		return proof{}, ErrCrossProof.With("%w", err)
	}
	if !c.SelfIssued() || !c.IsCA {
		return proof{}, ErrCrossProof.With("%s is no self-signed CA certificate", c.Subject)
	}
	if err := c.CheckSignatureKey(c.PublicKey); err != nil {
		return proof{}, ErrCrossProof.With("%w", err)
	}
	return proof{c.Subject, c.PublicKey}, nil
}

// ProposeCross proposes that we certify another authority's key.
func (a *Authority) ProposeCross(ctx context.Context, by actor.Actor, der []byte, terms CrossTerms, reason string) (Cross, error) {
	if err := requirePerson(by, actor.RoleBusinessAdmin, actor.RoleSuperAdmin); err != nil {
		return Cross{}, err
	}
	if strings.TrimSpace(reason) == "" {
		return Cross{}, ErrMotionReason
	}
	have, err := readProof(der)
	if err != nil {
		return Cross{}, err
	}
	p := a.profile(crossProfile)
	if p == nil {
		return Cross{}, ErrProfile.With("profile %q", crossProfile)
	}
	parent, _ := a.newestIssuer(p.Issuer)
	if parent == nil {
		return Cross{}, ErrIssuer.With("issuer %q does not exist", p.Issuer)
	}
	c := Cross{Way: CrossOut, Authority: parent.Name, Name: have.subject.String(), Terms: terms, Proof: der}
	if _, err := a.prepareCross(c, parent); err != nil { // told now, not after two have agreed
		return Cross{}, err
	}
	return a.keepCross(ctx, by, c, reason)
}

func (a *Authority) keepCross(ctx context.Context, by actor.Actor, c Cross, reason string) (Cross, error) {
	subject := []rune(c.Name)
	m, err := a.newMotion(by, MotionCross, string(subject[:min(len(subject), 200)]), reason, c)
	if err != nil {
		return Cross{}, err
	}
	c.Motion = m
	return c, a.add(ctx, by, m, map[string]string{"way": c.Way, "authority": c.Authority, "content_sm3": hexSM3(m.Content)})
}

// prepareCross applies profile and terms.
func (a *Authority) prepareCross(c Cross, parent *issuer) (*prepared, error) {
	have, err := readProof(c.Proof)
	if err != nil {
		return nil, err
	}
	for _, own := range a.ownCertificates() {
		if certs.SameKey(own.PublicKey, have.key) || own.Subject.Equal(have.subject) {
			return nil, ErrCross.With("%s has a key or the name of ours", have.subject)
		}
	}
	p, err := a.crossedProfile(c.Terms, parent)
	if err != nil {
		return nil, err
	}
	if kind := keyKind(have.key); !slices.Contains(p.Keys, kind) {
		return nil, ErrKeyKind.With("profile %q takes %v, this is %q", p.Name, p.Keys, kind)
	}
	sum, err := certs.SubjectKeyID(have.key)
	if err != nil {
		return nil, err
	}
	return a.prepare(draft{
		profile: p, public: have.key, holder: Holder{ID: fmt.Sprintf("cross:%x", sum), Kind: HolderForeign, Name: have.subject.CommonName()},
		application: "cross:" + c.ID, asked: &certs.Request{Subject: have.subject, PublicKey: have.key},
	}, parent)
}

func (a *Authority) ownCertificates() (all []*certs.Certificate) {
	_, chain := a.Issuers()
	for _, c := range chain {
		all = append(all, c)
	}
	return all
}

// crossedProfile is the profile with the terms written into it.
func (a *Authority) crossedProfile(t CrossTerms, parent *issuer) (*Profile, error) {
	base := a.profile(crossProfile)
	if base == nil {
		return nil, ErrProfile.With("profile %q", crossProfile)
	}
	p := *base
	if t.PathLen < 0 || t.PathLen > 3 || t.Days < 0 || t.Days > p.Days {
		return nil, ErrCross.With("%d CAs below, %d days; the profile allows 3 and %d", t.PathLen, t.Days, p.Days)
	}
	if most := parent.cert.MaxPathLen; most >= 0 && t.PathLen+1 > most {
		return nil, ErrCross.With("%s lets %d CAs follow, so that none may follow further than %d", parent.Name, most, most-1)
	}
	names, err := t.Names.Constraints()
	if err != nil {
		return nil, ErrCross.With("%w", err)
	}
	p.PathLen = &t.PathLen
	if t.Days > 0 {
		p.Days = t.Days
	}
	limits := Limits{}
	if p.Limits != nil {
		limits = *p.Limits
	}
	if len(t.Policies) > 0 {
		limits.Mappings = nil
		for _, m := range t.Policies {
			limits.Mappings = append(limits.Mappings, PolicyMapText{Ours: string(m.Ours), Theirs: string(m.Theirs)})
		}
		p.Policies = ourPolicies(t.Policies)
	}
	p.Limits = &limits
	if err := p.compile(); err != nil {
		return nil, ErrCross.With("%w", err)
	}
	if names != nil {
		p.made.limited.names = names
	}
	return &p, nil
}

// ourPolicies are those that a cross certificate asserts for its mappings to hang on.
func ourPolicies(pairs []bundle.PolicyPair) (out []PolicyText) {
	for _, m := range pairs {
		if !slices.ContainsFunc(out, func(t PolicyText) bool { return t.ID == string(m.Ours) }) {
			out = append(out, PolicyText{ID: string(m.Ours)})
		}
	}
	return out
}

// AcceptCross proposes to publish a cross certificate that another authority issued for a key of ours. It adds no trust here:
// others who trust that authority find a way to us by it.
func (a *Authority) AcceptCross(ctx context.Context, by actor.Actor, der []byte, reason string) (Cross, error) {
	if err := requirePerson(by, actor.RoleBusinessAdmin, actor.RoleSuperAdmin); err != nil {
		return Cross{}, err
	}
	cert, err := certs.ParseLenient(der)
	if err != nil {
		return Cross{}, ErrCross.With("%w", err)
	}
	names, chain := a.Issuers()
	i := slices.IndexFunc(names, func(name string) bool {
		return certs.SameKey(chain[name].PublicKey, cert.PublicKey) && chain[name].Subject.Equal(cert.Subject)
	})
	switch {
	case i < 0:
		return Cross{}, ErrCross.With("%s is not one of our authorities with its key", cert.Subject)
	case cert.SelfIssued():
		return Cross{}, ErrCross.With("it is self-issued")
	case !cert.IsCA || !cert.Has(certs.UsageCertSign):
		return Cross{}, ErrCross.With("it is no CA certificate")
	case a.Now().Before(cert.NotBefore) || !a.Now().Before(cert.NotAfter):
		return Cross{}, ErrCross.With("it is valid from %s to %s", cert.NotBefore, cert.NotAfter)
	case string(cert.SubjectKeyID) != string(chain[names[i]].SubjectKeyID) && len(cert.SubjectKeyID) > 0:
		return Cross{}, ErrCross.With("its subject key identifier is another one; what we issued would not lead to it")
	}
	return a.keepCross(ctx, by, Cross{Way: CrossIn, Authority: names[i], Name: cert.Issuer.String(), Certificate: cert.Raw}, reason)
}

// DecideCross agrees or rejects. Whoever proposed or has agreed already may not.
func (a *Authority) DecideCross(ctx context.Context, by actor.Actor, id string, approve bool, reason string) (Cross, error) {
	if err := requirePerson(by, actor.RoleBusinessAdmin, actor.RoleSuperAdmin, actor.RoleApprover); err != nil {
		return Cross{}, err
	}
	c, err := a.crossMotion(ctx, id, MotionProposed)
	if err != nil {
		return c, err
	}
	if err := c.checked(by); err != nil {
		return c, err
	}
	c.Checkers = append(c.Checkers, by.Subject)
	act := "approve"
	switch {
	case !approve && strings.TrimSpace(reason) == "":
		return c, ErrMotionReason
	case !approve:
		c.State, c.Reason, act = MotionRejected, c.Reason+"\n"+shortReason(reason), "reject"
	case c.Way == CrossIn:
		c.State = MotionInForce
	case len(c.Checkers) >= 2:
		c.State = MotionApproved
	}
	err = a.Store.Update(ctx, func(w W) error {
		if err := a.change(w, by, c.Motion, act, map[string]string{"content_sm3": hexSM3(c.Content)}); err != nil || c.State != MotionInForce {
			return err
		}
		return w.Enqueue(JobTrust, c.ID, nil, a.Now())
	})
	c.Revision++
	if err == nil && c.State == MotionInForce {
		err = a.loadIssuers(ctx)
	}
	return c, err
}

func shortReason(s string) string {
	text := []rune(strings.TrimSpace(s))
	return string(text[:min(len(text), maxReason)])
}

func (a *Authority) crossMotion(ctx context.Context, id string, state MotionState) (Cross, error) {
	m, err := a.motion(ctx, MotionCross, id)
	if err != nil {
		return Cross{}, err
	}
	if m.State != state {
		return Cross{}, ErrMotion.With("motion %s is %s", id, m.State)
	}
	return m.cross()
}

// WithdrawCross ends what was proposed, approved or published. One that we issued is revoked besides, by Revoke.
func (a *Authority) WithdrawCross(ctx context.Context, by actor.Actor, id string) error {
	if err := by.Require(actor.RoleBusinessAdmin, actor.RoleSuperAdmin); err != nil {
		return err
	}
	m, err := a.motion(ctx, MotionCross, id)
	if err != nil {
		return err
	}
	if m.State == MotionRejected || m.State == MotionWithdrawn {
		return ErrMotion.With("motion %s is %s", id, m.State)
	}
	m.State = MotionWithdrawn
	err = a.Store.Update(ctx, func(w W) error {
		if err := a.change(w, by, m, "withdraw", nil); err != nil {
			return err
		}
		return w.Enqueue(JobTrust, m.ID, nil, a.Now())
	})
	if err != nil {
		return err
	}
	return a.loadIssuers(ctx)
}
