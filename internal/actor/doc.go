// Package actor says who calls, as a value.
//
// Every domain call that reads or changes something takes an Actor and decides
// itself whether that actor may. An Actor is made at the edge (from a session,
// an access token, a peer certificate or the server's own work) and is never
// changed. The zero Actor is nobody and may do nothing.
//
// The package also holds the two rules about several actors that the domains
// share: the maker is never the checker, and k of n must agree.
package actor
