package ca

// maxBundleLists bounds the lists in a trust bundle, in octets: about 1,300,000 revocations. In JSON they grow by a third.
const maxBundleLists = 64 << 20

// bundleLists returns the lists that a trust bundle carries. A short full list is as new as the shards and goes alone; when it
// is long, the shards go, which are renewed with each revocation. What does not fit is left out as a whole for that issuer:
// who checks offline then finds the status of its certificates unknown, and never good.
func bundleLists(r R, issuers []string) (all [][]byte, err error) {
	stands, err := r.Lists()
	if err != nil {
		return nil, err
	}
	left := int64(maxBundleLists)
	for _, name := range issuers {
		chosen, size := choose(stands, name)
		if size > left {
			continue
		}
		left -= size
		for _, l := range chosen {
			der, err := readBlob(r, l.Complete)
			if err != nil {
				return nil, err
			}
			all = append(all, der)
		}
	}
	return all, nil
}

// choose picks the full list of an issuer or its shards.
func choose(stands []List, issuer string) (chosen []List, size int64) {
	var shards []List
	var sum int64
	complete := true
	for _, l := range stands {
		if l.Issuer != issuer {
			continue
		}
		if l.Shard == FullShard {
			if l.Number > 0 && l.Entries <= shortList {
				return []List{l}, l.Complete.Size
			}
			continue
		}
		complete = complete && l.Number > 0
		shards, sum = append(shards, l), sum+l.Complete.Size
	}
	if !complete {
		return nil, 0
	}
	return shards, sum
}
