// Package store keeps what the domains must not lose, on embedded SQLite or on
// PostgreSQL. It is the only importer of database/sql and of the drivers.
//
// Each domain declares the Store it needs; one file here satisfies it
// (ca.go, identity.go, …), all on the one transaction type of tx.go. A change,
// its audit entry (Record) and the work that follows from it (Enqueue) commit
// together or not at all. Whatever may happen only once is one conditional
// UPDATE; nothing signs, calls out or takes a second connection inside a
// transaction.
//
// The SQL is one text for both engines: $1 placeholders, TEXT, BIGINT, BYTEA,
// BOOLEAN, times as microseconds since 1970 UTC. Sensitive columns are sealed
// with SM4-GCM and found again by an HMAC-SM3 blind index (fields.go). Work
// that must survive a crash stands in the job table (jobs.go); what only one
// node may do at a time is claimed by a lease with an epoch (lease.go).
package store
