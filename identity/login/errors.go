package login

import "hufu/internal/fault"

// The refusals of this package.
var (
	ErrWrong = fault.New(fault.Unauthenticated, "login.wrong",
		"The account or the password is wrong. Check both and try again.", "账号或密码不正确，请核对后重试。")
	ErrTooOften = fault.New(fault.Limited, "login.too-often",
		"Too many tries. Wait a little, then try again.", "尝试次数过多，请稍后再试。")
	ErrBusy = fault.New(fault.Unavailable, "login.busy",
		"Too many people are logging in at this moment. Try again in a few seconds.", "当前登录人数较多，请几秒后再试。")
	ErrNoSession = fault.New(fault.Unauthenticated, "login.no-session",
		"You are not logged in, or your session has ended. Please log in.", "您尚未登录或登录已失效，请重新登录。")
	ErrPassword = fault.New(fault.Invalid, "login.password",
		"This password is too short, too long or too common. Choose 10 to 128 characters that nobody guesses.", "密码过短、过长或过于常见，请设置 10 至 128 位且不易被猜到的密码。")
	ErrAccountName = fault.New(fault.Invalid, "login.account-name",
		"A login name has 3 to 64 letters, digits or the characters . _ - @ +. Choose another one.", "登录名须为 3 至 64 位字母、数字、汉字或 . _ - @ + 字符，请更换。")
	ErrAccountTaken = fault.New(fault.Conflict, "login.account-taken",
		"This login name is taken, or the person already has an account. Choose another name or log in.", "登录名已被使用，或该人员已有账号，请更换登录名或直接登录。")
	ErrNoAccount = fault.New(fault.NotFound, "login.no-account",
		"No such account. Check the name or ask for one.", "没有该账号，请核对或先申请开通。")
	ErrNotYours = fault.New(fault.Denied, "login.not-yours",
		"You may see and end your own sessions only.", "您只能查看和结束本人的登录会话。")
	ErrChanged = fault.New(fault.Conflict, "login.changed",
		"The account was changed meanwhile. Try again.", "账号信息已被修改，请重试。")
)
