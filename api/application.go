package api

import (
	"bytes"
	"context"
	"maps"
	"strings"
	"time"

	"hufu/ca"
	"hufu/certs"
	"hufu/internal/actor"
)

func (a *API) applicationRoutes() []route {
	return []route{
		{"POST /api/v1/applications", "the holder, registrar", text("申请证书", "Apply for a certificate"), on(a.apply, created)},
		{"GET /api/v1/applications", "registrar, approver", text("列出证书申请", "List applications, newest first"), on(a.listApplications)},
		{"GET /api/v1/applications/{id}", "maker, holder, registrar, approver", text("查看证书申请", "Get an application"), on(a.getApplication)},
		{"POST /api/v1/applications/{id}/decision", "approver, not the maker", text("审核证书申请", "Approve or reject an application"), on(a.decideApplication)},
		{"POST /api/v1/applications/{id}/issue", "maker, holder, registrar, approver", text("签发证书", "Issue the certificates of an approved application; repeated, it returns the same"), on(a.issue, costs(2))},
	}
}

type applicationView struct {
	ID             string            `json:"id"`
	Profile        string            `json:"profile"`
	ProfileVersion int               `json:"profile_version"`
	Holder         string            `json:"holder"`
	Organization   string            `json:"organization,omitempty"`
	Facts          map[string]string `json:"facts,omitempty"`
	State          ca.State          `json:"state" enum:"draft,submitted,approved,rejected,issued,delivered,withdrawn"`
	Maker          ActorView         `json:"maker"`
	Checkers       []ActorView       `json:"checkers,omitempty"`
	Reason         string            `json:"reason,omitempty"`
	At             time.Time         `json:"at"`
	DecidedAt      time.Time         `json:"decided_at,omitzero"`
	Certificates   []string          `json:"certificates,omitempty" doc:"Serial numbers: the signing certificate first"`
}

func viewApplication(app ca.Application) applicationView {
	v := applicationView{
		ID: app.ID, Profile: app.Profile, ProfileVersion: app.ProfileVersion, Holder: app.Holder, Organization: app.Organization,
		Facts: app.Facts, State: app.State, Maker: viewActor(app.Maker), Reason: app.Reason, At: app.At, DecidedAt: app.DecidedAt,
		Certificates: app.Certificates,
	}
	for _, checker := range app.Checkers {
		v.Checkers = append(v.Checkers, viewActor(checker))
	}
	return v
}

type applyInput struct {
	Key  string `header:"Idempotency-Key" maxLength:"100" doc:"The same key gives the same application; make a random one for each"`
	Body struct {
		Profile      string            `json:"profile" maxLength:"64" example:"person-sign"`
		Holder       string            `json:"holder,omitempty" maxLength:"200" doc:"Subject id; yourself, or whom you act for, if left out"`
		Organization string            `json:"organization,omitempty" maxLength:"200" doc:"For an official: subject id of the organisation"`
		Facts        map[string]string `json:"facts,omitempty" doc:"The profile's fields"`
		CSR          string            `json:"csr" maxLength:"65536" doc:"Certificate request (PKCS#10) in PEM, with the SM2 identifier 1234567812345678"`
	}
}

func (a *API) apply(ctx context.Context, by actor.Actor, in *applyInput) (*body[applicationView], error) {
	q := ca.Request{
		Profile: in.Body.Profile, Holder: in.Body.Holder, Organization: in.Body.Organization, Facts: in.Body.Facts,
		CSR: []byte(strings.TrimSpace(in.Body.CSR)), Key: in.Key,
	}
	if q.Holder == "" {
		q.Holder, q.Organization = holderOf(by, q.Organization)
	}
	app, err := a.CA.Apply(ctx, by, q)
	if err != nil {
		return nil, err
	}
	if !sameRequest(app, q) {
		return nil, errKeyReused.With("application %s", app.ID)
	}
	return &body[applicationView]{viewApplication(app)}, nil
}

// holderOf is for whom an actor applies without saying.
func holderOf(by actor.Actor, organization string) (holder, org string) {
	switch by.Capacity {
	case actor.Entity:
		return by.For, organization
	case actor.Official:
		return by.Subject, by.For
	default:
		return by.Subject, organization
	}
}

// sameRequest tells whether an application came of this request, and not of another one under the same key.
func sameRequest(app ca.Application, q ca.Request) bool {
	der, err := certs.DecodePEM(q.CSR, "CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST")
	return err == nil && bytes.Equal(der, app.Request) && app.Profile == q.Profile && app.Holder == q.Holder &&
		app.Organization == q.Organization && maps.Equal(app.Facts, q.Facts)
}

type applicationsInput struct {
	Paging
	State  ca.State `query:"state" enum:"draft,submitted,approved,rejected,issued,delivered,withdrawn"`
	Holder string   `query:"holder" maxLength:"200"`
}

func (a *API) listApplications(ctx context.Context, by actor.Actor, in *applicationsInput) (*body[page[applicationView]], error) {
	before, err := in.before()
	if err != nil {
		return nil, err
	}
	apps, err := a.CA.Applications(ctx, by, ca.ApplicationFilter{State: in.State, Holder: in.Holder, Before: before, Limit: in.Limit})
	if err != nil {
		return nil, err
	}
	return pageOf(apps, in.Limit, viewApplication, func(app ca.Application) string { return timed(app.At) }), nil
}

func (a *API) getApplication(ctx context.Context, by actor.Actor, in *IDInput) (*body[applicationView], error) {
	app, err := a.CA.Application(ctx, by, in.ID)
	return &body[applicationView]{viewApplication(app)}, err
}

type decideInput struct {
	IDInput
	Body decision
}

func (a *API) decideApplication(ctx context.Context, by actor.Actor, in *decideInput) (*body[applicationView], error) {
	app, err := a.CA.Decide(ctx, by, in.ID, in.Body.Approve, in.Body.Reason)
	return &body[applicationView]{viewApplication(app)}, err
}

type issuedView struct {
	Application  applicationView   `json:"application"`
	Certificates []CertificateView `json:"certificates" doc:"The signing certificate first, then the encryption certificate if the profile has a pair"`
	Chain        string            `json:"chain" doc:"The issuers' certificates in PEM, the root last"`
	Envelope     []byte            `json:"envelope,omitempty" doc:"Private key of the encryption certificate, enveloped to the signing key (SM2EnvelopedKey, GB/T 35276), DER in base64"`
}

func (a *API) issue(ctx context.Context, by actor.Actor, in *IDInput) (*body[issuedView], error) {
	app, err := a.CA.Issue(ctx, by, in.ID)
	if err != nil {
		return nil, err
	}
	out := &body[issuedView]{issuedView{Application: viewApplication(app), Envelope: app.Envelope}}
	for _, serial := range app.Certificates {
		chain, err := a.CA.Chain(ctx, by, serial)
		if err != nil {
			return nil, err
		}
		out.Body.Certificates = append(out.Body.Certificates, viewCertificate(chain[0]))
		out.Body.Chain = string(pems(chain[1:]))
	}
	return out, nil
}
