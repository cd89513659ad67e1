// Package tree is the Merkle tree of the record: hashing, tiles, proofs, checkpoints and cosignatures.
//
// The tree is that of RFC 6962 (leaf = H(00 ‖ entry), node = H(01 ‖ left ‖ right)) with SM3 for SHA-256. It is
// kept as tiles 256 hashes wide, named as in C2SP tlog-tiles; a partial tile is a prefix of its full one. Append
// grows a tree, Inclusion and Consistency make proofs out of tiles, CheckInclusion and CheckConsistency test them.
//
// A checkpoint (C2SP tlog-checkpoint) is a signed note that states origin, size and root. The log signs it with
// SM2; witnesses that followed the log add timestamped cosignatures (C2SP tlog-cosignature). VerifyCheckpoint
// wants the log's signature and a quorum of witnesses; Proof (C2SP tlog-proof) carries an entry, its index, its
// inclusion proof and a checkpoint, and is checked with public keys alone.
//
// What differs from C2SP: SM3 in the tree, and SM2-with-SM3 signatures under the private type byte 0xff (see Key).
//
// The package is pure: it takes bytes and times, and reaches no disk, network, clock or environment.
package tree
