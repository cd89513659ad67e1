package keys

import "hufu/internal/fault"

// The refusals of this package.
var (
	ErrUnknown = fault.New(fault.NotFound, "keys.unknown",
		"No such key. See which there are with: hufu doctor.", "没有这个密钥。可用 hufu doctor 查看。")
	ErrPurpose = fault.New(fault.Invalid, "keys.purpose",
		"This purpose does not exist or does not go with this algorithm. Choose another one.", "密钥用途不存在，或与算法不符。请重新选择。")
	ErrLabel = fault.New(fault.Invalid, "keys.label",
		"A key label has 1 to 64 characters of a-z, 0-9, '.', '-' and begins with a letter. Choose another one.", "密钥标签须为 1 至 64 个字符（a-z、0-9、.、-），以字母开头。请重新命名。")
	ErrMismatch = fault.New(fault.Conflict, "keys.mismatch",
		"A key of this label exists for another purpose or algorithm. Choose another label.", "该标签的密钥已用于其他用途或算法。请换一个标签。")
	ErrMoved = fault.New(fault.Unavailable, "keys.moved",
		"The device does not hold the key that the database names, or holds another one in its place. Connect the right device or restore its backup.", "密码设备中的密钥与数据库记录不符或缺失。请接入正确的设备，或恢复其备份。")
	ErrBusy = fault.New(fault.Conflict, "keys.busy",
		"Another node is changing this key. Try again in a moment.", "另一节点正在变更该密钥。请稍后再试。")
	ErrState = fault.New(fault.Conflict, "keys.state",
		"The key is in a state that does not allow this. Rotate an active key first, and wait a minute before destroying the old one.", "密钥当前状态不允许此操作。请先轮换在用密钥，并等待一分钟后再销毁旧密钥。")
	ErrInUse = fault.New(fault.Conflict, "keys.in-use",
		"Other keys stand under this one and would be lost with it. Keep it until they are wrapped anew.", "仍有其他密钥由该密钥保护，销毁将导致其丢失。请保留至这些密钥改由新密钥保护。")
	ErrDamaged = fault.New(fault.Unavailable, "keys.damaged",
		"A stored key cannot be opened: it was changed, or belongs to another master key. Restore the database from a backup.", "已存密钥无法打开：内容被改动，或属于其他主密钥。请从备份恢复数据库。")
	ErrActivation = fault.New(fault.Denied, "keys.activation",
		"Only the owner can set this key to work. Ask the owner to confirm this use.", "该密钥须由所有者本人激活。请由所有者确认本次使用。")
	ErrInput = fault.New(fault.Invalid, "keys.input",
		"SM2 keys sign a message or a digest of 32 octets, plainly named as such. Check the caller.", "SM2 密钥只对明确标示的原文或 32 字节摘要签名。请检查调用方。")
	errConfig = fault.New(fault.Invalid, "keys.config",
		"The key service is not fully configured. Check the configuration.", "密钥服务配置不完整。请检查配置。")
)
