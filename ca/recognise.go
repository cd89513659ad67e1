package ca

import (
	"bytes"
	"context"
	"encoding/hex"
	"slices"
	"time"

	"hufu/certs"
	"hufu/certs/bundle"
	"hufu/internal/actor"
	"hufu/internal/fault"
)

// The refusals of certificates of others.
var (
	ErrNotTrusted = fault.New(fault.Denied, "ca.not-trusted",
		"The certificate is not accepted here for this purpose. Use one of an authority that the trust list names for it.",
		"该证书在此不被接受用于此用途。请使用信任清单中列明可用于此用途的机构所签发的证书。")
	ErrStatusUnknown = fault.New(fault.Unavailable, "ca.status-unknown",
		"Whether the certificate still counts is not known now. Try again later.", "目前无法确认该证书是否有效，请稍后再试。")
	ErrNoIdentity = fault.New(fault.Denied, "ca.no-identity",
		"The certificate does not tell in a way known here whose it is. Use another one, or log in by another way.",
		"无法从该证书中读出持有人身份。请更换证书或使用其他方式登录。")
)

// Anchors are what certificates are validated against for some purposes: our authorities, and those of others in the trust
// list that is in force.
type Anchors struct {
	certs.Options // Roots, Intermediates, Terms and At; a caller adds Purpose and Revocation
	entries       []anchor
	lists         []*certs.CRL
}

type anchor struct {
	cert  *certs.Certificate
	entry *bundle.TrustEntry // nil: ours
	name  string             // of our issuer
}

// Anchors gathers them at a time. A trust list that has ended adds nobody.
func (a *Authority) Anchors(ctx context.Context, at time.Time, purposes ...bundle.Purpose) (*Anchors, error) {
	out := &Anchors{Options: certs.Options{At: at, TimeProven: true}}
	names, chain := a.Issuers()
	for _, name := range names {
		i := a.issuer(name)
		out.add(chain[name], i.Parent == name, bundle.Terms{}.For(chain[name], at), anchor{cert: chain[name], name: name})
		out.Terms[len(out.Terms)-1].Listed = true
	}
	for _, s := range a.superiors() {
		terms := bundle.Terms{Purposes: ownPurposes(), OnlyListed: true}
		out.add(s.cert, s.Root, terms.For(s.cert, at, purposes...), anchor{cert: s.cert})
	}
	list, _, err := a.current(ctx)
	if err != nil {
		return nil, err
	}
	if list.Sequence > 0 && list.CheckTime(a.Now()) == nil {
		for i := range list.Entries {
			out.addEntry(&list.Entries[i], at, purposes)
		}
	}
	crossed, err := a.crossCertificates(ctx)
	if err != nil {
		return nil, err
	}
	out.Intermediates = append(out.Intermediates, crossed...)
	out.lists, err = a.foreignLists(ctx)
	return out, err
}

func (x *Anchors) add(c *certs.Certificate, root bool, terms certs.Terms, who anchor) {
	if root {
		x.Roots = append(x.Roots, c)
	} else {
		x.Intermediates = append(x.Intermediates, c)
	}
	x.Terms, x.entries = append(x.Terms, terms), append(x.entries, who)
}

// addEntry adds a listed CA. Its terms always count; its certificates are there for one of the purposes only.
func (x *Anchors) addEntry(e *bundle.TrustEntry, at time.Time, purposes []bundle.Purpose) {
	wanted := slices.ContainsFunc(purposes, func(p bundle.Purpose) bool { return slices.Contains(e.Purposes, p) })
	for _, c := range e.Certificates {
		cert, err := certs.ParseLenient(c.DER)
		if err != nil {
			continue // the list was checked when it was made
		}
		terms := e.For(cert, at, purposes...)
		if !wanted {
			x.Terms = append(x.Terms, terms)
			continue
		}
		x.add(cert, c.Root, terms, anchor{cert: cert, entry: e})
	}
}

// entry returns whose certificate stands nearest above the leaf; ok is false where nobody's does.
func (x *Anchors) entry(path []*certs.Certificate) (anchor, bool) {
	for _, c := range path[1:] {
		for _, e := range x.entries {
			if bytes.Equal(e.cert.RawSPKI, c.RawSPKI) && e.cert.Subject.Equal(c.Subject) {
				return e, true
			}
		}
	}
	return anchor{}, false
}

// Recognised is whose certificate it is.
type Recognised struct {
	Entry        string     // of the trust list; "": our own
	EntryName    string     //
	Kind         HolderKind // person, entity or official; "" where the certificate does not tell
	Holder       string     // subject id, for our own certificates alone
	Name         string     // common name, for showing
	Person       string     // number of the person, where told
	PersonKind   certs.IdentityKind
	Organisation string      // number of the organisation, where told
	Level        actor.Level // assurance of the identity; 0: not told (for our own: the registry tells)
	Policies     []certs.OID // ours, as the list maps them
	Serial       string
	Validation   *certs.Validation
}

// usages are what the key of a certificate must be allowed to do, by what the certificate is to serve.
var usages = map[bundle.Purpose]certs.Purpose{
	bundle.Login: {Name: "log-in", KeyUsage: certs.UsageDigitalSignature, ExtKeyUsage: certs.OIDClientAuth},
	bundle.Encryption: {
		Name: "encryption", KeyUsage: certs.UsageKeyEncipherment | certs.UsageDataEncipherment | certs.UsageKeyAgreement,
	},
	bundle.TimeStamp: certs.PurposeTimeStamp,
}

// kindPurposes are the purposes of the trust list by kind of holder.
var kindPurposes = map[HolderKind]bundle.Purpose{HolderPerson: bundle.Person, HolderEntity: bundle.Organisation, HolderOfficial: bundle.Official}

// Recognise validates a certificate, ours or one of a listed CA, for a purpose at a time, and tells whose it is by the identity
// map of its CA. chain begins with the certificate; what follows may help to find a path and is not trusted. For the log-in a
// number must be told, and the CA must be listed for log-in and for that kind of holder. The caller has proven
// possession of the key, and at is its own clock's time. ErrNotTrusted, ErrStatusUnknown and ErrNoIdentity come with the report
// in Validation.
func (a *Authority) Recognise(ctx context.Context, chain []*certs.Certificate, purpose bundle.Purpose, at time.Time) (Recognised, error) {
	if len(chain) == 0 || len(chain) > 16 {
		return Recognised{}, ErrNotTrusted.With("%d certificates", len(chain))
	}
	anchors, err := a.Anchors(ctx, at, purpose)
	if err != nil {
		return Recognised{}, err
	}
	leaf, o := chain[0], anchors.Options
	usage, ok := usages[purpose]
	if !ok {
		usage = certs.PurposeSeal
	}
	o.Purpose, o.Intermediates, o.Revocation = usage, append(o.Intermediates, chain[1:]...), a.revocation(ctx, anchors, at)
	v := certs.Validate(leaf, o)
	out := Recognised{Name: leaf.Subject.CommonName(), Serial: leaf.SerialHex(), Policies: v.Policies, Validation: v}
	if err := trusted(v); err != nil {
		return out, err
	}
	who, ok := anchors.entry(v.Path)
	if !ok {
		return out, ErrNotTrusted.With("%s is itself an anchor, or no known CA stands above it", leaf.Subject)
	}
	if who.entry == nil {
		return a.recogniseOwn(ctx, out, leaf, purpose)
	}
	return out.foreign(leaf, who.entry, purpose)
}

// trusted makes a refusal of a report that is not PASSED.
func trusted(v *certs.Validation) error {
	if v.Outcome == certs.Passed {
		return nil
	}
	for _, s := range v.Steps {
		if s.Outcome == certs.Failed || s.Outcome == certs.Indeterminate && s.Name != certs.StepRevocation {
			return ErrNotTrusted.With("%s: %s (%s)", s.Name, s.Code, s.Evidence)
		}
	}
	s := v.Step(certs.StepRevocation)
	return ErrStatusUnknown.With("%s (%s)", s.Code, s.Evidence)
}

// foreign reads who it is by the map of the listed CA.
func (r Recognised) foreign(leaf *certs.Certificate, e *bundle.TrustEntry, purpose bundle.Purpose) (Recognised, error) {
	r.Entry, r.EntryName, r.Level = e.ID, e.Name, actor.Level(e.Level)
	for _, id := range bundle.Identities(leaf, e.Identity) {
		if id.Field == bundle.FieldPerson {
			r.Person, r.PersonKind = id.Number, id.Kind
		} else {
			r.Organisation = id.Number
		}
	}
	switch {
	case r.Person != "" && r.Organisation != "":
		r.Kind = HolderOfficial
	case r.Person != "":
		r.Kind = HolderPerson
	case r.Organisation != "":
		r.Kind = HolderEntity
	}
	if purpose != bundle.Login {
		return r, nil
	}
	if r.Kind == "" {
		return r, ErrNoIdentity.With("%s of entry %q", leaf.Subject, e.ID)
	}
	if !slices.Contains(e.Purposes, kindPurposes[r.Kind]) {
		return r, ErrNotTrusted.With("entry %q is not listed for holders of kind %q", e.ID, r.Kind)
	}
	return r, nil
}

// recogniseOwn finds the holder in our own record: what stands there, not the certificate, says whose it is.
func (a *Authority) recogniseOwn(ctx context.Context, out Recognised, leaf *certs.Certificate, purpose bundle.Purpose) (Recognised, error) {
	var record Record
	err := a.Store.View(ctx, func(r R) (err error) {
		record, err = r.CertificateBySerial(leaf.Serial)
		return err
	})
	if isUnknown(err) || err == nil && !bytes.Equal(record.DER, leaf.Raw) {
		return out, ErrNotTrusted.With("certificate %s is not in our record", leaf.SerialHex())
	}
	if err != nil {
		return out, err
	}
	kind := a.profiles.Load().kinds[record.Profile] // whether anything is issued under it now or not
	if kindPurposes[kind] == "" {
		return out, ErrNotTrusted.With("certificate %s of profile %q is nobody's", leaf.SerialHex(), record.Profile)
	}
	if purpose == bundle.Login && !slices.Contains(leaf.ExtKeyUsage, certs.OIDClientAuth) {
		return out, ErrNotTrusted.With("certificates of profile %q are not made for log-in", record.Profile)
	}
	out.Kind, out.Holder = kind, record.Holder
	return out, nil
}

// revocation answers from our own record for what we issued, and from the lists that are kept for what others did.
func (a *Authority) revocation(ctx context.Context, x *Anchors, at time.Time) certs.Revocation {
	fromLists := certs.RevocationFromCRLs(x.lists, at)
	return func(c, issuer *certs.Certificate) certs.RevocationStatus {
		for _, e := range x.entries {
			if e.name == "" || !bytes.Equal(e.cert.RawSPKI, issuer.RawSPKI) || !e.cert.Subject.Equal(issuer.Subject) {
				continue
			}
			v, revoked, err := a.Revoked(ctx, e.name, c.Serial)
			switch {
			case err != nil:
				return certs.RevocationStatus{Code: "revocation.unknown", Evidence: err.Error()}
			case revoked:
				return certs.RevocationStatus{
					State: certs.RevocationRevoked, Evidence: "our record", Produced: a.Now(), RevokedAt: v.At, InvalidSince: v.Invalid, Reason: v.Reason,
				}
			}
			return certs.RevocationStatus{State: certs.RevocationGood, Evidence: "our record", Produced: a.Now()}
		}
		return fromLists(c, issuer)
	}
}

// CheckRecipient tells whether data may be encrypted to a certificate, ours or one of a listed CA: one of an encryption key,
// in force at the time, whose CA is trusted for that.
func (a *Authority) CheckRecipient(ctx context.Context, chain []*certs.Certificate, at time.Time) (Recognised, error) {
	return a.Recognise(ctx, chain, bundle.Encryption, at)
}

// fingerprint is the SM3 of a certificate, hexadecimal.
func fingerprint(c *certs.Certificate) string {
	sum := c.Fingerprint()
	return hex.EncodeToString(sum[:])
}
