package keys

import (
	"context"
	"encoding/binary"
	"errors"

	"hufu/internal/fault"
)

// Wrap encrypts a small secret under the active version of a wrapping key, for an owner who keeps the result himself. The
// result begins with the version's number, 4 octets big-endian. aad is bound, not stored: name the place where it will stand.
func (k *Keys) Wrap(ctx context.Context, label string, data, aad []byte) ([]byte, error) {
	_, wrapped, err := k.wrap(ctx, label, data, aad)
	return wrapped, err
}

func (k *Keys) wrap(ctx context.Context, label string, data, aad []byte) (uint32, []byte, error) {
	v, err := k.active(ctx, label)
	if err != nil {
		return 0, nil, err
	}
	wrapped, err := k.device.Wrap(ctx, v.Reference, data, aad)
	if err != nil {
		return 0, nil, err
	}
	return v.Number, append(binary.BigEndian.AppendUint32(nil, v.Number), wrapped...), nil
}

// Unwrap is the inverse of Wrap, under whichever version it was wrapped. The caller clears the result after use.
func (k *Keys) Unwrap(ctx context.Context, label string, wrapped, aad []byte) ([]byte, error) {
	if len(wrapped) < 4 || binary.BigEndian.Uint32(wrapped) == 0 {
		return nil, ErrDamaged.With("wrapped under %q: %d octets without a version", label, len(wrapped))
	}
	v, err := k.wrapper(ctx, label, binary.BigEndian.Uint32(wrapped))
	if errors.Is(err, ErrUnknown) {
		return nil, ErrDamaged.With("unwrap: %w", err)
	}
	if err != nil {
		return nil, err
	}
	data, err := k.device.Unwrap(ctx, v.Reference, wrapped[4:], aad)
	if fault.KindOf(err) == fault.Invalid {
		return nil, ErrDamaged.With("wrapped under key %s: %w", v, err)
	}
	return data, err
}

// wrapper returns the version that wrapped something, without asking the database when it is the active one.
func (k *Keys) wrapper(ctx context.Context, label string, number uint32) (Version, error) {
	if v, err := k.active(ctx, label); err == nil && v.Number == number {
		return v, nil
	}
	return k.version(ctx, label, number)
}
