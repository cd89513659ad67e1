package ca

import (
	"bytes"
	"encoding/hex"
	"path"
	"strconv"
	"strings"

	"hufu/audit"
	"hufu/certs"
	"hufu/internal/actor"
	"hufu/internal/fault"
	"hufu/internal/gm"
)

// ErrNotIssued tells that what was presented as a certificate that the record has lost is none of ours.
var ErrNotIssued = fault.New(fault.Invalid, "ca.not-issued",
	"This is not a certificate with that serial number that an authority of ours has signed. Check the file; another authority's certificates are revoked there.",
	"所提供的文件不是由本机构签发且序列号相符的证书。请核对文件；其他机构的证书请向其签发机构申请吊销。")

// lostCertificate is a certificate that an authority of ours has signed, as its own signature shows.
type lostCertificate struct {
	*certs.Certificate
	issuer *issuer
}

// signedByUs finds the authority that signed the certificate presented, DER or PEM, and checks its signature.
func (a *Authority) signedByUs(e Ending) (*lostCertificate, error) {
	der := e.Certificate
	if plain, err := certs.DecodePEM(der, "CERTIFICATE"); err == nil {
		der = plain
	}
	c, err := certs.Parse(der)
	if err != nil {
		return nil, ErrNotIssued.With("%w", err)
	}
	if !bytes.Equal(c.Serial, e.Serial) {
		return nil, ErrNotIssued.With("certificate %x for serial %x", c.Serial, e.Serial)
	}
	names, _ := a.Issuers()
	for _, name := range names {
		i := a.issuer(name)
		if c.Issuer.Equal(i.cert.Subject) && c.CheckSignature(i.cert) == nil && !certs.SameKey(c.PublicKey, i.cert.PublicKey) {
			return &lostCertificate{c, i}, nil
		}
	}
	return nil, ErrNotIssued.With("certificate %x of %s", c.Serial, c.Issuer)
}

// adopt takes a certificate into the record that has lost it, as an older copy of the database has that was put back or took
// over. It becomes nobody's: whose it was is not to be had from the certificate alone. Officers may, and only to revoke it
// in the same transaction.
func (a *Authority) adopt(w W, by actor.Actor, c *lostCertificate) (Record, error) {
	if err := by.Require(enders...); err != nil {
		return Record{}, ErrUnknown.With("%s may not revoke what is not in the record: %w", by, err)
	}
	spki, hash, now := gm.SM3(c.RawSPKI), gm.SM3(c.RawTBS), a.Now()
	r := Record{
		Serial: c.Serial, Issuer: c.issuer.Name, SPKI: spki[:], NotBefore: c.NotBefore, NotAfter: c.NotAfter,
		DER: c.Raw, Shard: a.shardNamed(c), IssuedAt: c.NotBefore,
	}
	if err := w.Reserve(Reservation{Serial: r.Serial, Issuer: r.Issuer, TBS: c.RawTBS, TBSHash: hash[:], Shard: r.Shard, At: now}); err != nil {
		return Record{}, err
	}
	if err := w.AddCertificate(r); err != nil {
		return Record{}, err
	}
	fingerprint := c.Fingerprint()
	return r, w.Record(audit.Entry{
		At: now, Actor: by, Action: "certificate.adopt", Object: audit.Object{Kind: "certificate", ID: hex.EncodeToString(r.Serial)},
		Public: map[string]string{"issuer": r.Issuer, "certificate_sm3": hex.EncodeToString(fingerprint[:])},
	})
}

// shardNamed is the shard whose list the certificate names: there is where others look for it.
func (a *Authority) shardNamed(c *lostCertificate) int {
	for _, url := range c.CRLPoints {
		name, isList := strings.CutSuffix(path.Base(url), ".crl")
		if shard, err := strconv.Atoi(name); isList && err == nil && shard >= 0 && shard < maxShards {
			return shard
		}
	}
	return a.shardOf(c.issuer, c.Serial)
}
