package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"hufu/seal/check"
)

// words are what the command itself says: {Chinese, English}.
var words = map[string][2]string{
	"PASSED":        {"有效", "valid"},
	"FAILED":        {"无效", "not valid"},
	"INDETERMINATE": {"无法确认", "cannot be decided"},
	"bundle":        {"信任包", "trust bundle"},
	"no-bundle":     {"没有信任包：签名人和印章状态无从确认", "no trust bundle: neither signers nor states of seals can be confirmed"},
	"unpinned":      {"信任包签发者未经核对，公钥指纹", "signer of the bundle taken as given, key fingerprint"},
	"signer":        {"签名人", "signer"},
	"maker":         {"制章人", "seal maker"},
	"seal":          {"印章", "seal"},
	"time":          {"时间", "time"},
	"timestamp":     {"时间戳", "time-stamp"},
	"log":           {"日志", "log"},
	"claimed":       {"自称", "claimed"},
	"licence":       {"证照", "licence"},
	"signature":     {"签名", "signature"},
	"orphan":        {"孤立", "orphan"},
	"remark":        {"注意", "remark"},
	"coverage":      {"保护范围", "coverage"},
	"complete":      {"完整", "complete"},
	"gaps":          {"有缺口", "has gaps"},
	"age":           {"信息产生于 %s前", "information %s old"},
}

var marks = map[check.Result]string{check.Passed: "✓", check.Failed: "✗", check.Indeterminate: "?"}

// printer writes a report for people.
type printer struct {
	b    strings.Builder
	lang string
}

func (p *printer) word(key string) string {
	w := words[key]
	if p.lang == "zh" {
		return w[0]
	}
	return w[1]
}

// sign picks a punctuation mark of the language.
func (p *printer) sign(zh, en string) string {
	if p.lang == "zh" {
		return zh
	}
	return en
}

func (p *printer) colon() string            { return p.sign("：", ": ") }
func (p *printer) comma() string            { return p.sign("，", ", ") }
func (p *printer) label(key string) string  { return p.word(key) + p.colon() }
func (p *printer) aside(text string) string { return p.sign("（", " (") + text + p.sign("）", ")") }

func (p *printer) line(depth int, format string, args ...any) {
	p.b.WriteString(strings.Repeat("  ", depth))
	fmt.Fprintf(&p.b, format, args...)
	p.b.WriteByte('\n')
}

// human writes the report of one file: the verdict and its reasons first, then every step.
func human(out io.Writer, r *check.Report, lang string) error {
	p := &printer{lang: lang}
	p.line(0, "%s %s: %s (%s)", marks[r.Result], r.File, p.word(string(r.Result)), r.Result) // scripts look for this form
	for _, x := range r.Reasons {
		p.line(1, "• %s", x.Text)
	}
	p.basis(r)
	if l := r.Licence; l != nil {
		p.line(1, "%s %s %s %s", p.word("licence"), l.Title, l.Identifier, l.Holder)
	}
	for i := range r.Signatures {
		p.signature(&r.Signatures[i], r.Kind == check.KindSeal)
	}
	if r.Kind == check.KindOFD && len(r.Signatures) > 0 {
		state := "complete"
		if !r.Coverage.Complete {
			state = "gaps"
		}
		p.line(1, "%s%s", p.label("coverage"), p.word(state))
		for _, x := range r.Coverage.Problems {
			p.line(2, "• %s", x.Text)
		}
	}
	for _, s := range r.NonStandard {
		p.line(1, "%s%s", p.label("remark"), s)
	}
	_, err := io.WriteString(out, p.b.String())
	return err
}

// basis says what the verdict relies on.
func (p *printer) basis(r *check.Report) {
	b := r.Bundle
	if b == nil {
		p.line(1, "%s", p.word("no-bundle"))
		return
	}
	p.line(1, "%s %s #%d%s%s", p.word("bundle"), b.ID, b.Sequence, p.comma(), span(b.IssuedAt, b.NextUpdate))
	if !b.Pinned {
		p.line(2, "? %s %s", p.word("unpinned"), b.Key)
	}
}

// signature writes one signature. bare: it is a seal by itself, and who signed it is the seal maker.
func (p *printer) signature(s *check.Signature, bare bool) {
	what, who := "signature", "signer"
	if bare {
		what, who = "seal", "maker"
	}
	orphan := ""
	if s.Orphan {
		orphan = p.comma() + p.word("orphan")
	}
	p.line(1, "%s %s %s%s%s%s", marks[s.Result], p.word(what), s.ID, p.aside(fmt.Sprintf("%s %s%s", s.Type, s.Format, orphan)), p.colon(), p.word(string(s.Result)))
	if s.Seal != nil {
		p.line(2, "%s%s", p.label("seal"), strings.Join([]string{s.Seal.Name, s.Seal.ESID + p.aside(s.Seal.Version), span(s.Seal.ValidStart, s.Seal.ValidEnd)}, p.comma()))
	}
	if s.Signer != nil {
		p.line(2, "%s%s%s%s%s", p.label(who), s.Signer.Subject, p.aside(s.Signer.Serial), p.comma(), span(s.Signer.NotBefore, s.Signer.NotAfter))
	}
	if s.Time.Used != nil {
		p.line(2, "%s%s%s", p.label("time"), stamp(*s.Time.Used), p.aside(p.word(sourceWord(s.Time.Source))))
	}
	for _, x := range s.Steps {
		if x.Result == check.NotApplicable {
			continue
		}
		p.step(x)
	}
	for _, n := range s.NonStandard {
		p.line(2, "%s%s", p.label("remark"), n)
	}
}

func (p *printer) step(x check.Step) {
	text := x.Detail
	if text == "" {
		text = x.Evidence
	}
	if x.Age != nil {
		if text != "" {
			text += p.sign("；", "; ")
		}
		text += fmt.Sprintf(p.word("age"), p.age(time.Duration(*x.Age)*time.Second))
	}
	if text != "" {
		text = p.colon() + text
	}
	p.line(2, "%s %s%s", marks[x.Result], check.Title(x.Name, p.lang), text)
}

// age says how old an information is, in whole minutes from the first one on.
func (p *printer) age(d time.Duration) string {
	if d >= time.Minute {
		d = d.Round(time.Minute)
	}
	text := strings.Replace(d.String(), "m0s", "m", 1)
	if p.lang == "zh" {
		text = strings.NewReplacer("h", " 小时 ", "m", " 分钟 ", "s", " 秒 ").Replace(text)
	}
	return strings.TrimSpace(text)
}

func sourceWord(source string) string {
	if source == "" {
		return "claimed"
	}
	return source
}

func span(from, to time.Time) string { return stamp(from) + " – " + stamp(to) }

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05Z") }
