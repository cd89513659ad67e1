package store

import "hufu/ca"

func (t caTx) ProfileVersions(name string) ([]ca.ProfileVersion, error) {
	return list(t.tx, func(s scanner) (v ca.ProfileVersion, err error) {
		var at, decided int64
		err = s.Scan(&v.Name, &v.Version, &v.Source, &v.State, &v.Published, &v.Text, &v.SM3, &v.Maker, &v.Checker, &at, &decided)
		v.At, v.DecidedAt = fromMicros(at), fromMicros(decided)
		return v, err
	}, `SELECT name, version, source, state, published, text, sm3, maker, checker, at, decided_at FROM ca_profile
		WHERE $1 = '' OR name = $1 ORDER BY name, version`, name)
}

func (t caTx) ProfileTurn() (int64, error) {
	turns, err := list(t.tx, func(s scanner) (n int64, err error) { return n, s.Scan(&n) }, `SELECT turn FROM ca_profile_turn WHERE id = 'profiles'`)
	if err != nil || len(turns) == 0 {
		return 0, err
	}
	return turns[0], nil
}

func (t caTx) nextProfileTurn() error {
	_, err := t.exec(`INSERT INTO ca_profile_turn (id, turn) VALUES ('profiles', 1)
		ON CONFLICT (id) DO UPDATE SET turn = ca_profile_turn.turn + 1`)
	return err
}

func (t caTx) AddProfileVersion(v ca.ProfileVersion) error {
	n, err := t.exec(`INSERT INTO ca_profile (name, version, source, state, published, text, sm3, maker, checker, at, decided_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT DO NOTHING`,
		v.Name, v.Version, v.Source, string(v.State), v.Published, v.Text, v.SM3, v.Maker, v.Checker, micros(v.At), micros(v.DecidedAt))
	if err != nil {
		return err
	}
	if n == 0 {
		return ca.ErrState.With("version %d of profile %q is there already", v.Version, v.Name)
	}
	return t.nextProfileTurn()
}

func (t caTx) MoveProfileVersion(from ca.ProfileState, after ca.ProfileVersion) (bool, error) {
	n, err := t.exec(`UPDATE ca_profile SET state = $4, published = $5, checker = $6, decided_at = $7 WHERE name = $1 AND version = $2 AND state = $3`,
		after.Name, after.Version, string(from), string(after.State), after.Published, after.Checker, micros(after.DecidedAt))
	if err != nil || n != 1 {
		return false, err
	}
	return true, t.nextProfileTurn()
}

func (t caTx) NameHolder(issuer string, name []byte) (holder string, err error) {
	err = t.one([]any{&holder}, `SELECT holder FROM ca_name WHERE issuer = $1 AND name = $2`, issuer, name)
	return holder, caMissing(err, "name %x of %q", name, issuer)
}

func (t caTx) ClaimName(issuer string, name []byte, holder string) error {
	return t.later(statement{
		query: `INSERT INTO ca_name (issuer, name, holder) VALUES ($1, $2, $3)
			ON CONFLICT (issuer, name) DO UPDATE SET holder = excluded.holder WHERE ca_name.holder = excluded.holder`,
		args: []any{issuer, name, holder},
		none: func() error { return ca.ErrNameTaken.With("subject %x under %q", name, issuer) },
	})
}
