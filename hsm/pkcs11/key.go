//go:build cgo

package pkcs11

import (
	"bytes"
	"cmp"
	"context"
	"crypto"
	"crypto/subtle"
	"slices"
	"sync"

	p11 "github.com/miekg/pkcs11"

	"hufu/hsm"
)

// key is a key of the token. Who it is, is fixed; where it is (the handle) may change with each epoch.
type key struct {
	id   []byte // CKA_ID, whole; empty for some keys of a vendor's console
	info hsm.Info

	mu     sync.Mutex
	epoch  uint64 // in which the handle was found
	handle p11.ObjectHandle
	check  []byte // what the key makes of checkBlock: a secret key's stand-in for the public half; nil = not known

	wrapper      p11.ObjectHandle // the wrapping key beside a master (inside.go)
	wrapperEpoch uint64
}

// newKey makes a key of the object read. The handle of a secret key is not used before its check value was learnt (refind).
func (s *session) newKey(o object, algorithm, use string, pub crypto.PublicKey) *key {
	n, label := readNote(o.id()), o.text(p11.CKA_LABEL)
	var epoch uint64
	if pub != nil {
		epoch = s.epoch
	}
	return &key{id: o.id(), handle: o.handle, epoch: epoch, info: hsm.Info{
		Label: label, Algorithm: algorithm, Use: use, Purpose: n.purpose, Created: n.made,
		Reference: s.d.reference(o.id(), label), Public: pub,
	}}
}

func infos(keys []*key) []hsm.Info {
	list := make([]hsm.Info, 0, len(keys))
	for _, k := range keys {
		list = append(list, k.info)
	}
	slices.SortFunc(list, func(a, b hsm.Info) int { return cmp.Or(cmp.Compare(a.Label, b.Label), cmp.Compare(a.Use, b.Use)) })
	return list
}

// lookup returns the key of that label and use, from memory or the token.
func (d *Device) lookup(ctx context.Context, label, use string) (*key, error) {
	if err := d.ready(ctx); err != nil {
		return nil, err
	}
	if k, ok, err := pick(d.cached(label), label, use); ok {
		return k, err
	}
	keys, err := run(ctx, d, "find key "+label, func(s *session) ([]*key, error) {
		keys, _, err := s.scan(p11.NewAttribute(p11.CKA_LABEL, label))
		return keys, err
	}, nil)
	if err != nil {
		return nil, err
	}
	k, ok, err := pick(keys, label, use)
	if !ok {
		return nil, hsm.ErrNotFound.With("key %q on token %s", label, d.cfg.Token)
	}
	d.remember(label, keys)
	return k, err
}

// pick chooses among the keys of a label; ok is false when there are none.
func pick(keys []*key, label, use string) (k *key, ok bool, err error) {
	for _, other := range keys {
		if other.info.Use != use {
			continue
		}
		if k != nil {
			return nil, true, ErrAmbiguous.With("label %q to %s", label, use)
		}
		k = other
	}
	if k == nil && len(keys) > 0 {
		return nil, true, hsm.ErrMechanism.With("key %q is made to %s, not to %s", label, keys[0].info.Use, use)
	}
	return k, k != nil, nil
}

func (d *Device) cached(label string) []*key {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.cache[label]
}

// remember keeps what was found under a label; nothing for no keys, since another process may make one at any time.
func (d *Device) remember(label string, keys []*key) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(keys) == 0 {
		delete(d.cache, label)
		return
	}
	d.cache[label] = keys
}

// at returns the key's handle in the epoch of the session. In a new epoch the key is found again and compared; a key that is gone
// is hsm.ErrNotFound, another key in its place hsm.ErrChanged.
func (s *session) at(k *key) (p11.ObjectHandle, error) {
	k.mu.Lock()
	h, epoch := k.handle, k.epoch
	k.mu.Unlock()
	if epoch == s.epoch {
		return h, nil
	}
	return s.refind(k)
}

// refind finds a key by its CKA_ID, or by its label if it has none, and compares: the public half, or for a secret key what it
// makes of a fixed block.
func (s *session) refind(k *key) (p11.ObjectHandle, error) {
	template := p11.NewAttribute(p11.CKA_ID, k.id)
	if len(k.id) == 0 {
		template = p11.NewAttribute(p11.CKA_LABEL, k.info.Label)
	}
	keys, _, err := s.scan(template)
	if err != nil {
		return 0, err
	}
	changed := false
	for _, other := range keys {
		if other.info.Algorithm != k.info.Algorithm || other.info.Use != k.info.Use || !bytes.Equal(other.id, k.id) {
			continue
		}
		same, err := s.compare(k, other)
		if err != nil {
			return 0, err
		}
		if same {
			k.mu.Lock()
			k.handle, k.epoch = other.handle, s.epoch
			k.mu.Unlock()
			return other.handle, nil
		}
		changed = true
	}
	if changed {
		return 0, hsm.ErrChanged.With("key %q on token %s", k.info.Label, s.d.cfg.Token)
	}
	s.d.remember(k.info.Label, nil)
	return 0, hsm.ErrNotFound.With("key %q on token %s", k.info.Label, s.d.cfg.Token)
}

// compare reports whether found is the key k. The first time that a secret key is found its check value is learnt.
func (s *session) compare(k, found *key) (bool, error) {
	if k.info.Public != nil {
		pub, ok := k.info.Public.(interface{ Equal(crypto.PublicKey) bool })
		return ok && pub.Equal(found.info.Public), nil
	}
	check, err := s.checkValue(k, found.handle)
	if err != nil || check == nil {
		return err == nil, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.check == nil {
		k.check = check
	}
	return subtle.ConstantTimeCompare(k.check, check) == 1, nil
}

// moved reports whether the key's handle is another one than the one that was used: then what came of it says nothing.
func (s *session) moved(k *key, used p11.ObjectHandle) error {
	now, err := s.refind(k)
	if err == nil && now != used {
		return errMoved
	}
	return err
}
