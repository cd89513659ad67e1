package ca

import "hufu/internal/fault"

// The refusals of the trust list.
var (
	ErrTrustEntry = fault.New(fault.Invalid, "ca.trust-entry",
		"The entry cannot stand in the trust list. Correct what is named and propose it again.", "该条目不能列入信任清单。请更正后重新提出。")
	ErrTrustSame = fault.New(fault.Conflict, "ca.trust-same",
		"The trust list says this already; nothing would change. Compare it with the list in force (hufu ca trust list).", "信任清单已是如此，无任何变更。请与现行清单核对（hufu ca trust list）。")
	ErrTrustNoEntry = fault.New(fault.NotFound, "ca.no-entry",
		"The trust list has no entry of this id. See hufu ca trust list.", "信任清单中没有该条目。请用 hufu ca trust list 查看。")
	ErrTrustChanged = fault.New(fault.Conflict, "ca.trust-changed",
		"The trust list has changed since this was proposed. Propose it again on the list as it is now.", "提出之后信任清单已变更。请按现行清单重新提出。")
	ErrTrustSource = fault.New(fault.Denied, "ca.trust-source",
		"The list is not signed by the key that is known for its series. Compare the fingerprint with its publisher.", "该清单不是由其系列已登记的密钥签名。请与发布方核对指纹。")
	ErrTrustRollback = fault.New(fault.Denied, "ca.trust-rollback",
		"A newer list of this series was seen. Get the newest one from its publisher.", "已见过该系列的更新版本。请向发布方索取最新清单。")
	ErrTrustOwn = fault.New(fault.Invalid, "ca.trust-own",
		"This is an authority, or a list, of our own; it needs no entry and is never foreign. Leave it out.", "这是本机构自己的认证机构或清单，无需也不能作为外部条目列入。请将其去除。")
	ErrTrustExpired = fault.New(fault.Denied, "ca.trust-expired",
		"The trust list is past its end. Publish or get a new one.", "信任清单已过期。请发布或取得新的清单。")
)
