package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"

	"hufu/identity"
	"hufu/identity/login"
	"hufu/internal/actor"
	"hufu/internal/fault"
	"hufu/oidc"
)

// The id under which the commands of this program use the API, and where codes would be sent.
const (
	toolClient   = "hufu-cli"
	toolCallback = "http://127.0.0.1:9/callback"
)

// commandLine is the public client through which hufu token logs in. Nothing listens at where its codes are sent: the command
// takes them before they get there.
func commandLine() oidc.Client {
	return oidc.Client{
		ID: toolClient, Name: "命令行工具", NameEN: "Command line tool", RedirectURIs: []string{toolCallback},
		AuthMethod: oidc.AuthNone, FirstParty: true, Scopes: []string{"openid", "profile", "entity", "api"}, IDTokenAlg: "ES256",
	}
}

// founder is the first super administrator (超级管理员) and the organisation that runs the server: who appoints the others.
type founder struct {
	Organisation string `help:"Name of the public body that runs this server." placeholder:"NAME"`
	USCC         string `name:"uscc" help:"Its unified social credit code." placeholder:"CODE"`
	Admin        string `help:"Name of the first super administrator." placeholder:"NAME"`
	Number       string `help:"Resident identity number of the first super administrator." placeholder:"NUMBER"`
	Account      string `help:"Log-in name of the first super administrator." placeholder:"NAME"`
}

var errFounder = fault.New(fault.Invalid, "founder",
	"Give all of --organisation, --uscc, --admin, --number and --account, or none.",
	"--organisation、--uscc、--admin、--number、--account 须同时给出，或全部省略。")

// given tells whether a founder was named, and refuses one that could not be registered before anything is made.
func (f founder) given() (bool, error) {
	n := 0
	for _, v := range []string{f.Organisation, f.USCC, f.Admin, f.Number, f.Account} {
		if v != "" {
			n++
		}
	}
	if n != 0 && n != 5 {
		return false, errFounder.With("%d of 5 given", n)
	}
	if n == 0 {
		return false, nil
	}
	parts, err := identity.ParseUSCC(f.USCC)
	if err == nil && !parts.PublicBody() {
		err = errFounder.With("%s is not the code of a public body", f.USCC)
	}
	if err == nil {
		_, err = identity.ParseResidentID(f.Number)
	}
	return err == nil, err
}

// appoint registers organisation and person, opens the account under a random password, gives the role, and registers the
// command line as a client, without which nobody could call the API to do the rest. Run again it goes on where it stopped; an
// account that exists keeps its password.
func (f founder) appoint(ctx context.Context, s *server, out io.Writer) error {
	by := actor.ForSystem("init")
	organisation, err := s.identity.ByNumber(ctx, by, identity.Identifier{Type: identity.CreditCode, Number: identity.Number(f.USCC)})
	if errors.Is(err, identity.ErrUnknown) {
		organisation, err = s.identity.RegisterEntity(ctx, by, identity.EntityForm{
			Name: f.Organisation, USCC: f.USCC, Evidence: []identity.Evidence{{Method: identity.ByCounter, Source: "init"}},
		})
	}
	if err != nil {
		return fmt.Errorf("organisation: %w", err)
	}
	id := identity.Identifier{Type: identity.ResidentID, Number: identity.Number(f.Number)}
	password := rand.Text()
	person, err := s.identity.ByNumber(ctx, by, id)
	if err == nil {
		_, err = s.login.Account(ctx, by, person.ID)
		password = ""
	}
	if errors.Is(err, identity.ErrUnknown) || errors.Is(err, login.ErrNoAccount) {
		password = rand.Text()
		person, err = s.login.Enrol(ctx, by, login.Enrolment{
			Person: identity.PersonForm{
				Name: f.Admin, Identifiers: []identity.Identifier{id}, Evidence: []identity.Evidence{{Method: identity.ByCounter, Source: "init"}},
			},
			Account: f.Account, Password: password,
		})
	}
	if err != nil {
		return fmt.Errorf("first administrator: %w", err)
	}
	_, err = s.identity.HolderIn(ctx, person.ID, organisation.ID)
	if errors.Is(err, identity.ErrNoPost) {
		_, err = s.identity.Appoint(ctx, by, identity.Appointment{
			Person: person.ID, Organisation: organisation.ID, Title: "超级管理员", Roles: []actor.Role{actor.RoleSuperAdmin},
		})
	}
	if err != nil {
		return fmt.Errorf("post of the first administrator: %w", err)
	}
	if _, err := s.oidc.RegisterClient(ctx, by, oidc.NewClient{Client: commandLine()}); err != nil && !errors.Is(err, oidc.ErrClientTaken) {
		return fmt.Errorf("client %s: %w", toolClient, err)
	}
	if password != "" {
		fmt.Fprintf(out, "first administrator: account %s, password %s (shown this once; change it after the first log-in)\n", f.Account, password)
	}
	return nil
}
