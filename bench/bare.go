//go:build cgo && unix

package main

/*
#cgo linux LDFLAGS: -ldl
#include <dlfcn.h>
#include <stdint.h>
#include <stdlib.h>

static void *bare_open(char *path) { return dlopen(path, RTLD_NOW | RTLD_LOCAL); }
static int bare_device(void *f, uintptr_t *device) {
	void *p = 0;
	int rv = ((int (*)(void **))f)(&p);
	*device = (uintptr_t)p;
	return rv;
}
static int bare_session(void *f, uintptr_t device, uintptr_t *session) {
	void *p = 0;
	int rv = ((int (*)(void *, void **))f)((void *)device, &p);
	*session = (uintptr_t)p;
	return rv;
}
static int bare_handle(void *f, uintptr_t h) { return ((int (*)(void *))f)((void *)h); }
static int bare_right(void *f, uintptr_t s, unsigned index, unsigned char *pw, unsigned n) {
	return ((int (*)(void *, unsigned, unsigned char *, unsigned))f)((void *)s, index, pw, n);
}
static int bare_sign(void *f, uintptr_t s, unsigned index, unsigned char *e, unsigned n, unsigned char *sig) {
	return ((int (*)(void *, unsigned, unsigned char *, unsigned, void *))f)((void *)s, index, e, n, sig);
}
*/
import "C"

import (
	"fmt"
	"slices"
	"unsafe"
)

// bareSDF calls a library as the driver does, in a device handle of its own.
func bareSDF(library, password string, index uint32) (bare, error) {
	path := C.CString(library)
	defer C.free(unsafe.Pointer(path))
	handle := C.bare_open(path)
	if handle == nil {
		return bare{}, fmt.Errorf("load %s: %s", library, C.GoString(C.dlerror()))
	}
	functions := map[string]unsafe.Pointer{}
	for _, name := range []string{
		"SDF_OpenDevice", "SDF_CloseDevice", "SDF_OpenSession", "SDF_CloseSession", "SDF_GetPrivateKeyAccessRight", "SDF_InternalSign_ECC",
	} {
		symbol := C.CString(name)
		functions[name] = C.dlsym(handle, symbol)
		C.free(unsafe.Pointer(symbol))
		if functions[name] == nil {
			return bare{}, fmt.Errorf("%s has no %s", library, name)
		}
	}
	var device C.uintptr_t
	if rv := C.bare_device(functions["SDF_OpenDevice"], &device); rv != 0 {
		return bare{}, fmt.Errorf("SDF_OpenDevice: %08x", uint32(rv))
	}
	var sessions []C.uintptr_t
	b := bare{close: func() {
		for _, s := range sessions {
			C.bare_handle(functions["SDF_CloseSession"], s)
		}
		C.bare_handle(functions["SDF_CloseDevice"], device)
	}}
	secret, sign := []byte(password), functions["SDF_InternalSign_ECC"]
	for range clients {
		var s C.uintptr_t
		if rv := C.bare_session(functions["SDF_OpenSession"], device, &s); rv != 0 {
			return b, fmt.Errorf("SDF_OpenSession: %08x", uint32(rv))
		}
		sessions = append(sessions, s)
		if rv := C.bare_right(functions["SDF_GetPrivateKeyAccessRight"], s, C.uint(index), (*C.uchar)(&secret[0]), C.uint(len(secret))); rv != 0 {
			return b, fmt.Errorf("SDF_GetPrivateKeyAccessRight: %08x", uint32(rv))
		}
		out := make([]byte, 256)
		b.signs = append(b.signs, func() ([]byte, error) {
			if rv := C.bare_sign(sign, s, C.uint(index), (*C.uchar)(&digest[0]), C.uint(len(digest)), (*C.uchar)(&out[0])); rv != 0 {
				return nil, fmt.Errorf("SDF_InternalSign_ECC: %08x", uint32(rv))
			}
			return slices.Concat(out[32:64], out[96:128]), nil // ECCSignature: r and s, 64 octets each
		})
	}
	return b, nil
}
