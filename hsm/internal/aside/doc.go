// Package aside runs calls into a device's library that may hang, on goroutines of their own, so that whoever waits for one can
// leave it. The goroutines stay for the next call: their stacks have grown, and a fresh one would grow its own anew each time.
package aside
