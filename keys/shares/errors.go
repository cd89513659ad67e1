package shares

import "hufu/internal/fault"

// The refusals of this package.
var (
	ErrPlan = fault.New(fault.Invalid, "shares.plan",
		"A ceremony has 2 to 16 custodians with different names, and its threshold lies between 2 and their number. Correct names or threshold.",
		"密钥仪式须有 2 至 16 名姓名各不相同的保管员，门限值在 2 与人数之间。请更正姓名或门限值。")
	ErrForm = fault.New(fault.Invalid, "shares.form",
		"This is no share file, or it was damaged or changed. Bring the file as it was written, or its copy.",
		"该文件不是密钥分量文件，或已损坏、被改动。请使用原始文件或其副本。")
	ErrPassphrase = fault.New(fault.Invalid, "shares.passphrase",
		"A custodian's passphrase is one line of 12 to 1024 bytes. Choose a longer one.",
		"保管员口令须为一行、12 至 1024 字节。请使用更长的口令。")
	ErrWrong = fault.New(fault.Denied, "shares.wrong-passphrase",
		"The passphrase does not open this share. Check whose share it is, and let that custodian type it again.",
		"口令无法打开该密钥分量。请核对分量所属保管员，由其本人重新输入。")
	ErrMixed = fault.New(fault.Invalid, "shares.mixed",
		"These shares come from different ceremonies. Bring the shares of one and the same ceremony.",
		"这些密钥分量来自不同的密钥仪式。请使用同一仪式的分量。")
	ErrTwice = fault.New(fault.Invalid, "shares.twice",
		"The same share was given twice. Bring a share of another custodian.",
		"同一密钥分量重复提供。请提供另一名保管员的分量。")
	ErrChanged = fault.New(fault.Invalid, "shares.changed",
		"A share is not the one that was given out. Bring its original, or the share of another custodian.",
		"有密钥分量与发放时不一致。请使用其原件，或改用其他保管员的分量。")
	ErrMissing = fault.New(fault.Denied, "shares.missing",
		"There are too few shares. Ask more custodians to come.",
		"密钥分量不足。请更多保管员到场。")
)
