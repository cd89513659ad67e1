// Package ca is the authority: what it signs, for whom, and what it says of it
// afterwards.
//
// An application names a profile, a holder and a request made with the holder's
// own key. Its states: submitted → approved or rejected → issued. Who may apply,
// who approves and what the certificate will contain stands in the profile; the
// holder's name and numbers come from the registry, never from the request.
//
// Issuing keeps one order, so that nothing signed is ever unknown: prepare
// (profile applied, to-be-signed bytes built and linted) → reserve (serial and
// bytes stored, commit 1) → sign in the device, once → own signature verified and
// bytes compared → stored as issued with its record (commit 2). A value that only
// the step before can make is what each step takes. After a crash Recover treats
// a reservation that was not finished as issued and revokes its serial; the
// application stays approved, and the next try takes a new serial.
//
// A root's key may be with custodians (custody.go): then it signs in sittings of a
// key ceremony alone (ceremony.go), and the server goes on without it.
//
// Status goes out as CRL (list.go), OCSP (ocsp.go) and time-stamps bear witness to
// what existed when (tsa.go). Keys arrive as crypto.Signer and never leave their
// device; encryption keys come from ca/kmc through a one-method interface.
package ca
