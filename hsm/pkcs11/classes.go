//go:build cgo

package pkcs11

import (
	"errors"
	"fmt"
	"slices"

	p11 "github.com/miekg/pkcs11"

	"hufu/hsm"
	"hufu/internal/fault"
)

// class says what a failure of the device calls for.
type class int

const (
	classNone    class = iota // not a matter of the connection: hand it on
	classSession              // A: discard the session, once more on another
	classLogin                // B: log in, find the key again and compare it, once more
	classDevice               // C: open the circuit and initialize again with back-off
	classPIN                  // never try again
)

var classCodes = map[class][]uint{
	classSession: {p11.CKR_SESSION_HANDLE_INVALID, p11.CKR_SESSION_CLOSED, p11.CKR_OPERATION_ACTIVE, p11.CKR_OPERATION_NOT_INITIALIZED},
	classLogin: {
		p11.CKR_USER_NOT_LOGGED_IN, p11.CKR_OBJECT_HANDLE_INVALID, p11.CKR_KEY_HANDLE_INVALID, p11.CKR_UNWRAPPING_KEY_HANDLE_INVALID, p11.CKR_WRAPPING_KEY_HANDLE_INVALID,
		// Keys are only asked for what they can do, so that another sort of key means that the handle has moved.
		p11.CKR_KEY_TYPE_INCONSISTENT, p11.CKR_KEY_FUNCTION_NOT_PERMITTED, p11.CKR_WRAPPING_KEY_TYPE_INCONSISTENT, p11.CKR_UNWRAPPING_KEY_TYPE_INCONSISTENT,
	},
	classDevice: {
		p11.CKR_DEVICE_ERROR, p11.CKR_DEVICE_REMOVED, p11.CKR_TOKEN_NOT_PRESENT, p11.CKR_TOKEN_NOT_RECOGNIZED,
		p11.CKR_CRYPTOKI_NOT_INITIALIZED, p11.CKR_SLOT_ID_INVALID,
	},
	classPIN: {
		p11.CKR_PIN_INCORRECT, p11.CKR_PIN_INVALID, p11.CKR_PIN_LEN_RANGE, p11.CKR_PIN_EXPIRED, p11.CKR_PIN_LOCKED,
		p11.CKR_USER_PIN_NOT_INITIALIZED,
	},
}

// vague are the codes by which a device may mean anything. Three calls in a row that end so are taken for a lost device.
var vague = []uint{p11.CKR_FUNCTION_FAILED, p11.CKR_GENERAL_ERROR}

const vagueLimit = 3

// errMoved says that a handle now means another key: login or device were changed under us.
var errMoved = errors.New("the handle means another key")

// codeOf returns the device's result code, if err is one.
func codeOf(err error) (uint, bool) {
	var code p11.Error
	if !errors.As(err, &code) {
		return 0, false
	}
	return uint(code), true
}

// classOf sorts a failure by the fixed codes and those of the profile.
func (p *Profile) classOf(err error) class {
	if errors.Is(err, errMoved) {
		return classLogin
	}
	if _, ok := errors.AsType[*fault.Error](err); ok {
		return classNone // decided already
	}
	code, ok := codeOf(err)
	if !ok || slices.Contains(p.Errors.Data, code) {
		return classNone
	}
	for c, more := range map[class][]uint{classSession: p.Errors.Session, classLogin: p.Errors.Login, classDevice: p.Errors.Device, classPIN: nil} {
		if slices.Contains(classCodes[c], code) || slices.Contains(more, code) {
			return c
		}
	}
	return classNone
}

// refused are the codes by which a device says that it cannot do what it was asked, rather than that it failed.
var refused = []uint{
	p11.CKR_MECHANISM_INVALID, p11.CKR_MECHANISM_PARAM_INVALID, p11.CKR_KEY_TYPE_INCONSISTENT, p11.CKR_KEY_FUNCTION_NOT_PERMITTED,
	p11.CKR_KEY_SIZE_RANGE, p11.CKR_DATA_LEN_RANGE, p11.CKR_FUNCTION_NOT_SUPPORTED, p11.CKR_TEMPLATE_INCOMPLETE,
	p11.CKR_TEMPLATE_INCONSISTENT, p11.CKR_ATTRIBUTE_READ_ONLY, p11.CKR_ATTRIBUTE_TYPE_INVALID, p11.CKR_ATTRIBUTE_VALUE_INVALID,
	p11.CKR_WRAPPING_KEY_TYPE_INCONSISTENT, p11.CKR_UNWRAPPING_KEY_TYPE_INCONSISTENT,
	p11.CKR_CURVE_NOT_SUPPORTED, p11.CKR_DOMAIN_PARAMS_INVALID, p11.CKR_KEY_UNEXTRACTABLE, p11.CKR_KEY_NOT_WRAPPABLE,
}

// severed reports that a failure is one of connection, login or PIN and so says nothing about what the device can do.
func (p *Profile) severed(err error) bool {
	code, _ := codeOf(err)
	return p.classOf(err) != classNone && !slices.Contains(refused, code)
}

// asFault turns a failure of the device into a fault; what is one already stays.
func asFault(what string, err error) error {
	if _, ok := errors.AsType[*fault.Error](err); ok || err == nil {
		return err
	}
	code, ok := codeOf(err)
	switch {
	case errors.Is(err, errMoved):
		return hsm.ErrChanged.With("%s", what)
	case !ok:
		return hsm.ErrUnavailable.With("%s: %w", what, err)
	case code == p11.CKR_PIN_LOCKED:
		return hsm.ErrPINLocked.With("%s: %w", what, err)
	case slices.Contains(classCodes[classPIN], code):
		return hsm.ErrWrongPIN.With("%s: %w", what, err)
	case slices.Contains(refused, code):
		return hsm.ErrMechanism.With("%s: %w", what, err)
	}
	return hsm.ErrUnavailable.With("%s: %w", what, err)
}

// step names the call that failed, keeping its code.
func step(name string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", name, err)
}
