//go:build !cgo || !unix

package main

import "hufu/hsm"

// bare is what signs without a driver; there is none here.
type bare struct {
	signs []func() error
	close func()
}

func barePKCS11(string, string) (bare, error) { return bare{}, hsm.ErrNoDriver }

func bareSDF(string, string, uint32) (bare, error) { return bare{}, hsm.ErrNoDriver }
