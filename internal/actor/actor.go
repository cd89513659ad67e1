package actor

import (
	"slices"

	"hufu/internal/fault"
)

// Capacity is what the actor acts as.
type Capacity string

const (
	// Nobody has not been identified.
	Nobody Capacity = ""
	// Person acts for himself or herself.
	Person Capacity = "person"
	// Entity acts for a legal entity, named by Actor.For.
	Entity Capacity = "entity"
	// Official acts in office, for the organisation named by Actor.For.
	Official Capacity = "official"
	// Client is an application that acts in its own name.
	Client Capacity = "client"
	// System is the server's own work: a job, a schedule, the first start.
	System Capacity = "system"
)

// Role is a right that an organisation or the operator gives to a subject.
type Role string

// The roles of the registration authority, the seal and licence services and the operation.
// Super administrator, business administrator and audit administrator are separated: nobody holds two of them.
const (
	RoleRegistrar       Role = "registrar"        // 录入员: enters applications
	RoleApprover        Role = "approver"         // 审核员: decides on applications that another entered
	RoleSealOfficer     Role = "seal-officer"     // 印章管理员: makes, freezes and revokes seals
	RoleLicenceOfficer  Role = "licence-officer"  // 证照签发员: issues and changes licences
	RoleSuperAdmin      Role = "super-admin"      // 超级管理员: appoints the others
	RoleBusinessAdmin   Role = "business-admin"   // 业务管理员: profiles, clients, catalogue
	RoleAuditAdmin      Role = "audit-admin"      // 审计管理员: reads the whole record
	RoleRecoveryOfficer Role = "recovery-officer" // 密钥恢复员: approves the recovery of encryption keys, k of n
	RoleCertificateUser Role = "certificate-user" // may apply for certificates by API for its own subjects
)

// Level is how well a subject is known or how strongly a log-in was proven, 1 (lowest) to 4.
type Level int

// Actor is who calls. Make it once, at the edge, and pass it down as a parameter.
type Actor struct {
	Subject       string   // id of the person, or of the client for capacity Client; empty for System and Nobody
	Name          string   // for showing; never used to decide
	Capacity      Capacity //
	For           string   // id of the entity or organisation acted for; empty for oneself
	Roles         []Role   //
	Scopes        []string // what the access token allows; nil when the actor came with a session
	IdentityLevel Level    // how well the person is known
	AuthLevel     Level    // how strongly this log-in was proven
	Client        string   // id of the application through which the actor calls; empty for our own pages
	Session       string   // id of the log-in session, if any; not the secret
	Peer          string   // SM3 fingerprint of the TLS client certificate, hexadecimal, if any
}

// ForSystem returns the actor of the server's own work; what names the work, "crl-schedule".
func ForSystem(what string) Actor { return Actor{Name: what, Capacity: System} }

// Level returns the assurance of this call, the smaller of the two levels.
func (a Actor) Level() Level { return min(a.IdentityLevel, a.AuthLevel) }

// Is reports whether the actor holds the role.
func (a Actor) Is(r Role) bool { return slices.Contains(a.Roles, r) }

// Allows reports whether the actor's access token carries the scope; a session carries every scope of its subject.
func (a Actor) Allows(scope string) bool { return a.Scopes == nil || slices.Contains(a.Scopes, scope) }

// String names the actor for the record: the capacity, then the subject's id or, for System, the work.
func (a Actor) String() string {
	switch a.Capacity {
	case Nobody:
		return "nobody"
	case System:
		return "system:" + a.Name
	default:
		return string(a.Capacity) + ":" + a.Subject
	}
}

// Known refuses an actor that has not been identified.
func (a Actor) Known() error {
	if a.Capacity == Nobody || (a.Subject == "" && a.Capacity != System) {
		return ErrUnknown
	}
	return nil
}

// Require refuses an actor that is neither the system nor a holder of one of the roles.
func (a Actor) Require(roles ...Role) error {
	if err := a.Known(); err != nil {
		return err
	}
	if a.Capacity == System || slices.ContainsFunc(roles, a.Is) {
		return nil
	}
	return ErrRole.With("%s holds %v, one of %v is needed", a, a.Roles, roles)
}

// The refusals of this package.
var (
	ErrUnknown = fault.New(fault.Unauthenticated, "actor.unknown",
		"Please log in first.", "请先登录。")
	ErrRole = fault.New(fault.Denied, "actor.role",
		"You do not have the role this needs. Ask your administrator to grant it.", "您没有办理此事所需的角色，请联系本单位管理员授权。")
	ErrSameActor = fault.New(fault.Denied, "actor.same",
		"The person who entered this may not approve it. Ask a colleague to decide.", "经办人不能审核自己录入的事项，请由其他人员审核。")
)
