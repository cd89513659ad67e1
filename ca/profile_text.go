package ca

import (
	"regexp"
	"regexp/syntax"
	"strings"
)

// sampleText invents a text that a pattern matches, or returns otherwise where that matches already or nothing is found.
func sampleText(pattern *regexp.Regexp, otherwise string) string {
	if pattern == nil || pattern.MatchString(otherwise) {
		return otherwise
	}
	tree, err := syntax.Parse(pattern.String(), syntax.Perl)
	if err != nil {
		return otherwise
	}
	var b strings.Builder
	writeMatch(&b, tree.Simplify(), 0)
	if text := b.String(); pattern.MatchString(text) {
		return text
	}
	return otherwise
}

// writeMatch writes the shortest way through a pattern; what is beyond 4 KiB or too deep is left out.
func writeMatch(b *strings.Builder, tree *syntax.Regexp, depth int) {
	if b.Len() > 4096 || depth > 100 {
		return
	}
	switch tree.Op {
	case syntax.OpLiteral:
		for _, r := range tree.Rune {
			b.WriteRune(r)
		}
	case syntax.OpCharClass:
		if len(tree.Rune) > 0 {
			b.WriteRune(tree.Rune[0])
		}
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		b.WriteByte('a')
	case syntax.OpConcat:
		for _, sub := range tree.Sub {
			writeMatch(b, sub, depth+1)
		}
	case syntax.OpAlternate, syntax.OpCapture, syntax.OpPlus:
		writeMatch(b, tree.Sub[0], depth+1)
	case syntax.OpRepeat:
		for range tree.Min {
			writeMatch(b, tree.Sub[0], depth+1)
		}
	}
}
