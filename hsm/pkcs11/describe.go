//go:build cgo

package pkcs11

import (
	"context"
	"fmt"
	"strings"

	p11 "github.com/miekg/pkcs11"

	"hufu/hsm"
)

// Flags of CK_TOKEN_INFO about the user PIN.
const (
	flagPINCountLow = 0x00010000
	flagPINFinalTry = 0x00020000
)

// Describe tells the operator which token this is, how it is used, and what the token says of its PIN tries.
func (d *Device) Describe(ctx context.Context) []hsm.Fact {
	token := d.tokenInfo()
	if now, err := d.askToken(ctx); err == nil {
		token.Flags = now.Flags
	}
	d.mu.Lock()
	last, wrong := d.lost, d.wrong
	if d.pinFault != nil {
		last = d.pinFault
	}
	d.mu.Unlock()
	facts := []hsm.Fact{
		{Name: "token", Value: token.Label},
		{Name: "serial", Value: token.SerialNumber},
		{Name: "made by", Value: strings.TrimSpace(token.ManufacturerID + " " + token.Model)},
		{Name: "profile", Value: d.profile.Name},
		{Name: "uses", Value: d.can.told(&d.profile.Codes)},
		{Name: "sessions", Value: fmt.Sprintf("%d at once, %d at work", cap(d.places), len(d.places))},
		{Name: "PIN", Value: pinState(token.Flags)},
	}
	if last != nil {
		facts = append(facts, hsm.Fact{Name: "last fault", Value: last.Error()})
	}
	if !wrong.IsZero() {
		facts = append(facts, hsm.Fact{Name: "wrong signature", Value: wrong.UTC().Format("2006-01-02 15:04:05Z")})
	}
	return facts
}

// askToken reads CK_TOKEN_INFO anew, aside as every call.
func (d *Device) askToken(ctx context.Context) (p11.TokenInfo, error) {
	return run(ctx, d, "describe token "+d.cfg.Token, func(s *session) (p11.TokenInfo, error) { return s.lib.GetTokenInfo(s.link.slot) }, nil)
}

// pinState says how near the token is to locking its PIN; PKCS#11 knows no number.
func pinState(flags uint) string {
	switch {
	case flags&flagPINLocked != 0:
		return "locked"
	case flags&flagPINFinalTry != 0:
		return "one try is left"
	case flags&flagPINCountLow != 0:
		return "wrong tries were counted since the last right one"
	}
	return "no wrong tries are counted"
}

// told names the mechanisms that will be used.
func (a abilities) told(c *Codes) string {
	var all []string
	add := func(yes bool, format string, args ...any) {
		if yes {
			all = append(all, fmt.Sprintf(format, args...))
		}
	}
	add(a.sm2Sign, "SM2 signs e by %#x (%s)", c.SM2Sign, a.sm2Form)
	add(!a.sm2Sign && a.sm2Message, "SM2 signs messages by %#x (%s)", c.SM2SignMessage, a.sm2Form)
	add(a.decrypt != "", "SM2 decrypts (%s)", a.decrypt)
	add(a.p256, "P-256 (%s)", a.ecdsaForm)
	add(a.rsa, "RSA")
	add(a.sm4, "SM4 wraps by %s", wrapping(a.sm4GCM, a.sm4ECB))
	add(a.aes, "AES wraps by %s", wrapping(a.aesGCM, a.aesECB))
	add(a.hmac, "HMAC-SM3")
	add(a.inside, "opens many keys inside")
	return strings.Join(all, "; ")
}

func wrapping(gcm, ecb uint) string {
	if gcm != 0 {
		return fmt.Sprintf("GCM %#x", gcm)
	}
	return fmt.Sprintf("a key derived by %#x", ecb)
}

var _ hsm.Described = (*Device)(nil)
