package sdf

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"hufu/hsm"
	"hufu/hsm/internal/aside"
)

// Device is an SDF device as an hsm.Device.
type Device struct {
	lib       library
	cfg       Config
	file      *file
	signers   hsm.Signers
	passwords *passwords
	slots     chan struct{} // a place for each session that may exist at once
	crew      *aside.Crew
	closeWait time.Duration // how long Close waits for calls that have not come back

	// calls is held for reading during every call into the library, and for writing while the device is opened or closed:
	// nothing is torn down under a call that has not come back.
	calls sync.RWMutex
	stale uintptr // a device that did not let itself be closed; for the holder of calls for writing

	mu       sync.Mutex
	closed   bool
	circuit  circuit
	handle   uintptr
	idle     []*session
	live     int              // sessions that are open
	lost     int              // places that were taken away since the device gave no more sessions
	checked  map[place]uint64 // generation in which the public half behind an index was compared
	dropped  []place          // indices whose rights sessions give back
	reserved map[place]bool   // indices that a Generate is trying
	array    array            // 0 until the first public key was exported
	blocks   *blockMode       // nil until a KEK was tried
}

// place is an index of one kind.
type place struct {
	kind  kind
	index uint32
}

// Open opens the device behind a library. passwords are copied. The failures: hsm.ErrNoDriver (built without cgo),
// hsm.ErrProfile (configuration, or a library or device that is not as it says), hsm.ErrNoStore, hsm.ErrDamaged and
// hsm.ErrExposed (assignments file), hsm.ErrWrongPIN, hsm.ErrPINLocked, hsm.ErrUnavailable.
func Open(ctx context.Context, config Config, passwords Passwords) (*Device, error) {
	config, err := config.filled()
	if err != nil {
		return nil, err
	}
	lib, err := loadWithin(ctx, config.Library)
	if err != nil {
		return nil, err
	}
	return open(ctx, lib, config, passwords)
}

// loadWithin loads a library, which runs code of its vendor's already, and waits no longer than ctx.
func loadWithin(ctx context.Context, path string) (library, error) {
	type outcome struct {
		lib library
		err error
	}
	done := make(chan outcome, 1)
	go func() {
		lib, err := load(path)
		done <- outcome{lib, err}
	}()
	select {
	case o := <-done:
		return o.lib, o.err
	case <-ctx.Done():
		return nil, hsm.ErrUnavailable.With("load SDF library %s: %w", path, ctx.Err())
	}
}

// open is Open with a library that is loaded and a configuration that is filled.
func open(ctx context.Context, lib library, config Config, given Passwords) (*Device, error) {
	f, err := openFile(ctx, config.Assignments, config.Create)
	if err != nil {
		return nil, err
	}
	d := &Device{
		lib: lib, cfg: config, file: f, passwords: newPasswords(given), array: array(config.Layout.Array),
		checked: map[place]uint64{}, reserved: map[place]bool{},
		slots:     make(chan struct{}, 1), // until the device is known to bear more
		crew:      aside.NewCrew(config.Sessions),
		closeWait: 5 * time.Second,
	}
	if err := d.start(ctx); err != nil {
		go d.Close() // which may have to wait for a call that hangs
		return nil, err
	}
	return d, nil
}

// start makes the tests of a fresh device: who it is, whether the keys are those remembered, whether the first password is
// right, and whether its symmetric encryption is what we take it for. A key that moved does not hinder: it shows in Health.
func (d *Device) start(ctx context.Context) error {
	info, err := work(ctx, d, (*session).info)
	if err != nil {
		return translate(err, "open SDF device")
	}
	sessions := d.cfg.Sessions
	if info.serial() {
		sessions = 1
	}
	d.slots = make(chan struct{}, sessions)
	d.cfg.Log.Info("SDF device opened", "issuer", info.Issuer, "name", info.Name, "serial", info.Serial, "sessions", sessions)
	keys, err := d.file.read()
	if err != nil {
		return err
	}
	tried := false
	for _, k := range keys.Keys {
		if k.Destroyed != "" || k.Kind == kek {
			continue
		}
		_, err := work(ctx, d, func(s *session) (struct{}, error) {
			if err := s.compare(k); err != nil || tried {
				return struct{}{}, err
			}
			return struct{}{}, s.right(place{k.Kind, k.Index})
		})
		if errors.Is(err, hsm.ErrChanged) {
			d.cfg.Log.Error("SDF key is not the one remembered and is out of use", "label", k.Label, "index", k.Index)
			continue
		}
		if err != nil {
			return translate(err, "open SDF device: key %q", k.Label)
		}
		tried = true
	}
	return d.startSymmetric(ctx)
}

// Keys lists the labels that have an index.
func (d *Device) Keys(ctx context.Context) ([]hsm.Info, error) {
	if err := d.begin(ctx); err != nil {
		return nil, err
	}
	all, err := d.file.read()
	if err != nil {
		return nil, err
	}
	infos := map[string]hsm.Info{}
	for _, k := range all.Keys {
		if k.Destroyed != "" {
			continue
		}
		info, err := k.info()
		if err != nil {
			return nil, hsm.ErrDamaged.With("assignments: key %q: %w", k.Label, err)
		}
		infos[k.Label] = info
	}
	list := make([]hsm.Info, 0, len(infos))
	for _, label := range slices.Sorted(maps.Keys(infos)) {
		list = append(list, infos[label])
	}
	return list, nil
}

// Health asks the device who it is and compares the public halves that were not compared since it was opened last.
func (d *Device) Health(ctx context.Context) error {
	if err := d.begin(ctx); err != nil {
		return err
	}
	all, err := d.file.read()
	if err != nil {
		return err
	}
	_, err = work(ctx, d, func(s *session) (struct{}, error) {
		if _, err := s.info(); err != nil {
			return struct{}{}, err
		}
		for _, k := range all.Keys {
			if k.Destroyed != "" || k.Kind == kek {
				continue
			}
			if err := s.compare(k); err != nil {
				return struct{}{}, err
			}
		}
		return struct{}{}, d.passwords.refusal()
	})
	return translate(err, "health of SDF device")
}

// Destroy takes the label from its index for ever. SDF gives no way to destroy a key in the device: the operator has to do
// that at the vendor's console, which the log says and Retired lists. A key to wrap goes with its encrypted form.
func (d *Device) Destroy(ctx context.Context, label string) error {
	if err := d.begin(ctx); err != nil {
		return err
	}
	var gone assignment
	err := d.file.change(ctx, func(a *assignments) error {
		k := a.find(label)
		if k == nil {
			return hsm.ErrNotFound.With("key %q", label)
		}
		k.Destroyed, k.Wrapped = formatTime(d.cfg.Now()), ""
		gone = *k
		return nil
	})
	if err != nil {
		return err
	}
	if gone.Kind != kek {
		d.drop(place{gone.Kind, gone.Index})
		d.cfg.Log.Warn("SDF key is out of use; destroy it at the console of the device, too · 密钥已停用，请在密码设备管理端销毁",
			"label", label, "kind", string(gone.Kind), "index", gone.Index)
	}
	return nil
}

// Retired is a pair whose label was destroyed.
type Retired struct {
	Label     string
	Kind      string // "sign" or "encrypt"
	Index     uint32
	Destroyed time.Time
	Stands    bool // the device still shows the key: destroy it at the console
}

// Retired lists the pairs that were destroyed here, and looks whether they still stand in the device.
func (d *Device) Retired(ctx context.Context) ([]Retired, error) {
	all, err := d.file.read()
	if err != nil {
		return nil, err
	}
	return work(ctx, d, func(s *session) ([]Retired, error) {
		var list []Retired
		for _, k := range all.Keys {
			if k.Destroyed == "" || k.Kind == kek {
				continue
			}
			at, err := parseTime(k.Destroyed)
			if err != nil {
				return nil, hsm.ErrDamaged.With("assignments: key %q: %w", k.Label, err)
			}
			point, err := s.export(place{k.Kind, k.Index})
			if f := (*failure)(nil); errors.As(err, &f) && f.class() == classDevice {
				return nil, err
			}
			list = append(list, Retired{k.Label, string(k.Kind), k.Index, at, err == nil && point == k.Public})
		}
		return list, nil
	})
}

// Close ends all use. It waits some seconds for calls under way; when the library keeps one longer, the device is closed
// as soon as that comes back, and the answer says so.
func (d *Device) Close() error {
	d.mu.Lock()
	if d.closed {
		d.mu.Unlock()
		return nil
	}
	d.closed = true
	d.mu.Unlock()
	d.crew.Close()
	done := make(chan struct{})
	go func() {
		d.calls.Lock()
		defer d.calls.Unlock()
		d.tearDown()
		d.passwords.clear()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-time.After(d.closeWait):
		return hsm.ErrUnavailable.With("close SDF device: a call has not come back from the library")
	}
}

// begin refuses when the device is closed or the caller has given up.
func (d *Device) begin(ctx context.Context) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return hsm.ErrClosed.With("SDF device")
	}
	if err := ctx.Err(); err != nil {
		return hsm.ErrUnavailable.With("SDF device: %w", err)
	}
	return nil
}

var _ hsm.Device = (*Device)(nil)
