package font_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"os"
	"strings"
	"testing"

	"golang.org/x/image/font/sfnt"

	"hufu/internal/font"
)

// page is the text of a whole page of a business licence, with a long line of business.
const page = `营业执照（副本）统一社会信用代码 91330106MA00000190 扫描二维码登录“国家企业信用信息公示系统”了解更多登记、备案、许可、监管信息。
名称 杭州市西湖区示例科技发展有限责任公司 类型 有限责任公司（自然人投资或控股） 法定代表人 欧阳䶮
注册资本 壹仟贰佰叁拾肆万伍仟陆佰柒拾捌元整 成立日期 2026年10月01日 营业期限 2026年10月01日至长期
住所 浙江省杭州市西湖区文三路 100 号示例大厦 8 幢 1203 室
经营范围 技术服务、技术开发、技术咨询、技术交流、技术转让、技术推广；软件开发；信息系统集成服务；数据处理和存储支持服务；
互联网销售（除销售需要许可的商品）；计算机软硬件及辅助设备零售；办公用品销售；会议及展览服务；广告设计、制作、代理、发布；
市场营销策划；货物进出口（除依法须经批准的项目外，凭营业执照依法自主开展经营活动）。登记机关 示例市市场监督管理局
国家企业信用信息公示系统网址 http://www.gsxt.gov.cn 市场主体应当于每年1月1日至6月30日通过国家企业信用信息公示系统报送公示年度报告。`

func TestSubsetOfAPageIsSmall(t *testing.T) {
	for _, f := range open(t) {
		s, err := f.Subset(page)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("weight %d: %d characters, %d bytes, %d each", f.Weight(), len(s.Glyphs), len(s.Data), len(s.Data)/len(s.Glyphs))
		if len(s.Glyphs) < 200 || len(s.Data) > 90<<10 {
			t.Errorf("weight %d: %d characters in %d bytes", f.Weight(), len(s.Glyphs), len(s.Data))
		}
	}
}

func TestSubsetDrawsTheSame(t *testing.T) {
	text := page + "龘靐齉爨𬬩㐂𠮷〇一囗Ag%&@①㎡"
	for _, source := range open(t) {
		text := strings.Map(func(r rune) rune {
			if len(source.Missing(string(r))) > 0 {
				return -1
			}
			return r
		}, text)
		s, err := source.Subset(text)
		if err != nil {
			t.Fatal(err)
		}
		small, err := font.Parse(s.Data, source.Weight())
		if err != nil {
			t.Fatal(err)
		}
		for r := range s.Glyphs {
			want, err := source.Glyph(r)
			if err != nil {
				t.Fatal(err)
			}
			got, err := small.Glyph(r)
			if err != nil {
				t.Fatalf("%c: %v", r, err)
			}
			if got.Advance != want.Advance {
				t.Errorf("%c: advance %v, want %v", r, got.Advance, want.Advance)
			}
			if d := max(stray(got.Path, want.Path), stray(want.Path, got.Path)); d > 0.003 {
				t.Errorf("%c: the outline strays by %.4f em", r, d)
			}
			if a, b := area(got.Path), -area(want.Path); math.Abs(a-b) > 0.002 {
				t.Errorf("%c: area %.4f, want %.4f wound the other way", r, a, b)
			}
		}
	}
}

// polygon returns the path as closed contours.
func polygon(p font.Path) (contours [][]font.Point) {
	p.Flatten(0.0005, func(pt font.Point, first bool) {
		if first {
			contours = append(contours, nil)
		}
		n := len(contours) - 1
		contours[n] = append(contours[n], pt)
	})
	return contours
}

// area returns the signed area of a path.
func area(p font.Path) (sum float64) {
	for _, c := range polygon(p) {
		for i, a := range c {
			b := c[(i+1)%len(c)]
			sum += (a.X*b.Y - b.X*a.Y) / 2
		}
	}
	return sum
}

// stray returns the largest distance of a corner of p from the outline q.
func stray(p, q font.Path) (worst float64) {
	outline := polygon(q)
	for _, c := range polygon(p) {
		for _, pt := range c {
			nearest := math.Inf(1)
			for _, d := range outline {
				for i := range d {
					a, b := d[i], d[(i+1)%len(d)]
					if min(math.Abs(a.X-pt.X), math.Abs(b.X-pt.X))-math.Abs(a.X-b.X) < nearest {
						nearest = min(nearest, toSegment(pt, a, b))
					}
				}
			}
			worst = max(worst, nearest)
		}
	}
	return worst
}

func toSegment(p, a, b font.Point) float64 {
	dx, dy := b.X-a.X, b.Y-a.Y
	t := 0.0
	if l := dx*dx + dy*dy; l > 0 {
		t = min(max(((p.X-a.X)*dx+(p.Y-a.Y)*dy)/l, 0), 1)
	}
	return math.Hypot(p.X-a.X-t*dx, p.Y-a.Y-t*dy)
}

func TestSubsetIsTheSameForTheSameCharacters(t *testing.T) {
	f := open(t)[1]
	a, errA := f.Subset("虎符虎符", "\n")
	b, errB := f.Subset("符", "虎")
	if errA != nil || errB != nil || !bytes.Equal(a.Data, b.Data) || a.Name != b.Name {
		t.Errorf("%v %v: %s and %s differ", errA, errB, a.Name, b.Name)
	}
	c, err := f.Subset("虎符印")
	if err != nil || c.Name == a.Name || c.Family == a.Family {
		t.Errorf("%v: two subsets have one name, %s", err, c.Name)
	}
	if !strings.HasSuffix(a.Name, "+NotoSerifSC-Bold") || !strings.HasSuffix(a.Family, "+Noto Serif SC") || len(a.Family) > 31 {
		t.Errorf("names %q, %q", a.Name, a.Family)
	}
}

func TestSubsetHasOnlyWhatWasAskedFor(t *testing.T) {
	f := open(t)[0]
	s, err := f.Subset("一𬬩 ")
	if err != nil {
		t.Fatal(err)
	}
	small, err := font.Parse(s.Data, font.WeightRegular)
	if err != nil {
		t.Fatal(err)
	}
	if got := small.Missing("一二𬬩 "); string(got) != "二" {
		t.Errorf("missing %q, want 二", string(got))
	}
	if s.Glyphs[' '] != 1 || s.Glyphs['一'] != 2 || s.Glyphs['𬬩'] != 3 {
		t.Errorf("glyphs %v", s.Glyphs)
	}
	for _, id := range []sfnt.NameID{sfnt.NameIDCopyright, sfnt.NameIDLicense, sfnt.NameIDLicenseURL} {
		file, err := sfnt.Parse(s.Data)
		if err != nil {
			t.Fatal(err)
		}
		if text, err := file.Name(nil, id); err != nil || text == "" {
			t.Errorf("name %d: %q, %v: the licence must travel with the outlines", id, text, err)
		}
	}
}

func TestEmptySubsetIsStillAFont(t *testing.T) {
	s, err := open(t)[0].Subset()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := font.Parse(s.Data, font.WeightRegular); err != nil {
		t.Error(err)
	}
}

func TestSubsetRefusesABook(t *testing.T) {
	if _, err := open(t)[0].Subset(string(standardList(t))); !errors.Is(err, font.ErrTooMany) {
		t.Errorf("error = %v", err)
	}
}

// TestLargeSubset needs the long form of the loca table.
func TestLargeSubset(t *testing.T) {
	f := open(t)[0]
	text := string(standardList(t)[:3500])
	s, err := f.Subset(text)
	if err != nil {
		t.Fatal(err)
	}
	small, err := font.Parse(s.Data, font.WeightRegular)
	if err != nil {
		t.Fatal(err)
	}
	if missing := small.Missing(text); len(missing) != 0 {
		t.Errorf("missing %q", string(missing))
	}
	for _, r := range "一龟阿" {
		got, errGot := small.Glyph(r)
		want, errWant := f.Glyph(r)
		if errGot != nil || errWant != nil || math.Abs(got.Ink.MaxY-want.Ink.MaxY) > 0.002 {
			t.Errorf("%c: ink %v, want %v (%v, %v)", r, got.Ink, want.Ink, errGot, errWant)
		}
	}
}

func TestChecksums(t *testing.T) {
	s, err := open(t)[1].Subset("虎符")
	if err != nil {
		t.Fatal(err)
	}
	if sum := words(s.Data); sum != 0xB1B0AFBA {
		t.Errorf("file sums to %08X", sum)
	}
	last := ""
	for i := range int(binary.BigEndian.Uint16(s.Data[4:])) {
		entry := s.Data[12+16*i:]
		tag, sum := string(entry[:4]), binary.BigEndian.Uint32(entry[4:])
		start, length := binary.BigEndian.Uint32(entry[8:]), binary.BigEndian.Uint32(entry[12:])
		table := bytes.Clone(s.Data[start : start+length])
		if tag == "head" {
			clear(table[8:12])
		}
		if got := words(table); got != sum || start%4 != 0 || tag <= last {
			t.Errorf("table %s at %d sums to %08X, directory says %08X", tag, start, got, sum)
		}
		last = tag
	}
}

func words(data []byte) (sum uint32) {
	for len(data)%4 != 0 {
		data = append(data, 0)
	}
	for i := 0; i < len(data); i += 4 {
		sum += binary.BigEndian.Uint32(data[i:])
	}
	return sum
}

// FuzzParse gives hostile files to the reader that operators' fonts go through: an error, never a panic.
func FuzzParse(f *testing.F) {
	s, err := open(f)[1].Subset("虎符 A")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(s.Data)
	f.Add([]byte("OTTO"))
	if whole, err := os.ReadFile("data/NotoSerifSC-Bold.otf"); err == nil {
		f.Add(whole[:4000])
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		hostile, err := font.Parse(data, font.WeightBold)
		if err != nil {
			return
		}
		_, _ = hostile.Glyph('虎')
		small, err := hostile.Subset("虎符 A")
		if err != nil {
			return
		}
		if _, err := font.Parse(small.Data, font.WeightBold); err != nil {
			t.Errorf("a subset was made that cannot be read: %v", err)
		}
	})
}

func BenchmarkSubset(b *testing.B) {
	f := open(b)[0]
	for b.Loop() {
		if _, err := f.Subset(page); err != nil {
			b.Fatal(err)
		}
	}
}
