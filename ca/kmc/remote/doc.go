// Package remote lets an authority use a key management centre on another
// machine: Handler is the centre's side, Client the authority's.
//
// Both show certificates in TLS 1.3. The centre knows each authority by the key of
// its certificate and serves it at a kmc.Desk of its own, so that what an
// authority can name is its own; the authority checks the centre's certificate
// against the CAs that its configuration names. Calls are JSON by POST; each can be
// repeated after a cut connection and then gives the same: keys by the number of
// the application, recoveries by idempotency key, hand-outs by receipt.
//
// The centre believes the authority who its people are. What it decides itself:
// that maker, holder and approvers are different, how many approve, that a key is
// handed out once, and that one authority never reaches another one's keys.
package remote
