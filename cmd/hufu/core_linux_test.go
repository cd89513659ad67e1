package main

import (
	"syscall"
	"testing"
)

// A core_pattern that is a pipe does not look at the limit: the process must not be dumpable at all.
func TestProcessIsNotDumpable(t *testing.T) {
	if err := keepMemory(); err != nil {
		t.Fatal(err)
	}
	dumpable, _, errno := syscall.RawSyscall(syscall.SYS_PRCTL, syscall.PR_GET_DUMPABLE, 0, 0)
	if errno != 0 || dumpable != 0 {
		t.Errorf("dumpable %d, %v", dumpable, errno)
	}
}
