package main

import (
	"fmt"
	"io"
	"os"
	"strings"
)

// manyFiles is from when on progress is worth showing.
const manyFiles = 20

// bar shows progress on a terminal; nil shows nothing. It is our own because the library that the server uses links
// net/http, and this program is to have no network in it.
type bar struct {
	out         io.Writer
	done, files int
}

// newBar makes one for many files, when stderr is a terminal and the words do not go to the same one.
func newBar(stderr io.Writer, files int, json bool) *bar {
	f, ok := stderr.(*os.File)
	if !ok || files < manyFiles || !json {
		return nil
	}
	if info, err := f.Stat(); err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return nil
	}
	return &bar{out: f, files: files}
}

const barWidth = 40

func (b *bar) step() {
	if b == nil {
		return
	}
	b.done++
	full := barWidth * b.done / b.files
	fmt.Fprintf(b.out, "\r[%s%s] %d/%d", strings.Repeat("=", full), strings.Repeat(" ", barWidth-full), b.done, b.files)
}

func (b *bar) end() {
	if b != nil {
		fmt.Fprint(b.out, "\r\x1b[K")
	}
}
