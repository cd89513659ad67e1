package ca

import (
	"crypto"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"time"

	"hufu/certs"
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
	asked       *certs.Request // what the applicant asked for; nil for authorities of ours
}

// draftOf is what an application's own certificate is to be made from.
func draftOf(p *Profile, request *certs.Request, holder Holder, app Application) draft {
	return draft{p, request.PublicKey, holder, app.Facts, app.ID, request}
}

// prepared holds bytes that passed the profile and the lints. Only prepare makes one.
type prepared struct {
	draft
	issuer string
	serial []byte
	shard  int // of the revocation list that the certificate names
	tbs    []byte
	key    [32]byte           // SM3 of the SubjectPublicKeyInfo
	chain  *certs.Certificate // the issuer's certificate; nil when self-signed
}

// prepare applies the profile and builds and lints the bytes to be signed. parent is nil for a self-signed certificate.
func (a *Authority) prepare(d draft, parent *issuer) (*prepared, error) {
	p := &prepared{draft: d, issuer: d.profile.Issuer, serial: newSerial(a.Instance, a.Now())}
	t, err := a.template(p, parent)
	if err != nil {
		return nil, err
	}
	tbs, read, err := certs.Build(t)
	if err != nil {
		return nil, fmt.Errorf("profile %q: %w", d.profile.Name, err)
	}
	p.tbs, p.key = tbs, gm.SM3(read.RawSPKI)
	if err := d.profile.checkRequested(d.asked, read); err != nil {
		return nil, err
	}
	return p, lint(&linted{prepared: p, cert: read, now: a.Now()})
}

// template applies the profile. It sets the issuer of p.
func (a *Authority) template(p *prepared, parent *issuer) (t certs.Template, err error) {
	profile, facts := p.profile, p.facts()
	t = certs.Template{
		Serial: p.serial, PublicKey: p.public, KeyUsage: profile.made.usage, OCSPNoCheck: profile.NoStatus,
		ExtKeyUsage: profile.made.extended, ExtKeyUsageCritical: profile.Critical, Policies: profile.made.policies,
	}
	if t.Subject, err = profile.subject(facts, p.asked); err != nil {
		return t, err
	}
	if t.AltNames, err = profile.altNames(facts, p.asked); err != nil {
		return t, err
	}
	issuerKey := p.public
	t.Issuer = t.Subject
	if parent != nil {
		p.issuer, p.chain, issuerKey = parent.Name, parent.cert, parent.cert.PublicKey
		t.Issuer, t.AuthorityKeyID = parent.cert.Subject, parent.cert.SubjectKeyID
		p.shard = a.shardOf(parent, p.serial)
		a.publish(&t, parent.Name, p.shard, profile)
	}
	if t.NotBefore, t.NotAfter, err = profile.validity(a.Now(), facts, p.chain); err != nil {
		return t, err
	}
	if profile.isCA() {
		t.IsCA, t.MaxPathLen = true, *profile.PathLen
		profile.limit(&t)
	}
	if err := a.identify(&t, profile, facts); err != nil {
		return t, err
	}
	if err := profile.extend(&t, facts); err != nil {
		return t, err
	}
	t.SignatureAlgorithm, err = certs.SigningAlgorithm(issuerKey)
	return t, err
}

// publish sets where the certificate's status and its issuer are found.
func (a *Authority) publish(t *certs.Template, issuer string, shard int, p *Profile) {
	if p.AIA != wordNone && p.AIA != "ocsp" {
		t.IssuerURLs = []string{a.BaseURL + "/ca/" + issuer + ".cer"}
		if a.hasCross(issuer) {
			t.IssuerURLs = append(t.IssuerURLs, a.BaseURL+"/ca/"+issuer+".p7c")
		}
	}
	if p.NoStatus {
		return
	}
	if p.CDP != wordNone {
		t.CRLPoints = []string{a.listURL(issuer, shard)}
		if p.Delta {
			t.FreshestCRL = []string{a.deltaURL(issuer, shard)}
		}
	}
	answered := p.AIA != wordNone && p.AIA != "issuer"
	if o := a.profile("ocsp"); answered && o != nil && p.Issuer == o.Issuer { // whoever certifies the responder is whom it answers for (RFC 6960, 4.2.2.2)
		t.OCSPServers = []string{a.BaseURL + "/ocsp"}
	}
}
