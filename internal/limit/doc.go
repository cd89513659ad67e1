// Package limit bounds how often each caller may ask, of a number of callers that is itself bounded: whom it has not heard
// of for longest it forgets first. Network says what an address counts as, since one caller has many of version 6. Shared has a
// ceiling for all behind that of each, so that nobody uses up alone what is there for everybody.
package limit
