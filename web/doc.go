// Package web is the pages that people see: log-in, whom to act for, consent,
// the own account, the verifier and, in a demonstration, the guided story.
//
// A Site takes services as small interfaces and is made before the OpenID
// provider, which needs Site.Pages; the provider is handed in by UseProvider.
// Each page is a typed view struct, embedded in it the frame (language, theme,
// links), executed by html/template into memory and sent whole. No page needs a
// script, and the policy sent with each forbids inline scripts and styles; what
// is posted comes from our own origin or is refused. A post answers with a
// redirect, or with status 422 and the form again, its faults listed on top.
//
// The pages hold no state but four cookies: the log-in session, the language,
// the theme and the view for elders. They decide nothing: who may do what is
// the domain services' to say. Every refusal tells the next step to take, and
// what went wrong inside is shown as a reference number alone.
package web
