// Package seal is the life and the use of electronic seals (电子印章): 制章 making,
// 用章 using, freezing and revoking them. Verification is seal/check, which needs
// nothing of this package; the ASN.1 is seal/ses, the document seal/ofd.
//
// A seal's states: applied → approved → active ⇄ frozen → revoked. Three parties
// make it: an officer of the owner applies, another seal officer approves, the
// seal maker's key signs the result. Making, by the owner's PIN, has a key made and
// certified, draws the picture, and builds the seal of GB/T 38540-2020; each step
// may be repeated after a crash and finds what the one before left.
//
// A use's states: intended → done, or void. The intent, with the hash of what
// will be stamped, is stored before anything is signed; then state of the seal,
// certificate and actor are checked, the document is prepared, signed, verified,
// time-stamped and recorded. What was intended and not done is voided by Recover.
//
// A seal's key is under its owner's sole control: each signature takes a Consent, or
// a standing activation that the owner made and that ends when it is withdrawn, the
// seal is frozen, or its maker may no longer stamp (activation.go, challenge.go).
// Keys arrive as crypto.Signer and never leave their keeper. Pictures are drawn here
// (picture.go) and are pure.
package seal
