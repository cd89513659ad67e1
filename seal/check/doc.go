// Package check verifies seals, signatures and licences and says what it found.
//
// Check takes the bytes of a file, what the verifier trusts (a bundle) and a
// time, and returns a Report, never a bool: one entry a signature, one line a
// step, each PASSED, FAILED, INDETERMINATE or NOT_APPLICABLE with a stable code,
// its evidence and the age of that evidence. Every step runs, also after one has
// failed. Only a file of no known kind is an error (ErrUnknownKind); a damaged
// container is a report that says FAILED.
//
// FAILED means that something is wrong, INDETERMINATE that something needed is
// not known, PASSED that every step that applies holds; see rules.go. The time of
// signing is that of a time-stamp, else of the log, else only a claim, and a
// claim never outweighs a certificate or seal that has ended or was revoked since.
//
// Words are in Chinese or English by Options.Lang; codes are the same in both.
// The package is pure: it reaches no disk, network, environment or clock.
package check
