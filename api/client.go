package api

import (
	"context"
	"time"

	"hufu/internal/actor"
	"hufu/oidc"
)

// ClientBody is what is registered of an application.
type ClientBody struct {
	Name           string          `json:"name" minLength:"1" maxLength:"200" doc:"In Chinese, shown on the consent page"`
	NameEN         string          `json:"name_en,omitempty" maxLength:"200"`
	Homepage       string          `json:"homepage,omitempty" maxLength:"2000"`
	PolicyURI      string          `json:"policy_uri,omitempty" maxLength:"2000"`
	RedirectURIs   []string        `json:"redirect_uris" maxItems:"50" doc:"Compared as strings"`
	LogoutURIs     []string        `json:"logout_uris,omitempty" maxItems:"50"`
	Scopes         []string        `json:"scopes" maxItems:"100" doc:"That it may ask for"`
	Audience       []string        `json:"audience,omitempty" maxItems:"50"`
	AuthMethod     oidc.AuthMethod `json:"auth_method,omitempty" enum:"client_secret_basic,client_secret_post,private_key_jwt,none" doc:"client_secret_basic, if left out"`
	JWKS           string          `json:"jwks,omitempty" maxLength:"65536" doc:"Public keys for private_key_jwt, a JSON Web Key Set"`
	IDTokenAlg     string          `json:"id_token_alg,omitempty" enum:"RS256,ES256" doc:"RS256, if left out"`
	Refresh        bool            `json:"refresh,omitempty" doc:"Gets refresh tokens"`
	RefreshSeconds int64           `json:"refresh_seconds,omitempty" minimum:"0" maximum:"31536000" doc:"Life of one refresh token"`
	OmitPKCE       bool            `json:"omit_pkce,omitempty"`
	FirstParty     bool            `json:"first_party,omitempty" doc:"Of the operator itself: no consent page"`
	ResourceServer bool            `json:"resource_server,omitempty" doc:"May introspect tokens"`
	Sector         string          `json:"sector,omitempty" maxLength:"200" doc:"Pairwise sub per sector; public sub, if left out"`
}

func (b ClientBody) client(id string) oidc.Client {
	return oidc.Client{
		ID: id, Name: b.Name, NameEN: b.NameEN, Homepage: b.Homepage, PolicyURI: b.PolicyURI, RedirectURIs: b.RedirectURIs,
		LogoutURIs: b.LogoutURIs, Scopes: b.Scopes, Audience: b.Audience, AuthMethod: b.AuthMethod, JWKS: b.JWKS, IDTokenAlg: b.IDTokenAlg,
		Refresh: b.Refresh, RefreshLife: time.Duration(b.RefreshSeconds) * time.Second, OmitPKCE: b.OmitPKCE, FirstParty: b.FirstParty,
		ResourceServer: b.ResourceServer, Sector: b.Sector,
	}
}

type ClientView struct {
	ID string `json:"id"`
	ClientBody
	Disabled bool      `json:"disabled"`
	Created  time.Time `json:"created"`
	Changed  time.Time `json:"changed"`
}

func viewClient(c oidc.Client) ClientView {
	return ClientView{ID: c.ID, Disabled: c.Disabled, Created: c.Created, Changed: c.Changed, ClientBody: ClientBody{
		Name: c.Name, NameEN: c.NameEN, Homepage: c.Homepage, PolicyURI: c.PolicyURI, RedirectURIs: c.RedirectURIs,
		LogoutURIs: c.LogoutURIs, Scopes: c.Scopes, Audience: c.Audience, AuthMethod: c.AuthMethod, JWKS: c.JWKS, IDTokenAlg: c.IDTokenAlg,
		Refresh: c.Refresh, RefreshSeconds: int64(c.RefreshLife / time.Second), OmitPKCE: c.OmitPKCE, FirstParty: c.FirstParty,
		ResourceServer: c.ResourceServer, Sector: c.Sector,
	}}
}

type registerClientInput struct {
	Body struct {
		ID string `json:"id,omitempty" maxLength:"100" doc:"A random one, if left out"`
		ClientBody
	}
}

type registeredView struct {
	ClientView
	Secret string `json:"secret,omitempty" doc:"Shown this once"`
}

func (a *API) registerClient(ctx context.Context, by actor.Actor, in *registerClientInput) (*body[registeredView], error) {
	r, err := a.Clients.RegisterClient(ctx, by, oidc.NewClient{Client: in.Body.client(in.Body.ID)})
	return &body[registeredView]{registeredView{viewClient(r.Client), r.Secret}}, err
}

func (a *API) listClients(ctx context.Context, by actor.Actor, in *Paging) (*body[page[ClientView]], error) {
	all, err := a.Clients.Clients(ctx, by, in.After, in.Limit)
	return pageOf(all, in.Limit, viewClient, func(c oidc.Client) string { return c.ID }), err
}

func (a *API) getClient(ctx context.Context, by actor.Actor, in *IDInput) (*body[ClientView], error) {
	c, err := a.Clients.Client(ctx, by, in.ID)
	return &body[ClientView]{viewClient(c)}, err
}

type changeClientInput struct {
	IDInput
	Body ClientBody
}

func (a *API) changeClient(ctx context.Context, by actor.Actor, in *changeClientInput) (*body[ClientView], error) {
	c, err := a.Clients.ChangeClient(ctx, by, in.Body.client(in.ID))
	return &body[ClientView]{viewClient(c)}, err
}

type secretInput struct {
	IDInput
	Body *struct {
		OverlapSeconds int64 `json:"overlap_seconds,omitempty" minimum:"0" maximum:"2592000" doc:"How long the old secret is accepted; not at all, if left out"`
	}
}

type secretView struct {
	Secret string `json:"secret" doc:"Shown this once"`
}

func (a *API) rotateSecret(ctx context.Context, by actor.Actor, in *secretInput) (*body[secretView], error) {
	var overlap time.Duration
	if in.Body != nil {
		overlap = time.Duration(in.Body.OverlapSeconds) * time.Second
	}
	secret, err := a.Clients.RotateSecret(ctx, by, in.ID, overlap)
	return &body[secretView]{secretView{secret}}, err
}

func (a *API) disableClient(ctx context.Context, by actor.Actor, in *IDInput) (*none, error) {
	return nil, a.Clients.DisableClient(ctx, by, in.ID)
}

func (a *API) enableClient(ctx context.Context, by actor.Actor, in *IDInput) (*none, error) {
	return nil, a.Clients.EnableClient(ctx, by, in.ID)
}

type grantView struct {
	Client  string    `json:"client"`
	Scopes  []string  `json:"scopes"`
	Created time.Time `json:"created"`
	Expires time.Time `json:"expires"`
}

func (a *API) listGrants(ctx context.Context, by actor.Actor, _ *struct{}) (*body[page[grantView]], error) {
	all, err := a.Clients.Grants(ctx, by)
	return pageOf(all, 0, func(g oidc.Grant) grantView { return grantView{g.Client, g.Scopes, g.Created, g.Expires} }, nil), err
}

func (a *API) withdraw(ctx context.Context, by actor.Actor, in *IDInput) (*none, error) {
	return nil, a.Clients.Withdraw(ctx, by, in.ID)
}
