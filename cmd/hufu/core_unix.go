//go:build unix

package main

import (
	"fmt"
	"syscall"
)

// keepMemory has no core file written of this process, whatever the limits were: keys, PINs and data keys are in its memory.
func keepMemory() error {
	if err := syscall.Setrlimit(syscall.RLIMIT_CORE, &syscall.Rlimit{}); err != nil {
		return fmt.Errorf("switch core files off: %w", err)
	}
	return undumpable()
}
