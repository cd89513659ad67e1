package ca

import (
	"context"

	"hufu/certs"
)

// crossInForce lists the cross certificates in force.
func (a *Authority) crossInForce(ctx context.Context) (all []Cross, err error) {
	var motions []Motion
	err = a.Store.View(ctx, func(r R) error {
		motions, err = r.Motions(MotionCross, MotionInForce, "", 1000)
		return err
	})
	for _, m := range motions {
		c, err := m.cross()
		if err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	return all, err
}

// crossedOut lists our authorities that have ever certified others: a certificate that was made leads to them for as long as it is
// valid, also after the motion was withdrawn.
func (a *Authority) crossedOut(ctx context.Context) (names []string, err error) {
	var motions []Motion
	err = a.Store.View(ctx, func(r R) error {
		motions, err = r.Motions(MotionCross, "", "", 10_000)
		return err
	})
	for _, m := range motions {
		c, err := m.cross()
		if err != nil {
			return nil, err
		}
		if c.Way == CrossOut && len(c.Certificate) > 0 {
			names = append(names, c.Authority)
		}
	}
	return names, err
}

// crossCertificates lists the certificates themselves, both ways.
func (a *Authority) crossCertificates(ctx context.Context) (all []*certs.Certificate, err error) {
	in, err := a.crossInForce(ctx)
	for _, c := range in {
		if cert, err := certs.ParseLenient(c.Certificate); err == nil {
			all = append(all, cert)
		}
	}
	return all, err
}

// crossedIn counts the cross certificates in force that others issued for our authorities.
func crossedIn(r R) (map[string]int, error) {
	count := map[string]int{}
	motions, err := r.Motions(MotionCross, MotionInForce, "", 1000)
	for _, m := range motions {
		c, err := m.cross()
		if err != nil {
			return nil, err
		}
		if c.Way == CrossIn {
			count[c.Authority]++
		}
	}
	return count, err
}

// hasCross tells whether others issued cross certificates for an authority of ours.
func (a *Authority) hasCross(name string) bool {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return a.crossed[name] > 0
}
