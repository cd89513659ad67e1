// Package timesource tells whether this machine's clock may be believed, by comparing it with sources that do not depend
// on it: NTP servers, the database's machine. A time-stamp authority asks it before each stamp (GB/T 20520 wants a
// trustworthy source; one source that lies must not be enough).
//
// Each reading is an interval in which the true offset of our clock lies. The interval in which most readings agree
// (Marzullo's algorithm, the basis of RFC 5905 clause 11.2.1) is what counts; readings outside of it are named as
// dissenting. The clock is trustworthy while a quorum agrees, the agreed offset and its uncertainty stay within the promised
// accuracy, the comparison is fresh, and the clock was not set since, which the machine's monotonic clock shows.
//
// The package never sets a clock.
package timesource
