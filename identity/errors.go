package identity

import "hufu/internal/fault"

// The refusals of this package.
var (
	ErrUnknown = fault.New(fault.NotFound, "identity.unknown",
		"No such person or organisation. Check the number or register it first.", "查无此人或单位，请核对号码，或先办理登记。")
	ErrNumber = fault.New(fault.Invalid, "identity.number",
		"This number is not valid. Compare it with the document.", "证件号码或统一社会信用代码不正确，请对照证件核对。")
	ErrEmail = fault.New(fault.Invalid, "identity.email",
		"This is not an e-mail address. Enter one like name@example.com.", "电子邮箱地址不正确，请输入形如 name@example.com 的地址。")
	ErrPhone = fault.New(fault.Invalid, "identity.phone",
		"This is not a phone number. Enter 11 digits, or + and the country code.", "手机号码不正确，请输入 11 位手机号，境外号码请加国际区号。")
	ErrName = fault.New(fault.Invalid, "identity.name",
		"This name is empty, too long or has characters that no name has. Enter it as in the document.", "姓名或名称为空、过长或含有不允许的字符，请按证件填写。")
	ErrForm = fault.New(fault.Invalid, "identity.form",
		"Something that this needs is missing or wrong. Check the form.", "填写内容缺失或有误，请检查后重新提交。")
	ErrNumberTaken = fault.New(fault.Conflict, "identity.number-taken",
		"This number is already registered. Look the subject up instead of registering it again.", "该号码已登记，请直接查询，无需重复登记。")
	ErrFrozen = fault.New(fault.Denied, "identity.frozen",
		"This identity is frozen. Ask the registration office.", "该身份已被冻结，请联系登记机构。")
	ErrClosed = fault.New(fault.Denied, "identity.closed",
		"This identity has been closed. Register again at the registration office.", "该身份已注销，如需使用请到登记机构重新登记。")
	ErrState = fault.New(fault.Conflict, "identity.state",
		"The state does not allow this, or it was changed meanwhile. Load it again.", "当前状态不允许此操作，或已被他人修改，请刷新后重试。")
	ErrNotYours = fault.New(fault.Denied, "identity.not-yours",
		"You may see and change your own data only.", "您只能查看和修改本人的信息。")
	ErrPost = fault.New(fault.Invalid, "identity.post",
		"A post needs an active person and an active public body. Check both.", "任职须为有效的自然人和机关、事业单位，请核对。")
	ErrNoPost = fault.New(fault.NotFound, "identity.no-post",
		"No such post, or it has ended. Check with the organisation.", "没有该任职信息或任职已结束，请与所在单位核对。")
	ErrRoles = fault.New(fault.Denied, "identity.roles",
		"These roles may not be given like this: administrators are separated, and nobody gives roles to himself or herself.",
		"不能这样授予角色：三类管理员相互分离，且不得为本人授权。请由其他管理员办理。")
	ErrCapacity = fault.New(fault.Denied, "identity.capacity",
		"You may not act in this capacity any more. Choose another one.", "您不能以该身份办理，请重新选择办事身份。")
	ErrPage = fault.New(fault.Invalid, "identity.page",
		"This page of the list does not exist. Start at the first one.", "列表页码无效，请从第一页重新查询。")
)
