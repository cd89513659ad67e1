package certs

import (
	"net/netip"
	"strings"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// Context tags of GeneralName.
const (
	nameOther      = 0
	nameEmail      = 1
	nameDNS        = 2
	nameX400       = 3
	nameDirectory  = 4
	nameEDI        = 5
	nameURI        = 6
	nameIP         = 7
	nameRegistered = 8
)

func contextTag(n uint8) cbasn1.Tag { return cbasn1.Tag(n).ContextSpecific() }

func contextConstructed(n uint8) cbasn1.Tag { return cbasn1.Tag(n).Constructed().ContextSpecific() }

// generalName is one GeneralName taken apart: its form, its content, and the whole element.
type generalName struct {
	form    uint8
	content cryptobyte.String
	raw     cryptobyte.String
}

func readGeneralName(s *cryptobyte.String) (g generalName, ok bool) {
	var tag cbasn1.Tag
	if !s.ReadAnyASN1Element(&g.raw, &tag) {
		return g, false
	}
	in := g.raw
	if !in.ReadAnyASN1(&g.content, &tag) {
		return g, false
	}
	g.form = uint8(tag) & 0x1f
	constructed := g.form == nameOther || g.form == nameX400 || g.form == nameDirectory || g.form == nameEDI
	want := contextTag(g.form)
	if constructed {
		want = contextConstructed(g.form)
	}
	return g, tag == want && g.form <= nameRegistered
}

// generalNames reads the content of a GeneralNames. A name that is not of its form is an oddity and left out.
func (r *reader) generalNames(s cryptobyte.String, where string) (GeneralNames, error) {
	var out GeneralNames
	if s.Empty() {
		return out, r.odd("%s: empty", where)
	}
	for n := 0; !s.Empty(); n++ {
		if n == maxListEntries {
			return out, ErrTooLarge
		}
		g, ok := readGeneralName(&s)
		if !ok {
			return out, malformed("%s: name", where)
		}
		if err := r.addGeneralName(&out, g, where); err != nil {
			return out, err
		}
	}
	return out, nil
}

func (r *reader) addGeneralName(out *GeneralNames, g generalName, where string) error {
	text := string(g.content)
	switch g.form {
	case nameEmail, nameDNS, nameURI:
		if !isVisible(text) {
			return r.odd("%s: name with other characters", where)
		}
		return r.addTextName(out, g.form, text, where)
	case nameIP:
		ip, ok := netip.AddrFromSlice(g.content)
		if !ok {
			return r.odd("%s: IP address of %d octets", where, len(g.content))
		}
		out.IP = append(out.IP, ip)
	case nameDirectory:
		name, err := r.name(&g.content, where)
		if err != nil {
			return err
		}
		if !g.content.Empty() {
			return malformed("%s: directory name", where)
		}
		out.Directory = append(out.Directory, name)
	default:
		out.Other = append(out.Other, OtherName{Tag: g.form, Raw: g.raw})
	}
	return nil
}

func (r *reader) addTextName(out *GeneralNames, form uint8, text, where string) error {
	switch form {
	case nameEmail:
		out.Email = append(out.Email, text)
		if !isMailbox(text) {
			return r.odd("%s: e-mail address %q", where, text)
		}
	case nameDNS:
		out.DNS = append(out.DNS, text)
		if !isDNSName(text, true) {
			return r.odd("%s: DNS name %q", where, text)
		}
	case nameURI:
		out.URI = append(out.URI, text)
		if !strings.Contains(text, ":") {
			return r.odd("%s: URI %q", where, text)
		}
	}
	return nil
}

// isVisible tells whether a text is ASCII without control characters and blanks, and not empty.
func isVisible(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f {
			return false
		}
	}
	return s != ""
}

// isDNSName checks the preferred name syntax (letters, digits, hyphen); wildcard allows a leftmost label "*".
func isDNSName(s string, wildcard bool) bool {
	if len(s) == 0 || len(s) > 253 {
		return false
	}
	for i, label := range strings.Split(s, ".") {
		if i == 0 && wildcard && label == "*" && s != "*" {
			continue
		}
		if len(label) == 0 || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for j := range len(label) {
			c := label[j]
			if c != '-' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
				return false
			}
		}
	}
	return true
}

func isMailbox(s string) bool {
	local, host, found := strings.Cut(s, "@")
	return found && local != "" && isDNSName(host, false)
}

func (r *reader) subjectAltName(c *Certificate, v cryptobyte.String) error {
	var seq cryptobyte.String
	if !v.ReadASN1(&seq, cbasn1.SEQUENCE) || !v.Empty() {
		return malformed("subject alternative name")
	}
	var err error
	c.AltNames, err = r.generalNames(seq, "subject alternative name")
	return err
}

func (r *reader) nameConstraints(c *Certificate, v cryptobyte.String) error {
	var seq cryptobyte.String
	nc := &NameConstraints{}
	if !v.ReadASN1(&seq, cbasn1.SEQUENCE) || !v.Empty() {
		return malformed("name constraints")
	}
	if seq.Empty() {
		return malformed("name constraints: empty")
	}
	for tag, side := range []*Subtrees{&nc.Permitted, &nc.Excluded} {
		var trees cryptobyte.String
		var present bool
		if !seq.ReadOptionalASN1(&trees, &present, contextConstructed(uint8(tag))) || present && trees.Empty() {
			return malformed("name constraints")
		}
		for n := 0; !trees.Empty(); n++ {
			if n == maxListEntries {
				return ErrTooLarge
			}
			if err := r.subtree(&trees, side); err != nil {
				return err
			}
		}
	}
	if !seq.Empty() {
		return malformed("name constraints")
	}
	c.NameConstraints = nc
	return nil
}

// subtree reads one GeneralSubtree. minimum and maximum are not used by RFC 5280 and make it malformed.
func (r *reader) subtree(s *cryptobyte.String, out *Subtrees) error {
	var one cryptobyte.String
	if !s.ReadASN1(&one, cbasn1.SEQUENCE) {
		return malformed("name constraints: subtree")
	}
	g, ok := readGeneralName(&one)
	if !ok || !one.Empty() {
		return malformed("name constraints: subtree")
	}
	text := string(g.content)
	switch g.form {
	case nameDNS:
		if text != "" && !isDNSName(strings.TrimPrefix(text, "."), false) {
			return malformed("name constraints: DNS name")
		}
		out.DNS = append(out.DNS, text)
	case nameEmail:
		if !isMailbox(text) && !isDNSName(strings.TrimPrefix(text, "."), false) {
			return malformed("name constraints: e-mail")
		}
		out.Email = append(out.Email, text)
	case nameURI:
		if !isDNSName(strings.TrimPrefix(text, "."), false) {
			return malformed("name constraints: URI host")
		}
		out.URI = append(out.URI, text)
	case nameIP:
		prefix, ok := readPrefix(g.content)
		if !ok {
			return malformed("name constraints: IP range")
		}
		out.IP = append(out.IP, prefix)
	case nameDirectory:
		name, err := r.name(&g.content, "name constraints")
		if err != nil || !g.content.Empty() {
			return malformed("name constraints: directory name")
		}
		out.Directory = append(out.Directory, name)
	default:
		out.Unsupported = append(out.Unsupported, g.form)
	}
	return nil
}

// readPrefix reads address and mask, of 4 or 16 octets each. The mask must be contiguous and the address within it.
func readPrefix(content []byte) (netip.Prefix, bool) {
	if len(content) != 8 && len(content) != 32 {
		return netip.Prefix{}, false
	}
	half := len(content) / 2
	addr, _ := netip.AddrFromSlice(content[:half])
	ones, ended := 0, false
	for i := range half * 8 {
		set := content[half+i/8]>>(7-i%8)&1 == 1
		if set && ended {
			return netip.Prefix{}, false
		}
		if set {
			ones++
		} else {
			ended = true
		}
	}
	p := netip.PrefixFrom(addr, ones)
	return p, p.Masked() == p
}
