package sdf

import (
	"bytes"
	"crypto/ecdsa"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"hufu/hsm"
	"hufu/internal/gm"
)

// assignment is one line of the assignments file: a label that has, or had, an index.
type assignment struct {
	Label     string `json:"label"`
	Algorithm string `json:"algorithm"`
	Use       string `json:"use"`
	Purpose   string `json:"purpose"`
	Kind      kind   `json:"kind"`
	Index     uint32 `json:"index"`
	Public    string `json:"public,omitempty"`    // the point 04 ‖ x ‖ y in hexadecimal; pairs only
	Wrapped   string `json:"wrapped,omitempty"`   // the SM4 key under the KEK, hexadecimal; kind kek only; emptied when destroyed
	Value     string `json:"value,omitempty"`     // what the key makes of fixed blocks, shortened to 8 octets, hexadecimal: tells when another KEK took its KEK's place
	Mode      uint32 `json:"mode,omitempty"`      // the algorithm identifier under which Wrapped stands
	Created   string `json:"created"`             // RFC 3339, UTC
	Destroyed string `json:"destroyed,omitempty"` // RFC 3339, UTC; the index of a pair is not given again
}

// assignments is the file as a whole. It is JSON, so that an operator can read it, in exactly one form, so that one who
// changes it is noticed: Check is the SM3 of the file with an empty Check. That finds damage and mistakes. It does not
// keep out who may write the file; what a label may do is decided by the public half that certificates name.
type assignments struct {
	Format  string       `json:"format"`
	Version int          `json:"version"`
	Keys    []assignment `json:"keys"`
	Check   string       `json:"check"`
}

const (
	fileFormat  = "hufu sdf assignments"
	fileVersion = 1
	maxFile     = 8 << 20
)

// encode writes the file with its check value.
func (a assignments) encode() ([]byte, error) {
	a.Format, a.Version, a.Check = fileFormat, fileVersion, ""
	if a.Keys == nil {
		a.Keys = []assignment{}
	}
	plain, err := json.MarshalIndent(a, "", " ")
	if err != nil {
		return nil, err
	}
	sum := gm.SM3(plain)
	a.Check = hex.EncodeToString(sum[:])
	text, err := json.MarshalIndent(a, "", " ")
	return append(text, '\n'), err
}

// parseAssignments reads the file. Only what encode writes is taken; everything else is hsm.ErrDamaged.
func parseAssignments(text []byte) (assignments, error) {
	var a assignments
	if err := json.Unmarshal(text, &a); err != nil {
		return a, hsm.ErrDamaged.With("assignments: %w", err)
	}
	if a.Format != fileFormat || a.Version != fileVersion {
		return a, hsm.ErrDamaged.With("assignments: %q of version %d; this program reads %q of version %d", a.Format, a.Version, fileFormat, fileVersion)
	}
	again, err := a.encode()
	if err != nil || !bytes.Equal(again, text) {
		return a, hsm.ErrDamaged.With("assignments: the file does not match its check value")
	}
	living, pairs := map[string]bool{}, map[string]bool{}
	for _, k := range a.Keys {
		if err := k.check(); err != nil {
			return a, hsm.ErrDamaged.With("assignments: key %q: %w", k.Label, err)
		}
		pair := fmt.Sprint(k.Kind, k.Index)
		if living[k.Label] && k.Destroyed == "" || pairs[pair] && k.Kind != kek {
			return a, hsm.ErrDamaged.With("assignments: key %q or its index stands twice", k.Label)
		}
		living[k.Label] = living[k.Label] || k.Destroyed == ""
		pairs[pair] = true
	}
	return a, nil
}

// check refuses an entry that Generate would not have made.
func (k assignment) check() error {
	spec, err := hsm.CheckSpec(hsm.Spec{Label: k.Label, Algorithm: k.Algorithm, Use: k.Use, Purpose: k.Purpose})
	if err != nil {
		return err
	}
	if kindOf(spec) != k.Kind {
		return fmt.Errorf("%s to %s under an index for %s", k.Algorithm, k.Use, k.Kind)
	}
	for _, t := range []string{k.Created, k.Destroyed} {
		if _, err := parseTime(t); err != nil {
			return err
		}
	}
	if k.Kind != kek {
		_, err := k.public()
		return err
	}
	if b, err := hex.DecodeString(k.Wrapped); err != nil || len(b) > blobRoom || len(b) == 0 && k.Destroyed == "" {
		return fmt.Errorf("its encrypted form has %d octets", len(b))
	}
	if b, err := hex.DecodeString(k.Value); err != nil || len(b) != valueLen {
		return fmt.Errorf("its check value has %d octets", len(b))
	}
	return nil
}

// kindOf tells under which kind of index a key of spec stands, "" when this driver has none.
func kindOf(spec hsm.Spec) kind {
	switch {
	case spec.Algorithm == hsm.SM2 && spec.Use == hsm.UseSign:
		return signing
	case spec.Algorithm == hsm.SM2 && spec.Use == hsm.UseDecrypt:
		return encryption
	case spec.Algorithm == hsm.SM4:
		return kek
	}
	return ""
}

func (k assignment) public() (*ecdsa.PublicKey, error) {
	point, err := hex.DecodeString(k.Public)
	if err != nil {
		return nil, err
	}
	return gm.PublicKey(point)
}

// info is what everybody may know.
func (k assignment) info() (hsm.Info, error) {
	created, err := parseTime(k.Created)
	info := hsm.Info{
		Label: k.Label, Algorithm: k.Algorithm, Use: k.Use, Purpose: k.Purpose,
		Reference: fmt.Sprintf("%s %d", k.Kind, k.Index), Created: created,
	}
	if err != nil || k.Kind == kek {
		return info, err
	}
	pub, err := k.public()
	info.Public = pub
	return info, err
}

// find returns the living key of a label.
func (a *assignments) find(label string) *assignment {
	i := slices.IndexFunc(a.Keys, func(k assignment) bool { return k.Label == label && k.Destroyed == "" })
	if i < 0 {
		return nil
	}
	return &a.Keys[i]
}

// given reports whether an index was ever given to a label, or a public half ever stood under another index.
func (a *assignments) given(k kind, index uint32) bool {
	return slices.ContainsFunc(a.Keys, func(e assignment) bool { return e.Kind == k && e.Index == index })
}

func (a *assignments) known(public string) bool {
	return slices.ContainsFunc(a.Keys, func(e assignment) bool { return e.Public == public })
}

// Times stand in the file to the microsecond, in UTC.
func formatTime(t time.Time) string {
	return t.UTC().Truncate(time.Microsecond).Format(time.RFC3339Nano)
}

// parseTime reads a time; an empty one is zero.
func parseTime(s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if !strings.HasSuffix(s, "Z") {
		return time.Time{}, fmt.Errorf("time %q is not in UTC", s)
	}
	return time.Parse(time.RFC3339Nano, s)
}
