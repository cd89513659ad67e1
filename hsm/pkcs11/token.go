//go:build cgo

package pkcs11

import (
	"bytes"
	"context"
	"crypto/rand"
	"strings"
	"sync"
	"sync/atomic"

	p11 "github.com/miekg/pkcs11"

	"hufu/hsm"
	"hufu/internal/gm"
)

// link is one connection to the token: it lives until the device is lost or the module initialized again.
type link struct {
	gen    uint64 // of the module
	slot   uint
	keeper p11.SessionHandle // holds the login; it never works
}

// login is what the process knows of the login to one token. The login belongs to the process: a second device on the token is
// logged in by the first, so its PIN would never be looked at if it were not compared here.
type login struct {
	lock chan struct{}
	salt [32]byte
	pin  [32]byte // HMAC of the PIN with which the process logged in; zero = it has not

	times atomic.Uint64 // how often C_Login was called; counted before the call
}

// loginOf returns the login to a token by its serial number.
func (m *module) loginOf(serial string) *login {
	m.mu.Lock()
	defer m.mu.Unlock()
	l := m.logins[serial]
	if l == nil {
		l = &login{lock: make(chan struct{}, 1)}
		rand.Read(l.salt[:])
		m.logins[serial] = l
	}
	return l
}

// Flags of CK_TOKEN_INFO and states of a session.
const flagPINLocked = 0x00040000

func loggedIn(state uint) bool {
	return state == p11.CKS_RW_USER_FUNCTIONS || state == p11.CKS_RO_USER_FUNCTIONS
}

// findToken returns the slot of the token of that label or serial number; an empty name means the only one.
func findToken(lib *p11.Ctx, name string) (slot uint, info p11.TokenInfo, err error) {
	slots, err := lib.GetSlotList(true)
	if err != nil {
		return 0, info, step("C_GetSlotList", err)
	}
	found := 0
	for _, s := range slots {
		i, err := lib.GetTokenInfo(s)
		if err != nil {
			continue // another slot's trouble is not ours
		}
		label, serial := strings.TrimRight(i.Label, " \x00"), strings.TrimRight(i.SerialNumber, " \x00")
		if i.Flags&p11.CKF_TOKEN_INITIALIZED == 0 || (name != "" && name != label && name != serial) {
			continue
		}
		slot, info = s, i
		info.Label, info.SerialNumber = label, serial
		found++
	}
	switch found {
	case 0:
		return 0, info, ErrNoToken.With("token %q in %d slots", name, len(slots))
	case 1:
		return slot, info, nil
	}
	return 0, info, ErrNoToken.With("%d tokens are called %q: name one by its serial number", found, name)
}

// openLink finds the token, opens the keeper session and logs in. The caller is inside the module.
func (d *Device) openLink(ctx context.Context) (*link, error) {
	lib := d.mod.lib
	slot, info, err := findToken(lib, d.cfg.Token)
	if err != nil {
		return nil, err
	}
	if info.Flags&flagPINLocked != 0 {
		return nil, step("C_GetTokenInfo", p11.Error(p11.CKR_PIN_LOCKED))
	}
	keeper, err := lib.OpenSession(slot, p11.CKF_SERIAL_SESSION|p11.CKF_RW_SESSION)
	if err != nil {
		return nil, step("C_OpenSession", err)
	}
	l := &link{gen: d.mod.generation(), slot: slot, keeper: keeper}
	if err := d.logIn(ctx, keeper, info.SerialNumber, info.Flags&p11.CKF_USER_PIN_FINAL_TRY != 0); err != nil {
		_ = lib.CloseSession(keeper)
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.token = info
	return l, nil
}

// logIn logs in, if the token is not logged in already. A PIN that the token refused is never shown to it again by this device:
// the fault is kept and returned from then on. The binding makes copies of the PIN that it frees without clearing them: core files
// of a process that has opened a device hold its PIN, and have to be switched off.
//
// The last try before the token locks is left to people, unless the PIN has worked in this process: a program that is started
// again and again would take it. Nor is a PIN that has not worked yet shown again and again to a token that fails without a
// plain word; it may be the vendor's word for a wrong PIN.
func (d *Device) logIn(ctx context.Context, keeper p11.SessionHandle, serial string, last bool) error {
	known := d.mod.loginOf(serial)
	if err := lockUnder(ctx, known.lock); err != nil {
		return err
	}
	defer func() { <-known.lock }()
	if err := d.refusedPIN(); err != nil {
		return err
	}
	info, err := d.mod.lib.GetSessionInfo(keeper)
	if err != nil {
		return step("C_GetSessionInfo", err)
	}
	mac := gm.HMAC(known.salt[:], d.pin)
	if loggedIn(info.State) {
		if known.pin != ([32]byte{}) && !bytes.Equal(known.pin[:], mac[:]) {
			return d.refusePIN(step("this process is logged in with another PIN", p11.Error(p11.CKR_PIN_INCORRECT)))
		}
		return nil
	}
	proven := known.pin == mac
	switch {
	case proven:
	case last:
		return d.refusePIN(hsm.ErrLastTry.With("token %s", d.cfg.Token))
	case doubts.count(d.mod.path, serial, 0) >= mostDoubts:
		return d.refusePIN(hsm.ErrWrongPIN.With("token %s failed %d times without a plain word", d.cfg.Token, mostDoubts))
	}
	known.times.Add(1)
	err = d.mod.lib.Login(keeper, p11.CKU_USER, string(d.pin))
	code, _ := codeOf(err)
	switch c := d.profile.classOf(err); {
	case err == nil || code == p11.CKR_USER_ALREADY_LOGGED_IN:
		known.pin = mac
		doubts.forget(d.mod.path, serial)
		return nil
	case c == classPIN:
		return d.refusePIN(step("C_Login", err))
	case c == classNone && !proven && doubts.count(d.mod.path, serial, 1) >= mostDoubts:
		return d.refusePIN(hsm.ErrWrongPIN.With("token %s: %d times: %w", d.cfg.Token, mostDoubts, step("C_Login", err)))
	}
	return step("C_Login", err)
}

// mostDoubts is how often a process shows a PIN that has not worked yet to a token that does not say what is wrong. Tokens lock
// after 3 to 15 wrong ones.
const mostDoubts = 2

// doubtful counts such failures by token. It outlives modules, which are unloaded between two tries to open a device.
type doubtful struct {
	mu     sync.Mutex
	counts map[[2]string]int // by module and serial number
}

var doubts = doubtful{counts: map[[2]string]int{}}

func (d *doubtful) count(module, serial string, more int) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.counts[[2]string{module, serial}] += more
	return d.counts[[2]string{module, serial}]
}

func (d *doubtful) forget(module, serial string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.counts, [2]string{module, serial})
}

func (d *Device) refusePIN(err error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.pinFault = asFault("log in to token "+d.cfg.Token, err)
	return d.pinFault
}

func (d *Device) refusedPIN() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.pinFault
}

// current returns the link of this moment and the epoch of handles, connecting anew if the module was initialized again. The
// caller is inside the module.
func (d *Device) current(ctx context.Context) (*link, uint64, error) {
	if l, epoch := d.linkNow(); l != nil && l.gen == d.mod.generation() {
		return l, epoch, nil
	}
	if err := lockUnder(ctx, d.linking); err != nil {
		return nil, 0, err
	}
	defer func() { <-d.linking }()
	if l, epoch := d.linkNow(); l != nil && l.gen == d.mod.generation() {
		return l, epoch, nil
	}
	l, err := d.openLink(ctx)
	if err != nil {
		return nil, 0, err
	}
	return l, d.setLink(l), nil
}

func (d *Device) linkNow() (*link, uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.link, d.epoch
}

// setLink puts a link in place and makes all handles known before void.
func (d *Device) setLink(l *link) (epoch uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.link = l
	d.epoch++
	return d.epoch
}

// relogin is the answer to class B: it makes sure that the process is logged in and makes all handles void, once for all who
// saw the same epoch. The caller is inside the module.
func (d *Device) relogin(ctx context.Context, seen uint64) error {
	if err := lockUnder(ctx, d.linking); err != nil {
		return err
	}
	defer func() { <-d.linking }()
	l, epoch := d.linkNow()
	if epoch != seen || l == nil {
		return nil
	}
	err := d.logIn(ctx, l.keeper, d.tokenInfo().SerialNumber, false)
	if d.profile.classOf(err) == classSession { // the keeper went too
		if l, err = d.openLink(ctx); err != nil {
			return err
		}
	}
	if err != nil {
		return err
	}
	d.setLink(l)
	return nil
}

// logins is how often this process logged in to the token: while it stays the same and the login holds, it held throughout.
func (d *Device) logins() uint64 {
	return d.mod.loginOf(d.tokenInfo().SerialNumber).times.Load()
}

func (d *Device) tokenInfo() p11.TokenInfo {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.token
}

var _ hsm.Device = (*Device)(nil)
