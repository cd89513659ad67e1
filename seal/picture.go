package seal

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"hufu/internal/fault"
	"hufu/internal/font"
)

// Style is the form of a round seal after the rules for official seals. All lengths are in millimetres.
type Style struct {
	ID       string     // "company"
	Name     fault.Text // for whom it is
	Diameter float64    // 20 to 60
	Ring     float64    // width of the outer line, 0.5 to 3
	Star     float64    // diameter of the circle round the five-pointed star; 0 leaves the centre blank
}

// Styles returns the built-in styles. Where the rules want the national emblem, which is regulated itself, the centre is
// blank, and the authority uploads its own picture instead.
func Styles() []Style {
	return []Style{
		{"company", fault.Text{ZH: "企业、事业单位和社会团体公章", EN: "Seal of a company, institution or association"}, 42, 1.2, 14},
		{"department", fault.Text{ZH: "内设机构章、有五角星的专用章", EN: "Seal of a department, or special-purpose seal with a star"}, 40, 1.0, 13},
		{"special", fault.Text{ZH: "专用章（中心空白）", EN: "Special-purpose seal with a blank centre"}, 40, 1.0, 0},
		{"organ", fault.Text{ZH: "市、县机关章（五角星）", EN: "Seal of a city or county organ, with a star"}, 42, 1.0, 14},
		{"government", fault.Text{ZH: "市、县人民政府章（中心留给国徽）", EN: "Seal of a city or county government, centre left for the emblem"}, 42, 1.0, 0},
		{"bureau", fault.Text{ZH: "副部级机关、部委管理的国家局章（中心留给国徽）", EN: "Seal of a vice-ministerial organ, centre left for the emblem"}, 45, 1.1, 0},
		{"ministry", fault.Text{ZH: "省级人民政府、部委章（中心留给国徽）", EN: "Seal of a province or ministry, centre left for the emblem"}, 50, 1.2, 0},
		{"state", fault.Text{ZH: "国务院章（中心留给国徽）", EN: "Seal of the State Council, centre left for the emblem"}, 60, 1.4, 0},
	}
}

// FindStyle returns the built-in style of that ID.
func FindStyle(id string) (Style, bool) {
	for _, s := range Styles() {
		if s.ID == id {
			return s, true
		}
	}
	return Style{}, false
}

// Design is what a seal shows.
type Design struct {
	Style Style
	Name  string     // on the arc from left to right, 2 to 30 characters
	Line  string     // horizontal, below the centre: the purpose or the department; may be empty
	Code  string     // 13 digits along the bottom; may be empty
	Font  *font.Font // nil: the built-in bold Song face
}

// Refusals of a design; compare with errors.Is.
var (
	ErrNameLength = fault.New(fault.Invalid, "seal.name-length",
		"The name on a seal has 2 to 30 characters. Enter the approved name.",
		"印文名称应为 2 至 30 个字。请填写经批准的名称。")
	ErrNameTooLong = fault.New(fault.Invalid, "seal.name-too-long",
		"The name does not fit on a seal of this size and stay legible. Use the approved short name, or a larger seal if one is permitted.",
		"名称太长，在此规格的印章上无法清晰排下。请使用经批准的规范简称，或在允许时选用更大规格。")
	ErrLineTooLong = fault.New(fault.Invalid, "seal.line-too-long",
		"The line below the centre does not fit beside this name. Shorten the line, or use the approved short name.",
		"中心下方的横排文字与此名称无法同时排下。请缩短横排文字，或使用经批准的规范简称。")
	ErrBadCode = fault.New(fault.Invalid, "seal.bad-code",
		"The number on a seal has 13 digits. Enter all 13, or leave it empty.",
		"印章编码应为 13 位数字。请填写完整，或留空。")
	ErrBadText = fault.New(fault.Invalid, "seal.bad-text",
		"A seal shows no spaces, line breaks or control characters. Remove them.",
		"印文中不能有空格、换行或控制字符。请删除后重试。")
	ErrBadStyle = fault.New(fault.Invalid, "seal.bad-style",
		"A round seal is 20 to 60 mm across, with a ring of 0.5 to 3 mm and a star of at most a half of the diameter. Correct these measures.",
		"圆形印章直径应为 20 至 60 毫米，边框宽 0.5 至 3 毫米，五角星不超过直径的一半。请更正尺寸。")
)

const (
	maxName = 30
	maxLine = 16
	codeLen = 13
)

// check refuses a design that cannot be drawn for what it says; whether it fits shows when it is laid out.
func (d Design) check(face *font.Font) error {
	s := d.Style
	ok := s.Diameter >= 20 && s.Diameter <= 60 && s.Ring >= 0.5 && s.Ring <= 3 && s.Star >= 0 && s.Star <= s.Diameter/2
	if !ok { // so that NaN is refused too
		return ErrBadStyle.With("draw seal: diameter %v, ring %v, star %v", s.Diameter, s.Ring, s.Star)
	}
	if !utf8.ValidString(d.Name+d.Line) || strings.ContainsFunc(d.Name+d.Line, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }) {
		return ErrBadText.With("draw seal: name %q, line %q", d.Name, d.Line)
	}
	if n := utf8.RuneCountInString(d.Name); n < 2 || n > maxName {
		return ErrNameLength.With("draw seal: name of %d characters", n)
	}
	if n := utf8.RuneCountInString(d.Line); n > maxLine {
		return ErrLineTooLong.With("draw seal: line of %d characters", n)
	}
	if d.Code != "" && (len(d.Code) != codeLen || strings.Trim(d.Code, "0123456789") != "") {
		return ErrBadCode.With("draw seal: code %q", d.Code)
	}
	if err := face.Check(d.Name + d.Line + d.Code); err != nil {
		return fmt.Errorf("draw seal: %w", err)
	}
	return nil
}

// Drawing is a seal that has been laid out without a collision. Only Draw makes one.
type Drawing struct {
	diameter float64
	strokes  []stroke
}

// Diameter returns the width and height of the drawing in millimetres.
func (d *Drawing) Diameter() float64 { return d.diameter }

// Draw lays a seal out. Every outline keeps 0.3 mm from every other. For a long name the characters are narrowed first,
// down to 55 %, then the arc is lengthened, then the characters are made lower; a name that does not fit then is refused with
// ErrNameTooLong. The same design gives the same drawing.
func Draw(d Design) (*Drawing, error) {
	face := d.Font
	if face == nil {
		var err error
		if face, err = font.Bold(); err != nil {
			return nil, fmt.Errorf("draw seal: %w", err)
		}
	}
	if err := d.check(face); err != nil {
		return nil, err
	}
	l, err := newLayout(d, face)
	if err != nil {
		return nil, fmt.Errorf("draw seal: %w", err)
	}
	shapes, err := l.fit()
	if err != nil {
		return nil, err
	}
	path := ring(d.Style.Diameter, d.Style.Ring)
	for _, s := range shapes {
		path = append(path, s.path...)
	}
	return &Drawing{diameter: d.Style.Diameter, strokes: quantise(path)}, nil
}
