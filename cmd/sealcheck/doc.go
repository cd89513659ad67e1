// Command sealcheck verifies OFD documents, electronic seals (.esl), detached
// signatures and licence QR texts without a network.
//
//	sealcheck --bundle trust.bundle --bundle-key bundle-key.pem licence.ofd
//
// What is trusted comes from the bundle, what time it is from the clock or
// --at. The verdict is on standard output, for people or as one JSON object a
// file (--json); errors are one line on standard error with the next step.
//
// Exit codes: 0 all passed · 1 at least one failed · 2 none failed, at least one
// cannot be decided · 3 a file that cannot be opened or is of no known kind, or
// wrong use. The first that applies of 3, 1, 2, 0.
//
// The judging is package seal/check; this command reads files and writes words.
package main
