package ca

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"hufu/certs"
	"hufu/certs/cmp"
	"hufu/internal/actor"
	"hufu/internal/fault"
)

// The refusals about authorities that issue for us.
var (
	ErrExternal = fault.New(fault.Unavailable, "ca.external",
		"The external authority did not answer as it should. The application is kept and will be sent again.", "外部机构未正确应答。申请已保留，将重新发送。")
	ErrExternalRefused = fault.New(fault.Conflict, "ca.external-refused",
		"The external authority refused the application. Its words are kept with the order; apply anew once that is settled.",
		"外部机构拒绝了该申请，其说明已随订单保留。解决后请重新申请。")
	ErrExternalUnfit = fault.New(fault.Conflict, "ca.external-unfit",
		"The external authority issued another certificate than was asked for, and was told to revoke it. Settle with it why, then apply anew.",
		"外部机构签发的证书与申请不符，已要求其吊销。请与该机构查明原因后重新申请。")
	ErrExternalEntry = fault.New(fault.Invalid, "ca.external-entry",
		"The external authority cannot be entered so. Give a name, an http or https address, its certificate and that of our key.",
		"外部机构信息有误。请填写名称、http 或 https 地址、其证书以及本方密钥的证书。")
	ErrWaits = fault.New(fault.Unavailable, "ca.external-waits",
		"The external authority has not decided yet. The answer is fetched when it is there.", "外部机构尚未作出决定，结果将自动获取。")
)

// externalMark begins the issuer of a profile whose certificates an external authority makes; its name follows.
const externalMark = "external:"

// externalName returns the name of the external authority that makes a profile's certificates; "" when ours does.
func externalName(p *Profile) string {
	if p == nil {
		return ""
	}
	name, ok := strings.CutPrefix(p.Issuer, externalMark)
	if !ok {
		return ""
	}
	return name
}

// External is an authority of others that issues for us, by CMP under a key of ours in the device: proposed → in force, or
// rejected, withdrawn.
type External struct {
	Motion      `json:"-"`
	Name        string `json:"name"`
	URL         string `json:"url"`         // of its CMP service, with the profile's name there
	Certificate []byte `json:"certificate"` // that signs what it issues, DER
	Signer      []byte `json:"signer"`      // whose key protects its answers, DER
	Label       string `json:"label"`       // of our key
	Own         []byte `json:"own"`         // certificate of our key, DER
	Dialect     string `json:"dialect,omitempty"`
}

// DialectHufu is the dialect of an external authority that is a Hufu too, with our key's certificate held by one of its
// registration clients: each request names its holder and facts. Any other ("") gets a p10cr, and knows by the address and the
// request for whom it is.
const DialectHufu = "hufu"

func (m Motion) external() (External, error) {
	var e External
	if err := json.Unmarshal(m.Content, &e); err != nil {
		return e, fmt.Errorf("motion %s: %w", m.ID, err)
	}
	e.Motion = m
	return e, nil
}

var externalWord = regexp.MustCompile(`^[a-z][a-z0-9-]{0,31}$`)

// ExternalRequest makes the key in the device under which we shall speak with an external authority, and a request for its
// certificate. Asked again it asks for the same key.
func (a *Authority) ExternalRequest(ctx context.Context, by actor.Actor, name, algorithm string) ([]byte, error) {
	if err := by.Require(actor.RoleSuperAdmin); err != nil {
		return nil, err
	}
	if !externalWord.MatchString(name) {
		return nil, ErrExternalEntry.With("name %.40q", name)
	}
	key, err := a.Keys.Ensure(ctx, by, "external-"+name, algorithm, "external-ra")
	if err != nil {
		return nil, err
	}
	return certs.NewRequest(key, certs.NewName(certs.Attribute{Type: certs.OIDCommonName, Value: "ra " + name}), certs.RequestOptions{})
}

// ProposeExternal enters an external authority; another super administrator decides.
func (a *Authority) ProposeExternal(ctx context.Context, by actor.Actor, e External, reason string) (External, error) {
	if err := requirePerson(by, actor.RoleSuperAdmin); err != nil {
		return e, err
	}
	u, err := url.Parse(e.URL)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil || !externalWord.MatchString(e.Name) {
		return e, ErrExternalEntry.With("name %.40q, address %.100q", e.Name, e.URL)
	}
	if e.Dialect != "" && e.Dialect != DialectHufu {
		return e, ErrExternalEntry.With("dialect %.40q", e.Dialect)
	}
	issuer, err1 := certs.ParseLenient(e.Certificate)
	signer, err2 := certs.ParseLenient(e.Signer)
	own, err3 := certs.ParseLenient(e.Own)
	if err := errors.Join(err1, err2, err3); err != nil {
		return e, ErrExternalEntry.With("%w", err)
	}
	if !issuer.IsCA {
		return e, ErrExternalEntry.With("%s is no CA certificate", issuer.Subject)
	}
	if !certs.SameKey(signer.PublicKey, issuer.PublicKey) && signer.CheckSignature(issuer) != nil {
		return e, ErrExternalEntry.With("%s, which protects the answers, is neither the authority nor certified by it", signer.Subject)
	}
	e.Label = "external-" + e.Name
	key, err := a.Keys.Signer(ctx, e.Label)
	if err != nil || !certs.SameKey(key.Public(), own.PublicKey) {
		return e, ErrExternalEntry.With("the certificate is not that of key %q", e.Label)
	}
	m, err := a.newMotion(by, MotionExternal, e.Name, reason, e)
	if err != nil {
		return e, err
	}
	e.Motion = m
	return e, a.add(ctx, by, m, map[string]string{"certificate_sm3": hexSM3(e.Certificate), "own_sm3": hexSM3(e.Own)})
}

// DecideExternal puts an external authority in force, in the place of the one of the same name, or rejects it.
func (a *Authority) DecideExternal(ctx context.Context, by actor.Actor, id string, approve bool) (External, error) {
	if err := requirePerson(by, actor.RoleSuperAdmin); err != nil {
		return External{}, err
	}
	m, err := a.motion(ctx, MotionExternal, id)
	if err != nil {
		return External{}, err
	}
	if m.State != MotionProposed {
		return External{}, ErrMotion.With("motion %s is %s", id, m.State)
	}
	if err := m.checked(by); err != nil {
		return External{}, err
	}
	act := "approve"
	if m.State = MotionInForce; !approve {
		m.State, act = MotionRejected, "reject"
	}
	m.Checkers = append(m.Checkers, by.Subject)
	err = a.Store.Update(ctx, func(w W) error {
		before, err := w.Motions(MotionExternal, MotionInForce, m.Subject, 10)
		for _, old := range before {
			if err != nil || !approve {
				break
			}
			old.State = MotionWithdrawn
			err = a.change(w, by, old, "replace", nil)
		}
		if err != nil {
			return err
		}
		return a.change(w, by, m, act, nil)
	})
	if err != nil {
		return External{}, err
	}
	m.Revision++
	return m.external()
}

// Externals lists external authorities, newest first.
func (a *Authority) Externals(ctx context.Context, by actor.Actor) (out []External, err error) {
	all, err := a.motions(ctx, by, MotionExternal, "")
	for _, m := range all {
		e, err := m.external()
		if err != nil {
			return nil, err
		}
		out = append(out, e)
	}
	return out, err
}

// externalInForce returns the authority of a name.
func (a *Authority) externalInForce(ctx context.Context, name string) (e External, err error) {
	var all []Motion
	err = a.Store.View(ctx, func(r R) error {
		all, err = r.Motions(MotionExternal, MotionInForce, name, 1)
		return err
	})
	if err == nil && len(all) == 0 {
		err = ErrIssuer.With("external authority %q is not in force", name)
	}
	if err != nil {
		return e, err
	}
	return all[0].external()
}

// trusts tells whether the signer of an answer is the one that was entered.
func (e External) trusts(signer *certs.Certificate, _ *cmp.Message) error {
	if !bytes.Equal(signer.Raw, e.Signer) {
		return ErrExternal.With("the answer is signed by %s, another than the one that was entered", signer.Subject)
	}
	return nil
}

// call sends a message of CMP.
func (a *Authority) call(ctx context.Context, address string, message []byte) ([]byte, error) {
	if a.Client == nil {
		return nil, ErrExternal.With("this node calls nobody")
	}
	ctx, cancel := context.WithTimeout(ctx, foreignDeadline)
	defer cancel()
	q, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(message))
	if err != nil {
		return nil, ErrExternal.With("%w", err)
	}
	q.Header.Set("Content-Type", "application/pkixcmp")
	answer, err := a.Client.Do(q)
	if err != nil {
		return nil, ErrExternal.With("%w", err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, ErrExternal.With("%s: %s", address, answer.Status)
	}
	data, err := io.ReadAll(io.LimitReader(answer.Body, cmp.MaxMessageSize+1))
	if err != nil || len(data) > cmp.MaxMessageSize {
		return nil, ErrExternal.With("answer of %d octets: %w", len(data), err)
	}
	return data, nil
}

// fitsOrder holds what came against what was asked: signed by the authority that was entered, for the applicant's key, in the
// name that our profile gives the holder, valid now, no CA.
func (a *Authority) fitsOrder(e External, d draft, cert *certs.Certificate) error {
	issuer, err := certs.ParseLenient(e.Certificate)
	if err != nil {
		return err
	}
	p := &prepared{draft: d}
	subject, err := d.profile.subject(p.facts(), nil)
	if err != nil {
		return err
	}
	now := a.Now()
	switch {
	case !cert.Issuer.Equal(issuer.Subject) || cert.CheckSignature(issuer) != nil:
		return ErrExternalUnfit.With("the certificate is not signed by %s", issuer.Subject)
	case !certs.SameKey(cert.PublicKey, d.public):
		return ErrExternalUnfit.With("the certificate is for another key")
	case !cert.Subject.Equal(subject):
		return ErrExternalUnfit.With("the certificate names %s, asked was %s", cert.Subject, subject)
	case cert.IsCA || now.Before(cert.NotBefore.Add(-clockSkew)) || !now.Before(cert.NotAfter):
		return ErrExternalUnfit.With("the certificate is of a CA, or not valid now")
	case len(d.profile.Usage) > 0 && cert.HasKeyUsage && cert.KeyUsage&^d.profile.made.usage != 0:
		return ErrExternalUnfit.With("the certificate allows more uses than the profile")
	}
	return nil
}

// Orders lists what waits for external authorities, oldest first, to administrators.
func (a *Authority) Orders(ctx context.Context, by actor.Actor, state OrderState) (all []Order, err error) {
	if err := by.Require(actor.RoleBusinessAdmin, actor.RoleSuperAdmin, actor.RoleAuditAdmin); err != nil {
		return nil, err
	}
	err = a.Store.View(ctx, func(r R) error {
		all, err = r.Orders(state, 100)
		return err
	})
	return all, err
}

// SettleOrders asks again for what external authorities have not answered. What one does wrong hinders no other.
func (a *Authority) SettleOrders(ctx context.Context) error {
	all, err := a.Orders(ctx, actor.ForSystem("orders"), OrderSent)
	var failed []error
	for _, o := range all {
		if ctx.Err() != nil {
			break
		}
		_, err := a.Issue(ctx, actor.ForSystem("orders"), o.Application)
		if err != nil && !slices.ContainsFunc([]error{ErrExternal, ErrExternalRefused, ErrExternalUnfit, ErrWaits}, func(e error) bool { return errors.Is(err, e) }) {
			failed = append(failed, err)
		}
	}
	return errors.Join(append(failed, err)...)
}
