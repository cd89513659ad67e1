// Package fault names the kinds of failure that a caller can act on.
//
// A domain call that refuses returns a *fault.Error. It has two audiences:
// Text is what the person who asked may read, in Chinese and in English, and it
// always says what to do next; Detail is what the operator needs (what was
// tried, on what, and why) and never leaves the server. Every other error is an
// internal one: the outside sees a reference number only.
//
// The package knows nothing of HTTP; api maps kinds to status codes in one file.
package fault
