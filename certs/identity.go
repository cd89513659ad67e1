package certs

// IdentityKind says what sort of number an identity extension holds.
type IdentityKind string

// Kinds of identity numbers.
const (
	IdentityResident     IdentityKind = "resident"     // 居民身份证
	IdentityMilitary     IdentityKind = "military"     // 军官证
	IdentityPassport     IdentityKind = "passport"     // 护照
	IdentitySocial       IdentityKind = "social"       // 社会保险号
	IdentityBusiness     IdentityKind = "business"     // 工商注册号
	IdentityOrganization IdentityKind = "organization" // 组织机构代码, 统一社会信用代码
	IdentityTax          IdentityKind = "tax"          // 税号
	IdentityUnknown      IdentityKind = "unknown"      // an encoding from which the kind cannot be told
)

// IdentityNumber is the value of an identity extension.
type IdentityNumber struct {
	Kind  IdentityKind
	Value string // as found; prefixes such as SF or N are left on
}
