// Package enrol lets machines enrol: CMP (GB/T 19714, RFC 9483) at /.well-known/cmp and EST (RFC 7030) at /.well-known/est/.
//
// Who asks is known by a secret that a registrar made for one holder and one profile, or by a certificate of ours that counts
// now: for its own holder, or for others where the holder is a registration client with rights. Everything asked for becomes an application of package ca; this
// package decides nothing about certificates, and needs no key but that of the service that protects its answers.
//
// A transaction: begun → unconfirmed → done or rejected; begun → waiting (for an officer) → begun …; begun → refused, and
// whatever nobody confirmed in time becomes lapsed. The use of a secret and the begun transaction are one commit; the
// application's idempotency key is the transaction; the answer is stored before it is sent, and a message that comes again gets
// the same octets. A durable job (JobSettle) revokes what was rejected or lapsed, so that a crash leaves no certificate
// that nobody knows of.
package enrol
