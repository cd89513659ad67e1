package ofd

import (
	"bytes"
	"path"
	"strings"
)

// State classes one file against one signature.
type State string

// The classes of a file; Missing ones are not in the container.
const (
	ListedOK          State = "listed-ok"
	ListedBad         State = "listed-bad"
	ListedMissing     State = "listed-missing"
	UnlistedReachable State = "unlisted-reachable"
	UnlistedOrphan    State = "unlisted-orphan"
	Own               State = "own"   // this signature's own files, which cannot be listed
	Later             State = "later" // of a signature that came after, or its list in continue mode, or our proof side file
	ReferencedMissing State = "referenced-missing"
)

// Item is one file and its class.
type Item struct {
	Path  string
	State State
	Reach Reach
	Page  int // page that the file belongs to, 0 when none
}

// Coverage classes every file of the container against one signature, in the order of the container; missing files last.
// A file listed twice is judged by its worst entry.
func (c *Container) Coverage(m *Model, all Signatures, sig Signature) []Item {
	listed := map[string]State{}
	var missing []Item
	for _, r := range sig.References {
		e := c.byName[r.Path]
		if e == nil {
			missing = append(missing, Item{Path: r.Path, State: ListedMissing, Reach: m.Reach(r.Path), Page: m.PageOf(r.Path)})
			continue
		}
		sum, _ := c.Digest(r.Path)
		if !bytes.Equal(sum[:], r.Want) {
			listed[r.Path] = ListedBad
		} else if listed[r.Path] == "" {
			listed[r.Path] = ListedOK
		}
	}
	exempt := exemptions(all, sig)
	var out []Item
	for _, e := range c.entries {
		it := Item{Path: e.Name, Reach: m.Reach(e.Name), Page: m.PageOf(e.Name), State: UnlistedOrphan}
		switch {
		case listed[e.Name] != "":
			it.State = listed[e.Name]
		case it.Reach != Orphan: // what the document draws is never excused as a file of a signature
			it.State = UnlistedReachable
		case exempt[e.Name] != "":
			it.State = exempt[e.Name]
		}
		out = append(out, it)
	}
	for _, r := range m.Missing {
		missing = append(missing, Item{Path: r.Path, State: ReferencedMissing, Reach: r.Reach, Page: m.PageOf(r.Path)})
	}
	return append(out, missing...)
}

// exemptions are the files that a signature cannot list: its own two, the list in continue mode, what came later.
// An orphan counts as later for the listed ones: whoever took it out of the list did not change what they protect.
func exemptions(all Signatures, sig Signature) map[string]State {
	out := map[string]State{}
	for _, l := range all.Lists {
		out[l] = Later
	}
	for _, s := range all.List {
		if s.position <= sig.position && s.Path != sig.Path {
			continue
		}
		for _, p := range []string{s.Path, s.ValuePath, s.SealPath, path.Join(path.Dir(s.Path), LogProofName)} {
			if p != "" {
				out[p] = Later
			}
		}
	}
	for _, s := range all.List { // proofs come after the signature that they prove, also for earlier ones
		if strings.Contains(s.Path, "/") {
			out[path.Join(path.Dir(s.Path), LogProofName)] = Later
		}
	}
	// An unlisted Seal.esl is this signature's own: the verifier compares it with the seal inside the signed value.
	out[sig.Path], out[sig.ValuePath], out[sig.SealPath] = Own, Own, Own
	return out
}
