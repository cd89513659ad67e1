package ca

import (
	"errors"

	"hufu/certs"
	"hufu/internal/fault"
	"hufu/internal/gm"
)

// ErrNameTaken refuses a subject name that a profile keeps for another holder.
var ErrNameTaken = fault.New(fault.Conflict, "ca.name-taken",
	"Another holder has a certificate with this very subject name, and the profile allows each name once. Ask a registration officer for a name that tells the two apart.",
	"已有其他持有人的证书使用相同的主体名称，该模板不允许重名。请联系登记人员区分名称。")

// keepsNames tells whether a subject name is for one holder alone.
func (p *Profile) keepsNames() bool { return p.SameName == "refuse" }

// claimName keeps the subject name for its holder, in the transaction that reserves the serial, where the profile says so.
func claimName(w W, p *prepared) error {
	if !p.profile.keepsNames() {
		return nil
	}
	hash, err := p.nameHash()
	if err != nil {
		return err
	}
	return w.ClaimName(p.issuer, hash, p.holder.ID)
}

// nameFree is the look beforehand, which spares the maker a wait.
func nameFree(r R, p *prepared) error {
	hash, err := p.nameHash()
	if err != nil {
		return err
	}
	holder, err := r.NameHolder(p.issuer, hash)
	switch {
	case errors.Is(err, ErrUnknown):
		return nil
	case err == nil && holder != p.holder.ID:
		return ErrNameTaken.With("subject %x under %q", hash, p.issuer)
	default:
		return err
	}
}

func (p *prepared) nameHash() ([]byte, error) {
	c, err := certs.ParseTBS(p.tbs)
	if err != nil {
		return nil, err
	}
	hash := gm.SM3(c.RawSubject)
	return hash[:], nil
}
