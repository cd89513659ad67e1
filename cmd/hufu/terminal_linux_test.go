package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/term"
)

// terminal opens a pair: what is written into keyboard is typed at desk, and what desk shows is read from keyboard.
func terminal(t *testing.T) (keyboard, desk *os.File) {
	t.Helper()
	keyboard, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		if os.Getenv("CI") == "" {
			t.Skipf("no pseudo-terminals here: %v", err)
		}
		t.Fatal(err)
	}
	t.Cleanup(func() { keyboard.Close() })
	var unlock, number int32
	for request, value := range map[uintptr]*int32{syscall.TIOCSPTLCK: &unlock, syscall.TIOCGPTN: &number} {
		if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, keyboard.Fd(), request, uintptr(unsafe.Pointer(value))); errno != 0 {
			t.Fatal(errno)
		}
	}
	desk, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { desk.Close() })
	return keyboard, desk
}

// What a custodian types is not shown, and an interrupted question gives the terminal its echo back.
func TestNobodySeesWhatACustodianTypes(t *testing.T) {
	keyboard, desk := terminal(t)
	shown := make(chan string, 1)
	go func() {
		var all strings.Builder
		buffer := make([]byte, 256)
		for !strings.Contains(all.String(), "END") {
			n, err := keyboard.Read(buffer)
			if err != nil {
				break
			}
			all.Write(buffer[:n])
		}
		shown <- all.String()
	}()
	go func() {
		for !hidden(desk) {
			time.Sleep(time.Millisecond)
		}
		_, _ = keyboard.WriteString("correct horse\n")
	}()
	text, err := readHidden(t.Context(), desk, desk, "口令 / Passphrase: ")
	if err != nil || string(text) != "correct horse" {
		t.Fatalf("%q, %v", text, err)
	}
	fmt.Fprintln(desk, "END")
	if got := <-shown; !strings.Contains(got, "Passphrase: ") || strings.Contains(got, "horse") {
		t.Errorf("shown: %q", got)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := readHidden(ctx, desk, desk, ""); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("interrupted: %v", err)
	}
	if hidden(desk) {
		t.Error("the terminal stays without echo")
	}
	_, _ = keyboard.WriteString("\n") // ends the read that still waits
}

// hidden tells whether a terminal has its echo off.
func hidden(f *os.File) bool {
	var state syscall.Termios
	_, _, errno := syscall.Syscall(syscall.SYS_IOCTL, f.Fd(), syscall.TCGETS, uintptr(unsafe.Pointer(&state)))
	return errno == 0 && term.IsTerminal(int(f.Fd())) && state.Lflag&syscall.ECHO == 0
}
