package check

import (
	"errors"
	"slices"
	"strings"

	"hufu/seal/ofd"
)

// document is an opened OFD with what all its signatures share.
type document struct {
	o       *Options
	c       *ofd.Container
	m       *ofd.Model
	all     ofd.Signatures
	licence *licenceSteps
	unread  []string // parts that the document draws and that cannot be read
}

// document checks an OFD file.
func (o *Options) document(r *Report, file []byte) (*Report, error) {
	r.Kind = KindOFD
	c, err := ofd.Open(file)
	if err == nil {
		d := &document{o: o, c: c}
		if d.m, err = c.Model(); err == nil {
			d.check(r)
			return r, nil
		}
	}
	if errors.Is(err, ofd.ErrNotOFD) {
		return nil, ErrUnknownKind
	}
	r.Result = Failed
	code, text := "ofd.damaged", err.Error()
	if e, ok := errors.AsType[*ofd.Error](err); ok {
		if code, text = e.Code, e.EN; o.zh() {
			text = e.ZH
		}
		if e.Detail != "" {
			text += " (" + clean(e.Detail) + ")"
		}
	}
	r.Reasons = append(r.Reasons, Reason{code, text})
	return r, nil
}

func (d *document) check(r *Report) {
	d.all = d.c.Signatures(d.m)
	for _, x := range d.m.Remarks {
		if x.Code == ofd.RemarkUnreadable && d.m.Reach(x.Part) == ofd.Drawn {
			d.unread = append(d.unread, x.Part)
		}
	}
	d.licence = d.o.readLicence(d.c, d.m)
	if d.licence != nil {
		l := d.licence.facts.Licence
		r.Licence = &l
	}
	r.NonStandard = d.remarks()
	covered := map[string]bool{} // by a signature that is not known to be broken
	holds := false
	for _, s := range d.all.List {
		rec := d.signature(s)
		if !s.Orphan && s.Err == nil && !rec.broken() {
			holds = true
			for _, it := range d.c.Coverage(d.m, d.all, s) {
				switch it.State { // a listed file that was changed is told by the digests, not here
				case ofd.ListedOK, ofd.ListedBad, ofd.Own, ofd.Later:
					covered[it.Path] = true
				}
			}
		}
		r.Signatures = append(r.Signatures, rec.finish())
	}
	d.coverage(r, covered, holds)
	d.judge(r)
}

// judge draws the result of the file from its signatures and from what is missing around them.
func (d *document) judge(r *Report) {
	r.Result = Passed
	add := func(result Result, code string, args ...any) {
		r.Result = worse(r.Result, result)
		r.Reasons = append(r.Reasons, Reason{code, d.o.text(code, args...)})
	}
	var orphans []string
	for i, s := range d.all.List {
		if s.Orphan { // its own result stands beside it; the file does not claim it
			orphans = append(orphans, folder(s.Path))
			continue
		}
		r.Result = worse(r.Result, r.Signatures[i].Result)
	}
	for i, s := range d.all.List {
		if x := r.Signatures[i]; !s.Orphan && x.Result == r.Result {
			for _, reason := range x.Reasons {
				if !slices.Contains(r.Reasons, reason) {
					r.Reasons = append(r.Reasons, reason)
				}
			}
		}
	}
	if d.all.BadList != "" {
		add(Failed, "signature-list-bad", clean(d.all.BadList))
	}
	if d.all.MissingList != "" {
		add(Indeterminate, "signature-list-missing", clean(d.all.MissingList))
	}
	for _, o := range orphans {
		add(Indeterminate, "orphan-signature", clean(o))
	}
	if len(d.all.List) == 0 && d.all.MissingList == "" && d.all.BadList == "" {
		add(Indeterminate, "unsigned")
	}
}

// folder gives "Sign_0" of "Doc_0/Signs/Sign_0/Signature.xml", or the path itself at the root.
func folder(p string) string {
	f := strings.Split(p, "/")
	if len(f) < 2 {
		return p
	}
	return f[len(f)-2]
}

// coverage writes what no signature protects; holds: at least one is not broken.
func (d *document) coverage(r *Report, covered map[string]bool, holds bool) {
	var drawn, meta, orphan []string
	for _, n := range d.c.Names() {
		if covered[n] || d.m.Reach(n) == ofd.Orphan && isSignaturePart(d.all, n) {
			continue
		}
		switch d.m.Reach(n) {
		case ofd.Drawn:
			drawn = append(drawn, n)
		case ofd.Metadata:
			meta = append(meta, n)
		default:
			orphan = append(orphan, n)
		}
	}
	for _, list := range [][]string{drawn, meta, orphan} {
		for _, n := range list {
			r.Coverage.Uncovered = append(r.Coverage.Uncovered, clean(n))
		}
	}
	problem := func(code string, list []string) {
		if len(list) > 0 {
			r.Coverage.Problems = append(r.Coverage.Problems, Reason{code, d.o.text(code, join(list))})
		}
	}
	problem("coverage.drawn", drawn)
	problem("coverage.metadata", meta)
	problem("coverage.orphan", orphan)
	problem("coverage.unreadable", d.unread)
	var missing []string
	for _, m := range d.m.Missing {
		missing = append(missing, m.Path)
	}
	problem("coverage.missing", missing)
	r.Coverage.Complete = holds && len(r.Coverage.Uncovered) == 0 && len(d.unread) == 0
}

// isSignaturePart tells the files of signatures themselves, which nobody lists: an orphan's are reported as orphans.
func isSignaturePart(all ofd.Signatures, name string) bool {
	if slices.Contains(all.Lists, name) {
		return true
	}
	for _, s := range all.List {
		if !s.Orphan && (name == s.Path || name == s.ValuePath || name == s.SealPath) {
			return true
		}
	}
	return false
}

// remarks gathers what is odd about container and parts, one line a kind.
func (d *document) remarks() []string {
	var order []string
	parts := map[string][]string{}
	for _, x := range slices.Concat(d.c.Remarks(), d.m.Remarks) {
		if x.Code == ofd.RemarkPartMissing { // told under coverage
			continue
		}
		if !slices.Contains(order, x.Code) {
			order = append(order, x.Code)
		}
		parts[x.Code] = append(parts[x.Code], x.Part)
	}
	out := []string{}
	for _, code := range order {
		out = append(out, d.o.text("remark."+code, join(parts[code])))
	}
	return out
}

// join shows a list of paths, shortened.
func join(list []string) string {
	const most = 12
	out := make([]string, 0, most)
	for i, s := range list {
		if i == most {
			out = append(out, "…")
			break
		}
		out = append(out, clean(s))
	}
	return strings.Join(out, ", ")
}
