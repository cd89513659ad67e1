package store

import "hufu/ca"

func (t caTx) Ceremonies() ([]ca.Ceremony, error) {
	return list(t.tx, func(s scanner) (c ca.Ceremony, err error) {
		var begun, moved int64
		err = s.Scan(&c.ID, &c.Key, &c.Shares, &c.Threshold, &c.Holders, &c.State, &begun, &moved, &c.Transcript)
		c.Begun, c.Changed = fromMicros(begun), fromMicros(moved)
		return c, err
	}, `SELECT id, root_key, shares, threshold, holders, state, begun_at, changed_at, transcript FROM ca_ceremony ORDER BY begun_at, id`)
}

func (t caTx) AddCeremony(c ca.Ceremony) (bool, error) {
	n, err := t.exec(`INSERT INTO ca_ceremony (id, root_key, shares, threshold, holders, state, begun_at, changed_at, transcript)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING`,
		c.ID, c.Key, octets(c.Shares), c.Threshold, c.Holders, string(c.State), micros(c.Begun), micros(c.Changed), octets(c.Transcript))
	return changed(n, err, "add ceremony %s", c.ID)
}

func (t caTx) MoveCeremony(from ca.CeremonyState, after ca.Ceremony) (bool, error) {
	n, err := t.exec(`UPDATE ca_ceremony SET state = $3, changed_at = $4, transcript = $5 WHERE id = $1 AND state = $2`,
		after.ID, string(from), string(after.State), micros(after.Changed), octets(after.Transcript))
	return changed(n, err, "move ceremony %s", after.ID)
}
