package main

import (
	"context"
	"crypto/ecdsa"
	"errors"
	"fmt"

	"hufu/ca"
	"hufu/ca/kmc"
	"hufu/identity/login"
	"hufu/internal/actor"
	"hufu/internal/fault"
	"hufu/keys"
)

// KMC is the key management centre: this server's own, or where another one is.
type KMC struct {
	// Pool is how many encryption pairs each process keeps ready; 100 if left out, -1 for none.
	Pool int `yaml:"pool,omitempty"`
	// Recovery says how many recovery officers must approve.
	Recovery Recovery `yaml:"recovery,omitempty"`
	// URL is where a key management centre that stands alone is reached, "https://kmc.example:8485". Empty: the one in this process.
	URL string `yaml:"url,omitempty"`
	// CAFile holds the certificates (PEM) of those who certify that server.
	CAFile string `yaml:"ca_file,omitempty"`
	// Certificate and KeyFile are what this server shows itself with there (PEM, P-256).
	Certificate string `yaml:"certificate,omitempty"`
	KeyFile     string `yaml:"key_file,omitempty"`
	// Clients are the authorities that a centre which stands alone serves.
	Clients []KMCClient `yaml:"clients,omitempty"`
}

// Recovery is the quorum of recoveries.
type Recovery struct {
	Approvals int `yaml:"approvals,omitempty"` // 2 if left out
	Officers  int `yaml:"officers,omitempty"`  // who may hold the role at the most: 3 if left out
	Judicial  int `yaml:"judicial,omitempty"`  // recovery officers beside a witness: 2 if left out
}

// KMCClient is an authority that a centre serves: its name, and the file of its TLS certificate (PEM), whose key is what counts.
type KMCClient struct {
	Name        string `yaml:"name"`
	Certificate string `yaml:"certificate"`
}

const defaultPool = 100

func (k *KMC) pool() int {
	switch {
	case k.Pool == 0:
		return defaultPool
	case k.Pool < 0:
		return 0
	}
	return k.Pool
}

func (k *KMC) quorum() kmc.Quorum {
	q := kmc.DefaultQuorum
	for _, set := range []struct {
		to   *int
		from int
	}{{&q.Approvals, k.Recovery.Approvals}, {&q.Officers, k.Recovery.Officers}, {&q.Judicial, k.Recovery.Judicial}} {
		if set.from != 0 {
			*set.to = set.from
		}
	}
	return q
}

// centreMaster is the centre's master key in the device.
type centreMaster struct{ *keys.Keys }

func (m centreMaster) Wrap(ctx context.Context, data, aad []byte) ([]byte, error) {
	return m.Keys.Wrap(ctx, keys.KMCMasterLabel, data, aad)
}

func (m centreMaster) Unwrap(ctx context.Context, wrapped, aad []byte) ([]byte, error) {
	data, err := m.Keys.Unwrap(ctx, keys.KMCMasterLabel, wrapped, aad)
	if errors.Is(err, keys.ErrDamaged) {
		err = kmc.ErrDamaged.With("%w", err)
	}
	return data, err
}

// openCentre opens the key management centre with its own master key.
func (s *server) openCentre(ctx context.Context, clients []kmc.Client) (err error) {
	by := actor.ForSystem("start")
	if err := s.keys.EnsureKMCMaster(ctx, by); err != nil {
		return fmt.Errorf("master key of the key management centre: %w", err)
	}
	if s.kmc, err = kmc.New(kmc.Config{
		Store: s.db.KMC(), Master: centreMaster{s.keys}, Pool: s.cfg.KMC.pool(), Quorum: s.cfg.KMC.quorum(), Now: s.now,
	}); err != nil {
		return errConfig.With("kmc: %w", err)
	}
	if err := s.kmc.Serve(ctx, by, clients); err != nil {
		return err
	}
	return s.kmc.Tidy(ctx, s.alone)
}

// keyService is the key management centre as this server's authority uses it.
func (s *server) keyService(ctx context.Context) (kmc.Service, error) {
	if s.cfg.KMC.URL != "" {
		return s.remoteCentre()
	}
	if err := s.openCentre(ctx, []kmc.Client{{Name: kmc.Local}}); err != nil {
		return nil, err
	}
	return s.kmc.Desk(kmc.Local), nil
}

// keyFacts tells the centre what the authority knows of people and keys.
type keyFacts struct{ s *server }

func (f keyFacts) SigningKey(ctx context.Context, holder string, key *ecdsa.PublicKey) error {
	err := f.s.ca.SigningKey(ctx, holder, key)
	if errors.Is(err, ca.ErrNotSigning) {
		return kmc.ErrRecipient.With("%w", err)
	}
	return err
}

// Standing looks for the capacity in which an officer approved, with the right to and held since before then, of a person in
// force whose account got no new password from others since. Certificates are not asked for: officers log in by password.
func (f keyFacts) Standing(ctx context.Context, a kmc.Approval) (bool, error) {
	ways, err := f.s.identity.Capacities(ctx, a.Officer.Subject)
	switch fault.KindOf(err) {
	case fault.NotFound, fault.Denied, fault.Conflict, fault.Invalid:
		return false, nil
	}
	if err != nil {
		return false, err
	}
	account, err := f.s.login.Account(ctx, actor.ForSystem("recovery"), a.Officer.Subject)
	if errors.Is(err, login.ErrNoAccount) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if account.Given.After(a.At) {
		return false, nil
	}
	for _, c := range ways {
		by := actor.Actor{Roles: c.Roles}
		right := by.Is(actor.RoleRecoveryOfficer)
		if a.Witness {
			right = by.Is(actor.RoleSuperAdmin) || by.Is(actor.RoleAuditAdmin)
		}
		if right && c.For == a.Officer.For && !c.Since.After(a.At) {
			return true, nil
		}
	}
	return false, nil
}

func (f keyFacts) Represents(ctx context.Context, person, holder string) (bool, error) {
	return directory{f.s.identity}.Represents(ctx, person, holder)
}

func (f keyFacts) Officers(ctx context.Context) (int, error) {
	return f.s.db.Holders(ctx, actor.RoleRecoveryOfficer)
}

// keyNotes tells who looks at the state of the server that no pair is ready.
func (s *server) keyNotes() []note {
	if s.kmc == nil || s.cfg.KMC.pool() == 0 || s.kmc.Ready() > 0 {
		return nil
	}
	return []note{{Code: errPoolEmpty.Code, About: "key pool", ZH: errPoolEmpty.Text.ZH, EN: errPoolEmpty.Text.EN}}
}

var errPoolEmpty = fault.New(fault.Unavailable, "kmc-pool",
	"No encryption pair is ready; pairs are made as they are asked for, which takes longer. Check the device, and raise kmc.pool where it cannot keep up.",
	"密钥池已空，加密密钥改为即时生成，速度较慢。请检查密码设备；若补充跟不上，请调大 kmc.pool。")

// tidyCentre ends what has run out: recoveries, and pairs that dead processes left in the pool.
func (s *server) tidyCentre(ctx context.Context) error {
	if s.kmc == nil {
		return nil
	}
	return s.kmc.Tidy(ctx, false)
}
