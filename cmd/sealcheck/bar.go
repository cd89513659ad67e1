package main

import (
	"io"
	"os"

	"github.com/schollz/progressbar/v3"
)

// manyFiles is from when on a bar is worth it.
const manyFiles = 20

// bar shows progress on a terminal; nil shows nothing.
type bar struct{ b *progressbar.ProgressBar }

// newBar makes one for many files, when stderr is a terminal and the words do not go to the same one.
func newBar(stderr io.Writer, files int, json bool) *bar {
	f, ok := stderr.(*os.File)
	if !ok || files < manyFiles || !json {
		return nil
	}
	if info, err := f.Stat(); err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return nil
	}
	return &bar{progressbar.NewOptions(files, progressbar.OptionSetWriter(f), progressbar.OptionClearOnFinish(), progressbar.OptionShowCount())}
}

func (b *bar) step() {
	if b != nil {
		_ = b.b.Add(1) // a bar that cannot be drawn is no reason to stop
	}
}

func (b *bar) end() {
	if b != nil {
		_ = b.b.Finish()
	}
}
