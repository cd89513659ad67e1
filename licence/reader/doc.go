// Package reader lets seal/check read licences: it hands what licence/card knows
// to the verifier, which stands on the same floor and may not import it. Both
// commands and the server verify through it, so that they judge alike. Pure.
package reader
