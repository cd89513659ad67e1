package ca

import (
	"context"
	"crypto/rand"
	"slices"
	"time"

	"hufu/certs"
	"hufu/internal/actor"
	"hufu/internal/fault"
)

// The refusals of what happens to certificates after they are issued.
var (
	ErrHeld = fault.New(fault.Conflict, "ca.held",
		"The certificate is suspended. Resume it first, or revoke it.", "证书已被挂起。请先恢复，或将其吊销。")
	ErrNotHeld = fault.New(fault.Conflict, "ca.not-held",
		"The certificate is not suspended.", "证书未被挂起。")
	ErrEnded = fault.New(fault.Conflict, "ca.ended",
		"The certificate has ended. Apply for a new one; an ended one can only be revoked because its key was lost.", "证书已到期。请重新申请；到期证书仅能因密钥泄露吊销。")
	ErrHold = fault.New(fault.Invalid, "ca.hold",
		"The suspension must end after now, before the certificate does and within what the profile allows.", "挂起截止时间须晚于当前时间、早于证书到期时间，且不超过模板规定的期限。")
	ErrMayNotResume = fault.New(fault.Denied, "ca.may-not-resume",
		"An officer has to let this certificate be used again. Go to the registration office.", "该证书须由登记人员恢复。请到登记机构办理。")
	ErrIssuerRevoked = fault.New(fault.Conflict, "ca.issuer-revoked",
		"The certificate of the issuing authority is revoked; nothing is issued under it any more. Ask the operator for the new authority.", "签发机构的证书已被吊销，不再签发证书。请联系运营机构启用新的签发机构。")
)

// People is what the authority asks about persons beyond what certificates state. An address that is "" gets no mail.
type People interface {
	// MayAct refuses an actor who may not act (any more) in the capacity: frozen, closed, post or representation ended.
	MayAct(ctx context.Context, by actor.Actor) error
	// Address returns where mail about a holder's certificates goes; "" for nowhere, also of holders that are not active.
	Address(ctx context.Context, holder string) (string, error)
}

// Life is what a profile says about the life of its certificates.
type Life struct {
	HolderResumes bool `yaml:"holder_resumes"` // who suspended the own certificate may resume it without an officer
	HoldDays      int  `yaml:"hold_days"`      // how long a holder may suspend at most, days; 0: until an officer or the holder resumes it
	SupersedeDays *int `yaml:"supersede_days"` // days after which a certificate that was replaced is revoked as superseded; absent: it stays until its end
}

// mayEnd refuses actors who may not revoke or suspend a certificate: that may the holder in person, who represents the
// entity that holds it, and officers; a post at the holder's alone does not suffice. An authority's certificate is a super
// administrator's to end. Others are refused; to whoever may not see the certificate it does not exist.
func (a *Authority) mayEnd(by actor.Actor, c Record, officers ...actor.Role) error {
	if a.isAuthority(c) {
		return by.Require(actor.RoleSuperAdmin)
	}
	if by.Require(officers...) == nil || a.holds(by, c) {
		return nil
	}
	if a.maySee(by, c) {
		return by.Require(officers...)
	}
	return ErrUnknown.With("%s may not end certificate %x", by, c.Serial)
}

// enders are the officers who may revoke.
var enders = []actor.Role{actor.RoleApprover, actor.RoleBusinessAdmin}

// holds tells whether the actor holds the certificate, or represents the entity that does.
func (a *Authority) holds(by actor.Actor, c Record) bool {
	if by.Known() != nil || by.Capacity == actor.System {
		return false
	}
	return c.Holder == by.Subject || by.Capacity == actor.Entity && by.For != "" && c.Holder == by.For
}

// isAuthority tells whether a certificate is that of an authority. The certificate itself says so: a profile can be withdrawn, and
// one that cannot be read is taken for an authority's.
func (a *Authority) isAuthority(c Record) bool {
	if p := a.profile(c.Profile); p != nil && p.isCA() {
		return true
	}
	cert, err := certs.ParseLenient(c.DER)
	return err != nil || cert.IsCA
}

// standing asks whether who calls may act now; officers and holders alike. The system always may.
func (a *Authority) standing(ctx context.Context, by actor.Actor) error {
	if err := by.Known(); err != nil {
		return err
	}
	if a.People == nil || by.Capacity == actor.System || by.Capacity == actor.Client {
		return nil
	}
	return a.People.MayAct(ctx, by)
}

// event makes the status event of a revocation that came into force now.
func (r Revocation) event(act StatusAct, now time.Time) StatusEvent {
	return StatusEvent{
		ID: rand.Text(), Issuer: r.Issuer, Serial: r.Serial, Shard: r.Shard, Act: act,
		Reason: r.Reason, Invalid: r.Invalid, At: now, NotAfter: r.NotAfter,
	}
}

// inForce refuses to issue under an authority that is revoked, itself or one above it, by us or by a superior. It is asked in the
// transaction that reserves the serial, so that nothing is signed after the revocation is committed.
func (a *Authority) inForce(r R, i *issuer) error {
	above, err := a.upward(r, i)
	if err != nil {
		return err
	}
	for _, c := range above {
		_, err := r.Revocation(c.Issuer, c.Serial)
		if err == nil {
			return ErrIssuerRevoked.With("certificate %x of authority %q", c.Serial, c.Issuer)
		}
		if !isUnknown(err) {
			return err
		}
	}
	return nil
}

// upward returns the certificates of an authority and of those above it, none of which may be revoked when it issues. It
// refuses one that the list of a superior names.
func (a *Authority) upward(r R, i *issuer) (all []Named, err error) {
	var seen []string
	for i != nil && !slices.Contains(seen, i.Name) {
		seen = append(seen, i.Name)
		if err := a.inForceAbove(r, i); err != nil {
			return nil, err
		}
		all = append(all, Named{i.Parent, i.cert.Serial})
		i = a.issuer(i.Parent)
	}
	return all, nil
}
