package licence

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"unicode/utf8"

	"hufu/internal/fault"
	"hufu/internal/font"
)

// Distances of baselines in ems.
const (
	leading = 1.5
	tight   = 1.22 // for lines about a middle
)

// faces are the two fonts of a page.
type faces struct{ regular, bold *font.Font }

func (f faces) of(bold bool) *font.Font {
	if bold {
		return f.bold
	}
	return f.regular
}

// run is one line of text with its place and the way from each character to the next.
type run struct {
	text  string
	bold  bool
	size  float64
	x, y  float64
	steps []float64
	ink   Colour
}

// setWords places a text of the template.
func (f faces) setWords(w *Words) (run, error) {
	spacing := w.Spacing
	if n := utf8.RuneCountInString(w.Value); w.Spread > 0 && n > 1 {
		width, err := f.of(w.Bold).Width(w.Value, w.Size)
		if err != nil {
			return run{}, err
		}
		spacing = max(0, (w.Spread-width)/float64(n-1))
	}
	return f.line(w.Value, run{bold: w.Bold, size: w.Size, x: w.X, y: w.Y, ink: w.Colour}, spacing, w.Align)
}

// line measures a text and moves its start so that X is the point that align says.
func (f faces) line(text string, r run, spacing float64, align Align) (run, error) {
	steps, err := f.of(r.bold).Advances(text, r.size)
	if err != nil || len(steps) == 0 {
		return run{}, err
	}
	width := 0.0
	for i := range steps {
		if i < len(steps)-1 {
			steps[i] += spacing
		}
		width += steps[i]
	}
	switch align {
	case Centre:
		r.x -= width / 2
	case Right:
		r.x -= width
	}
	r.text, r.steps = text, steps[:len(steps)-1]
	return r, nil
}

var errTooLong = errors.New("the text does not fit")

// oneLine is how far a text is set smaller before it takes a second line about a middle.
const oneLine = 0.75

// setField places the printed text of a field: on as few lines as the box has, smaller when it must be. Joined without
// separators the runs are the text but for blanks at the ends of lines.
func (f faces) setField(p *Place, text string) ([]run, error) {
	step := leading
	if p.Middle {
		step = tight
		if runs, err := f.fit(p, text, step, p.Size*oneLine, 1); !errors.Is(err, errTooLong) {
			return runs, err
		}
	}
	return f.fit(p, text, step, p.Min, math.MaxInt)
}

// fit tries sizes down to least, on at most limit lines.
func (f faces) fit(p *Place, text string, step, least float64, limit int) ([]run, error) {
	width := p.Width - p.Spacing*float64(utf8.RuneCountInString(text)-1)
	for size := p.Size; size >= max(p.Min, least)-1e-9; size -= 0.1 {
		allowed := int(math.Floor((p.Height-size)/(step*size)+1e-6)) + 1
		lines, err := f.of(p.Bold).Wrap(text, size, width)
		if err != nil {
			return nil, err
		}
		if len(lines) > min(allowed, limit) {
			continue
		}
		top := p.Y
		if p.Middle {
			top -= float64(len(lines)-1) * step * size / 2
		}
		runs := make([]run, len(lines))
		for i, line := range lines {
			at := run{bold: p.Bold, size: size, x: p.X, y: top + float64(i)*step*size, ink: p.Colour}
			if runs[i], err = f.line(line, at, p.Spacing, p.Align); err != nil {
				return nil, err
			}
		}
		return runs, nil
	}
	return nil, errTooLong
}

// fieldError names the field whose text cannot be printed, and the character where one is missing.
func fieldError(f *Field, err error) error {
	if errors.Is(err, errTooLong) {
		return wrongField(*f, "is too long for the page, also in small print", "过长，缩小字号后版面仍排不下")
	}
	missing, ok := errors.AsType[*fault.Error](err)
	if !ok || !errors.Is(err, font.ErrMissing) {
		return fmt.Errorf("set field %q: %w", f.Name, err)
	}
	e := *missing
	e.Detail = fmt.Sprintf("field %q: %s", f.Name, e.Detail)
	e.Text = fault.Text{EN: fmt.Sprintf("Field %q: %s", f.Label.EN, e.Text.EN), ZH: fmt.Sprintf("“%s”：%s", f.Label.ZH, e.Text.ZH)}
	return &e
}

// joined is the text of runs as a verifier reads it.
func joined(runs []run) string {
	var b strings.Builder
	for _, r := range runs {
		b.WriteString(r.text)
	}
	return b.String()
}
