package licence

import (
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"hufu/identity"
	"hufu/licence/card"
)

const dateForm = "2006-01-02"

// civil is the zone in which dates on licences count.
var civil = time.FixedZone("UTC+8", 8*3600)

// parties are the two sides of a licence as the registry has them now.
type parties struct {
	holder, issuer identity.Holder
}

// fill makes the data of a licence: every field checked and given its printed form.
func (t *Type) fill(given map[string]string, p parties, id card.Identifier, now time.Time) (card.Data, error) {
	d := card.Data{
		Format: card.Format, Identifier: id.String(), Title: t.Title.ZH, Issued: now.In(civil).Format(dateForm),
		Holder: card.Party{Kind: string(p.holder.Kind), Name: p.holder.Name},
		Issuer: card.Party{Kind: string(identity.Entity), Name: p.issuer.Name, Code: p.issuer.Number.Reveal()},
	}
	if p.holder.Kind == identity.Entity {
		d.Holder.Code = p.holder.Number.Reveal()
	}
	for name := range given {
		if f, ok := t.Field(name); !ok || f.Source != FromData {
			return d, ErrField.With("%q is not a field that is entered for type %s", name, t.Code)
		}
	}
	values := make(map[string]string, len(t.Fields))
	for i := range t.Fields {
		f := &t.Fields[i]
		v, err := f.value(given, p.holder)
		if err != nil {
			return d, err
		}
		values[f.Name] = v
	}
	if err := t.valid(&d, values); err != nil {
		return d, err
	}
	for i := range t.Fields {
		f := &t.Fields[i]
		if f.Source == FromIssue {
			values[f.Name] = issueFact(f.From, &d)
		}
		out := card.Field{Name: f.Name, Label: f.Label.ZH, Value: values[f.Name]}
		out.Text = f.printed(out.Value, &d)
		d.Fields = append(d.Fields, out)
	}
	return d, d.Check()
}

// value returns what a data or registry field says, checked; "" for fields of the act of issuing, which come later.
func (f *Field) value(given map[string]string, holder identity.Holder) (string, error) {
	v := given[f.Name]
	switch f.Source {
	case FromIssue:
		return "", nil
	case FromRegistry:
		var err error
		if v, err = f.registered(holder); err != nil {
			return "", err
		}
	}
	n := utf8.RuneCountInString(v)
	switch {
	case v == "" && f.Required:
		return "", wrongField(*f, "is missing", "未填写")
	case v == "":
		return "", nil
	case !utf8.ValidString(v) || strings.TrimSpace(v) != v || strings.ContainsFunc(v, func(r rune) bool { return !unicode.IsPrint(r) && r != '\u3000' }):
		return "", wrongField(*f, "has control characters, line breaks or blanks around it", "含有控制字符、换行，或首尾有空格")
	case n > f.Max:
		return "", wrongField(*f, fmt.Sprintf("has %d characters, %d are allowed", n, f.Max), fmt.Sprintf("有 %d 个字，最多 %d 个", n, f.Max))
	case f.form != nil && !f.form.MatchString(v):
		return "", wrongField(*f, "does not have the right form"+hint(": ", f.Hint.EN), "格式不正确"+hint("，应为", f.Hint.ZH))
	}
	if f.Format == "date" {
		if d, err := time.Parse(dateForm, v); err != nil || d.Year() < 1900 || d.Year() > 2200 {
			return "", wrongField(*f, "is not a date such as 2026-09-01", "不是日期，应如 2026-09-01")
		}
	}
	return v, nil
}

func hint(lead, text string) string {
	if text == "" {
		return ""
	}
	return lead + text
}

func (f *Field) registered(h identity.Holder) (string, error) {
	switch f.From {
	case "name":
		return h.Name, nil
	case "number":
		return h.Number.Reveal(), nil
	case "masked":
		return h.Number.String(), nil
	}
	parts, err := identity.ParseResidentID(h.Number.Reveal())
	if h.NumberType != identity.ResidentID || err != nil {
		return "", wrongField(*f, "is not known to the registry for this holder", "在登记信息中没有，无法取得")
	}
	if f.From == "birth" {
		return parts.Birth.Format(dateForm), nil
	}
	if parts.Female {
		return "女", nil
	}
	return "男", nil
}

// valid sets the first and the last day of validity.
func (t *Type) valid(d *card.Data, values map[string]string) error {
	d.ValidFrom = d.Issued
	if t.Validity.From != "" && values[t.Validity.From] != "" {
		d.ValidFrom = values[t.Validity.From]
	}
	if t.Validity.Years == 0 {
		return nil
	}
	from, err := time.Parse(dateForm, d.ValidFrom)
	if err != nil {
		return ErrField.With("first day of validity %q", d.ValidFrom)
	}
	d.ValidTo = from.AddDate(t.Validity.Years, 0, -1).Format(dateForm)
	if d.ValidTo < d.Issued {
		f, _ := t.Field(t.Validity.From)
		return wrongField(*f, "lies so far back that the licence would have ended", "过早，证照在签发时已到期")
	}
	return nil
}

func issueFact(from string, d *card.Data) string {
	switch from {
	case "identifier":
		return d.Identifier
	case "issuer":
		return d.Issuer.Name
	case "issuer_code":
		return d.Issuer.Code
	case "issued":
		return d.Issued
	default: // validity
		return d.ValidFrom + "/" + d.ValidTo
	}
}

// printed is the text on the page, "" when it is the value itself. Where nothing is entered a dash is printed.
func (f *Field) printed(v string, d *card.Data) string {
	switch {
	case v == "":
		return "—"
	case f.Source == FromIssue && f.From == "validity" && d.ValidTo == "":
		return "自" + chinese(d.ValidFrom) + "起长期有效"
	case f.Source == FromIssue && f.From == "validity":
		return chinese(d.ValidFrom) + "至" + chinese(d.ValidTo)
	case f.Format == "date", f.Source == FromIssue && f.From == "issued", f.Source == FromRegistry && f.From == "birth":
		return chinese(v)
	default:
		return ""
	}
}

// chinese writes a date as on licences; one that is none stays as it is.
func chinese(date string) string {
	t, err := time.Parse(dateForm, date)
	if err != nil {
		return date
	}
	return t.Format("2006年1月2日")
}

// days turns the first and last day of validity into times: from is included, until is not; a zero until has no end.
func days(d *card.Data) (from, until time.Time, err error) {
	if from, err = time.ParseInLocation(dateForm, d.ValidFrom, civil); err != nil {
		return from, until, ErrField.With("first day of validity: %w", err)
	}
	if d.ValidTo == "" {
		return from.UTC(), time.Time{}, nil
	}
	last, err := time.ParseInLocation(dateForm, d.ValidTo, civil)
	if err != nil {
		return from, until, ErrField.With("last day of validity: %w", err)
	}
	return from.UTC(), last.AddDate(0, 0, 1).UTC(), nil
}
