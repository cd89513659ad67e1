package hsm_test

import (
	"path/filepath"
	"testing"

	"hufu/hsm"
	"hufu/hsm/hsmtest"
)

func join(t *testing.T, parts ...hsm.Part) *hsm.Join {
	t.Helper()
	j, err := hsm.NewJoin(parts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.Close() })
	return j
}

func TestJoinOfTwoDevicesPassesTheSuite(t *testing.T) {
	one, other := filepath.Join(t.TempDir(), "keys"), filepath.Join(t.TempDir(), "keys")
	hsmtest.Run(t, func(t *testing.T) hsm.Device {
		return join(t, hsm.Part{Name: "hsm", Device: softAt(t, one), Algorithms: []string{hsm.SM2, hsm.SM4}}, hsm.Part{Name: "soft", Device: softAt(t, other)})
	})
}

func TestJoinMakesKeysAtHomeAndFindsThemAnywhere(t *testing.T) {
	sm, rest := hsmtest.Soft(t), hsmtest.Soft(t)
	j := join(t, hsm.Part{Name: "hsm", Device: sm, Algorithms: []string{hsm.SM2}}, hsm.Part{Name: "soft", Device: rest})
	k := made(t, j, "ca")
	if k.Reference != "hsm/ca.key" {
		t.Errorf("reference %q", k.Reference)
	}
	if _, err := j.Generate(t.Context(), hsm.Spec{Label: "tokens", Algorithm: hsm.P256}); err != nil {
		t.Fatal(err)
	}
	if keys, _ := rest.Keys(t.Context()); len(keys) != 1 || keys[0].Label != "tokens" {
		t.Errorf("the second device holds %+v", keys)
	}
	old := made(t, rest, "old") // made before the first device was there
	if err := signs(t, j, old); err != nil {
		t.Error(err)
	}
	_, err := j.Generate(t.Context(), hsm.Spec{Label: "old", Algorithm: hsm.SM2})
	wantErr(t, "a label in the other device", err, hsm.ErrExists)
	if err := j.Destroy(t.Context(), "old"); err != nil {
		t.Fatal(err)
	}
	wantErr(t, "destroyed", signs(t, j, old), hsm.ErrNotFound)
	if moved := made(t, j, "old"); moved.Reference != "hsm/old.key" {
		t.Errorf("made again as %q", moved.Reference)
	}
}

func TestJoinIsWholeOrSaysSo(t *testing.T) {
	one, other := hsmtest.Soft(t), hsmtest.Soft(t)
	a := &frail{Device: one}
	j := join(t, hsm.Part{Name: "a", Device: a, Algorithms: []string{hsm.P256}}, hsm.Part{Name: "b", Device: other})
	k := made(t, j, "ca")
	a.set(broken)
	if err := signs(t, j, k); err != nil {
		t.Errorf("the key's own device works: %v", err)
	}
	wantErr(t, "health", j.Health(t.Context()), hsm.ErrUnavailable)
	_, err := j.Generate(t.Context(), hsm.Spec{Label: "new", Algorithm: hsm.SM2})
	wantErr(t, "a label that may stand in the device that is away", err, hsm.ErrUnavailable)
	health := j.Members(t.Context())
	if len(health) != 2 || health[0].Err == nil || health[1].Err != nil {
		t.Errorf("%+v", health)
	}
	a.set(nil)
	if _, err := one.Generate(t.Context(), hsm.Spec{Label: "ca", Algorithm: hsm.SM2}); err != nil {
		t.Fatal(err)
	}
	_, err = j.Keys(t.Context())
	wantErr(t, "one label in two devices", err, hsm.ErrDamaged)
}

func TestJoinOfGroupsTellsEachDevice(t *testing.T) {
	shared := hsmtest.Soft(t)
	a, b := &frail{Device: shared}, &frail{Device: shared}
	j := join(t, hsm.Part{Name: "hsm", Device: group(t, a, b)}, hsm.Part{Name: "soft", Device: hsmtest.Soft(t)})
	b.set(broken)
	if err := j.Health(t.Context()); err != nil {
		t.Errorf("the group works: %v", err)
	}
	names := ""
	for _, m := range j.Members(t.Context()) {
		names += m.Name + " "
	}
	if names != "hsm/a hsm/b soft " {
		t.Errorf("members %q", names)
	}
}

func TestNamelessAndDoubleDevicesAreRefused(t *testing.T) {
	d := hsmtest.Soft(t)
	_, err := hsm.NewGroup(nil)
	wantErr(t, "no member", err, hsm.ErrNoStore)
	_, err = hsm.NewGroup([]hsm.Member{{Name: "a", Device: d}, {Name: "a", Device: d}})
	wantErr(t, "twice", err, hsm.ErrMechanism)
	_, err = hsm.NewJoin([]hsm.Part{{Name: "", Device: d}})
	wantErr(t, "nameless", err, hsm.ErrMechanism)
	_, err = hsm.NewJoin([]hsm.Part{{Name: "a", Device: d, Algorithms: []string{"sm5"}}})
	wantErr(t, "unknown algorithm", err, hsm.ErrMechanism)
}
