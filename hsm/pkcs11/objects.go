//go:build cgo

package pkcs11

import (
	"bytes"
	"context"
	"encoding/binary"
	"maps"

	p11 "github.com/miekg/pkcs11"

	"hufu/hsm"
)

// object is a key object of the token as it was read.
type object struct {
	handle p11.ObjectHandle
	class  uint
	attrs  map[uint][]byte
}

func (o object) text(t uint) string { return string(o.attrs[t]) }
func (o object) id() []byte         { return o.attrs[p11.CKA_ID] }
func (o object) flag(t uint) bool   { return len(o.attrs[t]) > 0 && o.attrs[t][0] != 0 }

// number reads a CK_ULONG, which is little endian on every machine that such modules are built for but s390x.
func (o object) number(t uint) uint {
	switch b := o.attrs[t]; len(b) {
	case 8:
		return uint(binary.NativeEndian.Uint64(b))
	case 4:
		return uint(binary.NativeEndian.Uint32(b))
	}
	return p11.CK_UNAVAILABLE_INFORMATION
}

// What is read of every object of a class, and then of those of a type: what all of them have is asked for at once.
var (
	ofClass = map[uint][]uint{
		p11.CKO_PUBLIC_KEY:  {p11.CKA_LABEL, p11.CKA_ID, p11.CKA_KEY_TYPE},
		p11.CKO_PRIVATE_KEY: {p11.CKA_LABEL, p11.CKA_ID, p11.CKA_KEY_TYPE, p11.CKA_SIGN, p11.CKA_DECRYPT, p11.CKA_DERIVE},
		p11.CKO_SECRET_KEY:  {p11.CKA_LABEL, p11.CKA_ID, p11.CKA_KEY_TYPE, p11.CKA_ENCRYPT, p11.CKA_SIGN},
	}
	ofRSA = []uint{p11.CKA_MODULUS, p11.CKA_PUBLIC_EXPONENT}
	ofEC  = []uint{p11.CKA_EC_PARAMS, p11.CKA_EC_POINT}
)

// detail returns what is to be read besides, by class and type.
func (p *Profile) detail(class, kind uint) []uint {
	switch {
	case class == p11.CKO_SECRET_KEY && kind == p11.CKK_AES:
		return []uint{p11.CKA_VALUE_LEN}
	case class == p11.CKO_PUBLIC_KEY && kind == p11.CKK_RSA:
		return ofRSA
	case class == p11.CKO_PUBLIC_KEY:
		return ofEC
	}
	return nil
}

// find returns the handles of the token's or session's objects that fit the template.
func (s *session) find(template ...*p11.Attribute) ([]p11.ObjectHandle, error) {
	if err := s.lib.FindObjectsInit(s.h, template); err != nil {
		return nil, step("C_FindObjectsInit", err)
	}
	all, err := gather(func() ([]p11.ObjectHandle, error) {
		some, _, err := s.lib.FindObjects(s.h, 100)
		return some, step("C_FindObjects", err)
	})
	final := s.lib.FindObjectsFinal(s.h)
	if err != nil {
		s.broken = final != nil
		return nil, err
	}
	return all, step("C_FindObjectsFinal", final)
}

// mostObjects is more than any token holds.
const mostObjects = 100_000

// gather asks for handles until there are no more. A module that never comes to an end is given up.
func gather(next func() ([]p11.ObjectHandle, error)) (all []p11.ObjectHandle, err error) {
	for len(all) <= mostObjects {
		some, err := next()
		if err != nil {
			return nil, err
		}
		if len(some) == 0 {
			return all, nil
		}
		all = append(all, some...)
	}
	return nil, hsm.ErrUnavailable.With("C_FindObjects does not end after %d objects", len(all))
}

// read returns the attributes that the object has and shows. Most modules refuse the whole list for one that is missing: then
// they are asked for one by one.
func (s *session) read(h p11.ObjectHandle, types ...uint) (map[uint][]byte, error) {
	list := make([]*p11.Attribute, len(types))
	for i, t := range types {
		list[i] = p11.NewAttribute(t, nil)
	}
	got, err := s.lib.GetAttributeValue(s.h, h, list)
	if err != nil && len(types) == 1 {
		if s.d.profile.classOf(err) != classNone {
			return nil, step("C_GetAttributeValue", err)
		}
		return map[uint][]byte{}, nil // not there, or not shown
	}
	all := make(map[uint][]byte, len(types))
	if err == nil {
		for _, a := range got {
			if a.Value != nil {
				all[a.Type] = a.Value
			}
		}
		return all, nil
	}
	for _, t := range types {
		one, err := s.read(h, t)
		if err != nil {
			return nil, err
		}
		if v, ok := one[t]; ok {
			all[t] = v
		}
	}
	return all, nil
}

// more reads further attributes of an object.
func (s *session) more(o object, types ...uint) error {
	if len(types) == 0 {
		return nil
	}
	attrs, err := s.read(o.handle, types...)
	maps.Copy(o.attrs, attrs)
	return err
}

// objects reads the token's key objects of a class that fit the template.
func (s *session) objects(class uint, template ...*p11.Attribute) ([]object, error) {
	template = append([]*p11.Attribute{p11.NewAttribute(p11.CKA_CLASS, class), p11.NewAttribute(p11.CKA_TOKEN, true)}, template...)
	handles, err := s.find(template...)
	if err != nil {
		return nil, err
	}
	list := make([]object, 0, len(handles))
	for _, h := range handles {
		o := object{handle: h, class: class, attrs: map[uint][]byte{}}
		err := s.more(o, ofClass[class]...)
		if err == nil {
			err = s.more(o, s.d.profile.detail(class, o.number(p11.CKA_KEY_TYPE))...)
		}
		if gone(err) || err == nil && !o.fits(template) {
			s.unsteady = true
			continue
		}
		if err != nil {
			return nil, err
		}
		list = append(list, o)
	}
	return list, nil
}

// fits reports whether what was read is what was looked for: a handle may move between the two.
func (o object) fits(template []*p11.Attribute) bool {
	for _, a := range template {
		if v, read := o.attrs[a.Type]; read && !bytes.Equal(v, a.Value) {
			return false
		}
	}
	return true
}

// gone reports that an object was destroyed, or that its handle moved, between being found and being read.
func gone(err error) bool {
	code, _ := codeOf(err)
	return code == p11.CKR_OBJECT_HANDLE_INVALID
}

// scan reads keys from the token: all, or those that fit a template of label or identifier. halves are the objects that have lost
// their other half, or whose kind the driver does not know.
func (s *session) scan(template ...*p11.Attribute) (keys []*key, halves []object, err error) {
	logins := s.d.logins()
	if err := s.sees(); err != nil {
		return nil, nil, err
	}
	for range mostLooks {
		s.unsteady = false
		if keys, halves, err = s.look(template); err != nil {
			return nil, nil, err
		}
		if !s.unsteady {
			break
		}
	}
	if err := s.sees(); err != nil {
		return nil, nil, err
	}
	if s.d.logins() != logins {
		return nil, nil, errNotLoggedIn
	}
	return keys, halves, nil
}

// mostLooks is how often the token is looked over while objects vanish or move under the look, before it is taken as it seems.
const mostLooks = 3

// sees makes sure that private objects show: without the login they seem to be gone, and no result code says so. It is asked
// before and after; who was logged out and in again between has another epoch.
func (s *session) sees() error {
	info, err := s.lib.GetSessionInfo(s.h)
	if err != nil {
		return step("C_GetSessionInfo", err)
	}
	if _, epoch := s.d.linkNow(); epoch != s.epoch || !loggedIn(info.State) {
		return errNotLoggedIn
	}
	return nil
}

func (s *session) look(template []*p11.Attribute) (keys []*key, halves []object, err error) {
	var byClass [3][]object
	for i, class := range []uint{p11.CKO_PRIVATE_KEY, p11.CKO_PUBLIC_KEY, p11.CKO_SECRET_KEY} {
		if byClass[i], err = s.objects(class, template...); err != nil {
			return nil, nil, err
		}
	}
	used := map[p11.ObjectHandle]bool{}
	for _, private := range byClass[0] {
		k, err := s.pair(private, byClass[0], byClass[1], used)
		if err != nil {
			return nil, nil, err
		}
		if k == nil {
			halves = append(halves, private)
			continue
		}
		keys = append(keys, k)
	}
	for _, public := range byClass[1] {
		if !used[public.handle] {
			halves = append(halves, public)
		}
	}
	for _, secret := range byClass[2] {
		if k := s.secret(secret); k != nil {
			keys = append(keys, k)
		} else if readNote(secret.id()).kind == kindInside {
			halves = append(halves, secret)
		}
	}
	return keys, halves, nil
}

// pair makes a key of a private object and the public object that belongs to it: of the same type and CKA_ID; without a CKA_ID, of
// the same label, if there is but one of each; else the private object's own point.
func (s *session) pair(private object, privates, publics []object, used map[p11.ObjectHandle]bool) (*key, error) {
	same := func(o object) bool {
		if o.number(p11.CKA_KEY_TYPE) != private.number(p11.CKA_KEY_TYPE) || used[o.handle] && o.class == p11.CKO_PUBLIC_KEY {
			return false
		}
		if len(private.id()) > 0 {
			return bytes.Equal(o.id(), private.id())
		}
		return len(o.id()) == 0 && o.text(p11.CKA_LABEL) == private.text(p11.CKA_LABEL)
	}
	var found []object
	for _, public := range publics {
		if same(public) {
			found = append(found, public)
		}
	}
	twins := 0
	for _, other := range privates {
		if same(other) {
			twins++
		}
	}
	source := private
	switch {
	case len(found) == 1 && twins == 1:
		source = found[0]
		used[source.handle] = true
	case s.d.profile.PointOnPrivate:
		err := s.more(private, ofEC...)
		if gone(err) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		for _, public := range found {
			if bytes.Equal(public.attrs[p11.CKA_EC_POINT], private.attrs[p11.CKA_EC_POINT]) {
				used[public.handle] = true
			}
		}
	}
	algorithm, pub := s.d.profile.public(source)
	use := useOf(algorithm, private)
	if pub == nil || use == "" {
		return nil, nil
	}
	return s.newKey(private, algorithm, use, pub), nil
}

// Keys lists the token's keys by label.
func (d *Device) Keys(ctx context.Context) ([]hsm.Info, error) {
	keys, err := run(ctx, d, "list keys", func(s *session) ([]*key, error) {
		keys, _, err := s.scan()
		return keys, err
	}, nil)
	if err != nil {
		return nil, err
	}
	return infos(keys), nil
}
