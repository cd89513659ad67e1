//go:build cgo

package pkcs11

import (
	"fmt"

	p11 "github.com/miekg/pkcs11"

	"hufu/hsm"
)

// Bare is for measurements alone: it returns, for each client, what signs a digest by the calls that the driver makes, through the
// same binding, but without the driver: no pool, deadlines, locks, classes of errors, and no verification. A Device on the
// module has to be open, which holds the login. close ends the sessions, before the Device is closed.
func Bare(module, token, label string, mechanism uint, digest []byte, clients int) (signs []func() ([]byte, error), close func(), err error) {
	lib := p11.New(module)
	if lib == nil {
		return nil, nil, ErrNoModule.With("load %s", module)
	}
	slot, _, err := findToken(lib, token)
	if err != nil {
		return nil, nil, err
	}
	var sessions []p11.SessionHandle
	close = func() {
		for _, s := range sessions {
			_ = lib.CloseSession(s)
		}
	}
	for range clients {
		s, err := lib.OpenSession(slot, p11.CKF_SERIAL_SESSION|p11.CKF_RW_SESSION)
		if err != nil {
			return nil, close, fmt.Errorf("C_OpenSession: %w", err)
		}
		sessions = append(sessions, s)
		key, err := bareKey(lib, s, label)
		if err != nil {
			return nil, close, err
		}
		signs = append(signs, func() ([]byte, error) {
			if err := lib.SignInit(s, []*p11.Mechanism{p11.NewMechanism(mechanism, nil)}, key); err != nil {
				return nil, err
			}
			return lib.Sign(s, digest)
		})
	}
	return signs, close, nil
}

// bareKey finds the private key of a label.
func bareKey(lib *p11.Ctx, s p11.SessionHandle, label string) (p11.ObjectHandle, error) {
	if err := lib.FindObjectsInit(s, []*p11.Attribute{
		p11.NewAttribute(p11.CKA_CLASS, p11.CKO_PRIVATE_KEY), p11.NewAttribute(p11.CKA_LABEL, label),
	}); err != nil {
		return 0, err
	}
	keys, _, err := lib.FindObjects(s, 1)
	if err == nil {
		err = lib.FindObjectsFinal(s)
	}
	if err != nil {
		return 0, err
	}
	if len(keys) == 0 {
		return 0, hsm.ErrNotFound.With("key %q", label)
	}
	return keys[0], nil
}
