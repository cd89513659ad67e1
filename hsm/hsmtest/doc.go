// Package hsmtest is the suite that every driver of hsm must pass, and the
// quick soft device that tests of other packages use.
//
// Run makes keys with random labels and destroys them, so that it can also be let
// loose on a token that holds other keys. Algorithms that a device lacks are named
// by the caller; the suite then checks that asking for them is refused.
package hsmtest
