// Package keys is the life of keys: which there are, what each is for, who made
// it, which version works now, and how it ends.
//
// A device key has a label ("ca-root") and numbered versions. A version's states:
// making (intended, perhaps already in the device) → active (one a label) → retired
// (still signs what needs the old key, still opens what it closed) → destroying →
// destroyed; or making → void. The intent is stored before the device is asked, so
// that a crash leaves a state that Resume completes or voids. A rotation is a row
// that says how far it is; what others must know before it works is published first.
//
// Under a master key that never leaves its device stand data keys (Data), opened in
// memory at the start; what passes through Wrap; and many keys (Many: a seal's, a
// holder's), opened for one signature at a time, within the device where it can. A
// many key also stands under a half that only its owner brings (Enrolment, Consent,
// Stand); each use is in the record, bound to its hash, before it is made.
//
// The first start is: Unlock (master and the database's own data keys, before any
// audit entry can be written), then Resume, then Ensure for each key. The package
// never imports hsm: Device is what it needs of one, and cmd hands it over.
package keys
