package ofd

import (
	"errors"
	"path"
	"strings"

	"hufu/internal/gm"
)

// Container is an opened OFD file. It is read-only; signing gives new bytes.
type Container struct {
	entries []*Entry
	byName  map[string]*Entry
	remarks []Remark
	limits  Limits
	digests map[string][32]byte
}

// Open reads a container under DefaultLimits. Refusals: ErrNotOFD (some other kind of file) and, for a container
// that is damaged or ambiguous, the other sentinels of this package; see Damaged.
func Open(b []byte) (*Container, error) { return OpenLimited(b, DefaultLimits) }

// OpenLimited is Open under limits of the caller's own.
func OpenLimited(b []byte, l Limits) (*Container, error) {
	entries, remarks, err := readZip(b, l)
	if err != nil {
		return nil, err
	}
	c := &Container{entries: entries, remarks: remarks, limits: l, byName: map[string]*Entry{}, digests: map[string][32]byte{}}
	for _, e := range entries {
		c.byName[e.Name] = e
	}
	if c.byName["OFD.xml"] == nil {
		for _, e := range entries {
			switch strings.ToLower(path.Base(e.Name)) {
			case "document.xml", "signatures.xml", "signature.xml":
				return nil, ErrMissing.With("OFD.xml")
			}
		}
		return nil, ErrNotOFD.With("a ZIP without OFD.xml")
	}
	return c, nil
}

// Damaged tells whether err of Open means "an OFD file, but a damaged or ambiguous one", as against some other kind of file.
func Damaged(err error) bool {
	_, known := errors.AsType[*Error](err)
	return known && !errors.Is(err, ErrNotOFD)
}

// Names returns the paths of all files in the order of the container.
func (c *Container) Names() []string {
	out := make([]string, len(c.entries))
	for i, e := range c.entries {
		out[i] = e.Name
	}
	return out
}

// Read returns the bytes of a file; the caller does not change them. ok is false when there is no such file.
func (c *Container) Read(name string) (data []byte, ok bool) {
	e := c.byName[name]
	if e == nil {
		return nil, false
	}
	return e.Data, true
}

// Digest returns SM3 over the file as it stands. ok is false when there is no such file.
func (c *Container) Digest(name string) (sum [32]byte, ok bool) {
	if d, done := c.digests[name]; done {
		return d, true
	}
	e := c.byName[name]
	if e == nil {
		return sum, false
	}
	sum = gm.SM3(e.Data)
	c.digests[name] = sum
	return sum, true
}

// Remarks are what Open found odd about the container.
func (c *Container) Remarks() []Remark { return c.remarks }

// Bytes writes the container anew: the same files in the same order, nothing else.
func (c *Container) Bytes() []byte { return writeZip(c.entries) }

// With returns a container in which the file name has this data: replaced in place, or added at the end.
// It is how side files (LogProof) are put in; it breaks every signature that lists the file.
func (c *Container) With(name string, data []byte) (*Container, error) {
	folded, err := fold(name, c.limits)
	if err != nil {
		return nil, err
	}
	n := &Container{limits: c.limits, remarks: c.remarks, byName: map[string]*Entry{}, digests: map[string][32]byte{}}
	replaced := false
	for _, e := range c.entries {
		switch {
		case e.Name == folded:
			e, replaced = newEntry(folded, data), true
		case strings.EqualFold(e.Name, folded):
			return nil, ErrDuplicate.With("%q and %q", e.Name, folded)
		}
		n.entries = append(n.entries, e)
	}
	if !replaced {
		n.entries = append(n.entries, newEntry(folded, data))
	}
	for _, e := range n.entries {
		n.byName[e.Name] = e
	}
	return n, nil
}

// resolve gives the path that ref means in the part from: absolute from "/", else relative to from's folder.
// What would climb out of the container stops at its root. An empty reference gives "".
func resolve(from, ref string) string {
	ref = strings.ReplaceAll(strings.TrimSpace(ref), `\`, "/")
	if ref == "" {
		return ""
	}
	if !strings.HasPrefix(ref, "/") {
		ref = path.Dir("/"+from) + "/" + ref
	}
	return strings.TrimPrefix(path.Clean(ref), "/")
}
