package store

import (
	"strconv"
	"strings"
)

// insertion is the INSERT of one row, and that of several in one statement, which PostgreSQL alone gets (see statement). Both are made
// of one list of columns, so that names, places and types do not come apart.
type insertion struct{ one, many string }

// inserting takes columns with PostgreSQL's types ("serial bytea, issuer text") and what follows the values: ON CONFLICT, or nothing.
func inserting(table, columns, then string) insertion {
	var names, places, lists []string
	for i, column := range strings.Split(columns, ", ") {
		name, kind, _ := strings.Cut(column, " ")
		place := "$" + strconv.Itoa(i+1)
		names, places, lists = append(names, name), append(places, place), append(lists, place+"::"+kind+"[]")
	}
	into := `INSERT INTO ` + table + ` (` + strings.Join(names, ", ") + `) `
	return insertion{
		one:  into + `VALUES (` + strings.Join(places, ", ") + `) ` + then,
		many: into + `SELECT * FROM unnest(` + strings.Join(lists, ", ") + `) ` + then,
	}
}

// of is the statement for a row with these values, in the order of the columns.
func (i insertion) of(values ...any) statement {
	return statement{query: i.one, many: i.many, args: values}
}
