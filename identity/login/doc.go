// Package login is how a subject proves itself, and the session that results.
//
// An account is a login name and the proofs that open it; each belongs to one
// natural person (a legal entity never logs in). A log-in is: count the attempt
// (committed before anything is compared, so that neither a crash nor parallel
// guesses go uncounted) → compare the password under argon2id → in one
// transaction look again whether the proof still stands, make the session,
// forgive the counters, record.
//
// A wrong password, an unknown account and a malformed name take the same path,
// the same hash and the same answer. Wrong answers cost a growing delay for the
// account and for the address prefix; nothing is locked for good. Where a person
// has logged in before, the delay is counted apart, so that strangers cannot
// shut the owner out.
//
// A session lives until it ends, idles out or reaches its absolute limit. Only
// the SM3 hash of its secret is stored, and each log-in makes a new secret.
// Session.AMR and AuthLevel say how it was proven; other authenticators add
// theirs. The package never logs an account name, an address or a secret.
package login
