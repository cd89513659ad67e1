package known

// affine is a point of the curve other than infinity.
type affine struct{ x, y element }

// point is x = x/zz, y = y/zzz with zz³ = zzz²; infinity is zz = 0. In these coordinates (XYZZ of the Explicit-Formulas
// Database, hyperelliptic.org/EFD) adding an affine point takes ten multiplications.
type point struct{ x, y, zz, zzz element }

func (p *point) infinite() bool { return p.zz == element{} }

// add sets p = p + q, whatever the two are (madd-2008-s where they have different x).
func (p *point) add(q *affine) {
	if p.infinite() {
		*p = point{q.x, q.y, one, one}
		return
	}
	var dx, dy, dx2, dx3, t element
	dx.mul(&q.x, &p.zz)
	dx.sub(&dx, &p.x)
	dy.mul(&q.y, &p.zzz)
	dy.sub(&dy, &p.y)
	if dx == (element{}) {
		if dy == (element{}) {
			p.double()
		} else {
			*p = point{} // opposite points
		}
		return
	}
	dx2.square(&dx)
	dx3.mul(&dx, &dx2)
	t.mul(&p.x, &dx2)
	p.x.square(&dy)
	p.x.sub(&p.x, &dx3)
	p.x.sub(&p.x, &t)
	p.x.sub(&p.x, &t)
	t.sub(&t, &p.x)
	t.mul(&t, &dy)
	p.y.mul(&p.y, &dx3)
	p.y.sub(&t, &p.y)
	p.zz.mul(&p.zz, &dx2)
	p.zzz.mul(&p.zzz, &dx3)
}

// double sets p = 2p (dbl-2008-s-1 with a = −3). No point has y = 0, since n is odd; infinity stays.
func (p *point) double() {
	var u, v, w, s, m, t element
	u.add(&p.y, &p.y)
	v.square(&u)
	w.mul(&u, &v)
	s.mul(&p.x, &v)
	t.sub(&p.x, &p.zz) // 3x² + a·zz² = 3·(x − zz)·(x + zz)
	m.add(&p.x, &p.zz)
	t.mul(&t, &m)
	m.add(&t, &t)
	m.add(&m, &t)
	p.x.square(&m)
	p.x.sub(&p.x, &s)
	p.x.sub(&p.x, &s)
	s.sub(&s, &p.x)
	s.mul(&s, &m)
	p.y.mul(&p.y, &w)
	p.y.sub(&s, &p.y)
	p.zz.mul(&p.zz, &v)
	p.zzz.mul(&p.zzz, &w)
}

// onCurve reports whether y² = x³ − 3x + b.
func (q *affine) onCurve() bool {
	var left, right, three element
	left.square(&q.y)
	three.add(&one, &one)
	three.add(&three, &one)
	right.square(&q.x)
	right.sub(&right, &three)
	right.mul(&right, &q.x)
	b := curveB.element()
	right.add(&right, &b)
	return left == right
}
