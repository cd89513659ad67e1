// Package kmctest gives tests a key management centre whose master key is in
// memory. It is imported by tests alone.
package kmctest
