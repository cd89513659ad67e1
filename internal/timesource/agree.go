package timesource

import (
	"cmp"
	"slices"
	"time"
)

// agreement is the interval of offsets in which the most readings meet.
type agreement struct {
	low, high time.Duration
	agreeing  []string // names of the sources whose intervals contain it
	dissent   []string // that answered something else
}

// agree finds it. Touching intervals meet. Of several intervals with as many readings the narrowest counts.
func agree(readings []Reading) (best agreement) {
	type edge struct {
		at    time.Duration
		begin bool
	}
	var edges []edge
	for _, r := range readings {
		if r.Err == nil {
			edges = append(edges, edge{r.Offset - r.Uncertainty, true}, edge{r.Offset + r.Uncertainty, false})
		}
	}
	slices.SortFunc(edges, func(x, y edge) int {
		if x.at != y.at {
			return cmp.Compare(x.at, y.at)
		}
		switch {
		case x.begin == y.begin:
			return 0
		case x.begin:
			return -1
		default:
			return 1
		}
	})
	most, open := 0, 0
	for i, e := range edges {
		if !e.begin {
			open--
			continue
		}
		open++
		low, high := e.at, edges[i+1].at // a beginning is never the last edge
		if open > most || open == most && high-low < best.high-best.low {
			most, best.low, best.high = open, low, high
		}
	}
	for _, r := range readings {
		switch {
		case r.Err != nil:
		case r.Offset-r.Uncertainty <= best.low && best.high <= r.Offset+r.Uncertainty:
			best.agreeing = append(best.agreeing, r.Source)
		default:
			best.dissent = append(best.dissent, r.Source)
		}
	}
	return best
}
