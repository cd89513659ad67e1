package sdf

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"strings"

	"hufu/hsm"
	"hufu/internal/gm"
)

// session is one session of the device. It is used by one call at a time; the caller holds Device.calls.
type session struct {
	d          *Device
	handle     uintptr
	generation uint64
	rights     map[place]bool
	keys       map[string]uintptr // opened wrap keys by their encrypted form
	seen       int                // how many of Device.dropped were dealt with
}

func newSession(d *Device, handle uintptr, generation uint64, seen int) *session {
	return &session{d, handle, generation, map[place]bool{}, map[string]uintptr{}, seen}
}

// close gives everything back. What the library returns changes nothing: the session is not used again.
func (s *session) close() {
	for _, key := range s.keys {
		s.d.lib.destroyKey(s.handle, key)
	}
	for p := range s.rights {
		if p.kind != kek {
			s.d.lib.releaseRight(s.handle, p.index)
		}
	}
	s.d.lib.closeSession(s.handle)
	s.d.mu.Lock()
	s.d.live--
	s.d.mu.Unlock()
}

// release gives the rights to keys back that were destroyed since.
func (s *session) release(dropped []place) {
	for _, p := range dropped[s.seen:] {
		if s.rights[p] {
			s.d.lib.releaseRight(s.handle, p.index)
			// One right opens both pairs of an index: what it is still needed for is asked for again.
			delete(s.rights, place{signing, p.index})
			delete(s.rights, place{encryption, p.index})
		}
	}
	s.seen = len(dropped)
}

// drop makes every session give the right to an index back before it works again.
func (d *Device) drop(p place) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.dropped = append(d.dropped, p)
}

// right makes sure that the session may use a private key or KEK.
func (s *session) right(p place) error {
	if s.rights[p] {
		return nil
	}
	if err := s.d.passwords.unlock(lock{p.kind == kek, p.index}, func(password []byte) status {
		if p.kind == kek {
			return s.d.lib.kekRight(s.handle, p.index, password)
		}
		return s.d.lib.accessRight(s.handle, p.index, password)
	}); err != nil {
		return err
	}
	s.rights[p] = true
	return nil
}

// deviceInfo is what a device says of itself.
type deviceInfo struct {
	Issuer, Name, Serial string
	Version, Standard    uint32
}

// serial reports whether the library is known to bear one thread only.
func (i deviceInfo) serial() bool {
	return strings.Contains(i.Issuer, "GmSSL") || strings.Contains(i.Name, "Soft SDF")
}

// info reads DEVICEINFO: issuer (40), name (16), serial (16), numbers. One that does not tell is nameless.
func (s *session) info() (deviceInfo, error) {
	b := room(infoRoom)
	code := s.d.lib.deviceInfo(s.handle, b)
	if code.classify() == classLacks {
		return deviceInfo{}, nil
	}
	return deviceInfo{
		Issuer: text(b[:40]), Name: text(b[40:56]), Serial: text(b[56:72]),
		Version: binary.NativeEndian.Uint32(b[72:]), Standard: binary.NativeEndian.Uint32(b[76:]),
	}, check("SDF_GetDeviceInfo", code)
}

// text cuts a C text off at its end and keeps what can be printed.
func text(b []byte) string {
	b, _, _ = bytes.Cut(b, []byte{0})
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return -1
		}
		return r
	}, string(b)))
}

// export returns the public half behind an index, 04 ‖ x ‖ y in hexadecimal.
func (s *session) export(p place) (string, error) {
	b := room(keyRoom)
	name := map[kind]string{signing: "SDF_ExportSignPublicKey_ECC", encryption: "SDF_ExportEncPublicKey_ECC"}[p.kind]
	if err := check(name, s.d.lib.publicKey(s.handle, p.kind, p.index, b)); err != nil {
		return "", err
	}
	a, err := s.d.arrays(b)
	if err != nil {
		return "", err
	}
	pub, err := a.publicKey(b)
	if err != nil {
		return "", err
	}
	return hex.EncodeToString(gm.Point(pub)), nil
}

// arrays returns the length of the library's arrays, learnt from an exported key where the configuration does not say it.
func (d *Device) arrays(exported []byte) (array, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.array != 0 {
		return d.array, nil
	}
	a, err := arrayOf(exported)
	d.array = a
	return a, err
}

// layout is arrays for those who come after an export.
func (d *Device) layout() array {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.array
}

// compare holds the device's public half against the one remembered, once for each opening of the device.
func (s *session) compare(k assignment) error {
	p := place{k.Kind, k.Index}
	s.d.mu.Lock()
	known := s.d.checked[p] == s.generation
	s.d.mu.Unlock()
	if known {
		return nil
	}
	point, err := s.export(p)
	if err != nil {
		return translateMissing(err, k)
	}
	if point != k.Public {
		return hsm.ErrChanged.With("key %q: %s index %d", k.Label, k.Kind, k.Index)
	}
	s.d.mu.Lock()
	s.d.checked[p] = s.generation
	s.d.mu.Unlock()
	return nil
}

// translateMissing turns "no such key" into ErrChanged: it was there when its label was given.
func translateMissing(err error, k assignment) error {
	if f, ok := err.(*failure); ok && f.class() == classNoKey {
		return hsm.ErrChanged.With("key %q: nothing stands under %s index %d", k.Label, k.Kind, k.Index)
	}
	return err
}

// suspect has the public half behind a key compared again before its next use.
func (d *Device) suspect(k assignment) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.checked, place{k.Kind, k.Index})
}
