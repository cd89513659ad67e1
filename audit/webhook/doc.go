// Package webhook tells other systems what the log recorded: certificates issued and revoked, approvals, recoveries of
// keys, seals, licences.
//
// A subscription names an address and the acts it wants. It is a cursor in the log: each round reads the entries that a
// signed checkpoint covers from the cursor on, sends those that were asked for in one signed message, and moves the cursor
// only when the receiver has said 2xx. So nothing is lost while a receiver is away, entries come in the log's order, and
// an entry may come twice (after a crash, or an answer that was lost): its index tells.
//
// States: active ⇄ paused → ended. A subscription whose receiver refuses is tried again after growing pauses; after a week
// it pauses itself. One that was resumed goes on where it stopped.
//
// A message is signed with an SM2 key of its own service. It carries only what the public log holds: no personal data.
// Nothing here runs inside a transaction of the acts themselves, and no act waits for a receiver.
package webhook
