package bundle

import (
	"bytes"
	"encoding/json"
	"math"
	"strings"
	"testing"
)

// The examples of RFC 8785, 3.2.2, 3.2.3 and appendix B.
func TestCanonical(t *testing.T) {
	for in, want := range map[string]string{
		`{
		  "numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
		  "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
		  "literals": [null, true, false]
		}`: `{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"€$\u000f\nA'B\"\\\\\"/"}`,
		`{"\u20ac":"Euro Sign","\r":"Carriage Return","\ufb33":"Hebrew Letter Dalet With Dagesh","1":"One","\ud83d\ude00":"Emoji: Grinning Face","\u0080":"Control","\u00f6":"Latin Small Letter O With Diaeresis"}`: `{"\r":"Carriage Return","1":"One","` + "\u0080" + `":"Control","ö":"Latin Small Letter O With Diaeresis","€":"Euro Sign","😀":"Emoji: Grinning Face","` + "\ufb33" + `":"Hebrew Letter Dalet With Dagesh"}`,
		` [ ] `: `[]`, `{}`: `{}`, `-0`: `0`, `"\b\f\n\r\t\u0000"`: `"\b\f\n\r\t\u0000"`, `"<&>\u2028"`: "\"<&>\u2028\"",
		`{"b":{"d":1,"c":2},"a":[{"z":1,"y":2}]}`: `{"a":[{"y":2,"z":1}],"b":{"c":2,"d":1}}`,
	} {
		got, err := Canonical([]byte(in))
		if err != nil || string(got) != want {
			t.Errorf("%s\ngot  %s, %v\nwant %s", in, got, err, want)
		}
	}
}

func TestCanonicalNumbers(t *testing.T) {
	for bits, want := range map[uint64]string{
		0x0000000000000000: "0", 0x8000000000000000: "0", 0x0000000000000001: "5e-324", 0x8000000000000001: "-5e-324",
		0x7fefffffffffffff: "1.7976931348623157e+308", 0x4340000000000000: "9007199254740992", 0xc340000000000000: "-9007199254740992",
		0x4430000000000000: "295147905179352830000", 0x44b52d02c7e14af5: "9.999999999999997e+22", 0x44b52d02c7e14af6: "1e+23",
		0x444b1ae4d6e2ef4e: "999999999999999700000", 0x444b1ae4d6e2ef50: "1e+21", 0x3eb0c6f7a0b5ed8c: "9.999999999999997e-7",
		0x3eb0c6f7a0b5ed8d: "0.000001", 0x41b3de4355555553: "333333333.3333332", 0x41b3de4355555554: "333333333.33333325",
	} {
		if got := string(appendNumber(nil, math.Float64frombits(bits))); got != want {
			t.Errorf("%016x: %s, want %s", bits, got, want)
		}
	}
}

func TestCanonicalRefuses(t *testing.T) {
	for name, in := range map[string]string{
		"duplicate name": `{"a":1,"a":2}`, "duplicate by escape": `{"a":1,"\u0061":2}`, "duplicate inside": `[{"b":{"c":1,"c":1}}]`,
		"trailing": `{} {}`, "trailing comma": `[1,]`, "no comma": `[1 2]`, "bare name": `{a:1}`, "lone surrogate": `"\ud800"`, "low surrogate": `"\udc00"`,
		"wrong pair": `"\ud800\u0041"`, "bad UTF-8": "\"\xff\"", "control": "\"\x01\"", "open string": `"a`, "open array": `[1`, "open object": `{"a":1`,
		"leading zero": `01`, "plus": `+1`, "point": `1.`, "no digit": `-`, "exponent": `1e`, "huge": `1e400`, "nan": `NaN`, "empty": ``, "word": `nul`,
		"escape": `"\x"`, "short escape": `"\u12"`, "end in escape": `"\`, "no value": `{"a":}`, "no colon": `{"a" 1}`, "comment": `/**/1`,
		"deep": strings.Repeat("[", 100) + strings.Repeat("]", 100),
	} {
		if got, err := Canonical([]byte(in)); err == nil {
			t.Errorf("%s: %s became %s", name, in, got)
		}
	}
}

func FuzzCanonical(f *testing.F) {
	f.Add([]byte(`{"b":[1,2.5e-9,"\u20ac\ud83d\ude00"],"a":null}`))
	f.Add([]byte(`"\\"`))
	f.Fuzz(func(t *testing.T, in []byte) {
		once, err := Canonical(in)
		if err != nil {
			return
		}
		twice, err := Canonical(once)
		if err != nil || !bytes.Equal(once, twice) {
			t.Errorf("%q becomes %q, then %q, %v", in, once, twice, err)
		}
		var a, b any
		if json.Unmarshal(in, &a) != nil || json.Unmarshal(once, &b) != nil {
			t.Errorf("%q is accepted and encoding/json refuses it or %q", in, once)
		}
	})
}
