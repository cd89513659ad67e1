package store

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// texts are the SQL texts in the source of this package.
type texts struct {
	whole map[string]string // text by itself, with the function that has it
	built map[string]bool   // functions that put a text together while they run
}

// reader evaluates string expressions of one function.
type reader struct {
	consts map[string]ast.Expr   // of the package
	locals map[string][]ast.Expr // what variables and constants of the function are set to
	grows  map[string]bool       // variables that += changes, and parameters
	found  *texts
	name   string
}

// readTexts collects every SQL text of the package. A text counts as whole when it is a constant, or constants put together;
// the functions that make theirs otherwise are named, so that a test can run them.
func readTexts(t *testing.T) texts {
	t.Helper()
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	var files []*ast.File
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".go") || strings.HasSuffix(e.Name(), "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), e.Name(), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	found, consts := texts{map[string]string{}, map[string]bool{}}, map[string]ast.Expr{}
	for _, f := range files {
		for _, d := range f.Decls {
			if g, ok := d.(*ast.GenDecl); ok {
				named(g, consts)
			}
		}
	}
	for _, f := range files {
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Body != nil {
				r := &reader{consts: consts, locals: map[string][]ast.Expr{}, grows: map[string]bool{}, found: &found, name: nameOf(fn)}
				r.read(fn)
			}
		}
	}
	return found
}

// named notes the values of a declaration.
func named(g *ast.GenDecl, into map[string]ast.Expr) {
	for _, s := range g.Specs {
		v, ok := s.(*ast.ValueSpec)
		for i := 0; ok && i < len(v.Values); i++ {
			into[v.Names[i].Name] = v.Values[i]
		}
	}
}

func nameOf(fn *ast.FuncDecl) string {
	if fn.Recv == nil {
		return fn.Name.Name
	}
	of := fn.Recv.List[0].Type
	if p, ok := of.(*ast.StarExpr); ok {
		of = p.X
	}
	if id, ok := of.(*ast.Ident); ok {
		return id.Name + "." + fn.Name.Name
	}
	return fn.Name.Name
}

func (r *reader) read(fn *ast.FuncDecl) {
	ast.Inspect(fn, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncType:
			for _, p := range n.Params.List {
				for _, name := range p.Names {
					r.grows[name.Name] = true
				}
			}
		case *ast.GenDecl:
			into := map[string]ast.Expr{}
			named(n, into)
			for name, v := range into {
				r.locals[name] = append(r.locals[name], v)
			}
		case *ast.RangeStmt:
			for _, v := range []ast.Expr{n.Key, n.Value} {
				if id, ok := v.(*ast.Ident); ok {
					r.grows[id.Name] = true
				}
			}
		case *ast.AssignStmt:
			r.assigned(n)
		}
		return true
	})
	ast.Inspect(fn.Body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CallExpr:
			for _, arg := range n.Args {
				r.take(arg, isForm(n))
			}
		case *ast.KeyValueExpr:
			r.take(n.Value, false)
		}
		return true
	})
}

func (r *reader) assigned(a *ast.AssignStmt) {
	for i, left := range a.Lhs {
		id, ok := left.(*ast.Ident)
		if !ok {
			continue
		}
		if len(a.Rhs) != len(a.Lhs) || a.Tok == token.ADD_ASSIGN {
			r.grows[id.Name] = true
			continue
		}
		r.locals[id.Name] = append(r.locals[id.Name], a.Rhs[i])
	}
}

// isForm tells a call that makes a text out of others.
func isForm(c *ast.CallExpr) bool {
	s, ok := c.Fun.(*ast.SelectorExpr)
	return ok && (s.Sel.Name == "Sprintf" || s.Sel.Name == "WriteString")
}

// take notes the texts that an expression may be; a form is none by itself.
func (r *reader) take(e ast.Expr, form bool) {
	all, known := r.values(e, 0)
	for _, text := range all {
		if !isSQL(text) {
			continue
		}
		if !known || form {
			r.found.built[r.name] = true
			return
		}
		r.found.whole[text] = r.name
	}
}

// values are what an expression may be; known is false when only how it begins is known.
func (r *reader) values(e ast.Expr, depth int) (all []string, known bool) {
	if depth > 40 {
		return nil, false
	}
	switch e := e.(type) {
	case *ast.BasicLit:
		text, err := strconv.Unquote(e.Value)
		return []string{text}, err == nil && e.Kind == token.STRING
	case *ast.ParenExpr:
		return r.values(e.X, depth+1)
	case *ast.BinaryExpr:
		left, whole := r.values(e.X, depth+1)
		if !whole || e.Op != token.ADD {
			return left, false
		}
		right, whole := r.values(e.Y, depth+1)
		if !whole {
			return left, false
		}
		for _, l := range left {
			for _, r := range right {
				all = append(all, l+r)
			}
		}
		return all, true
	case *ast.Ident:
		return r.variable(e.Name, depth)
	}
	return nil, false
}

func (r *reader) variable(name string, depth int) (all []string, known bool) {
	set, local := r.locals[name]
	if !local {
		v, ok := r.consts[name]
		if !ok || r.grows[name] {
			return nil, false
		}
		return r.values(v, depth+1)
	}
	known = !r.grows[name]
	for _, v := range set {
		some, whole := r.values(v, depth+1)
		all, known = append(all, some...), known && whole
	}
	return all, known
}

func isSQL(text string) bool {
	first, _, _ := strings.Cut(strings.TrimSpace(text), " ")
	return slices.Contains([]string{"SELECT", "INSERT", "UPDATE", "DELETE", "WITH"}, first)
}
