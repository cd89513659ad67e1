// Package keys is the life of keys: which there are, what each is for, who made
// it, which version works now, and how it ends.
//
// A device key has a label ("ca-root") and numbered versions. A version's states:
// making (intended, perhaps already in the device) → active (one a label) → retired
// (still signs what needs the old key, still opens what it closed) → destroying →
// destroyed; or making → void. The intent is stored before the device is asked, so
// that a crash leaves a state that Resume completes or voids.
//
// Three sorts of keys stand under a master key that never leaves its device:
// data keys (Data: field encryption, blind index, token secrets) are opened in
// memory when the server starts; many keys (Many: a seal's, a holder's) are opened
// for one signature at a time; other secrets pass through Wrap and Unwrap and are
// kept by those who own them. All of these are HSM-wrapped, not HSM-backed.
//
// The first start is: Unlock (master and the database's own data keys, before any
// audit entry can be written), then Resume, then Ensure for each key. The package
// never imports hsm: Device is what it needs of one, and cmd hands it over.
package keys
