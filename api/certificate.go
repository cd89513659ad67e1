package api

import (
	"bytes"
	"context"
	"encoding/hex"
	"time"

	"github.com/danielgtaylor/huma/v2/negotiation"

	"hufu/audit"
	"hufu/ca"
	"hufu/certs"
	"hufu/internal/actor"
	"hufu/internal/fault"
)

func (a *API) certificateRoutes() []route {
	return []route{
		{"GET /api/v1/certificates", "the holder, officers", text("列出证书", "List certificates, newest first"), on(a.listCertificates)},
		{"GET /api/v1/certificates/{serial}", anyone + "; of persons and officials the holder, whoever acts for it, officers", text("下载证书及证书链；个人和公务人员的证书仅限持有人和登记人员", "Get a certificate and its chain; of persons and officials for the holder and officers only"), on(a.getCertificate, offers[chainView](pemChain, derCert))},
		{"POST /api/v1/certificates/{serial}/revocation", "the holder, who represents the entity that holds it, approver, business administrator", text("吊销证书", "Revoke a certificate"), on(a.revokeCertificate)},
	}
}

type CertificateView struct {
	Serial    string    `json:"serial" doc:"Hexadecimal"`
	Subject   string    `json:"subject"`
	Issuer    string    `json:"issuer"`
	NotBefore time.Time `json:"not_before"`
	NotAfter  time.Time `json:"not_after"`
	PEM       string    `json:"pem"`
}

func viewCertificate(c *certs.Certificate) CertificateView {
	return CertificateView{
		Serial: hex.EncodeToString(c.Serial), Subject: c.Subject.String(), Issuer: c.Issuer.String(),
		NotBefore: c.NotBefore, NotAfter: c.NotAfter, PEM: string(c.PEM()),
	}
}

func pems(all []*certs.Certificate) []byte {
	var out bytes.Buffer
	for _, c := range all {
		out.Write(c.PEM())
	}
	return out.Bytes()
}

type recordView struct {
	Serial      string          `json:"serial" doc:"Hexadecimal"`
	Profile     string          `json:"profile"`
	Holder      string          `json:"holder"`
	Application string          `json:"application"`
	NotBefore   time.Time       `json:"not_before"`
	NotAfter    time.Time       `json:"not_after"`
	IssuedAt    time.Time       `json:"issued_at"`
	Revocation  *revocationView `json:"revocation,omitempty"`
}

type revocationView struct {
	At           time.Time `json:"at"`
	Reason       string    `json:"reason"`
	InvalidSince time.Time `json:"invalid_since,omitzero"`
}

type certificatesInput struct {
	Paging
	Holder  string `query:"holder" maxLength:"200" doc:"Subject id; yourself, or whom you act for, if left out"`
	Profile string `query:"profile" maxLength:"64"`
}

func (a *API) listCertificates(ctx context.Context, by actor.Actor, in *certificatesInput) (*body[page[recordView]], error) {
	before, err := in.before()
	if err != nil {
		return nil, err
	}
	f := ca.CertificateFilter{Holder: in.Holder, Profile: in.Profile, Before: before, Limit: in.Limit}
	if f.Holder == "" && len(by.Roles) == 0 {
		f.Holder, _ = holderOf(by, "")
	}
	rows, err := a.CA.Certificates(ctx, by, f)
	if err != nil {
		return nil, err
	}
	views := make([]recordView, len(rows))
	for i, row := range rows {
		if views[i], err = a.viewRecord(ctx, row); err != nil {
			return nil, err
		}
	}
	out := pageOf(rows, in.Limit, func(ca.Record) recordView { return recordView{} }, func(r ca.Record) string { return timed(r.IssuedAt) })
	out.Body.Items = views
	return out, nil
}

func (a *API) viewRecord(ctx context.Context, r ca.Record) (recordView, error) {
	v := recordView{
		Serial: hex.EncodeToString(r.Serial), Profile: r.Profile, Holder: r.Holder, Application: r.Application,
		NotBefore: r.NotBefore, NotAfter: r.NotAfter, IssuedAt: r.IssuedAt,
	}
	revoked, ok, err := a.CA.Revoked(ctx, r.Issuer, r.Serial)
	if ok {
		v.Revocation = &revocationView{At: revoked.At, Reason: revoked.Reason.String(), InvalidSince: revoked.Invalid}
	}
	return v, err
}

type SerialInput struct {
	Serial string `path:"serial" pattern:"^([0-9a-fA-F]{2}){1,20}$" doc:"Hexadecimal"`
}

func (in SerialInput) octets() []byte {
	serial, _ := hex.DecodeString(in.Serial) // the pattern has been checked
	return serial
}

// The forms in which a certificate is given.
const (
	pemChain = "application/pem-certificate-chain"
	derCert  = "application/pkix-cert"
	jsonType = "application/json"
)

type chainView struct {
	CertificateView
	Chain string `json:"chain" doc:"The issuers' certificates in PEM, the root last"`
}

func (a *API) getCertificate(ctx context.Context, by actor.Actor, in *SerialInput) (*choice, error) {
	chain, err := a.CA.Chain(ctx, by, in.Serial)
	if err != nil {
		return nil, err
	}
	switch negotiation.SelectQValue(callOf(ctx).r.Header.Get("Accept"), []string{pemChain, derCert, jsonType}) {
	case derCert:
		return &choice{derCert, chain[0].Raw}, nil
	case jsonType:
		return &choice{jsonType, chainView{viewCertificate(chain[0]), string(pems(chain[1:]))}}, nil
	default:
		return &choice{pemChain, pems(chain)}, nil
	}
}

var errReason = fault.New(fault.Invalid, "api.revocation-reason",
	"Give one of the reasons that a certificate can be revoked for, by its name in RFC 5280.", "请按 RFC 5280 的名称给出一个吊销原因。")

type revokeInput struct {
	SerialInput
	Body struct {
		Reason       string    `json:"reason" enum:"unspecified,keyCompromise,affiliationChanged,superseded,cessationOfOperation,privilegeWithdrawn"`
		InvalidSince time.Time `json:"invalid_since,omitzero" doc:"Since when the key is known or suspected to be lost"`
	}
}

func (a *API) revokeCertificate(ctx context.Context, by actor.Actor, in *revokeInput) (*none, error) {
	reason, ok := revocationReason(in.Body.Reason)
	if !ok {
		return nil, errReason
	}
	return nil, a.CA.Revoke(ctx, by, in.octets(), reason, in.Body.InvalidSince)
}

func revocationReason(name string) (certs.Reason, bool) {
	for r := certs.ReasonUnspecified; r <= certs.ReasonAACompromise; r++ {
		if r.String() == name {
			return r, true
		}
	}
	return 0, false
}

type proofsView struct {
	Proofs []string `json:"proofs" doc:"Offline proofs (C2SP tlog-proof), newest entry first"`
}

func (a *API) certificateProof(ctx context.Context, _ actor.Actor, in *SerialInput) (*body[proofsView], error) {
	return a.proofs(ctx, audit.Object{Kind: "certificate", ID: hex.EncodeToString(in.octets())})
}

// proofs returns the proofs of all entries about an object; what no checkpoint covers yet is left out.
func (a *API) proofs(ctx context.Context, o audit.Object) (*body[proofsView], error) {
	proofs, err := a.Audit.Proofs(ctx, o)
	if err != nil {
		return nil, err
	}
	out := &body[proofsView]{proofsView{Proofs: []string{}}}
	for _, p := range proofs {
		out.Body.Proofs = append(out.Body.Proofs, string(p.Text()))
	}
	if len(proofs) == 0 {
		return nil, audit.ErrUnknown.With("no covered entry about %s %s", o.Kind, o.ID)
	}
	return out, nil
}
