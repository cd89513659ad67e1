package sdf

import (
	"context"
	"fmt"
	"strings"

	"hufu/hsm"
)

// Describe tells the operator which device this is, and which of its indices are in use, free, or waiting to be destroyed at
// the vendor's console. SDF does not tell password tries.
func (d *Device) Describe(ctx context.Context) []hsm.Fact {
	var facts []hsm.Fact
	if info, err := work(ctx, d, (*session).info); err == nil {
		facts = append(facts, hsm.Fact{Name: "made by", Value: info.Issuer}, hsm.Fact{Name: "device", Value: info.Name}, hsm.Fact{Name: "serial", Value: info.Serial})
	}
	facts = append(facts, hsm.Fact{Name: "sessions", Value: fmt.Sprintf("%d at once, %d at work", cap(d.slots), len(d.slots))})
	if f, err := d.file.read(); err == nil {
		used := map[kind]int{}
		for _, k := range f.Keys {
			used[k.Kind]++
		}
		for _, k := range []kind{signing, encryption, kek} {
			if all := len(d.cfg.indices(k)); all > 0 {
				facts = append(facts, hsm.Fact{Name: "indices (" + string(k) + ")", Value: fmt.Sprintf("%d of %d in use", used[k], all)})
			}
		}
	}
	if gone, err := d.Retired(ctx); err == nil {
		var left []string
		for _, r := range gone {
			if r.Stands {
				left = append(left, fmt.Sprintf("%s %d (%s)", r.Kind, r.Index, r.Label))
			}
		}
		if len(left) > 0 {
			facts = append(facts, hsm.Fact{Name: "to destroy at the console", Value: strings.Join(left, ", ")})
		}
	}
	return facts
}

var _ hsm.Described = (*Device)(nil)
