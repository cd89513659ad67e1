package keys

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"time"
)

// DeviceSpec says what key to make on a device. It is an alias of a plain struct, so that a device can be declared
// elsewhere without importing this package.
type DeviceSpec = struct {
	Label     string
	Algorithm string
	Use       string
	Purpose   string
}

// DeviceInfo is what a device tells about a key.
type DeviceInfo = struct {
	Label     string
	Algorithm string
	Use       string
	Purpose   string
	Reference string
	Public    crypto.PublicKey
	Created   time.Time
}

// Device is what this package needs of a device; hsm.Device satisfies it. A key that the device lacks is a fault of kind
// NotFound. What Generate returned survives a crash. Signers verify each signature before they return it, take SM2 input
// as gm.Message or gm.Digest, and end with their context. Unwrap refuses what Wrap did not make under the same key and aad
// with a fault of kind Invalid.
type Device interface {
	DeviceKeys
	DeviceWork
}

// DeviceKeys makes, lists and destroys.
type DeviceKeys interface {
	Keys(ctx context.Context) ([]DeviceInfo, error)
	Generate(ctx context.Context, spec DeviceSpec) (DeviceInfo, error)
	Destroy(ctx context.Context, label string) error
}

// DeviceWork uses keys.
type DeviceWork interface {
	Signer(ctx context.Context, label string) (crypto.Signer, error)
	Decrypter(ctx context.Context, label string) (crypto.Decrypter, error)
	Wrap(ctx context.Context, label string, data, aad []byte) ([]byte, error)
	Unwrap(ctx context.Context, label string, wrapped, aad []byte) ([]byte, error)
}

// Inside is what a device may offer besides; hsm.Inside satisfies it. Keys that stand outside are made and opened within the device, for one
// signature at a time, and their private halves are never in our memory. A device or master key that cannot do so answers
// with a fault of kind Invalid.
type Inside interface {
	GenerateInside(ctx context.Context, master string, aad []byte) (wrapped []byte, public *ecdsa.PublicKey, err error)
	SignInside(ctx context.Context, master string, wrapped, aad []byte, public *ecdsa.PublicKey, e []byte) ([]byte, error)
}
