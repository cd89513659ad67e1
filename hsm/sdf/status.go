package sdf

import "fmt"

// status is what a call returned: a code of GM/T 0018 appendix A or of the vendor, or absent.
type status uint64

// Codes of GM/T 0018-2012 appendix A, and from 0x20 those that later devices add.
const (
	ok            status = 0
	notSupported  status = 0x01000002
	commFail      status = 0x01000003
	hardFail      status = 0x01000004
	openDevice    status = 0x01000005
	openSession   status = 0x01000006
	accessDenied  status = 0x01000007
	noKey         status = 0x01000008
	noAlgorithm   status = 0x01000009
	noMode        status = 0x0100000A
	publicFailed  status = 0x0100000B
	privateFailed status = 0x0100000C
	blockFailed   status = 0x0100000F
	keyError      status = 0x01000015
	dataError     status = 0x01000016
	rightFailed   status = 0x01000018
	macFailed     status = 0x01000019
	badArgument   status = 0x0100001D
	badHandle     status = 0x01000020
	passwordLock  status = 0x01000021

	// absent is ours: the library has no such function.
	absent status = 1 << 32
)

// class says what helps against a failure.
type class int

const (
	classDoubt  class = iota // anything else: a fresh session may help, once
	classRight               // the session has no access right (any more)
	classDevice              // the device or the way to it failed: open it again
	classData                // the device worked and did not like the data
	classLacks               // the library or device cannot do that
	classNoKey               // there is no key at that index
)

// classify sorts a code. 0101xxxx are the network errors of Sansec's library, whatever they are in detail.
func (s status) classify() class {
	switch s {
	case commFail, hardFail, openDevice:
		return classDevice
	case accessDenied, rightFailed:
		return classRight
	case publicFailed, privateFailed, blockFailed, dataError, macFailed:
		return classData
	case notSupported, noAlgorithm, noMode, absent:
		return classLacks
	case noKey:
		return classNoKey
	}
	if s>>16 == 0x0101 {
		return classDevice
	}
	return classDoubt
}

// failure is a call that did not return ok.
type failure struct {
	call string
	code status
}

// class says what helps. A session that cannot be opened is the device's failure; the same code from any other call says
// that the session is gone.
func (f *failure) class() class {
	if f.call == "SDF_OpenSession" {
		return classDevice
	}
	return f.code.classify()
}

func (f *failure) Error() string {
	if f.code == absent {
		return fmt.Sprintf("the library has no %s", f.call)
	}
	return fmt.Sprintf("%s returned %#08x", f.call, uint64(f.code))
}

// check turns a code into an error.
func check(call string, code status) error {
	if code == ok {
		return nil
	}
	return &failure{call, code}
}

// kind is one of the three rooms in which a device counts its indices.
type kind string

const (
	signing    kind = "sign"
	encryption kind = "encrypt"
	kek        kind = "kek"
)

// library is the vendor's library: one method a function of GM/T 0018 clause 6, structures as octets in the layout of the
// device. Handles are opaque numbers. A function that the library lacks returns absent.
type library interface {
	openDevice() (device uintptr, code status)
	closeDevice(device uintptr) status
	openSession(device uintptr) (session uintptr, code status)
	closeSession(session uintptr) status
	deviceInfo(session uintptr, info []byte) status
	accessRight(session uintptr, index uint32, password []byte) status
	releaseRight(session uintptr, index uint32) status
	kekRight(session uintptr, index uint32, password []byte) status // SDF_GetKEKAccessRight, GM/T 0018-2023
	publicKey(session uintptr, k kind, index uint32, key []byte) status
	sign(session uintptr, index uint32, e, signature []byte) status
	decrypt(session uintptr, index uint32, form decryptForm, cipher, plain []byte) (n uint32, code status)
	importWithISK(session uintptr, index uint32, cipher []byte) (key uintptr, code status)
	generateWithKEK(session uintptr, bits, algorithm, index uint32, wrapped []byte) (n uint32, key uintptr, code status)
	importWithKEK(session uintptr, algorithm, index uint32, wrapped []byte) (key uintptr, code status)
	encrypt(session, key uintptr, algorithm uint32, iv, in, out []byte) (n uint32, code status)
	destroyKey(session, key uintptr) status
}

// decryptForm says which parameters SDF_InternalDecrypt_ECC takes: with the algorithm after the index, or without.
type decryptForm struct {
	without   bool
	algorithm uint32
}
