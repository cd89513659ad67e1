// Package licence issues electronic licences (电子证照): one sealed OFD each,
// under an identifier of GB/T 36904.
//
// The catalogue holds licence types as data: fields, where each comes from (the
// applicant's data, the registry, the act of issuing) and the page that shows
// them. Issue keeps one order, so that nothing sealed is ever unknown: prepare
// (data checked field by field, page set, a missing character refused) → reserve
// (identifier and digest of the page stored as drafted, commit 1) → stamp with the
// issuer's seal, once → stored as active with its record (commit 2). A value that
// only the step before can make is what each step takes. After a crash Recover
// voids what stayed drafted; the retry with the same key draws a new identifier.
//
// States: drafted → active ⇄ suspended → cancelled (注销), revoked (吊销), withdrawn
// (撤销) or superseded (变更); void if a draft was given up. Expired is not stored: it
// follows from the last day of validity and the clock.
//
// Officers act for the issuing organisation alone; holders see and show their own
// licences. Show makes a QR text for checking without a network, Preview draws any
// copy as SVG, forged ones too. Keys never come here: sealing is the seal
// service's work.
package licence
