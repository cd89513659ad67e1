package ca

import (
	"crypto"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"time"

	"hufu/certs"
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
	shard  int // of the revocation list that the certificate names
	tbs    []byte
	chain  *certs.Certificate // the issuer's certificate; nil when self-signed
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
		p.shard = a.shardOf(parent, p.serial)
		a.publish(&t, parent.Name, p.shard, d.profile)
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

// publish sets where the certificate's status and its issuer are found.
func (a *Authority) publish(t *certs.Template, issuer string, shard int, p *Profile) {
	t.IssuerURLs = []string{a.BaseURL + "/ca/" + issuer + ".cer"}
	if p.NoStatus {
		return
	}
	t.CRLPoints = []string{a.listURL(issuer, shard)}
	if o := a.profile("ocsp"); o != nil && p.Issuer == o.Issuer { // whoever certifies the responder is whom it answers for (RFC 6960, 4.2.2.2)
		t.OCSPServers = []string{a.BaseURL + "/ocsp"}
	}
}

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
