// Package api is the JSON interface: what officers, applications and scripts
// do with Hufu, at /api/v1/…, described at /api/openapi.json and /api/docs.
//
// routes.go is the table of contents: method, path, who may, what it does, and
// the handler. A handler decodes, makes one domain call with the actor as a
// parameter, and encodes; who may do what is the domain's to decide. A request
// is known by its access token (Authorization: Bearer, scope "api") and by
// nothing else, so that no cookie can be abused from another site.
//
// A request passes: rate limit of the address → access token → rate limit of
// its owner → a place among the large bodies → validation of its form → the
// handler. Whatever fails is answered as problem+json (RFC 9457) in the
// reader's language, with a stable code and a reference number; an error that is
// no fault of ours to explain (internal/fault) goes to the log alone, under
// that number. problem.go is the one place where faults become HTTP statuses.
package api
