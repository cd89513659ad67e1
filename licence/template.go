package licence

import (
	"fmt"
	"math"
	"strconv"

	"hufu/seal/ofd"
)

// Template is the page of a licence type. Lengths are millimetres, origin top left; y of a text is its baseline. What is
// the same on every licence goes into the OFD's template page, what is bound to fields onto the page above it.
type Template struct {
	Width   float64 `yaml:"width"`
	Height  float64 `yaml:"height"`
	Ground  Colour  `yaml:"ground"`
	Objects []Mark  `yaml:"objects"` // drawn in this order
	Seal    Spot    `yaml:"seal"`    // centre of the seal
}

// Spot is a place on the page.
type Spot struct {
	X float64 `yaml:"x"`
	Y float64 `yaml:"y"`
}

// Mark is one thing on the page; exactly one of its parts is set.
type Mark struct {
	Frame   *Frame   `yaml:"frame"`
	Rosette *Rosette `yaml:"rosette"`
	Rule    *Rule    `yaml:"rule"`
	Text    *Words   `yaml:"text"`
	Field   *Place   `yaml:"field"`
	QR      *Square  `yaml:"qr"`
}

// Frame is a border: a broad line, a band of meanders (回纹) and a thin line.
type Frame struct {
	Inset  float64 `yaml:"inset"` // of the outer line from the edge of the page
	Band   float64 `yaml:"band"`  // width between the lines
	Colour Colour  `yaml:"colour"`
}

// Rosette is a ground pattern of fine closed curves.
type Rosette struct {
	Spot   `yaml:",inline"`
	Radius float64 `yaml:"radius"`
	Petals int     `yaml:"petals"`
	Line   float64 `yaml:"line"`
	Colour Colour  `yaml:"colour"`
}

// Rule is a straight line.
type Rule struct {
	From   Spot    `yaml:"from"`
	To     Spot    `yaml:"to"`
	Line   float64 `yaml:"line"`
	Colour Colour  `yaml:"colour"`
}

// Words is a text that is the same on every licence: Value, or the label of a field.
type Words struct {
	Spot    `yaml:",inline"`
	Value   string  `yaml:"value"`
	Label   string  `yaml:"label"` // name of the field
	Size    float64 `yaml:"size"`
	Bold    bool    `yaml:"bold"`
	Align   Align   `yaml:"align"`
	Spacing float64 `yaml:"spacing"` // between characters, beyond their own width
	Spread  float64 `yaml:"spread"`  // over all; the characters are set apart to fill it
	Colour  Colour  `yaml:"colour"`
}

// Place is where a field is printed: a box of Width and Height whose first baseline is Y. A text that does not fit is set
// smaller, down to Min, and refused below that.
type Place struct {
	Spot    `yaml:",inline"`
	Name    string  `yaml:"name"`
	Width   float64 `yaml:"width"`
	Height  float64 `yaml:"height"` // 0: one line
	Middle  bool    `yaml:"middle"` // several lines stand about Y in tight leading instead of running down from it
	Size    float64 `yaml:"size"`
	Min     float64 `yaml:"min"` // 0: seven tenths of Size
	Bold    bool    `yaml:"bold"`
	Align   Align   `yaml:"align"`
	Spacing float64 `yaml:"spacing"`
	Colour  Colour  `yaml:"colour"`
}

// Square is where the QR code goes, quiet zone included.
type Square struct {
	Spot   `yaml:",inline"`
	Size   float64 `yaml:"size"`
	Colour Colour  `yaml:"colour"`
}

// Align says which point of a text X is.
type Align string

// The alignments.
const (
	Left   Align = ""
	Centre Align = "centre"
	Right  Align = "right"
)

// Colour is written #rrggbb.
type Colour ofd.Color

// UnmarshalYAML reads #rrggbb.
func (c *Colour) UnmarshalYAML(unmarshal func(any) error) error {
	var s string
	if err := unmarshal(&s); err != nil {
		return err
	}
	v, err := strconv.ParseUint(s[min(1, len(s)):], 16, 32)
	if err != nil || len(s) != 7 || s[0] != '#' {
		return fmt.Errorf("colour %q is not #rrggbb", s)
	}
	*c = Colour{uint8(v >> 16), uint8(v >> 8), uint8(v)}
	return nil
}

func (t *Template) check(of *Type) error {
	if !within(t.Width, 50, 1000) || !within(t.Height, 50, 1000) || !t.on(t.Seal) {
		return fmt.Errorf("template: page of %g × %g mm, seal at %g, %g", t.Width, t.Height, t.Seal.X, t.Seal.Y)
	}
	printed := map[string]bool{}
	for i, m := range t.Objects {
		if err := m.check(t, of); err != nil {
			return fmt.Errorf("template: object %d: %w", i+1, err)
		}
		if m.Field == nil {
			continue
		}
		if printed[m.Field.Name] {
			return fmt.Errorf("template: field %q is printed twice", m.Field.Name)
		}
		printed[m.Field.Name] = true
	}
	for _, f := range of.Fields {
		if !printed[f.Name] {
			return fmt.Errorf("template: field %q is not printed", f.Name)
		}
	}
	return nil
}

func within(v, low, high float64) bool { return v >= low && v <= high } // so that NaN is refused

func (t *Template) on(s Spot) bool { return within(s.X, 0, t.Width) && within(s.Y, 0, t.Height) }

func (m *Mark) check(t *Template, of *Type) error {
	set, ok := 0, false
	if f := m.Frame; f != nil {
		set, ok = set+1, within(f.Inset, 0, 50) && within(f.Band, 2, 20)
	}
	if r := m.Rosette; r != nil {
		set, ok = set+1, t.on(r.Spot) && within(r.Radius, 5, 200) && r.Petals >= 3 && r.Petals <= 60 && within(r.Line, 0.02, 2)
	}
	if r := m.Rule; r != nil {
		set, ok = set+1, t.on(r.From) && t.on(r.To) && within(r.Line, 0.02, 10)
	}
	if q := m.QR; q != nil {
		set, ok = set+1, t.on(q.Spot) && within(q.Size, 12, 80)
	}
	if w := m.Text; w != nil {
		set, ok = set+1, t.on(w.Spot) && within(w.Size, 1, 60) && w.Align.known() && within(w.Spacing, 0, 60) && within(w.Spread, 0, t.Width)
		if w.Label != "" {
			f, found := of.Field(w.Label)
			if !found || w.Value != "" {
				return fmt.Errorf("text with label %q and value %q", w.Label, w.Value)
			}
			w.Value = f.Label.ZH
		}
		ok = ok && w.Value != ""
	}
	if p := m.Field; p != nil {
		if p.Height == 0 {
			p.Height = p.Size
		}
		if p.Min == 0 {
			p.Min = math.Round(p.Size*7) / 10
		}
		set, ok = set+1, t.on(p.Spot) && within(p.Width, 5, t.Width) && within(p.Height, p.Size, t.Height) && within(p.Size, 1, 60) &&
			within(p.Min, 1, p.Size) && p.Align.known() && within(p.Spacing, 0, 60)
		if _, found := of.Field(p.Name); !found {
			return fmt.Errorf("no field %q", p.Name)
		}
	}
	if set != 1 || !ok {
		return fmt.Errorf("exactly one part with measures that lie on the page is needed")
	}
	return nil
}

func (a Align) known() bool { return a == Left || a == Centre || a == Right }
