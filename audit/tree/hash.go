package tree

import (
	"encoding/base64"
	"errors"
	"fmt"

	"hufu/internal/gm"
)

// HashSize is the length of a Hash in bytes.
const HashSize = 32

// Hash is the hash of a leaf, a node or a whole tree.
type Hash [HashSize]byte

// String returns the hash in standard base64, as checkpoints and proofs write it.
func (h Hash) String() string { return base64.StdEncoding.EncodeToString(h[:]) }

// ParseHash reads what String writes, and nothing else.
func ParseHash(s string) (h Hash, err error) {
	b, err := base64.StdEncoding.Strict().DecodeString(s)
	if err != nil || len(b) != HashSize || base64.StdEncoding.EncodeToString(b) != s {
		return h, fmt.Errorf("%w: hash %.60q", ErrFormat, s)
	}
	return Hash(b), nil
}

// Head is a tree at one moment.
type Head struct {
	Size uint64 // number of leaves
	Root Hash   // EmptyRoot for Size 0
}

// The ways in which a tree or a proof can be wrong. Every error of this package wraps one of them.
var (
	ErrFormat    = errors.New("malformed")                                                // not the written form it should be
	ErrMismatch  = errors.New("does not match the tree")                                  // a proof or tile that gives another root
	ErrShrunk    = errors.New("the tree is smaller than before")                          // the log was cut or rolled back
	ErrFork      = errors.New("two different trees of the same log")                      // same size, other root: a split view
	ErrSignature = errors.New("the log's signature is missing or wrong")                  // of a checkpoint
	ErrQuorum    = errors.New("too few witnesses cosigned")                               // of a checkpoint
	ErrKey       = errors.New("malformed or unusable key")                                // of a log or witness
	ErrMissing   = errors.New("a tile is missing or narrower than the tree size demands") // of storage or export
)

// EmptyRoot is the root of the tree without leaves, the hash of nothing.
func EmptyRoot() Hash { return Hash(sm3.EmptyRoot()) }

// LeafHash returns the hash of an entry as a leaf.
func LeafHash(entry []byte) Hash { return Hash(sm3.HashLeaf(entry)) }

// NodeHash returns the hash of the node over two subtrees.
func NodeHash(left, right Hash) Hash { return Hash(sm3.HashChildren(left[:], right[:])) }

// hasher is RFC 6962 over any hash of 32 bytes; it satisfies merkle.LogHasher. Tests run it with SHA-256 against other implementations.
type hasher func(parts ...[]byte) [32]byte

var sm3 hasher = gm.SM3

// Domain separation, RFC 6962 section 2.1.
var leafPrefix, nodePrefix = []byte{0}, []byte{1}

// EmptyRoot returns the hash of nothing.
func (h hasher) EmptyRoot() []byte { s := h(); return s[:] }

// HashLeaf returns the hash of a leaf.
func (h hasher) HashLeaf(leaf []byte) []byte { s := h(leafPrefix, leaf); return s[:] }

// HashChildren returns the hash of an inner node.
func (h hasher) HashChildren(l, r []byte) []byte { s := h(nodePrefix, l, r); return s[:] }

// Size returns the length of a hash in bytes.
func (h hasher) Size() int { return HashSize }
