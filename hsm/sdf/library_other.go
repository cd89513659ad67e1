//go:build !cgo || !unix

package sdf

import "hufu/hsm"

// load refuses: loading a library takes cgo.
func load(path string) (library, error) {
	return nil, hsm.ErrNoDriver.With("SDF library %s", path)
}
