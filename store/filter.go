package store

import (
	"fmt"
	"strings"
)

// filter gathers the conditions of a list that are asked for, and no others: a plan made for a query that names them all,
// each or empty, cannot use the index of one.
type filter struct {
	where []string
	args  []any
}

// equal adds a condition on a column unless the value is empty.
func (f *filter) equal(column, value string) {
	if value != "" {
		f.add(column+` = ?`, value)
	}
}

// add adds a condition with a question mark for each value.
func (f *filter) add(condition string, values ...any) {
	for _, v := range values {
		f.args = append(f.args, v)
		condition = strings.Replace(condition, "?", fmt.Sprintf("$%d", len(f.args)), 1)
	}
	f.where = append(f.where, condition)
}

// text is the WHERE clause, of a filter with conditions.
func (f *filter) text() string { return `WHERE ` + strings.Join(f.where, " AND ") }
