// Package kmc is the key management centre (密钥管理中心): it makes encryption key
// pairs, hands each out once, enveloped to a key of its holder so that nobody on
// the way sees the private half, and keeps it in escrow under a master key of its
// own device, so that it can be recovered by k of n officers.
//
// A pair's states: pool → held. Pairs are made beforehand and wrapped at once;
// taking one is a single conditional update, which also stores the escrowed
// octets and the envelope: whatever a crash leaves, a pair is either still nobody's
// or wholly somebody's, and asked again for a request the centre returns the same.
// A pair of the pool is handed out by none but the process that made it (its
// epoch), from a list in that process's memory: an older database that was put
// back holds nothing that could be handed out a second time.
//
// A recovery's states: requested → approved → delivered, or rejected, cancelled,
// expired. Recovery by order of a court or an authority (司法恢复) is a kind of its
// own, with its own quorum. See docs/ISSUING.md.
//
// Centre is the whole; Desk is the counter at which one authority is served, in
// the same process or, through ca/kmc/remote, from another machine. It never makes
// or sees signing keys, and nothing here takes a private key from outside.
package kmc
