package keys_test

import (
	"testing"

	"hufu/identity"
	"hufu/internal/actor"
	"hufu/keys"
)

// A row that nobody can open keeps the key of before alive, and does not keep the others from being brought over.
func TestDamagedColumnDoesNotStopARotation(t *testing.T) {
	eachAdmin(t, func(t *testing.T, a admin) {
		ctx, by := t.Context(), actor.ForSystem("test")
		ok(t, "follow", a.db.FollowFieldKeys(ctx, source(a.node(t))))
		people, err := identity.New(identity.Config{Store: a.db.Identity()})
		ok(t, "identity", err)
		var ids []string
		for _, number := range []string{"33010019900101001", "33010019900101002", "33010019900101003"} {
			s, err := people.RegisterPerson(ctx, by, identity.PersonForm{
				Name: "王五", Identifiers: []identity.Identifier{{Type: identity.ResidentID, Number: identity.Number(checked(number))}}, Phone: "13800000000",
				Evidence: []identity.Evidence{{Method: identity.ByCounter, Source: "test"}},
			})
			ok(t, "register", err)
			ids = append(ids, s.ID)
		}
		damaged := a.copy("subject", "id = $1", ids[1])
		for i, name := range damaged.columns {
			if name == "phone" {
				octets := damaged.values[0][i].([]byte)
				octets[len(octets)-1] ^= 1
			}
		}
		a.paste(damaged)
		a.rotate(t, "data:field")
		for _, id := range []string{ids[0], ids[2]} {
			if s, err := people.Get(ctx, by, id); err != nil || s.Phone == "" {
				t.Errorf("a row beside the damaged one: %v", err)
			}
		}
		a.clock.advance(1e18)
		want(t, "destroy", a.node(t).DestroyVersion(ctx, system, "data:field", 1), keys.ErrNeeded)
	})
}

// checked adds the check digit to a resident's number.
func checked(digits string) string {
	sum := 0
	for i, w := range []int{7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2} {
		sum += w * int(digits[i]-'0')
	}
	return digits + string("10X98765432"[sum%11])
}
