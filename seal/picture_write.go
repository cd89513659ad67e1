package seal

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"image"
	"image/color"
	"image/png"
	"math"
	"strconv"

	"golang.org/x/image/vector"

	"hufu/internal/fault"
	"hufu/internal/font"
)

// stroke is a segment in whole micrometres, from which every form of the picture is made.
type stroke struct {
	op   font.Op
	args [3][2]int
}

// red is the colour of a seal, #e60012.
var red = color.NRGBA{R: 0xE6, G: 0x00, B: 0x12, A: 0xFF}

func quantise(path font.Path) []stroke {
	out := make([]stroke, len(path))
	for i, s := range path {
		out[i].op = s.Op
		for j := range s.Op.Points() {
			out[i].args[j] = [2]int{int(math.Round(s.Args[j].X * 1000)), int(math.Round(s.Args[j].Y * 1000))}
		}
	}
	return out
}

// SVG returns the drawing as one path in millimetres. It needs no font, script or style.
func (d *Drawing) SVG() []byte {
	size := number(nil, int(math.Round(d.diameter*1000)), false)
	b := fmt.Appendf(nil, `<svg xmlns="http://www.w3.org/2000/svg" width="%smm" height="%[1]smm" viewBox="0 0 %[1]s %[1]s"><path fill="#%02x%02x%02x" d="`,
		size, red.R, red.G, red.B)
	var at, start [2]int
	last := byte(0)
	for i, s := range d.strokes {
		letter, again := "mlqc"[s.op], true
		if s.op == font.Move && i > 0 {
			b = append(b, 'z')
			at = start // z moves the pen back
		}
		if letter != last || s.op == font.Move {
			b = append(b, letter)
			last, again = letter, false
		}
		for j, p := range s.args[:s.op.Points()] {
			b = number(b, p[0]-at[0], again || j > 0)
			b = number(b, p[1]-at[1], true)
		}
		at = s.args[s.op.Points()-1]
		if s.op == font.Move {
			start = at
		}
	}
	return append(b, "z\"/></svg>\n"...)
}

// number writes micrometres as millimetres, in as few characters as it takes, set off from a number before it.
func number(b []byte, um int, after bool) []byte {
	if after && um >= 0 {
		b = append(b, ' ')
	}
	if um < 0 {
		b, um = append(b, '-'), -um
	}
	if um >= 1000 || um == 0 {
		b = strconv.AppendInt(b, int64(um/1000), 10)
	}
	if rest := um % 1000; rest != 0 {
		digits := []byte{'.', byte('0' + rest/100), byte('0' + rest/10%10), byte('0' + rest%10)}
		b = append(b, bytes.TrimRight(digits, "0")...)
	}
	return b
}

// ErrResolution refuses a PNG that would be unreadable or huge; compare with errors.Is.
var ErrResolution = fault.New(fault.Invalid, "seal.bad-resolution",
	"A seal picture has 72 to 2400 dots per inch. Choose 600, the usual resolution.",
	"印章图像的分辨率应为每英寸 72 至 2400 点。请选用常用的 600 点。")

// PNG returns the drawing at dpi dots per inch (600 is usual) on a transparent ground.
func (d *Drawing) PNG(dpi int) ([]byte, error) {
	picture, err := d.Image(dpi)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	encoder := png.Encoder{CompressionLevel: png.DefaultCompression}
	if err := encoder.Encode(&b, picture); err != nil {
		return nil, fmt.Errorf("write seal picture: %w", err)
	}
	return withResolution(b.Bytes(), dpi), nil
}

// Image returns the drawing at dpi dots per inch: 256 shades of one red, from clear to full.
func (d *Drawing) Image(dpi int) (*image.Paletted, error) {
	if dpi < 72 || dpi > 2400 {
		return nil, ErrResolution.With("seal picture at %d dpi", dpi)
	}
	n := int(math.Ceil(d.diameter / 25.4 * float64(dpi)))
	scale := float32(float64(n) / d.diameter / 1000)
	z := vector.NewRasterizer(n, n)
	for i, s := range d.strokes {
		var a [3][2]float32
		for j, p := range s.args {
			a[j] = [2]float32{float32(p[0]) * scale, float32(p[1]) * scale}
		}
		switch s.op {
		case font.Move:
			if i > 0 {
				z.ClosePath()
			}
			z.MoveTo(a[0][0], a[0][1])
		case font.Line:
			z.LineTo(a[0][0], a[0][1])
		case font.Quad:
			z.QuadTo(a[0][0], a[0][1], a[1][0], a[1][1])
		case font.Cube:
			z.CubeTo(a[0][0], a[0][1], a[1][0], a[1][1], a[2][0], a[2][1])
		}
	}
	z.ClosePath()
	mask := image.NewAlpha(image.Rect(0, 0, n, n))
	z.Draw(mask, mask.Bounds(), image.Opaque, image.Point{})
	return &image.Paletted{Pix: mask.Pix, Stride: mask.Stride, Rect: mask.Rect, Palette: shades()}, nil
}

// shades returns the palette in which a pixel's number is its opacity.
func shades() color.Palette {
	palette := make(color.Palette, 256)
	for i := range palette {
		palette[i] = color.NRGBA{R: red.R, G: red.G, B: red.B, A: uint8(i)}
	}
	return palette
}

// withResolution puts a pHYs chunk after the header of a PNG, so that programs place it at its true size.
func withResolution(data []byte, dpi int) []byte {
	const header = 8 + 12 + 13 // signature, and the IHDR chunk
	perMetre := uint32(math.Round(float64(dpi) / 0.0254))
	chunk := append([]byte{0, 0, 0, 9}, "pHYs"...)
	chunk = binary.BigEndian.AppendUint32(chunk, perMetre)
	chunk = binary.BigEndian.AppendUint32(chunk, perMetre)
	chunk = append(chunk, 1)
	chunk = binary.BigEndian.AppendUint32(chunk, crc32.ChecksumIEEE(chunk[4:]))
	out := append(bytes.Clone(data[:header]), chunk...)
	return append(out, data[header:]...)
}
