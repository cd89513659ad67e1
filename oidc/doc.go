// Package oidc is one login everywhere: an OpenID provider (OpenID Connect Core,
// OAuth 2.0 with PKCE) whose protocol engine is ory/fosite, imported here only.
//
// A login goes: /oauth2/authorize checks the request and either answers at once
// (session, capacity and consent are all there) or stores an Interaction, bound
// to the browser by a cookie, and sends the person to /login, /acting or
// /consent. Those pages read Provider.Interaction and answer with
// Provider.Decide until nothing is missing: the interaction is spent, a Grant
// and its code are stored in the same transaction, and the browser goes back to
// the client.
//
// A grant is one authorization; its tokens are rows that point to it. A token is
// live → spent (codes and refresh tokens, once, by a conditional UPDATE) → purged
// when the last token of its grant has expired. A spent token that comes again
// revokes the grant, and with it every token of it. At code, refresh,
// introspection, userinfo and Bearer the person's standing, the capacity acted
// in and the log-in session are asked again: their end ends the tokens.
//
// Nothing is signed inside a transaction, and nothing is written before the
// id_token is signed: a device that fails costs a retry, never the login. The
// package keeps no token and no secret in clear, and never logs one.
package oidc
