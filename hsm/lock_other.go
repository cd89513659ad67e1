//go:build !unix

package hsm

import "os"

const noFollow = 0

func lockFolder(path string) (*os.File, error) {
	return nil, ErrMechanism.With("key store %s: driver soft needs a Unix system, whose file locks it relies on", path)
}
