package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"hufu/hsm"
	"hufu/hsm/pkcs11"
	"hufu/internal/fault"
	"hufu/keys"
)

var (
	errAway = fault.New(fault.Unavailable, "device-away",
		"The device that holds the keys is away. Check its power, network and driver, then start again; `hufu doctor` shows each device by itself.",
		"密码设备不可用。请检查设备电源、网络和驱动后重新启动；hufu doctor 可逐个查看设备。")
	errPINFile = fault.New(fault.Invalid, "pin-file",
		"The PIN file must hold one line of 1 to 255 octets. Write the user PIN of the device into it.",
		"PIN 文件须为一行、1 至 255 字节。请写入设备的用户口令。")
	errPINExposed = fault.New(fault.Invalid, "pin-exposed",
		"Others can read the PIN file. Restrict it with: chmod 400 FILE.", "其他用户可以读取 PIN 文件。请执行 chmod 400 文件 收紧权限。")
)

// deviceWait is how long a start waits for devices that are away.
const deviceWait = 30 * time.Second

// openDevice opens every device of the configuration and makes one key store of them.
func (s *server) openDevice(ctx context.Context, o openOptions) error {
	s.watch = &watch{log: s.log, now: s.now}
	if s.cfg.keptInFiles() && o.create {
		if err := makePassphrase(s.cfg); err != nil {
			return err
		}
	}
	entries := s.cfg.HSM
	if len(entries) == 0 {
		entries = []HSM{{Driver: driverSoft}}
	}
	var parts []hsm.Part
	for _, entry := range entries {
		device, err := s.openEntry(ctx, entry, o)
		if err != nil {
			return err
		}
		s.onClose(device.Close)
		parts = append(parts, hsm.Part{Name: entry.name(), Device: device, Algorithms: entry.Algorithms})
	}
	if o.create { // of hardware nothing is made before it answers
		if err := os.MkdirAll(s.cfg.Data, 0o700); err != nil {
			return errData.With("%w", err)
		}
	}
	s.device = parts[0].Device
	if len(parts) > 1 || parts[0].Algorithms != nil {
		joined, err := hsm.NewJoin(parts)
		if err != nil {
			return err
		}
		s.device = joined
	}
	if s.cfg.keptInFiles() {
		if err := s.device.Health(ctx); err != nil { // a damaged key would show only when it is needed
			return err
		}
	}
	s.watch.look(ctx)
	return nil
}

// name is what people read of an entry.
func (d *HSM) name() string { return strings.Join(append([]string{d.Driver}, d.Tokens...), " ") }

func (s *server) openEntry(ctx context.Context, entry HSM, o openOptions) (hsm.Device, error) {
	if entry.Driver == driverSoft {
		device, err := openSoft(s.cfg, o.create)
		if err == nil {
			s.watchDevice(driverSoft, device)
		}
		return device, err
	}
	members, err := s.openMembers(ctx, entry.openers(s.log, o.create), o.wait)
	if err != nil {
		return nil, err
	}
	for _, m := range members {
		s.watchDevice(m.Name, m.Device)
	}
	if len(members) == 1 {
		return members[0].Device, nil
	}
	return hsm.NewGroup(members)
}

func (s *server) watchDevice(name string, device hsm.Device) {
	s.watch.add(name, func(ctx context.Context) error { return s.guarded(func() error { return device.Health(ctx) }) })
}

// opener opens one device; it reads the PIN anew each time.
type opener struct {
	name string
	open func(context.Context) (hsm.Device, error)
}

// openMembers opens devices that hold the same keys. One of them suffices: the others are taken up when they come. While none
// is there it tries again until the time is over.
func (s *server) openMembers(ctx context.Context, openers []opener, wait time.Duration) ([]hsm.Member, error) {
	ctx, cancel := context.WithTimeout(ctx, max(wait, openTime))
	defer cancel()
	until := s.now().Add(wait)
	var away error // why, by the last try that was not cut short
	for {
		members, open, err := s.tryMembers(ctx, openers)
		if err != nil || open > 0 {
			return members, err
		}
		told := away != nil
		if !told || ctx.Err() == nil {
			away = members[0].Device.(*late).err
		}
		if !s.now().Before(until) || ctx.Err() != nil {
			return nil, gone(away)
		}
		if !told {
			s.log.Warn("waiting for a device", "device", openers[0].name, "for", wait, "error", away)
		}
		sleep(ctx, time.Second)
	}
}

// gone says what a person does about devices none of which came: a label that no token has is seldom a matter of power.
func gone(away error) error {
	for err := away; err != nil; err = errors.Unwrap(err) {
		if e, ok := err.(*fault.Error); ok && e.Code == pkcs11.ErrNoToken.Code {
			return e
		}
	}
	return errAway.With("%w", away)
}

// tryMembers tries each once; one that is away becomes late, and whatever else is wrong ends the try.
func (s *server) tryMembers(ctx context.Context, openers []opener) (members []hsm.Member, open int, err error) {
	defer func() {
		if err != nil {
			for _, m := range members {
				err = errors.Join(err, m.Device.Close())
			}
		}
	}()
	for _, o := range openers {
		device, err := o.bounded(ctx)
		switch {
		case err == nil:
			open++
		case isAway(err):
			device = &late{open: o.bounded, err: hsm.ErrUnavailable.With("%s: %w", o.name, err)}
		default:
			return members, open, fmt.Errorf("device %s: %w", o.name, err)
		}
		members = append(members, hsm.Member{Name: o.name, Device: device})
	}
	return members, open, nil
}

// isAway tells a device that may come back by itself from one that a person must look after.
func isAway(err error) bool {
	return errors.Is(err, hsm.ErrUnavailable) || errors.Is(err, pkcs11.ErrNoToken)
}

// openTime bounds one try to open a device.
const openTime = 20 * time.Second

// bounded gives up on a library that hangs; what it still opens then is closed.
func (o opener) bounded(ctx context.Context) (hsm.Device, error) {
	ctx, cancel := context.WithTimeout(ctx, openTime)
	type result struct {
		device hsm.Device
		err    error
	}
	done := make(chan result)
	go func() {
		defer cancel()
		device, err := o.open(ctx)
		select {
		case done <- result{device, err}:
		case <-ctx.Done():
			if err == nil {
				device.Close()
			}
		}
	}()
	select {
	case r := <-done:
		return r.device, r.err
	case <-ctx.Done():
		return nil, hsm.ErrUnavailable.With("open %s: %w", o.name, ctx.Err())
	}
}

// openSoft opens the software key store in the data folder, making it on the first start if asked to.
func openSoft(cfg Config, create bool) (hsm.Device, error) {
	passphrase, err := readPassphrase(cfg)
	if err != nil {
		return nil, err
	}
	defer clear(passphrase)
	dir := filepath.Join(cfg.Data, "keys")
	device, err := hsm.OpenSoft(dir, passphrase, hsm.Options{})
	if errors.Is(err, hsm.ErrNoStore) && create {
		device, err = hsm.CreateSoft(dir, passphrase, hsm.Options{})
	}
	if err != nil {
		return nil, fmt.Errorf("key store %s: %w", dir, err)
	}
	return device, nil
}

// readPIN reads a file with a PIN, or lines of them, that its owner alone can read. The caller clears it after use.
func readPIN(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, errPINFile.With("%w", err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, errPINFile.With("%w", err)
	}
	if info.Mode().IsRegular() && info.Mode().Perm()&0o077 != 0 {
		return nil, errPINExposed.With("PIN file %s has mode %o", path, info.Mode().Perm())
	}
	text, err := io.ReadAll(io.LimitReader(file, 1<<16))
	if err != nil {
		return nil, errPINFile.With("read PIN file: %w", err)
	}
	return text, nil
}

// onePIN reads a file that holds one PIN.
func onePIN(path string) ([]byte, error) {
	text, err := readPIN(path)
	if err != nil {
		return nil, err
	}
	pin := bytes.TrimSuffix(bytes.TrimSuffix(text, []byte("\n")), []byte("\r"))
	if len(pin) == 0 || len(pin) > 255 || bytes.ContainsAny(pin, "\r\n\x00") {
		clear(text)
		return nil, errPINFile.With("PIN file %s", path)
	}
	return pin, nil
}

// confirmSample takes the claim back where the database is a real server's: with hardware devices, or PostgreSQL, the data
// folder alone does not tell.
func (s *server) confirmSample(ctx context.Context) error {
	if !s.firstSample {
		return nil
	}
	made, err := s.keys.Versions(ctx, keys.MasterLabel)
	if err == nil && len(made) > 0 {
		err = errNotSample.With("the database has keys already")
		_ = os.Remove(sampleFile(s.cfg)) // made a moment ago
	}
	return err
}
