package actor

// Checker refuses a checker who is the maker (maker is never checker). Persons are compared, not posts:
// the same person in two capacities is still one person.
func Checker(maker, checker Actor) error {
	if err := checker.Known(); err != nil {
		return err
	}
	if maker.Subject != "" && maker.Subject == checker.Subject {
		return ErrSameActor.With("%s made it and tried to check it", checker)
	}
	return nil
}

// Quorum is a k-of-n rule: K different persons must agree.
type Quorum struct{ K int }

// Met reports whether the approvals hold at least K different known persons. K < 1 is never met.
func (q Quorum) Met(approvals []Actor) bool {
	persons := make(map[string]bool, len(approvals))
	for _, a := range approvals {
		if a.Subject != "" {
			persons[a.Subject] = true
		}
	}
	return q.K >= 1 && len(persons) >= q.K
}
