package keys

import "hufu/internal/fault"

// The refusals of this package.
var (
	ErrUnknown = fault.New(fault.NotFound, "keys.unknown",
		"No such key. See which there are with: hufu keys list.", "没有这个密钥。可用 hufu keys list 查看。")
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
	ErrUnadopted = fault.New(fault.Conflict, "keys.unadopted",
		"This key was made before its owner controlled it alone. Let the owner adopt it with a PIN or a key pair first.", "该密钥早于所有者独占控制机制生成。请先由所有者以口令（PIN）或密钥对接管。")
	ErrEnrolment = fault.New(fault.Invalid, "keys.enrolment",
		"Name exactly one way in which the owner will confirm uses: a PIN, an SM2 key pair with two different keys, or 32 random octets held by others.", "请只选择一种所有者确认方式：PIN、签名与加密分开的 SM2 密钥对，或由他人保管的 32 字节随机数。")
	ErrPINForm = fault.New(fault.Invalid, "keys.pin-form",
		"A PIN has 8 to 64 characters and is no simple sequence, repetition, date or common word. Choose another one.", "PIN 须为 8 至 64 个字符，且不得为简单序列、重复、日期或常见词。请重新设置。")
	ErrPIN = fault.New(fault.Denied, "keys.pin",
		"The PIN is wrong. After five wrong ones it is locked for a while. Check it and try again.", "PIN 不正确。连续输错五次将暂时锁定。请核对后重试。")
	ErrLocked = fault.New(fault.Limited, "keys.locked",
		"The PIN was wrong too often and is locked for now. Wait and try again later.", "PIN 输错次数过多，已暂时锁定。请稍后再试。")
	ErrKind = fault.New(fault.Invalid, "keys.kind",
		"Say what kind of document is signed, in at most 64 characters of a-z, A-Z, 0-9, '-', '/', '.', '_'.", "请说明所签文件的类别，最多 64 个字符（a-z、A-Z、0-9、-、/、.、_）。")
	ErrBounds = fault.New(fault.Invalid, "keys.bounds",
		"A standing activation names 1 to 32 kinds of documents, 1 to 1,000,000 uses and an end within 92 days, and a key has at most 16. Choose other bounds, or withdraw one.", "常设激活须列明 1 至 32 类文件、1 至 1000000 次使用和 92 天内的截止时间，且每个密钥最多 16 项。请调整范围或先撤回一项。")
	ErrNoStanding = fault.New(fault.NotFound, "keys.no-standing",
		"No such standing activation. See which there are on the page of the seal.", "没有这项常设激活。请在印章页面查看现有的常设激活。")
	ErrStandingOver = fault.New(fault.Denied, "keys.standing-over",
		"The standing activation was used up or withdrawn, or its time is over. Ask the owner to confirm this use, or to activate anew.", "常设激活已用完、被撤回或到期。请由所有者确认本次使用，或重新激活。")
	ErrReplayed = fault.New(fault.Denied, "keys.replayed",
		"The record says that this activation was used or ended already: the database was set back or changed. Tell the operator, and activate anew.", "审计记录表明该激活已被使用或终止：数据库被回退或改动。请告知运维人员，并重新激活。")
	ErrChallenge = fault.New(fault.Denied, "keys.challenge",
		"The owner's answer does not fit: the challenge is unknown, used, over or for something else, or its signature is wrong. Ask for a new challenge.", "所有者的应答不符：挑战不存在、已使用、已过期、用于其他内容，或签名不正确。请重新获取挑战。")
	ErrInput = fault.New(fault.Invalid, "keys.input",
		"SM2 keys sign a message or a digest of 32 octets, plainly named as such. Check the caller.", "SM2 密钥只对明确标示的原文或 32 字节摘要签名。请检查调用方。")
	errConfig = fault.New(fault.Invalid, "keys.config",
		"The key service is not fully configured. Check the configuration.", "密钥服务配置不完整。请检查配置。")
)
