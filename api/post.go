package api

import (
	"context"
	"time"

	"hufu/identity"
	"hufu/internal/actor"
)

type postView struct {
	ID           string       `json:"id" doc:"Subject of an official's certificates"`
	Person       string       `json:"person"`
	Organization string       `json:"organization"`
	Title        string       `json:"title"`
	Roles        []actor.Role `json:"roles"`
	Since        time.Time    `json:"since"`
}

type appointInput struct {
	Body struct {
		Person       string       `json:"person" minLength:"1" maxLength:"200" doc:"Subject id"`
		Organization string       `json:"organization" minLength:"1" maxLength:"200" doc:"Subject id of a public body"`
		Title        string       `json:"title" minLength:"1" maxLength:"200"`
		Roles        []actor.Role `json:"roles,omitempty" maxItems:"10"`
	}
}

func (a *API) appoint(ctx context.Context, by actor.Actor, in *appointInput) (*body[postView], error) {
	p, err := a.People.Appoint(ctx, by, identity.Appointment{
		Person: in.Body.Person, Organisation: in.Body.Organization, Title: in.Body.Title, Roles: in.Body.Roles,
	})
	return &body[postView]{postView{p.ID, p.Person, p.Organisation, p.Title, rolesOf(p.Roles), p.Since}}, err
}

func rolesOf(roles []actor.Role) []actor.Role {
	if roles == nil {
		return []actor.Role{}
	}
	return roles
}

type rolesInput struct {
	IDInput
	Body struct {
		Roles []actor.Role `json:"roles" maxItems:"10"`
	}
}

func (a *API) setRoles(ctx context.Context, by actor.Actor, in *rolesInput) (*none, error) {
	return nil, a.People.SetRoles(ctx, by, in.ID, in.Body.Roles)
}

func (a *API) endPost(ctx context.Context, by actor.Actor, in *IDInput) (*none, error) {
	return nil, a.People.EndPost(ctx, by, in.ID)
}
