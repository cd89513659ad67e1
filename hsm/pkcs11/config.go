package pkcs11

import (
	"log/slog"
	"time"

	"hufu/internal/fault"
)

// Config says which token to open and how.
type Config struct {
	Module      string           // path of the vendor's PKCS#11 library
	Token       string           // label or serial number of the token
	Profile     string           // name of a profile; empty = the one that fits the manufacturer, ErrNoProfile if none does
	ProfileFile string           // a profile of the operator's own; goes before Profile
	Sessions    int              // how many calls work at once; 0 = 16, bounded by what token and profile allow
	Now         func() time.Time // nil = time.Now
	Log         *slog.Logger     // recovery is told here, never a PIN or key; nil = silent
}

// DefaultSessions is the size of the pool where Config names none.
const DefaultSessions = 16

func (c Config) filled() Config {
	if c.Sessions <= 0 {
		c.Sessions = DefaultSessions
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

// The refusals of this driver alone; those that all drivers share stand in package hsm.
var (
	ErrNoModule = fault.New(fault.Unavailable, "hsm.no-module",
		"The PKCS#11 library cannot be loaded. Check the path of the vendor's library and the libraries that it needs (ldd).",
		"无法加载 PKCS#11 库。请检查厂商库的路径及其依赖库（ldd）。")
	ErrNotStarted = fault.New(fault.Unavailable, "hsm.not-started",
		"The PKCS#11 library was loaded but does not start. Check the configuration of the vendor's client (address, certificates, environment) and its log.",
		"PKCS#11 库已加载，但无法启动。请检查厂商客户端的配置（地址、证书、环境变量）及其日志。")
	ErrNoToken = fault.New(fault.Unavailable, "hsm.no-token",
		"The module shows no token of this label or serial number. Check the name, and the connection to the device.",
		"模块中没有该标签或序列号的令牌。请检查名称以及与设备的连接。")
	ErrNoProfile = fault.New(fault.Invalid, "hsm.no-profile",
		"There is no profile for this device. Name one in the configuration, or write one after configs/hsm/neutral.yaml.",
		"没有适用于该设备的配置文件。请在配置中指定，或参照 configs/hsm/neutral.yaml 编写。")
	ErrAmbiguous = fault.New(fault.Unavailable, "hsm.key-ambiguous",
		"The token has several keys of this label and use. Give each its own label at the vendor's console.",
		"令牌中有多个标签和用途相同的密钥。请在厂商管理工具中为每个密钥设置不同的标签。")
)
