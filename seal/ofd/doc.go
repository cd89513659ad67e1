// Package ofd reads and writes OFD documents (GB/T 33190-2016): a ZIP of XML parts.
//
// Open takes the bytes of a file and refuses every container that two readers
// could understand differently: duplicate names, headers that disagree, paths
// that climb out, bombs. What is odd but harmless becomes a Remark. Nothing is
// ever re-encoded: digests are over the bytes as they stand in the file.
//
// A Container answers three questions for a verifier: what does the document
// draw (Model), which signatures does it carry (Signatures), and which bytes
// does one signature protect (Container.Coverage). For a signer it makes the
// next signature in two steps: Prepare fixes the protected bytes and returns a
// Pending, and only a Pending can be finished with a signature value.
//
// NewDocument builds new documents (text with embedded fonts, paths, images,
// attachments, custom tags); the same calls give the same bytes.
//
// The package is pure: bytes in, bytes out. It never looks at certificates.
package ofd
