//go:build cgo && unix

package sdf

/*
#cgo linux LDFLAGS: -ldl
#include <dlfcn.h>
#include <stdint.h>
#include <stdlib.h>

// Each shim casts the function found by dlsym to its type in GM/T 0018 clause 6. Handles travel as numbers, since some
// libraries hand out small integers, which Go must not hold as pointers.

typedef unsigned char u8;
typedef unsigned int u32;
typedef uintptr_t h;

// A length that the library writes. The standard says 32 bits; a header that says unsigned long writes 64, and must not
// write past it. On little-endian machines both read the same number.
typedef union {
	u32 n[2];
	uint64_t whole;
} length;

static u32 sdf_open_device(void *f, h *dev) {
	void *p = 0;
	u32 rv = (u32)((int (*)(void **))f)(&p);
	*dev = (h)p;
	return rv;
}
static u32 sdf_handle(void *f, h a) { return (u32)((int (*)(void *))f)((void *)a); }
static u32 sdf_open_session(void *f, h dev, h *s) {
	void *p = 0;
	u32 rv = (u32)((int (*)(void *, void **))f)((void *)dev, &p);
	*s = (h)p;
	return rv;
}
static u32 sdf_device_info(void *f, h s, u8 *info) { return (u32)((int (*)(void *, void *))f)((void *)s, info); }
static u32 sdf_right(void *f, h s, u32 index, u8 *pw, u32 n) {
	return (u32)((int (*)(void *, u32, u8 *, u32))f)((void *)s, index, pw, n);
}
static u32 sdf_release(void *f, h s, u32 index) { return (u32)((int (*)(void *, u32))f)((void *)s, index); }
static u32 sdf_public(void *f, h s, u32 index, u8 *key) { return (u32)((int (*)(void *, u32, void *))f)((void *)s, index, key); }
static u32 sdf_sign(void *f, h s, u32 index, u8 *e, u32 n, u8 *sig) {
	return (u32)((int (*)(void *, u32, u8 *, u32, void *))f)((void *)s, index, e, n, sig);
}
static u32 sdf_decrypt(void *f, h s, u32 index, u32 alg, u8 *c, u8 *out, u32 *n) {
	length l = {{*n}};
	u32 rv = (u32)((int (*)(void *, u32, u32, void *, u8 *, u32 *))f)((void *)s, index, alg, c, out, l.n);
	*n = l.n[0];
	return rv;
}
static u32 sdf_decrypt_bare(void *f, h s, u32 index, u8 *c, u8 *out, u32 *n) {
	length l = {{*n}};
	u32 rv = (u32)((int (*)(void *, u32, void *, u8 *, u32 *))f)((void *)s, index, c, out, l.n);
	*n = l.n[0];
	return rv;
}
static u32 sdf_import_isk(void *f, h s, u32 index, u8 *c, h *key) {
	void *p = 0;
	u32 rv = (u32)((int (*)(void *, u32, void *, void **))f)((void *)s, index, c, &p);
	*key = (h)p;
	return rv;
}
static u32 sdf_generate_kek(void *f, h s, u32 bits, u32 alg, u32 index, u8 *out, u32 *n, h *key) {
	void *p = 0;
	length l = {{*n}};
	u32 rv = (u32)((int (*)(void *, u32, u32, u32, u8 *, u32 *, void **))f)((void *)s, bits, alg, index, out, l.n, &p);
	*n = l.n[0];
	*key = (h)p;
	return rv;
}
static u32 sdf_import_kek(void *f, h s, u32 alg, u32 index, u8 *in, u32 n, h *key) {
	void *p = 0;
	u32 rv = (u32)((int (*)(void *, u32, u32, u8 *, u32, void **))f)((void *)s, alg, index, in, n, &p);
	*key = (h)p;
	return rv;
}
static u32 sdf_encrypt(void *f, h s, h key, u32 alg, u8 *iv, u8 *in, u32 n, u8 *out, u32 *m) {
	length l = {{*m}};
	u32 rv = (u32)((int (*)(void *, void *, u32, u8 *, u8 *, u32, u8 *, u32 *))f)((void *)s, (void *)key, alg, iv, in, n, out, l.n);
	*m = l.n[0];
	return rv;
}
static u32 sdf_destroy_key(void *f, h s, h key) { return (u32)((int (*)(void *, void *))f)((void *)s, (void *)key); }
*/
import "C"

import (
	"unsafe"

	"hufu/hsm"
)

// vendor is a library that was loaded: the address of each function that it has, by name. It is never unloaded: libraries
// start threads of their own, and those would run on in memory that is gone.
type vendor map[string]unsafe.Pointer

// functions are the names looked up.
var functions = []string{
	"SDF_OpenDevice", "SDF_CloseDevice", "SDF_OpenSession", "SDF_CloseSession", "SDF_GetDeviceInfo",
	"SDF_GetPrivateKeyAccessRight", "SDF_ReleasePrivateKeyAccessRight", "SDF_GetKEKAccessRight",
	"SDF_ExportSignPublicKey_ECC", "SDF_ExportEncPublicKey_ECC", "SDF_InternalSign_ECC", "SDF_InternalDecrypt_ECC",
	"SDF_ImportKeyWithISK_ECC", "SDF_GenerateKeyWithKEK", "SDF_ImportKeyWithKEK", "SDF_Encrypt", "SDF_DestroyKey",
}

// load loads a library.
func load(path string) (library, error) {
	name := C.CString(path)
	defer C.free(unsafe.Pointer(name))
	handle := C.dlopen(name, C.RTLD_NOW|C.RTLD_LOCAL)
	if handle == nil {
		return nil, hsm.ErrProfile.With("load SDF library: %s", C.GoString(C.dlerror()))
	}
	v := vendor{}
	for _, f := range functions {
		symbol := C.CString(f)
		if at := C.dlsym(handle, symbol); at != nil {
			v[f] = at
		}
		C.free(unsafe.Pointer(symbol))
	}
	for _, f := range []string{"SDF_OpenDevice", "SDF_OpenSession"} {
		if v[f] == nil {
			return nil, hsm.ErrProfile.With("%s is no SDF library: it has no %s", path, f)
		}
	}
	return v, nil
}

// octets is a slice as C sees it.
func octets(b []byte) *C.u8 { return (*C.u8)(unsafe.SliceData(b)) }

func (v vendor) openDevice() (uintptr, status) {
	var dev C.h
	code := C.sdf_open_device(v["SDF_OpenDevice"], &dev)
	return uintptr(dev), status(code)
}

// one calls a function of one handle.
func (v vendor) one(name string, handle uintptr) status {
	f := v[name]
	if f == nil {
		return absent
	}
	return status(C.sdf_handle(f, C.h(handle)))
}

func (v vendor) closeDevice(device uintptr) status { return v.one("SDF_CloseDevice", device) }

func (v vendor) openSession(device uintptr) (uintptr, status) {
	var s C.h
	code := C.sdf_open_session(v["SDF_OpenSession"], C.h(device), &s)
	return uintptr(s), status(code)
}

func (v vendor) closeSession(session uintptr) status { return v.one("SDF_CloseSession", session) }

func (v vendor) deviceInfo(session uintptr, info []byte) status {
	f := v["SDF_GetDeviceInfo"]
	if f == nil {
		return absent
	}
	return status(C.sdf_device_info(f, C.h(session), octets(info)))
}

// unlock calls a function that takes a password.
func (v vendor) unlock(name string, session uintptr, index uint32, password []byte) status {
	f := v[name]
	if f == nil {
		return absent
	}
	return status(C.sdf_right(f, C.h(session), C.u32(index), octets(password), C.u32(len(password))))
}

func (v vendor) accessRight(session uintptr, index uint32, password []byte) status {
	return v.unlock("SDF_GetPrivateKeyAccessRight", session, index, password)
}

func (v vendor) kekRight(session uintptr, index uint32, password []byte) status {
	return v.unlock("SDF_GetKEKAccessRight", session, index, password)
}

func (v vendor) releaseRight(session uintptr, index uint32) status {
	f := v["SDF_ReleasePrivateKeyAccessRight"]
	if f == nil {
		return absent
	}
	return status(C.sdf_release(f, C.h(session), C.u32(index)))
}

func (v vendor) publicKey(session uintptr, k kind, index uint32, key []byte) status {
	name := "SDF_ExportSignPublicKey_ECC"
	if k == encryption {
		name = "SDF_ExportEncPublicKey_ECC"
	}
	f := v[name]
	if f == nil {
		return absent
	}
	return status(C.sdf_public(f, C.h(session), C.u32(index), octets(key)))
}

func (v vendor) sign(session uintptr, index uint32, e, signature []byte) status {
	f := v["SDF_InternalSign_ECC"]
	if f == nil {
		return absent
	}
	return status(C.sdf_sign(f, C.h(session), C.u32(index), octets(e), C.u32(len(e)), octets(signature)))
}

func (v vendor) decrypt(session uintptr, index uint32, form decryptForm, cipher, plain []byte) (uint32, status) {
	f := v["SDF_InternalDecrypt_ECC"]
	if f == nil {
		return 0, absent
	}
	n := C.u32(len(plain))
	if form.without {
		code := C.sdf_decrypt_bare(f, C.h(session), C.u32(index), octets(cipher), octets(plain), &n)
		return uint32(n), status(code)
	}
	code := C.sdf_decrypt(f, C.h(session), C.u32(index), C.u32(form.algorithm), octets(cipher), octets(plain), &n)
	return uint32(n), status(code)
}

func (v vendor) importWithISK(session uintptr, index uint32, cipher []byte) (uintptr, status) {
	f := v["SDF_ImportKeyWithISK_ECC"]
	if f == nil {
		return 0, absent
	}
	var key C.h
	code := C.sdf_import_isk(f, C.h(session), C.u32(index), octets(cipher), &key)
	return uintptr(key), status(code)
}

func (v vendor) generateWithKEK(session uintptr, bits, algorithm, index uint32, wrapped []byte) (uint32, uintptr, status) {
	f := v["SDF_GenerateKeyWithKEK"]
	if f == nil {
		return 0, 0, absent
	}
	n := C.u32(len(wrapped))
	var key C.h
	code := C.sdf_generate_kek(f, C.h(session), C.u32(bits), C.u32(algorithm), C.u32(index), octets(wrapped), &n, &key)
	return uint32(n), uintptr(key), status(code)
}

func (v vendor) importWithKEK(session uintptr, algorithm, index uint32, wrapped []byte) (uintptr, status) {
	f := v["SDF_ImportKeyWithKEK"]
	if f == nil {
		return 0, absent
	}
	var key C.h
	code := C.sdf_import_kek(f, C.h(session), C.u32(algorithm), C.u32(index), octets(wrapped), C.u32(len(wrapped)), &key)
	return uintptr(key), status(code)
}

func (v vendor) encrypt(session, key uintptr, algorithm uint32, iv, in, out []byte) (uint32, status) {
	f := v["SDF_Encrypt"]
	if f == nil {
		return 0, absent
	}
	n := C.u32(len(out))
	code := C.sdf_encrypt(f, C.h(session), C.h(key), C.u32(algorithm), octets(iv), octets(in), C.u32(len(in)), octets(out), &n)
	return uint32(n), status(code)
}

func (v vendor) destroyKey(session, key uintptr) status {
	f := v["SDF_DestroyKey"]
	if f == nil {
		return absent
	}
	return status(C.sdf_destroy_key(f, C.h(session), C.h(key)))
}
