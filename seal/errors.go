package seal

import "hufu/internal/fault"

// The refusals of seals and their use.
var (
	ErrUnknown = fault.New(fault.NotFound, "seal.unknown",
		"There is no such seal. Check the seal code.", "没有这枚印章。请核对印章编码。")
	ErrState = fault.New(fault.Conflict, "seal.state",
		"The seal is not in a state that allows this; look at it again.", "印章当前状态不允许此操作，请刷新后查看。")
	ErrFrozen = fault.New(fault.Denied, "seal.not-active",
		"The seal is not active, so it stamps nothing. Ask the seal officer.", "该印章未处于启用状态，不能用印。请联系印章管理员。")
	ErrEnded = fault.New(fault.Denied, "seal.ended",
		"The seal or its certificate has ended. Have the seal made anew.", "印章或其签章证书已过有效期。请重新制章。")
	ErrNotOwner = fault.New(fault.Denied, "seal.not-owner",
		"You may use the seals of the organisation that you act for, if your post allows it. Choose the right capacity.", "您只能使用所代表单位的印章，且须有用印权限。请选择正确的办事身份。")
	ErrForm = fault.New(fault.Invalid, "seal.form",
		"A field of the seal is missing or wrong. Correct it and try again.", "印章信息缺失或有误。请更正后重试。")
	ErrDocument = fault.New(fault.Invalid, "seal.document",
		"The document cannot be stamped. Give the original OFD file.", "该文件无法加盖印章。请提供 OFD 原文件。")
	ErrReason = fault.New(fault.Invalid, "seal.reason",
		"Say why, in 1 to 200 characters.", "请用 1 至 200 个字说明原因。")
	ErrKinds = fault.New(fault.Invalid, "seal.kinds",
		"Name the kinds of documents that the activation covers: document, or licence/ and the type of licence.", "请写明启用授权适用的文件种类：document，或 licence/ 加证照类型代码。")
	ErrNewcomer = fault.New(fault.Denied, "seal.newcomer",
		"The seal's standing activations were made before you got your post, its roles or your password. Give the PIN, or ask for a new activation.",
		"该印章的启用授权早于您的任职、角色或密码设置。请输入印章口令，或请保管人重新启用。")
	ErrNoActivation = fault.New(fault.NotFound, "seal.no-activation",
		"This seal has no such standing activation, or it has ended. Look at the seal's activations.", "该印章没有此项启用授权，或已终止。请查看印章的启用授权。")
	ErrTime = fault.New(fault.Invalid, "seal.time",
		"The time of the stamp is not that of a challenge of the last minutes. Ask for a new challenge.", "用印时间与近几分钟内的挑战不符。请重新获取挑战。")
	ErrMake = fault.New(fault.Unavailable, "seal.make",
		"The seal could not be finished now. Try again; nothing is lost.", "印章暂时无法制作完成，请重试；已完成的步骤不会丢失。")
)
