// Package audit is the record of every act, and how anyone checks it.
//
// A domain call that changes something passes an Entry to Record of its own
// store transaction, so that the act and its record commit together. The entry
// becomes a row (Seal): a public leaf with opaque ids and a salted commitment, and a
// sealed part, personal data under a key of its own for each subject. The
// Sequencer then gives each row its index in an SM3 Merkle tree (audit/tree),
// writes tiles and tree head in one transaction, and signs a checkpoint.
//
// A row's states: recorded → sequenced (index assigned, once and for ever) →
// covered by a signed checkpoint → possibly erased: Erase destroys the subject's
// key, after which the sealed part is noise while leaf, tree and proofs still hold.
//
// Readers: Log.Search for audit administrators, Log.Proof for anyone who holds an
// entry's id, Handler for the world (tiles and checkpoint), Witness for those who
// vouch that they all see one log, VerifyExport for whoever trusts nobody here.
// The package never writes outside the caller's transaction and never signs inside one.
package audit
