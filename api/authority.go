package api

import (
	"context"
	"encoding/pem"
	"slices"
	"time"

	"hufu/ca"
	"hufu/certs"
	"hufu/certs/bundle"
	"hufu/internal/actor"
)

func (a *API) authorityRoutes() []route {
	const supers, admins = "super administrator", "business administrator, super administrator, audit administrator"
	const either, checkers = "business administrator, super administrator", "business administrator, super administrator, approver; not the maker"
	return []route{
		{"GET /api/v1/authorities", anyone, text("列出本系统的 CA", "List our authorities"), on(a.listAuthorities)},
		{"GET /api/v1/authorities/requests", admins, text("列出向上级 CA 提出的申请", "List requests to superiors, newest first"), on(a.listRequests)},
		{"POST /api/v1/authorities/requests", supers, text("生成密钥并向上级 CA 提出申请（PKCS#10）", "Make a key and a request for a certificate by a superior; repeated, it returns the same"), on(a.requestAuthority, created, costs(5))},
		{"POST /api/v1/authorities/answers", supers, text("导入上级 CA 签发的证书，待另一管理员确认", "Propose the certificate that a superior issued; another must confirm"), on(a.installAuthority)},
		{"POST /api/v1/authorities/requests/{id}/confirm", "super administrator, not who proposed it", text("确认上级 CA 签发的证书并启用", "Put the certificate of a superior in force"), on(a.confirmAuthority)},
		{"DELETE /api/v1/authorities/requests/{id}", supers, text("撤回申请", "Give a request up"), on(a.withdrawRequest)},
		{"GET /api/v1/cross-certificates", admins, text("列出交叉证书", "List cross certificates both ways, newest first"), on(a.listCross)},
		{"POST /api/v1/cross-certificates", either, text("提出为其他 CA 签发交叉证书", "Propose to certify another authority's key"), on(a.proposeCross, created)},
		{"POST /api/v1/cross-certificates/accept", either, text("提出公布其他 CA 为本系统签发的交叉证书", "Propose to publish a cross certificate that another issued for us"), on(a.acceptCross, created)},
		{"POST /api/v1/cross-certificates/{id}/decision", checkers, text("审核交叉证书", "Agree or reject; two must agree to one of ours, one to another's"), on(a.decideCross)},
		{"POST /api/v1/cross-certificates/{id}/issue", either, text("签发已审核的交叉证书", "Sign an approved cross certificate"), on(a.issueCross, costs(5))},
		{"DELETE /api/v1/cross-certificates/{id}", either, text("撤回或停止公布交叉证书", "Withdraw a proposal, or publish no longer"), on(a.withdrawCross)},
	}
}

type authorityView struct {
	Name        string    `json:"name"`
	Subject     string    `json:"subject"`
	Issuer      string    `json:"issuer"`
	NotBefore   time.Time `json:"not_before"`
	NotAfter    time.Time `json:"not_after"`
	SM3         string    `json:"sm3" doc:"Of the certificate, hexadecimal"`
	Offline     bool      `json:"offline,omitempty" doc:"Custodians have the key"`
	Subordinate bool      `json:"subordinate,omitempty" doc:"Another's authority certified it"`
	Certificate string    `json:"certificate" doc:"PEM"`
}

func (a *API) listAuthorities(context.Context, actor.Actor, *struct{}) (*body[page[authorityView]], error) {
	names, chain := a.CA.Issuers()
	offline, under := a.CA.Offline(), a.CA.Subordinated()
	return pageOf(names, 0, func(name string) authorityView {
		c := chain[name]
		return authorityView{
			name, c.Subject.String(), c.Issuer.String(), c.NotBefore, c.NotAfter, hexOf(c.Fingerprint()), slices.Contains(offline, name),
			slices.Contains(under, name), string(c.PEM()),
		}
	}, nil), nil
}

type requestView struct {
	MotionView
	Profile     string `json:"profile"`
	Authority   string `json:"authority"`
	SameKey     bool   `json:"same_key,omitempty"`
	Request     string `json:"request" doc:"PKCS#10, PEM"`
	Certificate string `json:"certificate,omitempty" doc:"PEM"`
	Root        string `json:"root,omitempty" doc:"SM3 of the superior's root, hexadecimal"`
}

func viewRequest(s ca.Subordinate) requestView {
	v := requestView{
		MotionView: viewMotion(s.Motion), Profile: s.Profile, Authority: s.Name, SameKey: s.SameKey,
		Request: string(certs.EncodePEM("CERTIFICATE REQUEST", s.Request)), Root: s.Root,
	}
	if len(s.Answer) > 0 {
		v.Certificate = string(certs.EncodePEM("CERTIFICATE", s.Answer))
	}
	return v
}

func request(s ca.Subordinate, err error) (*body[requestView], error) {
	if err != nil {
		return nil, err
	}
	return &body[requestView]{viewRequest(s)}, nil
}

func (a *API) listRequests(ctx context.Context, by actor.Actor, _ *struct{}) (*body[page[requestView]], error) {
	all, err := a.CA.Subordinates(ctx, by)
	if err != nil {
		return nil, err
	}
	return pageOf(all, 0, viewRequest, nil), nil
}

type authorityRequestInput struct {
	Body struct {
		Profile string `json:"profile" minLength:"1" maxLength:"64" doc:"Of an issuing authority of ours: issuing"`
		SameKey bool   `json:"same_key,omitempty" doc:"Renew the certificate of the present key"`
	}
}

func (a *API) requestAuthority(ctx context.Context, by actor.Actor, in *authorityRequestInput) (*body[requestView], error) {
	return request(a.CA.RequestSubordinate(ctx, by, in.Body.Profile, in.Body.SameKey))
}

type authorityAnswerInput struct {
	Body struct {
		Request     string `json:"request,omitempty" maxLength:"64" doc:"Id; absent: found by the certificate's key"`
		Certificate string `json:"certificate" minLength:"1" maxLength:"100000" doc:"PEM"`
		Chain       string `json:"chain" minLength:"1" maxLength:"150000" doc:"What stands above it, with the root; PEM"`
		Fingerprint string `json:"root_fingerprint" minLength:"1" maxLength:"128" doc:"Of the root, SM3 or SHA-256, as typed from what the superior published"`
	}
}

func (a *API) installAuthority(ctx context.Context, by actor.Actor, in *authorityAnswerInput) (*body[requestView], error) {
	own, err := certificatesOf(in.Body.Certificate)
	if err != nil {
		return nil, err
	}
	chain, err := certificatesOf(in.Body.Chain)
	if err != nil {
		return nil, err
	}
	return request(a.CA.InstallSubordinate(ctx, by, ca.SubordinateAnswer{
		ID: in.Body.Request, Certificate: own[0], Chain: append(own[1:], chain...), Fingerprint: in.Body.Fingerprint,
	}))
}

type authorityConfirmInput struct {
	IDInput
	Body struct {
		Fingerprint string `json:"root_fingerprint" minLength:"1" maxLength:"128" doc:"Of the root, typed by the second administrator too"`
	}
}

func (a *API) confirmAuthority(ctx context.Context, by actor.Actor, in *authorityConfirmInput) (*body[requestView], error) {
	return request(a.CA.ConfirmSubordinate(ctx, by, in.ID, in.Body.Fingerprint))
}

func (a *API) withdrawRequest(ctx context.Context, by actor.Actor, in *IDInput) (*none, error) {
	return nil, a.CA.WithdrawSubordinate(ctx, by, in.ID)
}

type crossView struct {
	MotionView
	Way         string        `json:"way" enum:"out,in" doc:"out: ours for another's key; in: another's for a key of ours"`
	Authority   string        `json:"authority" doc:"Ours"`
	Name        string        `json:"name" doc:"Of the other authority"`
	Terms       ca.CrossTerms `json:"terms"`
	Certificate string        `json:"certificate,omitempty" doc:"PEM"`
}

func viewCross(c ca.Cross) crossView {
	v := crossView{MotionView: viewMotion(c.Motion), Way: c.Way, Authority: c.Authority, Name: c.Name, Terms: c.Terms}
	if len(c.Certificate) > 0 {
		v.Certificate = string(certs.EncodePEM("CERTIFICATE", c.Certificate))
	}
	return v
}

func cross(c ca.Cross, err error) (*body[crossView], error) {
	if err != nil {
		return nil, err
	}
	return &body[crossView]{viewCross(c)}, nil
}

func (a *API) listCross(ctx context.Context, by actor.Actor, _ *struct{}) (*body[page[crossView]], error) {
	all, err := a.CA.Crosses(ctx, by)
	if err != nil {
		return nil, err
	}
	return pageOf(all, 0, viewCross, nil), nil
}

type crossInput struct {
	Body struct {
		Proof    string              `json:"proof" minLength:"1" maxLength:"100000" doc:"Request or self-signed CA certificate of the other authority, PEM"`
		PathLen  int                 `json:"path_len,omitempty" minimum:"0" maximum:"3" doc:"CAs below it"`
		Days     int                 `json:"days,omitempty" minimum:"0" doc:"Absent: as the profile says"`
		Names    *bundle.Names       `json:"names,omitempty" doc:"Subtrees for the names below it"`
		Policies []bundle.PolicyPair `json:"policies,omitempty" maxItems:"256"`
		Reason   string              `json:"reason" minLength:"1" maxLength:"500"`
	}
}

func (a *API) proposeCross(ctx context.Context, by actor.Actor, in *crossInput) (*body[crossView], error) {
	block, _ := pem.Decode([]byte(in.Body.Proof))
	if block == nil {
		return nil, errPEM.With("proof")
	}
	terms := ca.CrossTerms{PathLen: in.Body.PathLen, Days: in.Body.Days, Names: in.Body.Names, Policies: in.Body.Policies}
	return cross(a.CA.ProposeCross(ctx, by, block.Bytes, terms, in.Body.Reason))
}

type crossAcceptInput struct {
	Body struct {
		Certificate string `json:"certificate" minLength:"1" maxLength:"100000" doc:"PEM"`
		Reason      string `json:"reason" minLength:"1" maxLength:"500"`
	}
}

func (a *API) acceptCross(ctx context.Context, by actor.Actor, in *crossAcceptInput) (*body[crossView], error) {
	all, err := certificatesOf(in.Body.Certificate)
	if err != nil {
		return nil, err
	}
	return cross(a.CA.AcceptCross(ctx, by, all[0], in.Body.Reason))
}

func (a *API) decideCross(ctx context.Context, by actor.Actor, in *MotionDecision) (*body[crossView], error) {
	return cross(a.CA.DecideCross(ctx, by, in.ID, in.Body.Approve, in.Body.Reason))
}

func (a *API) issueCross(ctx context.Context, by actor.Actor, in *IDInput) (*body[crossView], error) {
	return cross(a.CA.IssueCross(ctx, by, in.ID))
}

func (a *API) withdrawCross(ctx context.Context, by actor.Actor, in *IDInput) (*none, error) {
	return nil, a.CA.WithdrawCross(ctx, by, in.ID)
}

// nextCertificate returns the next certificate of a PEM text and the rest; nil when there is none.
func nextCertificate(text []byte) (der, rest []byte) {
	for {
		block, after := pem.Decode(text)
		if block == nil {
			return nil, nil
		}
		if block.Type == "CERTIFICATE" {
			return block.Bytes, after
		}
		text = after
	}
}
