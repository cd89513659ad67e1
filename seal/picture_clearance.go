package seal

import "math"

// clearance is the least distance, in millimetres, of any two outlines of a seal.
const clearance = 0.3

// plane finds points near to each other: a grid of cells as wide as the distance that matters. It is used again and
// again for one seal, to spare the allocations.
type plane struct {
	radius  float64 // of the whole seal
	inner   float64 // of the ring's inner edge
	near    float64 // closer than this is too close
	columns int
	cells   []int32 // index of the last point put into the cell plus 1, 0 if none
	points  []entry
}

type entry struct {
	x, y  float64
	shape int32
	next  int32 // as in cells
}

func newPlane(diameter, ring float64) *plane {
	p := &plane{radius: diameter / 2, inner: diameter/2 - ring}
	// The least distance of two polygons is from a corner to a side. Corners are among the points; on the side, the
	// nearest point is at most half a spacing off.
	p.near = math.Hypot(clearance, spacing/2)
	p.columns = int(diameter/p.near) + 3
	p.cells = make([]int32, p.columns*p.columns)
	return p
}

// clear tells whether all shapes keep their distance from each other and from the ring.
func (p *plane) clear(groups ...[]shape) bool {
	clear(p.cells)
	p.points = p.points[:0]
	id := int32(0)
	for _, group := range groups {
		for _, s := range group {
			if !p.add(s, id) {
				return false
			}
			id++
		}
	}
	return true
}

// add puts a shape on the plane, unless it is too close to the ring or to a shape that is there.
func (p *plane) add(s shape, id int32) bool {
	limit := (p.inner - clearance) * (p.inner - clearance)
	for _, c := range s.corners {
		if dx, dy := c.X-p.radius, c.Y-p.radius; dx*dx+dy*dy > limit {
			return false
		}
		column, row := int(c.X/p.near)+1, int(c.Y/p.near)+1
		for dr := -1; dr <= 1; dr++ {
			for dc := -1; dc <= 1; dc++ {
				if p.touches(p.cells[(row+dr)*p.columns+column+dc], c.X, c.Y, id) {
					return false
				}
			}
		}
		cell := &p.cells[row*p.columns+column]
		p.points = append(p.points, entry{x: c.X, y: c.Y, shape: id, next: *cell})
		*cell = int32(len(p.points))
	}
	return true
}

// touches tells whether a point of another shape in the chain is too close to (x, y).
func (p *plane) touches(chain int32, x, y float64, id int32) bool {
	for chain != 0 {
		e := &p.points[chain-1]
		if dx, dy := e.x-x, e.y-y; e.shape != id && dx*dx+dy*dy < p.near*p.near {
			return true
		}
		chain = e.next
	}
	return false
}
