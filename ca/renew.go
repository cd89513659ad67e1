package ca

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"time"

	"hufu/certs"
	"hufu/internal/actor"
	"hufu/internal/fault"
	"hufu/internal/gm"
)

// The refusals of renewals.
var (
	ErrTooEarly = fault.New(fault.Conflict, "ca.too-early",
		"It is too early to renew this certificate. Come back when it nears its end, or ask for a new key instead.", "尚未到该证书的更新期。请在临近到期时更新，或申请更换密钥。")
	ErrReplaced = fault.New(fault.Conflict, "ca.replaced",
		"This certificate is already replaced, or an application to replace it is under way. Go on with that one.", "该证书已被替换，或已有替换申请正在办理。请继续办理该申请。")
	ErrNameChanged = fault.New(fault.Conflict, "ca.name-changed",
		"The name or a fact in the certificate has changed since. Ask for a change instead of a renewal.", "证书中的名称或信息已发生变更。请办理证书变更，而不是更新。")
	ErrSameKey = fault.New(fault.Invalid, "ca.same-key",
		"A renewal keeps the key and a new key must be a new one. Make the request with the right key.", "证书更新须沿用原密钥，更换密钥须使用新密钥。请用正确的密钥生成申请。")
	ErrNoRenewal = fault.New(fault.Conflict, "ca.no-renewal",
		"This certificate cannot be replaced by itself. Renew the signing certificate that it was issued with, or apply for a new one.", "该证书不能单独更新。请更新与其同时签发的签名证书，或重新申请。")
	ErrProof = fault.New(fault.Denied, "ca.renewal-proof",
		"The signature with the certificate's key over this request is not right.", "用原证书密钥对该申请所作的签名不正确。")
)

// Replacement asks for a certificate to be replaced: renewed (same key, new time), given a new key, or changed (other facts).
type Replacement struct {
	Serial []byte
	Act    Act
	CSR    []byte            // PKCS#10, DER or PEM; may be absent to renew: then the old one serves again
	Facts  map[string]string // to change; nil: the old ones
	Proof  []byte            // signature of the old key over RenewalText; optional
	Proven bool              // a protocol of ours has seen that the request came under the old key (CMP, EST); no edge takes it from outside
	Key    string            // idempotency key
}

// renewal is what Renew found out for Apply.
type renewal struct {
	automatic bool // no officer needs to look
}

// vouched tells that the old certificate stands for the application, so that nobody looks at it and no evidence is asked for again.
func (r *renewal) vouched() bool { return r != nil && r.automatic }

// RenewalText returns what the key of the old certificate signs, as a message (SM2: identifier 1234567812345678; else SHA-256),
// in order to have it replaced on this request (DER).
func (a *Authority) RenewalText(serial []byte, act Act, csr []byte) []byte {
	hash := gm.SM3(csr)
	return fmt.Appendf(nil, "Replace this certificate by the attached request.\n%s\n%s\n%s\n%x\n", a.BaseURL, hex.EncodeToString(serial), act, hash)
}

// Renew asks for a certificate to be replaced. The holder may, officers, and whoever shows the old key; the certificate must be in
// force. The successor has the same profile in the version of today, the same holder and, but for a change, the same name. A renewal
// keeps the encryption key of the pair too; with a new key or another fact there is a new one, and what was encrypted to the
// old one stays readable by it. With the old key's signature, and where the profile says so, no officer has to look;
// everything else goes the way of every application. A certificate has one successor at most.
func (a *Authority) Renew(ctx context.Context, by actor.Actor, n Replacement) (Application, error) {
	if err := a.standing(ctx, by); err != nil {
		return Application{}, err
	}
	if n.Act != ActRenew && n.Act != ActRekey && n.Act != ActChange {
		return Application{}, ErrRequest.With("act %q", n.Act)
	}
	if n.Key != "" {
		if known, err := a.byKey(ctx, by, n.Key); err == nil && known.Replaces == hex.EncodeToString(n.Serial) {
			return known, nil
		}
	}
	old, err := a.predecessor(ctx, n.Serial)
	if err != nil {
		return Application{}, err
	}
	request, err := n.request(old)
	if err != nil {
		return Application{}, err
	}
	proven, err := a.proven(n, old, request)
	if err != nil {
		return Application{}, err
	}
	officer := by.Require(actor.RoleRegistrar, actor.RoleApprover) == nil
	if !proven && !officer && !isHolder(by, old.profile.Holder, old.Holder, old.app.Organization) {
		return Application{}, ErrUnknown.With("%s may not replace certificate %x", by, n.Serial)
	}
	if err := a.mayReplace(old, n, officer && !a.holds(by, old.Record)); err != nil {
		return Application{}, err
	}
	if err := n.checkKey(old, request); err != nil {
		return Application{}, err
	}
	facts := n.Facts
	if facts == nil {
		facts = maps.Clone(old.app.Facts)
	}
	authorised := ""
	if proven {
		authorised = hex.EncodeToString(n.Serial)
	}
	return a.Apply(ctx, by, Request{
		Authorised: authorised, Profile: old.Profile, Holder: old.Holder, Organization: old.app.Organization, Facts: facts, CSR: request.Raw, Key: n.Key,
		Act: n.Act, Replaces: hex.EncodeToString(n.Serial),
		renewal: &renewal{automatic: proven && n.Act != ActChange && old.profile.Renewal.Automatic},
	})
}

// predecessor is a certificate that is to be replaced.
type predecessor struct {
	Found
	cert    *certs.Certificate
	app     Application
	profile *Profile
	next    string // id of the application that replaces it already
}

func (a *Authority) predecessor(ctx context.Context, serial []byte) (old predecessor, err error) {
	err = a.Store.View(ctx, func(r R) (err error) {
		old = predecessor{}
		if old.Record, err = r.CertificateBySerial(serial); err != nil {
			return err
		}
		if old.app, err = r.Application(old.Application); err != nil {
			return err
		}
		if status, err := r.Revocation(old.Issuer, serial); err == nil {
			old.Status = &status
		} else if !isUnknown(err) {
			return err
		}
		next, err := r.Successor(hex.EncodeToString(serial))
		old.next = next.ID
		if isUnknown(err) {
			err = nil
		}
		return err
	})
	if err != nil {
		return old, err
	}
	if old.profile = a.profile(old.Profile); old.profile == nil {
		return old, ErrProfile.With("profile %q is gone", old.Profile)
	}
	old.cert, err = certs.Parse(old.DER)
	return old, err
}

// request returns the certificate request to be used; that of the old certificate serves a renewal, whose key it shows.
func (n Replacement) request(old predecessor) (*certs.Request, error) {
	csr := n.CSR
	if len(csr) == 0 && n.Act != ActRekey {
		csr = old.app.Request
	}
	if len(csr) > 0 && csr[0] == '-' {
		var err error
		if csr, err = certs.DecodePEM(csr, "CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"); err != nil {
			return nil, ErrRequest.With("%w", err)
		}
	}
	request, err := certs.ParseRequest(csr)
	if err != nil {
		return nil, ErrRequest.With("%w", err)
	}
	return request, nil
}

func (a *Authority) proven(n Replacement, old predecessor, request *certs.Request) (bool, error) {
	if n.Proven || len(n.Proof) == 0 {
		return n.Proven, nil
	}
	alg, err := certs.SigningAlgorithm(old.cert.PublicKey)
	if err != nil {
		return false, err
	}
	if err := certs.CheckSignature(old.cert.PublicKey, alg, a.RenewalText(n.Serial, n.Act, request.Raw), n.Proof); err != nil {
		return false, ErrProof.With("certificate %x: %w", n.Serial, err)
	}
	return true, nil
}

// mayReplace tells whether the state of a certificate and its profile allow the act now. An officer may renew before its time.
func (a *Authority) mayReplace(old predecessor, n Replacement, officer bool) error {
	p, now := old.profile, a.Now()
	switch old.State(now) {
	case CertificateRevoked:
		return ErrRevoked.With("certificate %x", n.Serial)
	case CertificateHeld:
		return ErrHeld.With("certificate %x", n.Serial)
	case CertificateExpired:
		return ErrEnded.With("certificate %x ended %s", n.Serial, old.NotAfter.Format(time.RFC3339))
	}
	from := old.NotAfter.AddDate(0, 0, -p.RenewFrom())
	switch {
	case !old.NotAfter.After(now): // held or revoked certificates are refused above even when they have ended
		return ErrEnded.With("certificate %x", n.Serial)
	case p.KeyFrom == "kmc" || p.isCA() || !slices.ContainsFunc(p.Apply, func(who string) bool { return who != ApplyBySystem }):
		return ErrNoRenewal.With("profile %q", p.Name)
	case old.next != "":
		return ErrReplaced.With("application %s replaces certificate %x", old.next, n.Serial)
	case n.Act == ActRenew && p.Renewal.NewKey:
		return ErrSameKey.With("profile %q wants a new key each time", p.Name)
	case n.Act == ActRenew && !officer && now.Before(from):
		return ErrTooEarly.With("certificate %x, from %s on", n.Serial, from.Format(time.RFC3339))
	case n.Act != ActChange && n.Facts != nil && !maps.Equal(n.Facts, old.app.Facts):
		return ErrNameChanged.With("act %q takes no facts", n.Act)
	}
	return nil
}

func (n Replacement) checkKey(old predecessor, request *certs.Request) error {
	same := bytes.Equal(request.RawSPKI, old.cert.RawSPKI)
	if n.Act == ActRenew && !same || n.Act == ActRekey && same {
		return ErrSameKey.With("act %q, same key %v", n.Act, same)
	}
	return nil
}

// replaces checks an application that replaces a certificate, when it is made and again when it is issued: between the two the old
// certificate may have been suspended or revoked, and its holder renamed. What no officer has looked at must still be vouched
// for by a certificate in force. successor is what was prepared.
func (a *Authority) replaces(ctx context.Context, app Application, successor *prepared) error {
	if err := a.authorised(ctx, app); err != nil {
		return err
	}
	if app.Replaces == "" {
		return nil
	}
	serial, err := parseSerial(app.Replaces)
	if err != nil {
		return err
	}
	old, err := a.predecessor(ctx, serial)
	if err != nil {
		return err
	}
	if old.Status != nil && (len(app.Checkers) == 0 || !old.Status.Held()) {
		return ErrRevoked.With("certificate %s, which was to be replaced, is not in force any more", app.Replaces)
	}
	if old.next != "" && old.next != app.ID {
		return ErrReplaced.With("application %s replaces certificate %s", old.next, app.Replaces)
	}
	if app.Act == ActChange {
		return nil
	}
	made, err := certs.ParseTBS(successor.tbs)
	if err != nil {
		return err
	}
	if !bytes.Equal(made.Subject.Raw, old.cert.Subject.Raw) {
		return ErrNameChanged.With("certificate %s", app.Replaces)
	}
	if app.Act == ActRenew && !made.NotAfter.After(old.NotAfter) {
		return ErrIssuer.With("the authority ends too soon to renew certificate %s", app.Replaces)
	}
	return nil
}
