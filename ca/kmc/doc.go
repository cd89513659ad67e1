// Package kmc is the key management centre (密钥管理中心): it makes encryption key
// pairs and hands each out once, enveloped to the holder's signing key, so that
// nobody between it and the holder ever sees the private half.
//
// A request's states: none → provided. The pair is made and enveloped in memory,
// the envelope and the public half are stored under the request's number, and
// only what was stored is handed out: asked again after a crash or a lost answer,
// the centre returns the same envelope. It can only be opened with the holder's
// signing key, so that keeping it is no risk.
//
// It never makes or sees signing keys. The pre-made pool, escrow and recovery
// come later; until then a holder who loses the signing key loses what was
// encrypted to the pair, and the portal says so.
package kmc
