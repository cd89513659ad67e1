package main

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/goccy/go-yaml"

	"hufu/internal/fault"
	"hufu/keys"
)

// Config is what the operator decides. It is YAML, strictly decoded: an unknown key is an error that names its line.
// Every field may be left out. Secrets stand in files of their own.
type Config struct {
	// Data is the folder of the embedded database, the software key store and its passphrase file.
	Data string `yaml:"data"`
	// Listen is the address to serve on. Only a loopback address goes without tls or insecure.
	Listen string `yaml:"listen"`
	// URL is how the outside names the server, without a slash at the end: the OpenID issuer, the address in certificates.
	URL string `yaml:"url"`
	// TLS names certificate chain and key, PEM files.
	TLS TLS `yaml:"tls"`
	// Enrolment is how devices enrol by CMP and EST.
	Enrolment Enrolment `yaml:"enrolment,omitempty"`
	// Insecure serves plain HTTP on an address that is not loopback, behind a proxy that ends TLS.
	Insecure bool `yaml:"insecure"`
	// Database is "sqlite:PATH" or "postgres://…". Empty: the file hufu.db in Data.
	Database string `yaml:"database"`
	// DatabaseFile holds the address instead, so that a password in it need not stand here.
	DatabaseFile string `yaml:"database_file"`
	// PassphraseFile holds the passphrase of the software key store, one line, readable by its owner alone. Empty: the
	// file passphrase in Data, which `hufu init` makes.
	PassphraseFile string `yaml:"passphrase_file"`
	// Status is how the status of certificates is told: revocation lists and OCSP.
	Status Status `yaml:"status"`
	// Instance is this node's number among those on one database, 1 to 127. It begins the serial numbers drawn here.
	Instance int `yaml:"instance"`
	// Witnesses are the written keys (name+id+base64) of those who cosign the log's checkpoints, and Quorum is how many
	// of them a proof must carry.
	Witnesses []string `yaml:"witnesses"`
	Quorum    int      `yaml:"quorum"`
	// Proxies are the address ranges of reverse proxies in front of this server. Only from there is X-Forwarded-For believed;
	// without it, everybody behind a proxy would share one visitor's limits.
	Proxies []string `yaml:"proxies"`
	// Vendor is the identifier (Vid) written into each seal made here.
	Vendor string `yaml:"vendor"`
	// HSM are the devices that hold keys, together one key store: a key is made in the first that keeps its algorithm. Empty:
	// the software key store in Data.
	HSM []HSM `yaml:"hsm,omitempty"`
	// Master is the algorithm of the keys that wrap others: sm4, or aes256 for devices without SM4.
	Master string `yaml:"master"`
	// Outbound are the address ranges of inner networks that this server may call, for event messages and for other
	// authorities' lists. Public addresses go without.
	Outbound []string `yaml:"outbound,omitempty"`
	// KMC is the key management centre: its own settings, or where it is.
	KMC KMC `yaml:"kmc,omitempty"`
	// Authorities are profiles of authorities that are made on demand: issuing-p256 for peers without SM2. They are made on the
	// next start and stay.
	Authorities []string `yaml:"authorities,omitempty"`
	// Rate bounds how often one address, and one owner of tokens, may call the API.
	Rate Rate `yaml:"rate,omitempty"`
	// Issuing is how many issuances of certificates may be under way at once; more are refused with 503 until one is done.
	Issuing int `yaml:"issuing,omitempty"`
	// TSA is how time-stamps are given.
	TSA TSA `yaml:"tsa,omitempty"`
	// Mail is how holders are reminded before certificates end.
	Mail Mail `yaml:"mail,omitempty"`
}

// TLS is where the server's certificate and key are.
type TLS struct {
	Certificate string `yaml:"certificate"`
	Key         string `yaml:"key"`
	// AskClient asks peers for a certificate, so that devices re-enrol by EST with theirs. Browsers ask their users then.
	AskClient bool `yaml:"ask_client"`
}

// Enrolment is how devices enrol by CMP and EST.
type Enrolment struct {
	// Rate is how many requests a second one address, and one reference number, may make; ten times as many at once.
	Rate float64 `yaml:"rate,omitempty"`
	// MustConfirm lets no device do without the confirmation of its certificate by CMP.
	MustConfirm bool `yaml:"must_confirm,omitempty"`
	// Poll is after how many seconds a device should ask again whether an officer has decided; 60 if left out.
	Poll int `yaml:"poll,omitempty"`
}

// Rate is how many calls a second are let through, and how many at once after a pause. Zero is the default of 50 and 200; a
// negative rate lets all through, for a server that only trusted machines reach.
type Rate struct {
	PerSecond float64 `yaml:"per_second"`
	Burst     int     `yaml:"burst"`
}

var errConfig = fault.New(fault.Invalid, "config",
	"Correct the configuration and start again; `hufu check-config` shows what is in force.", "请更正配置后重新启动；hufu check-config 可查看生效的配置。")

// defaultListen is the address of the first README command.
const defaultListen = "localhost:8480"

// loadConfig reads a file, "" for none, fills what it leaves out and checks the whole.
func loadConfig(file, data string) (Config, error) {
	var c Config
	if file != "" {
		text, err := readSmall(file)
		if err != nil {
			return c, errConfig.With("read configuration: %w", err)
		}
		if err := yaml.UnmarshalWithOptions(text, &c, yaml.Strict()); err != nil {
			return c, errConfig.With("configuration %s: %s", file, strings.Join(strings.Fields(yaml.FormatError(err, false, false)), " "))
		}
	}
	if data != "" {
		c.Data = data
	}
	c.fill()
	return c, c.check()
}

// maxConfig bounds what is read as configuration, in octets.
const maxConfig = 1 << 20

// readSmall reads a file of at most maxConfig octets.
func readSmall(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxConfig+1))
	if err == nil && len(text) > maxConfig {
		err = fmt.Errorf("%s is larger than %d octets", name, maxConfig)
	}
	return text, err
}

func (c *Config) fill() {
	if c.Data == "" {
		c.Data = "hufu-data"
	}
	if c.Listen == "" {
		c.Listen = defaultListen
	}
	if c.URL == "" {
		scheme := "http"
		if c.TLS.Certificate != "" {
			scheme = "https"
		}
		c.URL = scheme + "://" + c.Listen
	}
	c.URL = strings.TrimSuffix(c.URL, "/")
	if c.PassphraseFile == "" {
		c.PassphraseFile = filepath.Join(c.Data, "passphrase")
	}
	if c.Instance == 0 {
		c.Instance = 1
	}
	if c.Vendor == "" {
		c.Vendor = "HUFU"
	}
	if c.Master == "" {
		c.Master = keys.SM4
	}
	c.Status.fill()
}

func (c *Config) check() error {
	if c.DatabaseFile != "" {
		if c.Database != "" {
			return errConfig.With("database and database_file are both set")
		}
		text, err := readSmall(c.DatabaseFile)
		if err != nil {
			return errConfig.With("read database_file: %w", err)
		}
		c.Database = strings.TrimSpace(string(text))
	}
	if c.Database != "" && !strings.HasPrefix(c.Database, "sqlite:") {
		u, err := url.Parse(c.Database)
		if err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" {
			return errConfig.With("the database address is neither sqlite:PATH nor postgres://USER:PASSWORD@HOST/NAME (with %%-escapes in the password)")
		}
	}
	if err := c.Mail.check(); err != nil {
		return err
	}
	host, _, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return errConfig.With("listen %q is not host:port: %w", c.Listen, err)
	}
	u, err := url.Parse(c.URL)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.Path != "" || u.RawQuery != "" || u.User != nil {
		return errConfig.With("url %q is not http(s)://host[:port]", c.URL)
	}
	switch {
	case (c.TLS.Certificate == "") != (c.TLS.Key == ""):
		return errConfig.With("tls needs both certificate and key")
	case c.TLS.Certificate == "" && !isLoopback(host) && !c.Insecure:
		return errConfig.With("listen %q is not loopback: set tls, or insecure behind a proxy that ends TLS", c.Listen)
	case c.Instance < 1 || c.Instance > 127:
		return errConfig.With("instance %d is not within 1 and 127", c.Instance)
	case c.Quorum < 0 || c.Quorum > len(c.Witnesses):
		return errConfig.With("quorum %d with %d witnesses", c.Quorum, len(c.Witnesses))
	case c.Rate.Burst < 0 || c.Issuing < 0:
		return errConfig.With("rate.burst %d or issuing %d is below zero", c.Rate.Burst, c.Issuing)
	case c.badProxy() != "":
		return errConfig.With("proxies: %q is not an address range such as 10.0.0.0/8", c.badProxy())
	case c.badOutbound() != "":
		return errConfig.With("outbound: %q is not an address range such as 10.0.0.0/8", c.badOutbound())
	case strings.ContainsAny(c.Vendor, "\r\n") || len(c.Vendor) > 32:
		return errConfig.With("vendor %q is longer than 32 characters", c.Vendor)
	}
	if err := c.Status.check(); err != nil {
		return err
	}
	if err := c.checkTSA(); err != nil {
		return err
	}
	if err := c.KMC.check(); err != nil {
		return err
	}
	return c.checkDevices()
}

// badProxy returns the first of Proxies that is no address range.
func (c *Config) badProxy() string {
	for _, text := range c.Proxies {
		if _, err := netip.ParsePrefix(text); err != nil {
			return text
		}
	}
	return ""
}

// proxies returns the ranges, which check has found good.
func (c *Config) proxies() (all []netip.Prefix) {
	for _, text := range c.Proxies {
		if p, err := netip.ParsePrefix(text); err == nil {
			all = append(all, p.Masked())
		}
	}
	return all
}

// isLoopback tells whether a host to listen on is reached from this machine only. An empty host means every address.
func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// dsn is the database's address.
func (c *Config) dsn() string {
	if c.Database != "" {
		return c.Database
	}
	return "sqlite:" + filepath.Join(c.Data, "hufu.db")
}

// shown returns the configuration in force as YAML, without secrets.
func (c Config) shown() (string, error) {
	if u, err := url.Parse(c.Database); err == nil && u.User != nil {
		c.Database = u.Redacted()
	}
	if c.DatabaseFile == "" {
		c.Database = c.dsn()
	} else {
		c.Database = ""
	}
	text, err := yaml.Marshal(c)
	if err != nil {
		return "", fmt.Errorf("write configuration: %w", err)
	}
	return string(text), nil
}
