package login

import (
	"sync/atomic"
	"time"
)

// CountHashes counts the password hashes that s derives from now on.
func CountHashes(s *Service) *atomic.Int64 {
	var n atomic.Int64
	derive := s.hasher.derive
	s.hasher.derive = func(password, salt []byte, c Cost) []byte {
		n.Add(1)
		return derive(password, salt, c)
	}
	return &n
}

// Interrupt makes f run before each password hash from now on.
func Interrupt(s *Service, f func()) {
	derive := s.hasher.derive
	s.hasher.derive = func(password, salt []byte, c Cost) []byte {
		f()
		return derive(password, salt, c)
	}
}

// Impatient shortens the wait for a slot.
func Impatient(s *Service, wait time.Duration) { s.hasher.wait = wait }
