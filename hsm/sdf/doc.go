// Package sdf drives cryptographic machines through their SDF library (GM/T 0018,
// 密码设备应用接口规范), which is loaded while running: nothing of a vendor is compiled in.
//
// In such a device keys are numbers. A pair for signing and a pair for encryption
// stand under each index, behind a password, made at the vendor's console; key
// encryption keys (KEK) have indices of their own. This driver gives labels to the
// indices that it may use and remembers that in an assignments file: label, index,
// public half. The public half is compared with the device's before a key is used
// for the first time and again after each recovery, so that an index behind which
// another key moved never signs. An index is given once: when its key is destroyed
// here, the operator still has to destroy it at the console, and Retired lists it.
//
// A key to wrap (SM4) is made by the device under a KEK and stands, encrypted, in
// the assignments file; it is opened within the device. hsm.SealDerived makes
// authenticated encryption of its block encryption. P-256, RSA, AES-256 and
// HMAC-SM3 keys are not offered; hsm.NewJoin lets another device keep them.
//
// A call into the library may hang, and no call outlives its caller's context here:
// it goes on in the background and keeps its session until it comes back. A wrong
// password is tried once.
package sdf
