package oidc

import (
	"time"

	"hufu/identity"
	"hufu/internal/actor"
)

// The scopes of this provider. Others are names of APIs, which a client may be allowed one by one.
const (
	ScopeOpenID   = "openid"         // id_token
	ScopeProfile  = "profile"        // name
	ScopePhone    = "phone"          // phone_number
	ScopeAddress  = "address"        // nothing yet: no register gives an address
	ScopeOffline  = "offline_access" // tokens outlive the log-in session
	ScopeIdentity = "identity"       // identity number; every release is recorded
	ScopeEntity   = "entity"         // acting for an entity or in office: subject_kind, act_for, official
	ScopeAPI      = "api"            // our own API, see Provider.Bearer
)

// AuthMethod is how a client proves itself at the token endpoint; each client has one.
type AuthMethod string

// The methods, by their registered names.
const (
	AuthBasic AuthMethod = "client_secret_basic"
	AuthPost  AuthMethod = "client_secret_post"
	AuthJWT   AuthMethod = "private_key_jwt"
	AuthNone  AuthMethod = "none" // public client: PKCE is all it has
)

// Client is an application that lets people log in here. It holds no secret.
type Client struct {
	ID             string        `json:"-"`
	Name           string        `json:"name"`                  // in Chinese, shown on the consent page
	NameEN         string        `json:"name_en,omitempty"`     // in English; Name is shown if empty
	Homepage       string        `json:"homepage,omitempty"`    // https URL, shown
	PolicyURI      string        `json:"policy_uri,omitempty"`  // privacy policy, shown
	RedirectURIs   []string      `json:"redirect_uris"`         // compared as strings
	LogoutURIs     []string      `json:"logout_uris,omitempty"` // post_logout_redirect_uris, compared as strings
	Scopes         []string      `json:"scopes"`                // that it may ask for
	Audience       []string      `json:"audience,omitempty"`    // resource servers that its tokens may be meant for
	AuthMethod     AuthMethod    `json:"auth_method"`           //
	JWKS           string        `json:"jwks,omitempty"`        // public keys for AuthJWT, a JSON Web Key Set
	IDTokenAlg     string        `json:"id_token_alg"`          // RS256 or ES256
	Refresh        bool          `json:"refresh"`               // gets refresh tokens
	RefreshLife    time.Duration `json:"refresh_life"`          // of one refresh token, ns
	OmitPKCE       bool          `json:"omit_pkce,omitempty"`   // may leave PKCE out; confidential clients only
	FirstParty     bool          `json:"first_party,omitempty"` // of the operator itself: no consent page
	ResourceServer bool          `json:"resource_server,omitempty"`
	Sector         string        `json:"sector,omitempty"` // pairwise sub per sector; empty means public sub
	Disabled       bool          `json:"-"`
	Created        time.Time     `json:"-"`
	Changed        time.Time     `json:"-"`
}

// Public reports whether the client cannot keep a secret.
func (c Client) Public() bool { return c.AuthMethod == AuthNone }

// ClientRecord is a client as stored: with the SM3 hashes of its secrets.
type ClientRecord struct {
	Client
	SecretHash     []byte    // of the secret in force; empty for public clients and AuthJWT
	OldSecretHash  []byte    // of the secret before, accepted until OldSecretUntil
	OldSecretUntil time.Time //
}

// Grant is one authorization: a person let a client act, in a capacity, for some scopes. Its id is in no token.
type Grant struct {
	ID            string
	Client        string
	Subject       string // the person
	Sub           string // what the client knows the person as
	Session       string // id of the log-in session
	Capacity      identity.Capacity
	Scopes        []string
	Audience      []string
	RedirectURI   string
	Nonce         string
	Challenge     string // PKCE S256; empty when the client may omit it
	AuthTime      time.Time
	AMR           []string
	IdentityLevel actor.Level
	AuthLevel     actor.Level
	Created       time.Time
	Expires       time.Time // of its last token; kept until then
	Revoked       time.Time // zero while alive
	RevokedWhy    string
}

// Has reports whether the grant has the scope.
func (g Grant) Has(scope string) bool { return has(g.Scopes, scope) }

// TokenKind tells codes and tokens apart; one kind is never found as another.
type TokenKind string

// The kinds.
const (
	KindCode    TokenKind = "code"
	KindAccess  TokenKind = "access"
	KindRefresh TokenKind = "refresh"
)

// Token is a code or a token of a grant, known by the hash of its signature part only.
type Token struct {
	Kind    TokenKind
	Hash    []byte // SM3, 32 octets
	Grant   string
	Scopes  []string // narrower than the grant's when asked for at refresh; nil means the grant's
	Issued  time.Time
	Expires time.Time
	Used    time.Time // zero until spent
}

// InteractionRecord is an Interaction as stored.
type InteractionRecord struct {
	ID          string
	BrowserHash []byte             // SM3 of the browser's secret
	Client      string             //
	Request     []byte             // JSON of the checked authorization request; may hold login_hint, so it is stored encrypted
	PriorLogin  string             // session that the browser had when it came; "" if none
	PriorAuth   time.Time          // its AuthTime
	Capacity    *identity.Capacity // chosen; nil until then
	Created     time.Time
	Expires     time.Time
	Spent       time.Time // zero until decided
}

// Consent is what a person has let a client have before, and whom the person acted for last time.
type Consent struct {
	Subject string
	Client  string
	Scopes  []string
	Kind    identity.Kind // of the last capacity
	For     string        //
	Post    string        // PostID, when it was a post
	Given   time.Time
}
