package ca

// profile returns the profile in force under a name, nil when there is none. It is a look-up in memory.
func (a *Authority) profile(name string) *Profile { return a.Profiles[name] }

// profileVersion returns one version of a profile, for applications that were made under it: nil when that version does
// not exist or was withdrawn. It is a look-up in memory.
func (a *Authority) profileVersion(name string, version int) *Profile {
	if p := a.Profiles[name]; p != nil && p.Version == version {
		return p
	}
	return nil
}
