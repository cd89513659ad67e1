// Package identity says who the subjects are: natural persons (自然人), legal
// entities (法人) and officials (公务人员).
//
// A person and an entity are rows; an official is a person in a post of a
// public body, so one person may hold several posts, and be the legal
// representative of several entities besides. A subject has any number of
// identifiers, of which each belongs to one living subject at most.
//
// How well a subject is known is never a column: it is the best piece of
// evidence that has not expired (a phone, matched factors, a face, a visit to
// the counter). A subject is active, frozen or closed; closed is final.
//
// Registrars and the system enter and change subjects, every change and every
// look at another's data is recorded in the same transaction. Other packages
// ask Standing, Capacities, Profile and Holder through interfaces of their own;
// these refuse a subject that is not active, and never leave through an edge.
//
// Numbers and phones print masked, whatever the format verb; Reveal is the only
// way to the clear form. The store keeps them encrypted and finds them by a
// blind index.
package identity
