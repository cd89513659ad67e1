package store

import (
	"fmt"
	"slices"
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

// in adds a condition that a column is one of several values, of which there is one at least.
func in[T any](f *filter, column string, values []T) {
	all := make([]any, len(values))
	for i, v := range values {
		all[i] = v
	}
	f.add(column+` IN (`+strings.Join(slices.Repeat([]string{`?`}, len(all)), `, `)+`)`, all...)
}

// inAtOnce is how many values one query names.
const inAtOnce = 500

// inParts lists at most limit rows for values that are many, in as few queries as may be; room is for how many more.
func inParts[V, T any](values []V, limit int, ask func(part []V, room int) ([]T, error)) (all []T, err error) {
	for part := range slices.Chunk(values, inAtOnce) {
		if len(all) >= limit {
			break
		}
		some, err := ask(part, limit-len(all))
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
	}
	return all, nil
}

// text is the WHERE clause, of a filter with conditions.
func (f *filter) text() string { return `WHERE ` + strings.Join(f.where, " AND ") }
