// Package shares divides a secret among custodians (密钥保管员), so that any k of
// n bring it back and fewer learn nothing of it: Shamir's scheme over GF(2^8).
//
// Split makes a Set, which says openly what the secret guards, who holds which
// share (密钥分量) and a commitment to each, and the shares. Set.Seal puts one share
// under its custodian's passphrase into a text file; Parse reads such a file,
// File.Open opens it, Combine gives the secret back. Files of two ceremonies never
// mix, a changed share is named, a missing one is counted.
//
// The arithmetic takes the same time for all values and uses no tables. The
// package never writes, prompts or logs: its caller (the key ceremony of
// cmd/hufu) does, and clears what it got from here.
package shares
