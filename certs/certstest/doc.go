// Package certstest lets another implementation judge what ours made, and
// make what ours judges: Bouncy Castle (Debian libbcpkix-java), the one peer
// that knows SM2 with the standard identifier in lists, OCSP, CMS, time-stamps
// and CMP. It is imported by tests alone.
package certstest
