package api

import (
	"context"

	"hufu/identity"
	"hufu/internal/actor"
)

type meView struct {
	ActorView
	Roles         []actor.Role   `json:"roles"`
	Scopes        []string       `json:"scopes"`
	IdentityLevel int            `json:"identity_level"`
	AuthLevel     int            `json:"auth_level"`
	Capacities    []capacityView `json:"capacities" doc:"How the person may act; chosen at log-in"`
}

type capacityView struct {
	Kind         identity.Kind     `json:"kind"`
	Organization string            `json:"organization,omitempty" doc:"Subject id of whom is acted for"`
	Name         string            `json:"name"`
	USCC         string            `json:"uscc,omitempty"`
	Relation     identity.Relation `json:"relation,omitempty"`
	PostID       string            `json:"post_id,omitempty"`
	Post         string            `json:"post,omitempty"`
	Roles        []actor.Role      `json:"roles"`
}

func (a *API) me(ctx context.Context, by actor.Actor, _ *struct{}) (*body[meView], error) {
	all, err := a.People.Capacities(ctx, by.Subject)
	out := &body[meView]{meView{
		ActorView: viewActor(by), Roles: rolesOf(by.Roles), Scopes: by.Scopes, IdentityLevel: int(by.IdentityLevel),
		AuthLevel: int(by.AuthLevel), Capacities: []capacityView{},
	}}
	for _, c := range all {
		out.Body.Capacities = append(out.Body.Capacities, capacityView{
			c.Kind, c.For, c.Name, c.USCC, c.Relation, c.PostID, c.Post, rolesOf(c.Roles),
		})
	}
	return out, err
}
