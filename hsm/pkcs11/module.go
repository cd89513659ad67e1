//go:build cgo

package pkcs11

import (
	"context"
	"errors"
	"os"
	"slices"
	"sync"
	"time"

	p11 "github.com/miekg/pkcs11"

	"hufu/hsm"
)

// loaded holds the modules of this process. It has to be shared by all devices: C_Initialize and C_Login speak for the process,
// not for a caller. The channel is a lock that can be waited for under a context.
var loaded = struct {
	lock chan struct{}
	list []*module
}{lock: make(chan struct{}, 1)}

// module is a library in this process. Its gate counts the calls inside, so that it is never finalized under one.
type module struct {
	path string
	file os.FileInfo
	lib  *p11.Ctx
	refs int // devices; guarded by loaded.lock

	mu      sync.Mutex
	inside  int           // operations within the library
	shut    bool          // the gate is closed: the library is being initialized again
	changed chan struct{} // closed and made anew whenever inside falls to 0 or the gate opens
	gen     uint64        // how often it was initialized; session and object handles of another generation mean nothing
	logins  map[string]*login
	devices []*Device
}

// lockUnder takes a lock made of a channel, unless the context ends before.
func lockUnder(ctx context.Context, lock chan struct{}) error {
	select {
	case lock <- struct{}{}:
		return nil
	case <-ctx.Done():
		return hsm.ErrUnavailable.With("wait for the device: %w", ctx.Err())
	}
}

// useModule loads and initializes a module, or joins those who have it. Two paths of one file are one module, as they are for
// the dynamic linker. It must run aside: the vendor's library may take its time.
func useModule(ctx context.Context, path string) (*module, error) {
	if err := lockUnder(ctx, loaded.lock); err != nil {
		return nil, err
	}
	defer func() { <-loaded.lock }()
	file, err := os.Stat(path)
	if err != nil {
		return nil, ErrNoModule.With("PKCS#11 module: %w", err)
	}
	for _, m := range loaded.list {
		if os.SameFile(m.file, file) {
			m.refs++
			return m, nil
		}
	}
	lib := p11.New(path)
	if lib == nil {
		return nil, ErrNoModule.With("load %s", path)
	}
	if err := initialize(lib); err != nil {
		lib.Destroy()
		return nil, ErrNotStarted.With("%s: %w", path, step("C_Initialize", err))
	}
	m := &module{path: path, file: file, lib: lib, refs: 1, changed: make(chan struct{}), gen: 1, logins: map[string]*login{}}
	loaded.list = append(loaded.list, m)
	return m, nil
}

// initialize says CKF_OS_LOCKING_OK. A library that somebody else in the process has initialized is taken as it is.
func initialize(lib *p11.Ctx) error {
	err := lib.Initialize()
	if errors.Is(err, p11.Error(p11.CKR_CRYPTOKI_ALREADY_INITIALIZED)) {
		return nil
	}
	return err
}

// leaveModule ends one device's use. The last one finalizes and unloads the library, unless a call still hangs in it: then it
// stays as it is, and whoever opens it next gets it so.
func (m *module) leaveModule(wait time.Duration) error {
	loaded.lock <- struct{}{}
	defer func() { <-loaded.lock }()
	m.refs--
	if m.refs > 0 {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.drained(wait) {
		return hsm.ErrUnavailable.With("close %s: %d calls have not come back", m.path, m.inside)
	}
	_ = m.lib.Finalize()
	m.lib.Destroy()
	loaded.list = slices.DeleteFunc(loaded.list, func(other *module) bool { return other == m })
	return nil
}

// enter goes through the gate, waiting while the library is initialized again. Who has entered calls leave.
func (m *module) enter(ctx context.Context) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for m.shut {
		if err := m.await(ctx.Done()); err != nil {
			return hsm.ErrUnavailable.With("wait for %s to be initialized: %w", m.path, ctx.Err())
		}
	}
	m.inside++
	return nil
}

func (m *module) leave() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.inside--
	if m.inside == 0 {
		m.tell()
	}
}

// join adds a device to those who share the module, part takes it away.
func (m *module) join(d *Device) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.devices = append(m.devices, d)
}

func (m *module) part(d *Device) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.devices = slices.DeleteFunc(m.devices, func(other *Device) bool { return other == d })
}

// othersWork reports whether another device on the module is not lost.
func (m *module) othersWork(d *Device) bool {
	m.mu.Lock()
	others := slices.Clone(m.devices)
	m.mu.Unlock()
	return slices.ContainsFunc(others, func(other *Device) bool { return other != d && other.ready(context.Background()) == nil })
}

// generation may be asked by anyone; it does not change for those inside.
func (m *module) generation() uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.gen
}

// tell wakes everyone in await. The caller holds mu.
func (m *module) tell() {
	close(m.changed)
	m.changed = make(chan struct{})
}

var errGaveUp = errors.New("gave up waiting")

// await lets mu go until something changes or end is closed. The caller holds mu, before and after.
func (m *module) await(end <-chan struct{}) error {
	changed := m.changed
	m.mu.Unlock()
	defer m.mu.Lock()
	select {
	case <-changed:
		return nil
	case <-end:
		return errGaveUp
	}
}

// drained waits until nobody is inside, at most so long. The caller holds mu.
func (m *module) drained(wait time.Duration) bool {
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	for m.inside > 0 {
		if m.await(ctx.Done()) != nil {
			return m.inside == 0
		}
	}
	return true
}

// reinitialize finalizes the library and initializes it again, which makes every session and handle of every device on it void:
// they find that out by the generation. If that happened since the generation seen, or a call does not come back in time,
// nothing is done; a library is never finalized while somebody is inside.
func (m *module) reinitialize(seen uint64, wait time.Duration) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for m.shut {
		_ = m.await(nil)
	}
	if m.gen != seen {
		return nil
	}
	m.shut = true
	defer func() { m.shut = false; m.tell() }()
	if !m.drained(wait) {
		return hsm.ErrUnavailable.With("initialize %s again: %d calls have not come back", m.path, m.inside)
	}
	m.mu.Unlock()
	_ = m.lib.Finalize() // it may have been lost already
	err := initialize(m.lib)
	m.mu.Lock()
	m.gen++
	if err != nil {
		return hsm.ErrUnavailable.With("initialize %s again: %w", m.path, err)
	}
	return nil
}
