package api

import (
	"context"
	"time"

	"hufu/identity/login"
	"hufu/internal/actor"
)

type accountView struct {
	ID         string    `json:"id"`
	Subject    string    `json:"subject"`
	Name       string    `json:"name" doc:"Login name"`
	MustChange bool      `json:"must_change" doc:"Somebody else chose the password"`
	Created    time.Time `json:"created"`
	Changed    time.Time `json:"changed" doc:"Of the password"`
}

func viewAccount(acc login.Account) accountView {
	return accountView{acc.ID, acc.Subject, acc.Name, acc.MustChange, acc.Created, acc.Changed}
}

type openAccountInput struct {
	Body struct {
		Subject  string `json:"subject" minLength:"1" maxLength:"200" doc:"The person"`
		Name     string `json:"name" minLength:"1" maxLength:"200" doc:"Login name"`
		Password string `json:"password" minLength:"1" maxLength:"1024" doc:"First one; the person must change it"`
	}
}

func (a *API) openAccount(ctx context.Context, by actor.Actor, in *openAccountInput) (*body[accountView], error) {
	acc, err := a.Logins.OpenAccount(ctx, by, login.NewAccount{
		Name: in.Body.Name, Subject: in.Body.Subject, Password: in.Body.Password,
	})
	return &body[accountView]{viewAccount(acc)}, err
}

func (a *API) getAccount(ctx context.Context, by actor.Actor, in *IDInput) (*body[accountView], error) {
	acc, err := a.Logins.Account(ctx, by, in.ID)
	return &body[accountView]{viewAccount(acc)}, err
}

type passwordInput struct {
	IDInput
	Body struct {
		Password string `json:"password" minLength:"1" maxLength:"1024" doc:"The person must change it at the next log-in"`
	}
}

func (a *API) resetPassword(ctx context.Context, by actor.Actor, in *passwordInput) (*none, error) {
	return nil, a.Logins.ResetPassword(ctx, by, in.ID, in.Body.Password)
}

type sessionView struct {
	ID        string    `json:"id"`
	AMR       []string  `json:"amr" doc:"How it was proven (RFC 8176)"`
	AuthTime  time.Time `json:"auth_time"`
	Seen      time.Time `json:"seen" doc:"Last use, to the minute"`
	Expires   time.Time `json:"expires"`
	RemoteIP  string    `json:"remote_ip"`
	UserAgent string    `json:"user_agent"`
	Current   bool      `json:"current" doc:"The access token of this call hangs on it"`
}

func (a *API) listSessions(ctx context.Context, by actor.Actor, in *IDInput) (*body[page[sessionView]], error) {
	all, err := a.Logins.List(ctx, by, in.ID)
	return pageOf(all, 0, func(s login.Session) sessionView {
		return sessionView{s.ID, s.AMR, s.AuthTime, s.Seen, s.Expires, s.RemoteIP, s.UserAgent, s.ID == by.Session}
	}, nil), err
}

type endedView struct {
	Ended int `json:"ended"`
}

func (a *API) endSessions(ctx context.Context, by actor.Actor, in *IDInput) (*body[endedView], error) {
	n, err := a.Logins.EndAll(ctx, by, in.ID, "")
	return &body[endedView]{endedView{n}}, err
}

func (a *API) endSession(ctx context.Context, by actor.Actor, in *IDInput) (*none, error) {
	return nil, a.Logins.End(ctx, by, in.ID)
}
