// Package bundle is the signed trust bundle: one file that lets a verifier
// judge seals, licences and certificates without a network.
//
// A bundle names roots and intermediates with the purposes they are trusted
// for, carries CRLs verbatim, the state of every seal and licence its issuer
// answers for, time-stamp certificates, and log keys with checkpoints. It is
// canonical JSON (RFC 8785) inside a GB/T 35275 SignedData.
//
// The publisher fills a Bundle and calls Build. A verifier calls Parse with the
// Pin it was given out of band, CheckSequence with the highest sequence it has
// seen, and asks Stale with its own time: after nextUpdate every status in the
// bundle is unknown, not good. Parse accepts one encoding only, so that unknown
// fields, duplicate names and edits by hand are refused and Parse → Build keeps
// the JSON byte for byte.
//
// The package is pure: no file, clock or network. It never decides whether a
// signature on a document is good; seal/check does that.
package bundle
