package ca

// keys blocks lost keys, revokes their other certificates and voids what is being made for them. Whoever loses a key loses it for
// all that it serves, so these are not asked for one by one. The row of the key is locked first: an issuance that comes later
// finds it blocked, one that came before is found here.
func (e ending) keys(lost [][]byte, out *Ended) error {
	for _, spki := range lost {
		if err := e.w.BlockKey(spki, e.now); err != nil {
			return err
		}
		if _, err := e.w.AddBlockedKey(BlockedKey{Hash: spki, Algorithm: HashSM3, Source: BlockedByRevocation, By: e.by.String(), At: e.now}); err != nil {
			return err
		}
	}
	all, err := e.w.CertificatesOfKeys(lost, maxFollowed)
	if err != nil {
		return err
	}
	out.More = out.More || len(all) == maxFollowed
	if err := e.all(all, out); err != nil {
		return err
	}
	return e.reserved(lost, out)
}

// maxReserved bounds how many reservations are looked at: they live for seconds, and fewer are ever under way at once.
const maxReserved = 1000

// reserved voids what is reserved for keys.
func (e ending) reserved(keys [][]byte, out *Ended) error {
	open, err := e.w.Reservations(farFuture, maxReserved)
	if err != nil {
		return err
	}
	for _, s := range open {
		hash, err := keyOfTBS(s.TBS)
		if err != nil {
			return err
		}
		if !has(keys, hash) {
			continue
		}
		r, done, err := e.a.voidReserved(e.w, e.by, s, e.Reason)
		if err != nil {
			return err
		}
		if done {
			out.Revoked = append(out.Revoked, r)
		}
	}
	return nil
}
