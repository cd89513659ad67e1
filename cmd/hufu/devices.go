package main

import (
	"slices"
	"strings"

	"hufu/hsm"
)

// HSM is a device that holds keys, or several tokens that hold the same keys.
type HSM struct {
	// Driver is soft (sealed files in Data), pkcs11 or sdf (GM/T 0018).
	Driver string `yaml:"driver"`
	// Module is the vendor's library: a PKCS#11 module or an SDF library.
	Module string `yaml:"module,omitempty"`
	// Tokens are labels or serial numbers (pkcs11). Several hold the same keys: the first that is healthy works.
	Tokens []string `yaml:"tokens,omitempty"`
	// PINFile holds the user PIN, one line, readable by its owner alone. For sdf: a line for all indices, lines INDEX:PASSWORD
	// for single ones.
	PINFile string `yaml:"pin_file,omitempty"`
	// Profile names the vendor's dialect (pkcs11); empty: by the manufacturer that the token tells. ProfileFile is one of
	// your own instead.
	Profile     string `yaml:"profile,omitempty"`
	ProfileFile string `yaml:"profile_file,omitempty"`
	// Sessions is how many are used at most; 0 leaves it to the driver.
	Sessions int `yaml:"sessions,omitempty"`
	// Algorithms are kept here (sm2, p256, rsa2048, rsa3072, sm4, aes256, hmac-sm3); empty: all that the device has.
	Algorithms []string `yaml:"algorithms,omitempty"`
	// Signing, Encryption and KEKs are the indices that may be used (sdf); Assignments is the file that remembers which
	// key has which.
	Signing     []uint32 `yaml:"signing,omitempty"`
	Encryption  []uint32 `yaml:"encryption,omitempty"`
	KEKs        []uint32 `yaml:"keks,omitempty"`
	Assignments string   `yaml:"assignments,omitempty"`
	// Layout and Identifiers say how an SDF library departs from the standard; most need neither.
	Layout      SDFLayout      `yaml:"layout,omitempty"`
	Identifiers SDFIdentifiers `yaml:"identifiers,omitempty"`
}

// SDFLayout is how a library departs from the standard's header.
type SDFLayout struct {
	Array       int  `yaml:"array,omitempty"`        // octets of the number arrays: 64 or 32; 0 finds out
	DecryptBare bool `yaml:"decrypt_bare,omitempty"` // SDF_InternalDecrypt_ECC takes no algorithm
	MaxCipher   int  `yaml:"max_cipher,omitempty"`   // longest encrypted text that the device takes, octets
	Serial      bool `yaml:"serial,omitempty"`       // the library is not safe for several threads
}

// SDFIdentifiers are the algorithm identifiers that the device expects (GM/T 0006); 0 = the standard's.
type SDFIdentifiers struct {
	SM2Encrypt uint32 `yaml:"sm2_encrypt,omitempty"`
	SM4ECB     uint32 `yaml:"sm4_ecb,omitempty"`
	SM4CBC     uint32 `yaml:"sm4_cbc,omitempty"`
}

// The drivers.
const (
	driverSoft   = "soft"
	driverPKCS11 = "pkcs11"
	driverSDF    = "sdf"
)

// most bounds lists of devices, tokens and sessions: more is a slip of the pen.
const (
	mostDevices  = 16
	mostSessions = 1024
)

var algorithms = []string{hsm.SM2, hsm.P256, hsm.RSA2048, hsm.RSA3072, hsm.SM4, hsm.AES256, hsm.HMACSM3}

// checkDevices refuses what cannot be opened, naming the entry.
func (c *Config) checkDevices() error {
	if c.Master != hsm.SM4 && c.Master != hsm.AES256 {
		return errConfig.With("master %q is neither sm4 nor aes256", c.Master)
	}
	if len(c.HSM) > mostDevices {
		return errConfig.With("hsm has %d entries, at most %d go", len(c.HSM), mostDevices)
	}
	soft := 0
	for i, d := range c.HSM {
		if wrong := d.wrong(); wrong != "" {
			return errConfig.With("hsm entry %d (%s): %s", i+1, d.Driver, wrong)
		}
		if d.Driver == driverSoft {
			soft++
		}
		for _, other := range c.HSM[:i] {
			if d.Driver != driverSoft && d.Module == other.Module && overlap(d.Tokens, other.Tokens) {
				return errConfig.With("hsm entry %d (%s): a token of %s stands in two entries", i+1, d.Driver, d.Module)
			}
		}
	}
	if soft > 1 {
		return errConfig.With("hsm names the software key store %d times", soft)
	}
	return nil
}

// overlap tells whether two lists share something; an empty one means a library's only device.
func overlap(a, b []string) bool {
	return len(a) == 0 || len(b) == 0 || slices.ContainsFunc(a, func(s string) bool { return slices.Contains(b, s) })
}

// wrong says what is wrong with an entry, "" for nothing.
func (d *HSM) wrong() string {
	if !slices.Contains([]string{driverSoft, driverPKCS11, driverSDF}, d.Driver) {
		return "driver is not soft, pkcs11 or sdf"
	}
	for i, a := range d.Algorithms {
		if !slices.Contains(algorithms, a) {
			return "algorithm " + a + " is none of " + strings.Join(algorithms, ", ")
		}
		if slices.Contains(d.Algorithms[:i], a) {
			return "algorithm " + a + " stands twice"
		}
	}
	if d.Driver == driverSoft {
		return d.wrongSoft()
	}
	switch {
	case d.Module == "":
		return "module is missing: the path of the vendor's library"
	case d.PINFile == "":
		return "pin_file is missing"
	case d.Sessions < 0 || d.Sessions > mostSessions:
		return "sessions is not within 0 and 1024"
	case d.Driver == driverSDF:
		return d.wrongSDF()
	}
	return d.wrongPKCS11()
}

func (d *HSM) wrongSoft() string {
	if d.Module+d.PINFile+d.Profile+d.ProfileFile != "" || len(d.Tokens)+d.Sessions > 0 || d.indexed() {
		return "the software key store takes algorithms alone"
	}
	return ""
}

func (d *HSM) wrongPKCS11() string {
	switch {
	case len(d.Tokens) == 0:
		return "tokens is missing: the label or serial number of each"
	case len(d.Tokens) > mostDevices:
		return "too many tokens"
	case d.Profile != "" && d.ProfileFile != "":
		return "profile and profile_file are both set"
	case d.indexed():
		return "signing, encryption, keks, assignments, layout and identifiers belong to sdf"
	}
	for i, t := range d.Tokens {
		if strings.TrimSpace(t) == "" || len(t) > 64 {
			return "a token is named by its label or serial number"
		}
		if slices.Contains(d.Tokens[:i], t) {
			return "token " + t + " stands twice"
		}
	}
	return ""
}

// indexed tells whether anything is set that only sdf knows.
func (d *HSM) indexed() bool {
	return d.Assignments != "" || len(d.Signing)+len(d.Encryption)+len(d.KEKs) > 0 || d.Layout != SDFLayout{} || d.Identifiers != SDFIdentifiers{}
}

func (d *HSM) wrongSDF() string {
	switch {
	case len(d.Tokens) > 0 || d.Profile+d.ProfileFile != "":
		return "tokens, profile and profile_file belong to pkcs11"
	case len(d.Signing)+len(d.Encryption)+len(d.KEKs) == 0:
		return "signing, encryption or keks is missing: the indices that may be used"
	case d.Assignments == "":
		return "assignments is missing: the file that remembers which key has which index"
	case !slices.Contains([]int{0, 32, 64}, d.Layout.Array) || d.Layout.MaxCipher < 0 || d.Layout.MaxCipher > 1<<20:
		return "layout: array is 32 or 64, max_cipher a size in octets"
	}
	for name, indices := range map[string][]uint32{"signing": d.Signing, "encryption": d.Encryption, "keks": d.KEKs} {
		for i, n := range indices {
			if n == 0 || slices.Contains(indices[:i], n) {
				return name + ": an index is 0 or stands twice"
			}
		}
	}
	return ""
}

// keptInFiles tells whether the software key store is used.
func (c *Config) keptInFiles() bool {
	return len(c.HSM) == 0 || slices.ContainsFunc(c.HSM, func(d HSM) bool { return d.Driver == driverSoft })
}

// secretFiles names the files without which the keys do not open.
func (c *Config) secretFiles() string {
	var files []string
	if c.keptInFiles() {
		files = append(files, c.PassphraseFile)
	}
	for _, d := range c.HSM {
		if d.PINFile != "" && !slices.Contains(files, d.PINFile) {
			files = append(files, d.PINFile)
		}
	}
	return strings.Join(files, ", ")
}
