package api

import (
	"context"
	"time"

	"hufu/ca"
	"hufu/certs"
	"hufu/internal/actor"
)

func (a *API) externalRoutes() []route {
	const supers, admins = "super administrator", "business administrator, super administrator, audit administrator"
	return []route{
		{"GET /api/v1/external-authorities", admins, text("列出为本系统签发证书的外部 CA", "List the external CAs that issue for us, newest first"), on(a.listExternals)},
		{"POST /api/v1/external-authorities", supers, text("提出登记外部 CA", "Propose an external CA, with the certificate that it gave our key"), on(a.proposeExternal, created)},
		{"POST /api/v1/external-authorities/requests", supers, text("生成注册机构密钥及证书申请（PKCS#10）", "Make our key for an external CA and a request for its certificate; repeated, it is the same key"), on(a.requestExternal, costs(5))},
		{"POST /api/v1/external-authorities/{id}/decision", "super administrator, not the maker", text("审核外部 CA", "Put an external CA in force, in place of the one of its name, or reject it"), on(a.decideExternal)},
		{"GET /api/v1/external-authorities/orders", admins, text("列出发往外部 CA 的申请", "List what was ordered from external CAs, oldest first"), on(a.listOrders)},
	}
}

type externalView struct {
	MotionView
	Name        string `json:"name"`
	URL         string `json:"url"`
	Dialect     string `json:"dialect,omitempty" doc:"hufu: the holder is named in each request"`
	Certificate string `json:"certificate" doc:"That signs what it issues, PEM"`
	Signer      string `json:"signer" doc:"Whose key protects its answers, PEM"`
	Own         string `json:"own" doc:"Of our key, PEM"`
}

func viewExternal(e ca.External) externalView {
	pem := func(der []byte) string { return string(certs.EncodePEM("CERTIFICATE", der)) }
	return externalView{viewMotion(e.Motion), e.Name, e.URL, e.Dialect, pem(e.Certificate), pem(e.Signer), pem(e.Own)}
}

func external(e ca.External, err error) (*body[externalView], error) {
	if err != nil {
		return nil, err
	}
	return &body[externalView]{viewExternal(e)}, nil
}

func (a *API) listExternals(ctx context.Context, by actor.Actor, _ *struct{}) (*body[page[externalView]], error) {
	all, err := a.CA.Externals(ctx, by)
	if err != nil {
		return nil, err
	}
	return pageOf(all, 0, viewExternal, nil), nil
}

type externalRequestInput struct {
	Body struct {
		Name      string `json:"name" minLength:"1" maxLength:"32" doc:"Word for the external CA: small letters, digits, hyphens"`
		Algorithm string `json:"algorithm,omitempty" enum:"sm2,p256" doc:"Of our key; absent: sm2"`
	}
}

type externalRequestView struct {
	Name    string `json:"name"`
	Request string `json:"request" doc:"PKCS#10, PEM"`
}

func (a *API) requestExternal(ctx context.Context, by actor.Actor, in *externalRequestInput) (*body[externalRequestView], error) {
	algorithm := in.Body.Algorithm
	if algorithm == "" {
		algorithm = "sm2"
	}
	der, err := a.CA.ExternalRequest(ctx, by, in.Body.Name, algorithm)
	if err != nil {
		return nil, err
	}
	return &body[externalRequestView]{externalRequestView{in.Body.Name, string(certs.EncodePEM("CERTIFICATE REQUEST", der))}}, nil
}

type externalInput struct {
	Body struct {
		Name        string `json:"name" minLength:"1" maxLength:"32"`
		URL         string `json:"url" minLength:"1" maxLength:"500" doc:"Of its CMP service, with the profile's name there"`
		Dialect     string `json:"dialect,omitempty" enum:"hufu" doc:"hufu: another Hufu, which takes the holder from the request; absent: any CA that takes p10cr of a registration authority"`
		Certificate string `json:"certificate" minLength:"1" maxLength:"100000" doc:"That signs what it issues, PEM"`
		Signer      string `json:"signer,omitempty" maxLength:"100000" doc:"Whose key protects its answers, PEM; absent: the same"`
		Own         string `json:"own" minLength:"1" maxLength:"100000" doc:"What it issued for our key, PEM"`
		Reason      string `json:"reason" minLength:"1" maxLength:"500"`
	}
}

func (a *API) proposeExternal(ctx context.Context, by actor.Actor, in *externalInput) (*body[externalView], error) {
	e := ca.External{Name: in.Body.Name, URL: in.Body.URL, Dialect: in.Body.Dialect}
	if in.Body.Signer == "" {
		in.Body.Signer = in.Body.Certificate
	}
	for _, f := range []struct {
		pem string
		der *[]byte
	}{{in.Body.Certificate, &e.Certificate}, {in.Body.Signer, &e.Signer}, {in.Body.Own, &e.Own}} {
		all, err := certificatesOf(f.pem)
		if err != nil {
			return nil, err
		}
		*f.der = all[0]
	}
	return external(a.CA.ProposeExternal(ctx, by, e, in.Body.Reason))
}

type externalDecision struct {
	IDInput
	Body struct {
		Approve bool `json:"approve"`
	}
}

func (a *API) decideExternal(ctx context.Context, by actor.Actor, in *externalDecision) (*body[externalView], error) {
	return external(a.CA.DecideExternal(ctx, by, in.ID, in.Body.Approve))
}

type orderView struct {
	Application string    `json:"application" doc:"Id"`
	External    string    `json:"external" doc:"Name of the external CA"`
	State       string    `json:"state" enum:"sent,answered,refused"`
	Waits       bool      `json:"waits,omitempty" doc:"The external CA has it, and has not decided"`
	Failure     string    `json:"failure,omitempty" doc:"Of the last try"`
	At          time.Time `json:"at"`
	Changed     time.Time `json:"changed"`
}

type ordersInput struct {
	State string `query:"state" enum:"sent,answered,refused" default:"sent"`
}

func (a *API) listOrders(ctx context.Context, by actor.Actor, in *ordersInput) (*body[page[orderView]], error) {
	all, err := a.CA.Orders(ctx, by, ca.OrderState(in.State))
	if err != nil {
		return nil, err
	}
	return pageOf(all, 0, func(o ca.Order) orderView {
		return orderView{o.Application, o.External, string(o.State), o.Waits(), o.Failure, o.At, o.Changed}
	}, nil), nil
}
