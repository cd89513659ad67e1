package api

import (
	"context"
	"encoding/hex"
	"time"

	"github.com/danielgtaylor/huma/v2/negotiation"

	"hufu/audit"
	"hufu/certs"
	"hufu/internal/actor"
)

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

func pems(all []*certs.Certificate) (out []byte) {
	for _, c := range all {
		out = c.AppendPEM(out)
	}
	return out
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
	courseView
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
		course, err := a.CA.Course(ctx, by, in.Serial)
		return &choice{jsonType, chainView{viewCertificate(chain[0]), string(pems(chain[1:])), viewCourse(course, a.Now())}}, err
	default:
		return &choice{pemChain, pems(chain)}, nil
	}
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
