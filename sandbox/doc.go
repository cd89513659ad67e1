// Package sandbox holds simulators and a sample application, for the
// demonstration, the tests and integrators: it is never part of a production
// way, and every page of it says so.
//
// App is a small service hall (办事大厅) under /sample/ that has no accounts of
// its own. It is a relying party like any other: it finds the provider by
// discovery, talks to it over HTTP only, and trusts an id_token for its
// signature alone. A log-in goes: /sample/login keeps state, nonce and PKCE
// verifier under a cookie of this browser → the provider → /sample/callback
// spends the state, checks where the answer comes from, exchanges the code,
// verifies the id_token and asks userinfo → a visit, kept in memory, bounded in
// number and time. The guided story asks App.Visitor who is there and for whom.
//
// Forge plays the forger: it changes what a licence says on its page, as someone
// with a ZIP program and a text editor would, and leaves everything else alone.
// The simulators of registries, face service, SMS and upstream providers come
// with the parts that ask them.
package sandbox
