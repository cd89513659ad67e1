//go:build cgo

package ca_test

import (
	"context"
	"crypto"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"hufu/ca"
	"hufu/hsm"
	"hufu/hsm/hsmtest"
	"hufu/hsm/pkcs11"
	"hufu/hsm/sdf"
	"hufu/internal/actor"
	"hufu/internal/fault"
)

// deviceKeys is the keys of an authority in a device, as package keys has them; limit bounds each signature when it is set.
type deviceKeys struct {
	hsm.Device
	limit time.Duration
}

func (k deviceKeys) Signer(ctx context.Context, label string) (crypto.Signer, error) {
	s, err := k.Device.Signer(ctx, label)
	if err != nil || k.limit == 0 {
		return s, err
	}
	return hurried{s, k, label}, nil
}

// hurried leaves the device when the time for one signature is over.
type hurried struct {
	crypto.Signer
	keys  deviceKeys
	label string
}

func (h hurried) Sign(r io.Reader, e []byte, o crypto.SignerOpts) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), h.keys.limit)
	defer cancel()
	s, err := h.keys.Device.Signer(ctx, h.label)
	if err != nil {
		return nil, err
	}
	return s.Sign(r, e, o)
}

func (k deviceKeys) Ensure(ctx context.Context, _ actor.Actor, label, algorithm, _ string) (crypto.Signer, error) {
	s, err := k.Device.Signer(ctx, label)
	if errors.Is(err, hsm.ErrNotFound) {
		if _, err = k.Generate(ctx, hsm.Spec{Label: label, Algorithm: algorithm}); err == nil {
			s, err = k.Device.Signer(ctx, label)
		}
	}
	return s, err
}

// model opens soft tokens by one of the drivers; call is the function in which one signs.
type model struct {
	call string
	open func(t *testing.T, token hsmtest.SoftToken, dir string) (hsm.Device, error)
}

var models = map[string]model{
	"PKCS#11": {"C_Sign", func(t *testing.T, token hsmtest.SoftToken, _ string) (hsm.Device, error) {
		return pkcs11.Open(t.Context(), pkcs11.Config{Module: token.Module, Token: token.Label}, []byte(token.PIN))
	}},
	"SDF": {"SDF_InternalSign_ECC", func(t *testing.T, token hsmtest.SoftToken, dir string) (hsm.Device, error) {
		c := sdf.Config{Library: token.SDF, Assignments: filepath.Join(dir, "assignments"), Create: true, Signing: []uint32{1, 2, 3, 4, 5, 6, 7, 8}}
		return sdf.Open(t.Context(), c, sdf.Passwords{All: []byte(token.PIN)})
	}},
}

// units is an authority whose keys are in two units of one key set, disturbed each by itself.
type units struct {
	*world
	model
	token [2]hsmtest.SoftToken
	dev   [2]hsm.Device
	both  deviceKeys
}

// onUnits gives a fresh authority on every driver and database.
func onUnits(t *testing.T, f func(u *units)) {
	for name, d := range models {
		t.Run(name, func(t *testing.T) {
			eachFresh(t, func(t *testing.T, w *world) {
				u := &units{world: w, model: d}
				u.start()
				f(u)
			})
		})
	}
}

func (u *units) start() {
	u.t.Helper()
	dir := u.t.TempDir()
	u.token[0] = hsmtest.Token(u.t, "neutral")
	u.token[0].MakeSDFKeys(u.t, "sign", 1, 8)
	u.token[1] = twin(u.t, u.token[0])
	for i := range u.dev {
		u.dev[i] = u.unit(u.token[i], dir)
	}
	u.both = deviceKeys{Device: u.group(u.dev[0], u.dev[1])}
	u.Keys = u.both
	if err := u.Bootstrap(u.t.Context(), system); err != nil {
		u.t.Fatal(err)
	}
}

func (u *units) unit(token hsmtest.SoftToken, dir string) hsm.Device {
	u.t.Helper()
	d, err := u.model.open(u.t, token, dir)
	if err != nil {
		u.t.Fatal(err)
	}
	u.t.Cleanup(func() { d.Close() })
	return d
}

func (u *units) group(a, b hsm.Device) *hsm.Group {
	u.t.Helper()
	g, err := hsm.NewGroup([]hsm.Member{{Name: "a", Device: a}, {Name: "b", Device: b}})
	if err != nil {
		u.t.Fatal(err)
	}
	return g
}

// twin is the same token behind copies of the libraries that have faults of their own.
func twin(t *testing.T, token hsmtest.SoftToken) hsmtest.SoftToken {
	t.Helper()
	dir := t.TempDir()
	token.Faults = filepath.Join(dir, "faults")
	conf := fmt.Appendf(nil, "store %s\nfaults %s\n", token.Store, token.Faults)
	for _, library := range []*string{&token.Module, &token.SDF} {
		text, err := os.ReadFile(*library)
		*library = filepath.Join(dir, "twin-"+filepath.Base(*library))
		if err := errors.Join(err, os.WriteFile(*library, text, 0o700), os.WriteFile(*library+".conf", conf, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	return token
}

// disturb disturbs both units.
func (u *units) disturb(faults ...string) {
	u.t.Helper()
	for _, token := range u.token {
		token.Disturb(u.t, faults...)
	}
}

// asks asks for one certificate, under a deadline that is not to be needed.
func (u *units) asks() (string, error) {
	u.t.Helper()
	ctx, cancel := context.WithTimeout(u.t.Context(), 20*time.Second)
	defer cancel()
	_, csr := newCSR(u.t)
	app, err := u.Enrol(ctx, system, enrolRequest(csr, ""))
	if err != nil {
		return "", err
	}
	return app.Certificates[0], nil
}

// refused asks for a certificate that the device does not give: 503, nothing stored, the serial void and never given again.
func (u *units) refused(why string) {
	u.t.Helper()
	serial, err := u.asks()
	if !errors.Is(err, ca.ErrIssuer) || fault.KindOf(err) != fault.Unavailable {
		u.t.Errorf("%s: %s, %v", why, serial, err)
	}
	perhaps := u.reserved()
	if n, err := u.Recover(u.t.Context(), true); err != nil || n != 1 || len(perhaps) != 1 {
		u.t.Fatalf("%s: %d void of %v: %v", why, n, perhaps, err)
	}
	if !slices.Contains(u.void(), perhaps[0]) {
		u.t.Errorf("%s: %s may have been signed and is not revoked", why, perhaps[0])
	}
	if _, err := u.Chain(u.t.Context(), system, perhaps[0]); err == nil {
		u.t.Errorf("%s: %s was stored", why, perhaps[0])
	}
	settled(u.t, u.world)
}

func (u *units) reserved() (serials []string) {
	u.t.Helper()
	u.view(func(r ca.R) error {
		all, err := r.Reservations(u.now.Add(time.Hour), 100)
		for _, each := range all {
			serials = append(serials, hex.EncodeToString(each.Serial))
		}
		return err
	})
	return serials
}

// void is the serials that were revoked without ever having been a certificate.
func (u *units) void() (serials []string) {
	u.t.Helper()
	u.view(func(r ca.R) error {
		events, err := r.StatusEvents(time.Time{}, 100)
		for _, e := range events {
			if e.Act == ca.ActVoid {
				serials = append(serials, hex.EncodeToString(e.Serial))
			}
		}
		return err
	})
	return serials
}

func (u *units) view(f func(ca.R) error) {
	u.t.Helper()
	if err := u.db.CA().View(u.t.Context(), f); err != nil {
		u.t.Fatal(err)
	}
}

// returns waits until certificates are issued again, each of a serial that was never void.
func (u *units) returns(after string) {
	u.t.Helper()
	var err error
	var serial string
	for end := time.Now().Add(15 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if serial, err = u.asks(); err == nil {
			break
		}
		if _, err := u.Recover(u.t.Context(), true); err != nil {
			u.t.Fatal(err)
		}
	}
	if err != nil {
		u.t.Fatalf("after %s the service does not return: %v", after, err)
	}
	if slices.Contains(u.void(), serial) {
		u.t.Errorf("after %s: %s was void", after, serial)
	}
	chain := u.chain(serial)
	if err := chain[0].CheckSignature(chain[1]); err != nil {
		u.t.Errorf("after %s: %v", after, err)
	}
}

// whole waits until both units sign.
func (u *units) whole() {
	u.t.Helper()
	for i, d := range u.dev {
		u.Keys = deviceKeys{Device: d}
		u.returns(fmt.Sprintf("the faults of unit %d", i))
	}
	u.Keys = u.both
}
