// Package hsm holds keys in devices: each key is a crypto.Signer, a
// crypto.Decrypter, a wrapper or a maker of MACs, and never leaves its device.
//
// A Device is opened by its driver. Driver soft (CreateSoft, OpenSoft) keeps one
// sealed file a key in a folder, under a passphrase; it needs no hardware and no
// cgo. PKCS#11 and SDF devices stand behind the same interface. What a label
// refers to is the driver's affair: a file, a token's CKA_ID, an index.
//
// A key has one algorithm and one use, fixed when it is made: no key both signs
// and decrypts (双证书: separate pairs). SM2 input is marked gm.Message or
// gm.Digest, everything else is refused; hashing is done on the host. Every
// signature is verified with the public key before it leaves the package, so that
// a device fault or a handle that moved to another key never becomes a signature.
//
// Failures are faults that a caller can tell apart with errors.Is: ErrNotFound,
// ErrWrongPIN, ErrDamaged, ErrUnavailable and the others of errors.go. The
// package never takes a passphrase from an argument list or the environment, never
// retries a wrong one, and puts neither passphrase nor key into an error.
// Package hsm/hsmtest is the suite that every driver must pass.
package hsm
