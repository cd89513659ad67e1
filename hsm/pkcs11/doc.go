// Package pkcs11 drives cryptographic machines (密码机) and tokens through
// PKCS#11, each vendor's dialect described by a profile (configs/hsm/*.yaml).
//
// Open loads the module, finds the token, picks the profile by manufacturer, logs
// in once and proves the profile with session keys: a device that contradicts its
// profile does not start (hsm.ErrProfile). One keeper session holds the login and
// never works; the work is done on a bounded pool. Every call runs aside, so that
// none lasts longer than its context, whatever the device does.
//
// A failure is one of three classes (classes.go): the session is lost (another one,
// once), login or handle is lost (log in, find the key by CKA_ID, compare the public
// key, try again), or the device is lost: the circuit opens, calls fail at once with
// hsm.ErrUnavailable, and the driver re-initialises the module with back-off until
// the device works again. A wrong PIN is tried exactly once.
//
// A module's state belongs to the process: all devices on one module share it, and
// its re-initialisation waits for the calls of all. Private keys are made sensitive,
// not extractable and for one use; what the driver knows of a key besides stands in
// its CKA_ID (note.go), so that a key is made in one step. Without cgo Open refuses.
package pkcs11
