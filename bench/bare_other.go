//go:build !cgo || !unix

package main

import "hufu/hsm"

func bareSDF(string, string, uint32) (bare, error) { return bare{}, hsm.ErrNoDriver }
