package ca

import "hufu/internal/fault"

// The refusals of this package.
var (
	ErrProfile = fault.New(fault.Invalid, "ca.unknown-profile",
		"There is no such certificate profile. Choose one from the list of profiles.", "没有这个证书模板。请从模板列表中选择。")
	ErrRequest = fault.New(fault.Invalid, "ca.request",
		"The certificate request cannot be used. Make a new one with an SM2 key and the identifier 1234567812345678.", "证书请求无法使用。请用 SM2 密钥和标识 1234567812345678 重新生成。")
	ErrKeyKind = fault.New(fault.Invalid, "ca.key-kind",
		"The profile does not allow this kind of key. Make a request with an allowed one.", "证书模板不允许使用该类密钥。请更换密钥算法后重新申请。")
	ErrKeyUsed = fault.New(fault.Conflict, "ca.key-used",
		"This key already belongs to another holder or another use, or it was reported as lost. Make a new key.", "该密钥已用于其他持有人或其他用途，或已报失。请生成新的密钥。")
	ErrFacts = fault.New(fault.Invalid, "ca.facts",
		"A fact that the certificate needs is missing or malformed. Complete it and apply again.", "证书所需的信息缺失或格式不正确。请补全后重新申请。")
	ErrNotHolder = fault.New(fault.Denied, "ca.not-holder",
		"You may not apply for this holder. Act for the holder, or ask a registration officer.", "您不能为该主体申请证书。请以其名义办理，或联系登记人员。")
	ErrUnknown = fault.New(fault.NotFound, "ca.unknown",
		"No such application or certificate. Check the number.", "没有这个申请或证书。请核对编号。")
	ErrState = fault.New(fault.Conflict, "ca.state",
		"The application is not in a state that allows this; look at it again.", "该申请当前状态不允许此操作，请刷新后查看。")
	ErrRevoked = fault.New(fault.Conflict, "ca.revoked",
		"The certificate is already revoked.", "证书已被吊销。")
	ErrReason = fault.New(fault.Invalid, "ca.reason",
		"Give one of the reasons that a certificate can be revoked for.", "请从可选的吊销原因中选择一个。")
	ErrIssuer = fault.New(fault.Unavailable, "ca.issuer",
		"The issuing authority cannot sign now. Try again later; your application is kept.", "签发机构暂时无法签名，请稍后再试；您的申请已保留。")
	ErrOffline = fault.New(fault.Unavailable, "ca.offline",
		"The key of this authority is with its custodians. Call them together for: hufu ca ceremony sign-crl, or new-issuing.", "该机构的密钥由密钥保管员共同保管。请召集保管员执行 hufu ca ceremony sign-crl 或 new-issuing。")
	ErrOnline = fault.New(fault.Conflict, "ca.online",
		"The root of this installation was made without a ceremony and its key is in the device. Custodians can hold a root only from its making on: hold a ceremony on a fresh installation.", "本系统的根密钥未经密钥仪式生成，保存在密码设备中。只有自生成起才能由保管员共同保管：请在全新安装上举行密钥仪式。")
	ErrCeremony = fault.New(fault.Conflict, "ca.ceremony",
		"A key ceremony has begun here and is not finished. Call the custodians together and run: hufu ca ceremony.", "此处的密钥仪式已开始但尚未完成。请召集保管员并执行 hufu ca ceremony。")
	ErrMade = fault.New(fault.Conflict, "ca.made",
		"The authorities exist already. For a new issuing authority under the same root use: hufu ca ceremony new-issuing.", "根 CA 与签发 CA 已存在。如需在同一根下新建签发 CA，请使用 hufu ca ceremony new-issuing。")
	ErrStrangeRoot = fault.New(fault.Denied, "ca.strange-root",
		"These shares do not open the key of this installation's root. Bring the shares of its own ceremony.", "这些密钥分量无法打开本系统的根密钥。请使用本系统密钥仪式发放的分量。")
)
