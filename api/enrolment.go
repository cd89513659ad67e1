package api

import (
	"context"
	"time"

	"hufu/ca/enrol"
	"hufu/internal/actor"
)

func (a *API) enrolmentRoutes() []route {
	return []route{
		{"POST /api/v1/enrolment/secrets", "registrar", text("生成注册凭据：参考号与口令，口令仅显示一次", "Make a secret with which a holder's device enrols by CMP or EST; its value is shown once"), on(a.makeEnrolSecret, created)},
		{"GET /api/v1/enrolment/secrets", "registrar", text("列出注册凭据", "List enrolment secrets without their values, newest first"), on(a.listEnrolSecrets)},
		{"DELETE /api/v1/enrolment/secrets/{id}", "registrar", text("撤销注册凭据", "Revoke an enrolment secret"), on(a.revokeEnrolSecret)},
		{"GET /api/v1/enrolment/clients", "registrar, business administrator, audit administrator", text("列出注册客户端", "List registration clients"), on(a.listEnrolClients)},
		{"PUT /api/v1/enrolment/clients/{id}", "business administrator, super administrator", text("授权注册客户端", "Let a holder's registration certificates ask for others' under some profiles"), on(a.putEnrolClient)},
		{"DELETE /api/v1/enrolment/clients/{id}", "business administrator, super administrator", text("取消注册客户端授权", "Take a registration client's rights"), on(a.dropEnrolClient)},
	}
}

type enrolSecretView struct {
	ID           string            `json:"id" doc:"Reference number: senderKID of CMP, user name of EST"`
	Secret       string            `json:"secret,omitempty" doc:"Shown once, when it is made"`
	Profile      string            `json:"profile"`
	Holder       string            `json:"holder"`
	Organization string            `json:"organization,omitempty"`
	Facts        map[string]string `json:"facts,omitempty"`
	Left         int               `json:"left" doc:"Uses left"`
	Tries        int               `json:"tries,omitempty" doc:"Wrong tries since the last right one"`
	Locked       bool              `json:"locked,omitempty" doc:"By too many wrong tries; make a new one"`
	Ends         time.Time         `json:"ends"`
	Revoked      time.Time         `json:"revoked,omitzero"`
	Maker        ActorView         `json:"maker"`
	At           time.Time         `json:"at"`
}

func viewEnrolSecret(s enrol.Secret) enrolSecretView {
	return enrolSecretView{
		ID: s.ID, Secret: s.Value, Profile: s.Profile, Holder: s.Holder, Organization: s.Organization, Facts: s.Facts, Left: s.Left,
		Tries: s.Tries, Locked: s.Locked(), Ends: s.Ends, Revoked: s.Revoked, Maker: viewActor(s.Maker), At: s.At,
	}
}

type enrolSecretInput struct {
	Body struct {
		Profile      string            `json:"profile" maxLength:"64" example:"tls-client-p256"`
		Holder       string            `json:"holder" maxLength:"200" doc:"Subject id"`
		Organization string            `json:"organization,omitempty" maxLength:"200" doc:"For an official: subject id of the organisation"`
		Facts        map[string]string `json:"facts,omitempty" doc:"The profile's fields, fixed for every use"`
		Uses         int               `json:"uses,omitempty" minimum:"0" maximum:"100" doc:"How many certificates; 1 if left out"`
		Ends         time.Time         `json:"ends,omitzero" doc:"In a week if left out, in 90 days at the latest"`
	}
}

func (a *API) makeEnrolSecret(ctx context.Context, by actor.Actor, in *enrolSecretInput) (*body[enrolSecretView], error) {
	b := in.Body
	s, err := a.Enrolment.MakeSecret(ctx, by, enrol.Order{
		Profile: b.Profile, Holder: b.Holder, Organization: b.Organization, Facts: b.Facts, Uses: b.Uses, Ends: b.Ends,
	})
	return &body[enrolSecretView]{viewEnrolSecret(s)}, err
}

type enrolSecretsInput struct {
	Paging
	Holder string `query:"holder" maxLength:"200"`
}

func (a *API) listEnrolSecrets(ctx context.Context, by actor.Actor, in *enrolSecretsInput) (*body[page[enrolSecretView]], error) {
	before, err := in.before()
	if err != nil {
		return nil, err
	}
	all, err := a.Enrolment.Secrets(ctx, by, enrol.SecretFilter{Holder: in.Holder, Before: before, Limit: in.Limit})
	if err != nil {
		return nil, err
	}
	return pageOf(all, in.Limit, viewEnrolSecret, func(s enrol.Secret) string { return timed(s.At) }), nil
}

func (a *API) revokeEnrolSecret(ctx context.Context, by actor.Actor, in *IDInput) (*none, error) {
	return nil, a.Enrolment.RevokeSecret(ctx, by, in.ID)
}

type enrolClientView struct {
	Subject  string    `json:"subject"`
	Profiles []string  `json:"profiles" doc:"That it may ask for"`
	Revokes  bool      `json:"revokes,omitempty" doc:"It may revoke certificates of these profiles too"`
	Maker    ActorView `json:"maker"`
	At       time.Time `json:"at"`
}

func viewEnrolClient(c enrol.Client) enrolClientView {
	return enrolClientView{Subject: c.Subject, Profiles: c.Profiles, Revokes: c.Revokes, Maker: viewActor(c.Maker), At: c.At}
}

type enrolClientInput struct {
	IDInput
	Body struct {
		Profiles []string `json:"profiles" minItems:"1" maxItems:"50"`
		Revokes  bool     `json:"revokes,omitempty"`
	}
}

func (a *API) putEnrolClient(ctx context.Context, by actor.Actor, in *enrolClientInput) (*body[enrolClientView], error) {
	c, err := a.Enrolment.PutClient(ctx, by, enrol.Client{Subject: in.ID, Profiles: in.Body.Profiles, Revokes: in.Body.Revokes})
	return &body[enrolClientView]{viewEnrolClient(c)}, err
}

func (a *API) listEnrolClients(ctx context.Context, by actor.Actor, _ *struct{}) (*body[page[enrolClientView]], error) {
	all, err := a.Enrolment.Clients(ctx, by)
	if err != nil {
		return nil, err
	}
	return pageOf(all, 0, viewEnrolClient, func(enrol.Client) string { return "" }), nil
}

func (a *API) dropEnrolClient(ctx context.Context, by actor.Actor, in *IDInput) (*none, error) {
	return nil, a.Enrolment.DropClient(ctx, by, in.ID)
}
