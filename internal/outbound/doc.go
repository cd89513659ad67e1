// Package outbound is the only maker of HTTP clients. A client reaches public
// addresses only, unless the configuration allows private ones by name; it has a
// deadline, follows no redirects, and what it reads is bounded.
//
// The address is checked when the connection is made, after the name was
// resolved, so that a name cannot lead to an inner address at the second look.
package outbound
