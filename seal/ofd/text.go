package ofd

import "strings"

// Printed is the text of one text object as the page has it.
type Printed struct {
	Page int
	ID   string
	Text string
}

// Binding is one field of a custom tag file, with the text objects that show it, in order.
type Binding struct {
	Name    string
	Objects []Printed
	Missing []string // ids that are on no page
}

// Bindings reads a custom tag file whose root is in namespace space: <field name="…"> with ObjectRef elements. ok is
// false when the document has no such file, or none that can be read.
func (m *Model) Bindings(space string) (out []Binding, ok bool) {
	for _, t := range m.Tags {
		root, err := parseXML(m.c.byName[t.Path].Data, m.c.limits, &m.budget)
		if err != nil || root.space != space {
			continue
		}
		pages := map[int]map[string]string{}
		for _, f := range root.all("field") {
			b := Binding{Name: f.attr("name")}
			for _, r := range f.all("ObjectRef") {
				number := m.pageByID(r.attr("PageRef"))
				if pages[number] == nil {
					pages[number] = m.texts(number)
				}
				text, there := pages[number][r.value()]
				if !there {
					b.Missing = append(b.Missing, r.value())
					continue
				}
				b.Objects = append(b.Objects, Printed{Page: number, ID: r.value(), Text: text})
			}
			out = append(out, b)
		}
		ok = true
	}
	return out, ok
}

// texts maps the ids of the text objects of a page to their text. Of two objects with one id neither counts.
func (m *Model) texts(number int) map[string]string {
	out := map[string]string{}
	if number < 1 || number > len(m.Pages) || m.Pages[number-1].Missing {
		return out
	}
	root, err := parseXML(m.c.byName[m.Pages[number-1].Path].Data, m.c.limits, &m.budget)
	if err != nil {
		return out
	}
	twice := map[string]bool{}
	root.walk(func(n *node) {
		id := n.attr("ID")
		if id == "" {
			return
		}
		if _, seen := out[id]; seen {
			twice[id] = true
		}
		if n.name != "TextObject" {
			return
		}
		var b strings.Builder
		for _, c := range n.all("TextCode") {
			b.WriteString(c.text)
		}
		out[id] = b.String()
	})
	for id := range twice {
		delete(out, id)
	}
	return out
}
