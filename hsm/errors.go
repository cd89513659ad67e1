package hsm

import "hufu/internal/fault"

// The refusals of this package, the same for every driver.
var (
	ErrNotFound = fault.New(fault.NotFound, "hsm.key-unknown",
		"The device has no such key. See what it holds with: hufu doctor.", "密码设备中没有这个密钥。可用 hufu doctor 查看。")
	ErrExists = fault.New(fault.Conflict, "hsm.key-exists",
		"The device already has a key of that label; a key is never overwritten. Choose another label.", "该标签的密钥已存在，密钥不会被覆盖。请换一个标签。")
	ErrLabel = fault.New(fault.Invalid, "hsm.label",
		"A key label has 1 to 100 characters of a-z, 0-9, '.', '_', '-' and begins with a letter or digit. Choose another one.", "密钥标签须为 1 至 100 个字符（a-z、0-9、.、_、-），以字母或数字开头。请重新命名。")
	ErrMechanism = fault.New(fault.Invalid, "hsm.mechanism",
		"This key or device cannot do that. Check the algorithm, the use of the key and the size of the input.", "该密钥或设备不支持此操作。请检查算法、密钥用途和输入长度。")
	ErrNotAuthentic = fault.New(fault.Invalid, "hsm.not-authentic",
		"The data cannot be opened with this key: it was changed, or belongs to another key. Use the original data.", "数据无法用该密钥打开：数据已被改动，或属于其他密钥。请使用原始数据。")
	ErrWrongPIN = fault.New(fault.Unavailable, "hsm.wrong-pin",
		"The passphrase or PIN of the key store is wrong. Correct it in its file and start again; it is not tried twice.", "密钥库口令或 PIN 不正确。请更正口令文件后重新启动；系统不会重复尝试。")
	ErrPassphrase = fault.New(fault.Invalid, "hsm.passphrase",
		"The passphrase of the key store must be one line of 8 to 1024 bytes. Write it into a file that only its owner can read.", "密钥库口令须为一行、8 至 1024 字节。请写入仅所有者可读的文件。")
	ErrDamaged = fault.New(fault.Unavailable, "hsm.damaged",
		"The key store is damaged or was changed. Restore its folder from a backup; nothing was overwritten.", "密钥库已损坏或被改动。请从备份恢复密钥目录；系统未覆盖任何内容。")
	ErrNoStore = fault.New(fault.NotFound, "hsm.no-store",
		"There is no key store in this folder. Create one with: hufu init.", "该目录中没有密钥库。请先运行 hufu init 创建。")
	ErrExposed = fault.New(fault.Invalid, "hsm.exposed",
		"Others can read or change the key store. Restrict it with: chmod -R go= FOLDER.", "其他用户可以读取或修改密钥库。请执行 chmod -R go= 目录 收紧权限。")
	ErrBusy = fault.New(fault.Conflict, "hsm.busy",
		"Another process has this key store open. Stop it first, or use another folder.", "另一进程正在使用该密钥库。请先停止它，或使用其他目录。")
	ErrUnavailable = fault.New(fault.Unavailable, "hsm.unavailable",
		"The device does not answer. Check that it is connected and try again.", "密码设备没有响应。请检查连接后重试。")
	ErrClosed = fault.New(fault.Unavailable, "hsm.closed",
		"The device has been closed. Start the server again.", "密码设备已关闭。请重新启动服务。")
	ErrSignature = fault.New(fault.Unavailable, "hsm.wrong-signature",
		"The device made a wrong signature, which was withheld. Have the device examined before using it again.", "密码设备产生了错误签名，已予拦截。请检修设备后再使用。")
	ErrNoIndex = fault.New(fault.Conflict, "hsm.no-index",
		"No free key index is left that may be used. Make a key at the device's console, and add its index to the configuration.",
		"没有可用的空闲密钥索引。请在密码设备管理端生成密钥，并将其索引加入配置。")
	ErrNotReplicated = fault.New(fault.Conflict, "hsm.not-replicated",
		"The devices do not hold the same key. Let all of them run and share one key set, then try again.",
		"各密码设备中的密钥不一致。请确认所有设备正常运行并同步同一密钥集后重试。")
	ErrProfile = fault.New(fault.Invalid, "hsm.profile",
		"The device contradicts its profile. Choose the profile of its vendor and firmware, or correct the profile.", "设备与其配置文件不符。请选择与厂商及固件相符的配置文件，或加以更正。")
	ErrPINLocked = fault.New(fault.Unavailable, "hsm.pin-locked",
		"The PIN of the device is locked. Have its security officer unlock it, then start again.", "设备 PIN 已锁定。请由设备安全管理员解锁后重新启动。")
	ErrLastTry = fault.New(fault.Unavailable, "hsm.pin-last-try",
		"One more wrong PIN would lock the device, so it was not tried. Log in once with the device's own tool, which sets its count back, then start again.",
		"再错一次 PIN 设备即被锁定，因此未再尝试。请先用设备自带工具正确登录一次以清除错误计数，然后重新启动。")
	ErrNoDriver = fault.New(fault.Invalid, "hsm.no-driver",
		"This build has no driver for hardware. Use a build made with CGO_ENABLED=1.", "此版本不含硬件驱动。请使用以 CGO_ENABLED=1 构建的版本。")
	ErrChanged = fault.New(fault.Unavailable, "hsm.key-changed",
		"Where this key was the device now shows another one, which was not used. Have the device and its backups examined.", "设备在该密钥的位置上出现了另一个密钥，系统未予使用。请检查设备及其备份。")
)
