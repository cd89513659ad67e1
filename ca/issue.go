package ca

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"hufu/audit"
	"hufu/certs"
	"hufu/internal/actor"
	"hufu/internal/gm"
)

// serialSize is the size of our serial numbers in octets: instance (1, 01–7F, so always positive) | week since 1970 (2) |
// random (13). The week gives the index locality, the instance makes nodes unable to collide, 104 random bits do the rest.
const serialSize = 16

func newSerial(instance byte, now time.Time) []byte {
	s := make([]byte, serialSize)
	rand.Read(s[3:]) // never fails since Go 1.24
	s[0] = instance
	binary.BigEndian.PutUint16(s[1:], uint16(now.Unix()/(7*24*3600)))
	return s
}

// draft is what one certificate is to be made from.
type draft struct {
	profile     *Profile
	public      crypto.PublicKey
	holder      Holder
	fields      map[string]string
	application string
}

// prepared holds bytes that passed the profile and the lints. Only prepare makes one.
type prepared struct {
	draft
	issuer string
	serial []byte
	tbs    []byte
	chain  *certs.Certificate // the issuer's certificate; nil when self-signed
}

// reserved is a prepared certificate whose serial and bytes are stored. Only reserve makes one; it signs once.
type reserved struct {
	prepared
	spent atomic.Bool
}

// signed is a certificate whose signature was verified and whose bytes were compared. Only sign makes one.
type signed struct {
	*reserved
	der  []byte
	cert *certs.Certificate
}

// prepare applies the profile and builds and lints the bytes to be signed. parent is nil for a self-signed certificate.
func (a *Authority) prepare(d draft, parent *issuer) (*prepared, error) {
	facts := map[string]string{
		"name": d.holder.Name, "number": d.holder.Number, "post": d.holder.Post,
		"organization": d.holder.Organization, "organization_number": d.holder.OrganizationNumber,
	}
	for k, v := range d.fields {
		facts[k] = v
	}
	subject, err := d.profile.name(facts)
	if err != nil {
		return nil, err
	}
	now := a.Now().UTC()
	p := &prepared{draft: d, issuer: d.profile.Issuer, serial: newSerial(a.Instance, now)}
	t := certs.Template{Serial: p.serial, Subject: subject, PublicKey: d.public, KeyUsage: d.profile.usage(), OCSPNoCheck: d.profile.NoStatus}
	if parent != nil {
		p.issuer, p.chain = parent.Name, parent.cert
		t.Issuer, t.AuthorityKeyID = parent.cert.Subject, parent.cert.SubjectKeyID
		t.NotBefore, t.NotAfter = d.profile.validity(now, parent.cert)
		a.publish(&t, parent.Name, p.serial, d.profile)
	} else {
		t.Issuer = subject
		t.NotBefore, t.NotAfter = d.profile.validity(now, nil)
	}
	if d.profile.isCA() {
		t.IsCA, t.MaxPathLen = true, *d.profile.PathLen
	}
	if t.ExtKeyUsage, err = d.profile.extended(); err != nil {
		return nil, err
	}
	t.ExtKeyUsageCritical = d.profile.Critical
	for _, id := range d.profile.Policies {
		t.Policies = append(t.Policies, certs.Policy{ID: certs.OID(id)})
	}
	identify(&t, d)
	issuerKey := d.public
	if parent != nil {
		issuerKey = parent.cert.PublicKey
	}
	if t.SignatureAlgorithm, err = certs.SigningAlgorithm(issuerKey); err != nil {
		return nil, err
	}
	if p.tbs, err = certs.BuildTBS(t); err != nil {
		return nil, fmt.Errorf("profile %q: %w", d.profile.Name, err)
	}
	return p, lint(p)
}

// publish sets where the certificate's status and its issuer are found. The shard comes from the serial.
func (a *Authority) publish(t *certs.Template, issuer string, serial []byte, p *Profile) {
	t.IssuerURLs = []string{a.BaseURL + "/ca/" + issuer + ".cer"}
	if p.NoStatus {
		return
	}
	t.CRLPoints = []string{a.listURL(issuer, shardOf(serial))}
	if o := a.Profiles["ocsp"]; o != nil && p.Issuer == o.Issuer { // whoever certifies the responder is whom it answers for (RFC 6960, 4.2.2.2)
		t.OCSPServers = []string{a.BaseURL + "/ocsp"}
	}
}

func (a *Authority) listURL(issuer string, shard int) string {
	if shard == FullShard {
		return a.BaseURL + "/crl/" + issuer + "/full.crl"
	}
	return a.BaseURL + "/crl/" + issuer + "/" + strconv.Itoa(shard) + ".crl"
}

// shards is into how many lists the certificates of an issuer are divided. The number may grow: each certificate keeps
// the shard it was issued with.
const shards = 1

func shardOf(serial []byte) int { return int(serial[len(serial)-1]) % shards }

// identify puts the holder's number into the identity extension of GB/T 20518, where the profile wants it in clear.
func identify(t *certs.Template, d draft) {
	switch {
	case d.profile.Identity == "person" && d.holder.Number != "":
		t.Identity = map[certs.OID]certs.IdentityNumber{
			certs.OIDIdentityPerson: {Kind: certs.IdentityResident, Value: d.holder.Number},
		}
	case d.profile.Identity == "organization":
		number := d.holder.Number
		if d.holder.Kind == HolderOfficial {
			number = d.holder.OrganizationNumber
		}
		if number != "" {
			t.Identity = map[certs.OID]certs.IdentityNumber{
				certs.OIDIdentityOrganization: {Kind: certs.IdentityOrganization, Value: number},
			}
		}
	}
}

// lint looks at the bytes that will be signed, as a relying party will: RFC 5280 and GB/T 20518 rules that the builder's
// strict read-back does not know.
func lint(p *prepared) error {
	c, err := certs.ParseTBS(p.tbs)
	if err != nil {
		return fmt.Errorf("lint: %w", err)
	}
	var wrong string
	switch {
	case !bytes.Equal(c.Serial, p.serial) || len(c.Serial) != serialSize:
		wrong = "serial number is not the reserved one"
	case c.Subject.Empty():
		wrong = "subject is empty"
	case !c.NotAfter.After(c.NotBefore):
		wrong = "validity ends before it begins"
	case c.HasBasicConstraints != p.profile.isCA():
		wrong = "basic constraints belong into CA certificates only"
	case c.IsCA && c.Has(certs.UsageDigitalSignature):
		wrong = "a CA key signs certificates and lists, nothing else"
	case c.Has(certs.UsageDigitalSignature) && (c.Has(certs.UsageKeyEncipherment) || c.Has(certs.UsageDataEncipherment)) && gm.IsSM2(c.PublicKey):
		wrong = "an SM2 key either signs or encrypts"
	case p.chain != nil && (c.NotAfter.After(p.chain.NotAfter) || c.NotBefore.Before(p.chain.NotBefore)):
		wrong = "validity is not within the issuer's"
	case p.chain != nil && !bytes.Equal(c.RawIssuer, p.chain.RawSubject):
		wrong = "issuer is not the subject of the issuing certificate"
	case !certs.SameKey(c.PublicKey, p.public):
		wrong = "public key is not the requested one"
	case len(c.UnknownCritical) > 0:
		wrong = "unknown critical extension"
	}
	if wrong != "" {
		return fmt.Errorf("profile %q: lint: %s", p.profile.Name, wrong)
	}
	return nil
}

// reserve stores what will be signed, before it is signed (commit 1).
func (a *Authority) reserve(ctx context.Context, by actor.Actor, all []*prepared, application string) ([]*reserved, error) {
	now := a.Now()
	err := a.Store.Update(ctx, func(w W) error {
		for _, p := range all {
			if err := claimKey(w, p); err != nil {
				return err
			}
			hash := gm.SM3(p.tbs)
			if err := w.Reserve(Reservation{
				Serial: p.serial, Issuer: p.issuer, Application: application, Profile: p.profile.Name,
				TBS: p.tbs, TBSHash: hash[:], At: now,
			}); err != nil {
				return err
			}
			if err := w.Record(audit.Entry{
				At: now, Actor: by, Action: "certificate.reserve", Object: audit.Object{Kind: "certificate", ID: hex.EncodeToString(p.serial)},
				Public: map[string]string{"issuer": p.issuer, "profile": p.profile.Name, "tbs_sm3": hex.EncodeToString(hash[:])},
			}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reserve serial: %w", err)
	}
	out := make([]*reserved, len(all))
	for i, p := range all {
		out[i] = &reserved{prepared: *p}
	}
	return out, nil
}

// claimKey binds the key to the holder and the profile's use, in the transaction that reserves the serial.
func claimKey(w W, p *prepared) error {
	spki, err := certs.MarshalPublicKey(p.public)
	if err != nil {
		return err
	}
	hash := gm.SM3(spki)
	free, err := w.ClaimKey(hash[:], KeyOwner{Holder: p.holder.ID, Use: p.profile.use()})
	if err == nil && !free {
		err = ErrKeyUsed.With("key %x for holder %s as %s", hash, p.holder.ID, p.profile.use())
	}
	return err
}

var errSpent = errors.New("a reservation is signed at most once")

// sign signs the reserved bytes, once, verifies the signature with the issuer's certificate and compares what came out
// with what was reserved.
func (r *reserved) sign(key crypto.Signer) (*signed, error) {
	if r.spent.Swap(true) {
		return nil, errSpent
	}
	if r.chain != nil && !certs.SameKey(key.Public(), r.chain.PublicKey) {
		return nil, ErrIssuer.With("the key of %q is not the one in its certificate", r.issuer)
	}
	_, sig, err := certs.Sign(key, r.tbs)
	if err != nil {
		return nil, ErrIssuer.With("sign certificate: %w", err)
	}
	der, err := certs.Assemble(r.tbs, sig)
	if err != nil {
		return nil, err
	}
	cert, err := certs.Parse(der)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(cert.RawTBS, r.tbs) {
		return nil, errors.New("the certificate is not what was reserved")
	}
	if err := cert.CheckSignatureKey(key.Public()); err != nil {
		return nil, err
	}
	return &signed{r, der, cert}, nil
}

// finish stores a signed certificate in the caller's transaction (commit 2).
func (a *Authority) finish(w W, by actor.Actor, s *signed) error {
	done, err := w.FinishReservation(s.issuer, s.serial)
	if err != nil {
		return err
	}
	if !done {
		return ErrState.With("reservation %x was voided meanwhile", s.serial)
	}
	spki := gm.SM3(s.cert.RawSPKI)
	now := a.Now()
	if err := w.AddCertificate(Record{
		Serial: s.serial, Issuer: s.issuer, Application: s.application, Profile: s.profile.Name, Holder: s.holder.ID, SPKI: spki[:],
		NotBefore: s.cert.NotBefore, NotAfter: s.cert.NotAfter, DER: s.der, Shard: shardOf(s.serial), IssuedAt: now,
	}); err != nil {
		return err
	}
	fingerprint := s.cert.Fingerprint()
	return w.Record(audit.Entry{
		At: now, Actor: by, Action: "certificate.issue", Object: audit.Object{Kind: "certificate", ID: hex.EncodeToString(s.serial)},
		Public: map[string]string{"issuer": s.issuer, "profile": s.profile.Name, "application": s.application, "certificate_sm3": hex.EncodeToString(fingerprint[:])},
	})
}

// Issue makes the certificates of an approved application: the holder's, and the encryption certificate where the profile
// has a pair, both in one commit. Asked again for an issued application it returns the same certificates. Whoever may
// look at the application may ask.
func (a *Authority) Issue(ctx context.Context, by actor.Actor, id string) (Application, error) {
	return a.issueUnder(ctx, by, id, "")
}

// issueUnder issues under a given authority, "" for the youngest that the profile names.
func (a *Authority) issueUnder(ctx context.Context, by actor.Actor, id, authority string) (Application, error) {
	app, err := a.Application(ctx, by, id)
	if err != nil || app.State == Issued {
		return app, err
	}
	if app.State != Approved {
		return app, ErrState.With("application %s is %s", id, app.State)
	}
	drafts, envelope, err := a.drafts(ctx, by, app)
	if err != nil {
		return app, fmt.Errorf("issue application %s: %w", id, err)
	}
	parent, _ := a.newestIssuer(drafts[0].profile.Issuer)
	if authority != "" {
		parent = a.issuer(authority)
	}
	if parent == nil {
		return app, ErrIssuer.With("issuer %q does not exist", drafts[0].profile.Issuer)
	}
	key, err := a.key(ctx, parent)
	if err != nil {
		return app, err
	}
	var ready []*prepared
	for _, d := range drafts {
		p, err := a.prepare(d, parent)
		if err != nil {
			return app, fmt.Errorf("issue application %s: %w", id, err)
		}
		ready = append(ready, p)
	}
	held, err := a.reserve(ctx, by, ready, id)
	if err != nil {
		return app, err
	}
	certificates := make([]*signed, len(held))
	for i, r := range held {
		if certificates[i], err = r.sign(key); err != nil {
			return app, fmt.Errorf("issue application %s: %w", id, err)
		}
	}
	err = a.Store.Update(ctx, func(w W) error {
		var serials []string
		for _, s := range certificates {
			if err := a.finish(w, by, s); err != nil {
				return err
			}
			serials = append(serials, hex.EncodeToString(s.serial))
		}
		done, err := w.SetIssued(id, serials, envelope)
		if err == nil && !done {
			err = ErrState.With("application %s was issued by another call meanwhile", id)
		}
		app.State, app.Certificates, app.Envelope = Issued, serials, envelope
		return err
	})
	if err != nil {
		return Application{}, fmt.Errorf("issue application %s: %w", id, err)
	}
	return app, nil
}

// drafts turns an application into what is to be certified. The registry is asked again: what counts is what it says now.
func (a *Authority) drafts(ctx context.Context, by actor.Actor, app Application) ([]draft, []byte, error) {
	p := a.Profiles[app.Profile]
	if p == nil {
		return nil, nil, ErrProfile.With("profile %q is gone", app.Profile)
	}
	request, err := certs.ParseRequest(app.Request)
	if err != nil {
		return nil, nil, ErrRequest.With("%w", err)
	}
	holder, err := a.holder(ctx, p, app)
	if err != nil {
		return nil, nil, err
	}
	out := []draft{{p, request.PublicKey, holder, app.Facts, app.ID}}
	if p.Pair == "" {
		return out, nil, nil
	}
	signing, ok := request.PublicKey.(*ecdsa.PublicKey)
	if !ok || !gm.IsSM2(signing) {
		return nil, nil, ErrKeyKind.With("an encryption pair needs an SM2 signing key")
	}
	public, envelope, err := a.Encryption.Provide(ctx, by, app.ID, signing)
	if err != nil {
		return nil, nil, fmt.Errorf("encryption key: %w", err)
	}
	if certs.SameKey(public, signing) {
		return nil, nil, ErrKeyUsed.With("the encryption key is the signing key")
	}
	return append(out, draft{a.Profiles[p.Pair], public, holder, app.Facts, app.ID}), envelope, nil
}

func (a *Authority) holder(ctx context.Context, p *Profile, app Application) (Holder, error) {
	if p.Holder == HolderService {
		return Holder{ID: app.Holder, Kind: HolderService, Name: app.Facts["name"]}, nil
	}
	h, err := a.Registry.Holder(ctx, app.Holder, app.Organization)
	if err != nil {
		return h, fmt.Errorf("holder %s: %w", app.Holder, err)
	}
	if h.Kind != p.Holder {
		return h, ErrFacts.With("profile %q is for holders of kind %s, this one is %s", p.Name, p.Holder, h.Kind)
	}
	return h, nil
}
