package card

import "strings"

const base45 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"

// encode45 writes RFC 9285.
func encode45(b []byte) string {
	var s strings.Builder
	for len(b) >= 2 {
		n := int(b[0])<<8 | int(b[1])
		s.WriteByte(base45[n%45])
		s.WriteByte(base45[n/45%45])
		s.WriteByte(base45[n/2025])
		b = b[2:]
	}
	if len(b) == 1 {
		s.WriteByte(base45[b[0]%45])
		s.WriteByte(base45[b[0]/45])
	}
	return s.String()
}

// decode45 reads RFC 9285; it refuses what encode45 would not write.
func decode45(s string) ([]byte, bool) {
	var out []byte
	for len(s) > 0 {
		n, weight := 0, 1
		k := min(3, len(s))
		for i := range k {
			v := strings.IndexByte(base45, s[i])
			if v < 0 {
				return nil, false
			}
			n += v * weight
			weight *= 45
		}
		switch {
		case k == 3 && n <= 0xffff:
			out = append(out, byte(n>>8), byte(n))
		case k == 2 && n <= 0xff:
			out = append(out, byte(n))
		default:
			return nil, false
		}
		s = s[k:]
	}
	return out, true
}
