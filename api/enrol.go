package api

import (
	"context"

	"hufu/ca"
	"hufu/internal/actor"
)

// enrolRoutes is application and issue in one call.
func (a *API) enrolRoutes() []route {
	return []route{
		{"POST /api/v1/certificates", "the holder, registrar", text("申请并签发证书：自动核准的申请一次完成，其余等待审核", "Apply and, where no officer has to approve, issue in one call; else the application waits for its officer"), on(a.enrol, created, costs(2))},
	}
}

// enrol answers with the certificates, or with the application alone while it waits for officers.
func (a *API) enrol(ctx context.Context, by actor.Actor, in *applyInput) (*body[issuedView], error) {
	q := in.Body.request(by)
	q.Key = in.Key
	e, err := a.CA.Certify(ctx, by, q)
	if err != nil {
		return nil, err
	}
	if q.Key != "" && !sameRequest(e.Application, q) {
		return nil, errKeyReused.With("application %s", e.Application.ID)
	}
	return &body[issuedView]{viewEnrolment(e)}, nil
}

func viewEnrolment(e ca.Enrolment) issuedView {
	v := issuedView{Application: viewApplication(e.Application), Envelope: e.Application.Envelope, Chain: string(pems(e.Chain))}
	for _, c := range e.Certificates {
		v.Certificates = append(v.Certificates, viewCertificate(c))
	}
	return v
}
