package kmc

import "hufu/internal/fault"

// The refusals of this package.
var (
	ErrUnknown = fault.New(fault.NotFound, "kmc.unknown",
		"There is no such encryption key or recovery. Check the number.", "没有这个加密密钥或恢复申请。请核对编号。")
	ErrOtherHolder = fault.New(fault.Conflict, "kmc.other-holder",
		"An encryption key was already made for this request and another signing key. Make a new application.", "该申请已为另一签名密钥生成过加密密钥。请重新申请。")
	ErrClient = fault.New(fault.Denied, "kmc.client",
		"This authority is not registered with the key management centre. Register its certificate there, then try again.", "该 CA 未在密钥管理中心登记。请先在密钥管理中心登记其证书。")
	ErrTwins = fault.New(fault.Invalid, "kmc.client-twins",
		"Two authorities under kmc.clients have the same name or the same public key. Give each a certificate with a key of its own.", "kmc.clients 中有两个 CA 的名称或公钥相同。请为每个 CA 配置各自密钥的证书。")
	ErrMaster = fault.New(fault.Unavailable, "kmc.master",
		"The key management centre cannot use its master key now. Check its device, then try again.", "密钥管理中心目前无法使用主密钥。请检查密码设备后重试。")
	ErrDamaged = fault.New(fault.Conflict, "kmc.damaged",
		"The escrowed key cannot be opened: its row was changed, or it was never escrowed. Tell the operator.", "托管的密钥无法打开：数据被改动，或当时未托管。请联系运维人员。")
	ErrBusy = fault.New(fault.Unavailable, "kmc.busy",
		"The key management centre is busy. Try again in a moment.", "密钥管理中心繁忙，请稍后再试。")
	ErrState = fault.New(fault.Conflict, "kmc.state",
		"The recovery is not in a state that allows this; look at it again.", "该恢复申请当前状态不允许此操作，请刷新后查看。")
	ErrExpired = fault.New(fault.Conflict, "kmc.expired",
		"The recovery has expired. Make a new request.", "该恢复申请已过期。请重新申请。")
	ErrTaken = fault.New(fault.Conflict, "kmc.taken",
		"The recovered key has been handed out; it is handed out once. Make a new request if it was lost.", "恢复的密钥已交付，只交付一次。如已丢失，请重新申请恢复。")
	ErrQuorum = fault.New(fault.Denied, "kmc.quorum",
		"Not enough officers who may still approve have approved. Ask further recovery officers to decide.", "仍然有效的批准人数不足。请由更多密钥恢复员审批。")
	ErrOfficers = fault.New(fault.Denied, "kmc.officers",
		"More persons are recovery officers than the configuration allows. Take the role from some, or raise recovery.officers.", "密钥恢复员人数超过配置上限。请收回部分人员的角色，或调整 recovery.officers。")
	ErrAsk = fault.New(fault.Invalid, "kmc.ask",
		"The recovery request is not complete. Name the keys, a reason and the key that receives them.", "恢复申请不完整。请给出要恢复的密钥、理由以及接收密钥。")
	ErrOrder = fault.New(fault.Invalid, "kmc.order",
		"A judicial recovery needs number, authority and SM3 digest of the order, and the authority's SM2 certificate in force.", "司法恢复须提供法律文书编号、机关、文书的 SM3 摘要以及该机关有效的 SM2 证书。")
	ErrRecipient = fault.New(fault.Denied, "kmc.recipient",
		"The key that is to receive is not a certified signing key of the holder in force. Have a new signing key certified first.", "接收密钥不是持有人现行有效的签名证书密钥。请先为新签名密钥申请证书。")
	ErrNotAllowed = fault.New(fault.Denied, "kmc.denied",
		"You may not do this for this holder. Act for the holder, or ask a registration officer.", "您不能为该主体办理。请以其名义办理，或联系登记人员。")
	ErrReason = fault.New(fault.Invalid, "kmc.reason",
		"A rejection needs a reason. Give one.", "驳回须说明理由。请填写理由。")
	ErrRemote = fault.New(fault.Unavailable, "kmc.remote",
		"The key management centre does not answer. Your request is kept; try again later.", "密钥管理中心没有应答。请求已保留，请稍后再试。")
)
